"""lm --condition and generate --condition: texts from a label, numbers or an image."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Quiet, Result, make_rows, tiny, write_jsonl

from seqcli import run

Cli = Callable[..., Result]
Models = Callable[[str], Path]


def learn(folder: Path, rows: list[dict[str, object]], column: str, **settings: object) -> Path:
    """A model of texts that are written from a column, trained until it has learnt to."""
    write_jsonl(folder / "rows.jsonl", rows)
    rows_file = str(folder / "rows.jsonl")
    named = {"train": rows_file, "validation": rows_file, "test": rows_file, "condition": column}
    more = {"epochs": 30, "hidden": 24, "learning_rate": 0.02, "dropout": 0, "patience": 0}
    run.train(tiny("lm", None, **{**named, **more, **settings}), folder / "m", Quiet())
    return folder / "m"


def test_texts_from_a_label(cli: Cli, tmp_path: Path) -> None:
    rows = [{"label": row["label"], "text": row["text"]} for row in make_rows(40, seed=1)]
    model = learn(tmp_path, rows, "label")
    for label in ("go", "stay"):
        options = ("--condition", label, "--samples", 3, "--seed", 1, "--json", "--length", 500)
        result = cli("generate", model, *options)
        assert result.status == 0, result.err
        texts = [json.loads(line)["text"] for line in result.lines]
        assert all(text.startswith(label) for text in texts)
        assert all("\n" not in text and len(text) < 100 for text in texts)  # it ends with its row

    # The label tells what a text begins with, and a text of the other one is unlikely.
    lines = [{"label": label, "text": rows[0]["text"]} for label in ("go", "stay")]
    write_jsonl(tmp_path / "in.jsonl", lines)
    answers = [json.loads(line) for line in cli("predict", model, tmp_path / "in.jsonl").lines]
    right, wrong = sorted(answers, key=lambda one: one["label"] != rows[0]["label"])
    assert right["log_probability"] > wrong["log_probability"] + 1

    scores = json.loads(cli("evaluate", model, "--json").out)["scores"]
    known = json.loads((model / "metrics.json").read_text())["scores"]["test"]
    assert scores["cross_entropy"] == pytest.approx(known["cross_entropy"])

    for arguments, said in [
        (("--condition", "fly"), "known are: go, stay"),
        ((), "give --condition"),
    ]:
        result = cli("generate", model, *arguments)
        assert (result.status in (1, 2), len(result.errors)) == (True, 1)
        assert said in result.err
    write_jsonl(tmp_path / "in.jsonl", [{"text": "go"}, {"text": "go", "label": "fly"}])
    result = cli("predict", model, tmp_path / "in.jsonl")
    assert (result.status, result.lines, len(result.errors)) == (1, ["", ""], 2), result
    (tmp_path / "in.txt").write_text("go\n")
    result = cli("predict", model, tmp_path / "in.txt")
    assert result.status == 1
    assert "give JSON Lines" in result.err


def test_a_table_with_a_condition_is_read(cli: Cli) -> None:
    rows = "".join(f"good film {n},pos\nbad film {n},neg\n" for n in range(20))
    Path("t.csv").write_text("text,mood\n" + rows)
    assert cli("lm", "t.csv", "--condition", "mood", "--out", "m", "--epochs", 1, *TINY).status == 0
    Path("in.csv").write_text("id,text,mood\n1,good film,pos\n2,bad film,odd\n")
    found = cli("predict", "m", "in.csv")
    assert [bool(line) for line in found.lines] == [True, True, False]
    assert "line 3: no text was trained on with the condition 'odd'" in found.err


def test_a_text_from_a_label_in_parts(cli: Cli, tmp_path: Path) -> None:
    rows = [{"label": row["label"], "text": row["text"]} for row in make_rows(40, seed=1)]
    model = learn(tmp_path, rows, "label", epochs=5)
    whole = cli("generate", model, "--condition", "go", "--temperature", 0).out
    options = ("--state", "s", "--temperature", 0)
    first = cli("generate", model, "--condition", "go", "--length", 3, *options).out
    assert first[:-1] + cli("generate", model, *options).out == whole
    result = cli("generate", model, "--state", "new")
    assert (result.status, len(result.errors)) == (2, 1)


def test_labels_that_are_numbers_may_be_written_in_several_ways(cli: Cli, tmp_path: Path) -> None:
    """CSV may hold 1.0 where JSON has 1, which means the same."""
    rows: list[dict[str, object]] = [
        {"stars": f"{n % 2}.0", "text": "ab"[n % 2]} for n in range(20)
    ]
    model = learn(tmp_path, rows, "stars")
    for label in ("1.0", "1"):
        assert cli("generate", model, "--condition", label, "--temperature", 0).out == "b\n"
    write_jsonl(tmp_path / "in.jsonl", [{"text": "b", "stars": one} for one in ("1.0", 1, 1.0)])
    result = cli("predict", model, tmp_path / "in.jsonl", "--format", "plain")
    assert (result.status, len(set(result.lines))) == (0, 1), result.err
    scores = []
    for stars in (["0.0", "1.0"], [0, 1]):
        rows = [{"text": "ab"[n], "stars": star} for n, star in enumerate(stars)]
        write_jsonl(tmp_path / "in.jsonl", rows)
        result = cli("evaluate", model, tmp_path / "in.jsonl", "--json")
        scores.append(json.loads(result.out)["scores"]["cross_entropy"])
    assert scores[0] == scores[1]
    for wrong in ("2", "nan", "one"):
        assert "known are: 0.0, 1.0" in cli("generate", model, "--condition", wrong).err


def test_texts_from_numbers(cli: Cli, tmp_path: Path) -> None:
    """Two columns of numbers: the text tells whether the first is above the second."""
    draw = random.Random(1)
    rows: list[dict[str, object]] = []
    for _ in range(60):
        x, y = draw.uniform(0, 100), draw.uniform(0, 100)
        rows.append({"x": x, "y": y, "text": "more" if x > y else "less"})
    model = learn(tmp_path, rows, "x,y", bptt=3)
    for condition, text in (("90,5", "more"), ("3, 80.5", "less")):
        options = ("--condition", condition, "--temperature", 0)
        assert cli("generate", model, *options).out == f"{text}\n"
    result = cli("generate", model, "--condition", "1")
    assert (result.status, len(result.errors)) == (1, 1)
    assert "the model takes 2" in result.err


def test_texts_from_a_list_of_numbers(cli: Cli, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"v": [float(at == hot) for at in range(3)], "text": "abc"[hot] * 2} for hot in (0, 1, 2)
    ] * 8
    model = learn(tmp_path, rows, "v")
    assert cli("generate", model, "--condition", "0 1 0", "--temperature", 0).out == "bb\n"


def test_lists_of_numbers_may_be_written_out(cli: Cli, tmp_path: Path) -> None:
    """As pandas writes them in csv, and as JSON has them on the command line."""
    rows: list[dict[str, object]] = [
        {"v": f"[{n / 8}, {1e-5 if n % 3 else 2}]", "text": "ab"[n % 3 > 0]} for n in range(60)
    ]
    model = learn(tmp_path, rows, "v", epochs=10)
    for condition in ("[0.5, 2]", "0.5 2"):
        assert cli("generate", model, "--condition", condition, "--temperature", 0).out == "a\n"
    values = ("[0.5, 2]", [0.5, 2], "[0.5 2.]", "[5e-1,2.0]")
    write_jsonl(tmp_path / "in.jsonl", [{"text": "a", "v": value} for value in values])
    result = cli("predict", model, tmp_path / "in.jsonl", "--format", "plain")
    assert (result.status, len(set(result.lines))) == (0, 1), result.err
    write_jsonl(tmp_path / "in.jsonl", [{"text": "a", "v": None}])
    assert "field 'v' is empty" in cli("predict", model, tmp_path / "in.jsonl").err


def test_texts_from_images(cli: Cli, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    rows: list[dict[str, object]] = []
    for number in range(12):
        dark = number % 2
        path = tmp_path / f"{number}.png"
        image.new("RGB", (20 + number, 30), (10 + number,) * 3 if dark else (240, 250, 245)).save(
            path
        )
        rows.append({"picture": str(path), "text": "night" if dark else "day"})
    model = learn(tmp_path, rows * 4, "picture")
    for number, text in ((0, "day"), (1, "night")):
        options = ("--condition", tmp_path / f"{number}.png", "--temperature", 0)
        assert cli("generate", model, *options).out == f"{text}\n"
    (tmp_path / "bad.png").write_text("no image")
    for path in ("bad.png", "gone.png"):
        result = cli("generate", model, "--condition", tmp_path / path)
        assert (result.status, len(result.errors)) == (1, 1)
        assert "cannot read an image" in result.err


def test_columns_that_cannot_be_a_condition(cli: Cli, data: Path, models: Models) -> None:
    train = ("--epochs", 1, "--hidden", 8, "--threads", 1)
    result = cli("lm", data, "--condition", "text", "--text-column", "target", *train)
    assert (result.status, len(result.errors)) == (2, 1)
    assert "is no label" in result.err
    result = cli("lm", data, "--condition", "colour", *train)
    assert (result.status, len(result.errors)) == (2, 1)
    assert "has no column 'colour' (--condition)" in result.err
    result = cli("generate", models("lm"), "--condition", "go")
    assert (result.status, len(result.errors)) == (2, 1)
    assert "train one with --condition COLUMN" in result.err
