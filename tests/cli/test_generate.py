"""Texts that are left and gone on with, written from something, and their surprisal."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Quiet, Result, make_rows, tiny, write_jsonl

from seqcli import generation, run

Cli = Callable[..., Result]
Models = Callable[[str], Path]

# ----------------------------------------------------------------------------------------- state


def test_a_text_in_parts_is_the_text_at_once(cli: Cli, models: Models) -> None:
    model = models("lm")
    whole = cli("generate", model, "--temperature", 0, "--length", 60, "--prompt", "go to")
    parts = ""
    for length, prompt in ((1, "go to"), (20, ""), (39, "")):
        options = ("--length", length, "--prompt", prompt, "--state", "text.state")
        result = cli("generate", model, "--temperature", 0, *options)
        assert (result.status, result.err) == (0, "")
        parts += result.out.removesuffix("\n")
    assert parts + "\n" == whole.out
    prompted = cli("generate", model, "--temperature", 0, "--prompt", whole.out[:-1] + " x\ny")
    options = ("--prompt", " x\ny", "--state", "text.state", "--temperature", 0)
    assert (whole.out[:-1] + cli("generate", model, *options).out) == prompted.out


def test_words_in_parts_keep_their_spaces(cli: Cli, data: Path) -> None:
    run.train(tiny("lm", data, tokens="word"), Path("m"), Quiet())
    whole = cli("generate", "m", "--temperature", 0, "--length", 12, "--prompt", "go to")
    options = ("--state", "s", "--temperature", 0, "--length", 6)
    first = cli("generate", "m", "--prompt", "go to", *options).out
    second = cli("generate", "m", *options).out
    assert first[:-1] + second == whole.out


def test_samples_are_written_together_as_they_are_alone(
    cli: Cli, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "TOGETHER", 2)  # of three: two, then one
    options = ("--prompt", "go to", "--line", "--json", "--temperature", 1.5)
    together = cli("generate", models("lm"), *options, "--samples", 3, "--seed", 5)
    texts = [json.loads(line)["text"] for line in together.lines]
    assert len({len(text) for text in texts}) > 1  # they end one by one
    for seed, text in zip((5, 6, 7), texts, strict=True):
        alone = cli("generate", models("lm"), *options, "--seed", seed)
        assert json.loads(alone.out)["text"] == text


def test_states_that_cannot_be_gone_on_with(cli: Cli, models: Models, data: Path) -> None:
    model = models("lm")
    assert cli("generate", model, "--state", "s").status == 0
    run.train(tiny("lm", data, seed=2), Path("other"), Quiet())
    result = cli("generate", "other", "--state", "s")
    assert result.status == 1
    assert "saved with another model than other" in result.err
    Path("bad").write_text("no state")
    result = cli("generate", model, "--state", "bad")
    assert (result.status, len(result.errors)) == (1, 1)
    assert "not a state that generate saved" in result.err
    result = cli("generate", model, "--state", "gone/s")
    assert (result.status, len(result.errors)) == (1, 1)
    result = cli("generate", model, "--state", "s", "--samples", 2)
    assert (result.status, len(result.errors)) == (2, 1)


@pytest.mark.parametrize("gap", ["[MASK]", "<mask>", "____"])
def test_gaps_are_refused(cli: Cli, models: Models, gap: str) -> None:
    result = cli("generate", models("lm"), "--prompt", f"go to {gap} on day 3")
    assert (result.status, len(result.errors)) == (2, 1)
    assert "left to right" in result.err
    assert "seqcli predict" in result.err


# ------------------------------------------------------------------------------------- surprisal


def test_surprisal_of_each_token(cli: Cli, models: Models) -> None:
    Path("in.txt").write_text("go to\n\nta\tb\n")
    plain = [line.split("\t") for line in cli("predict", models("lm"), "in.txt").lines]
    told = cli("predict", models("lm"), "in.txt", "--surprisal")
    assert told.status == 0
    for (total, _, count), line, text in zip(
        plain, told.lines, ["go to", "", "ta\tb"], strict=True
    ):
        pairs = [part.rsplit("=", 1) for part in line.split("\t")]
        names = [json.loads(f'"{name}"') for name, _ in pairs]
        assert names == [*text, "<eos>"]
        assert len(pairs) == int(count)
        bits = sum(float(bit) for _, bit in pairs)
        assert bits * math.log(2) == pytest.approx(-float(total), abs=1e-4)
    result = cli("predict", models("lm"), "in.txt", "--surprisal", "--format", "jsonl")
    records = [json.loads(line) for line in result.lines]
    assert [one["token"] for one in records[0]["surprisal"]] == [*"go to", "<eos>"]
    for record in records:
        bits = sum(one["bits"] for one in record["surprisal"])
        assert bits * math.log(2) == pytest.approx(-record["log_probability"], abs=1e-4)
    result = cli("predict", models("classify"), "in.txt", "--surprisal")
    assert result.status == 2
    assert "--surprisal is for models of lm" in result.err


# ------------------------------------------------------------------------------------- condition


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
        ((), "name it with --condition"),
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


def test_a_text_from_a_label_in_parts(cli: Cli, tmp_path: Path) -> None:
    rows = [{"label": row["label"], "text": row["text"]} for row in make_rows(40, seed=1)]
    model = learn(tmp_path, rows, "label", epochs=5)
    whole = cli("generate", model, "--condition", "go", "--temperature", 0).out
    options = ("--state", "s", "--temperature", 0)
    first = cli("generate", model, "--condition", "go", "--length", 3, *options).out
    assert first[:-1] + cli("generate", model, *options).out == whole
    result = cli("generate", model, "--state", "new")
    assert (result.status, len(result.errors)) == (2, 1)


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
