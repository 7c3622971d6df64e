"""The columns found in training are read again: by predict, and by evaluate on other data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Result, make_rows, write_jsonl

Cli = Callable[..., Result]
# What a column of conftest's rows is called here, beside a column whose name is better known.
OTHER = {
    "classify": {"text": "review", "label": "topic"},
    "tag": {"tokens": "form", "tags": "upos"},
    "translate": {"source": "en", "target": "de"},
    "lm": {"text": "body"},
}
DECOY = {"classify": "sentence", "tag": "tokens", "translate": "source", "lm": "text"}
SCORE = {"classify": "accuracy", "tag": "token_accuracy", "translate": "chrf", "lm": "tokens"}


def rename(rows: list[dict[str, Any]], task: str) -> list[dict[str, Any]]:
    return [{new: row[old] for old, new in OTHER[task].items()} for row in rows]


@pytest.mark.parametrize("task", OTHER)
def test_the_same_columns_are_read_again(cli: Cli, tmp_path: Path, task: str) -> None:
    for number, split in enumerate(("train", "validation")):
        write_jsonl(tmp_path / f"{split}.jsonl", rename(make_rows(30, seed=number), task))
    small = ("--epochs", 1, "--tokens", "word", *TINY)
    assert cli(task, tmp_path, "--out", "m", *small).status == 0
    assert json.loads(Path("m/config.json").read_text())["columns"] == OTHER[task]
    # A record with a field of a better known name is read as the training rows were.
    source = next(iter(OTHER[task]))
    value = make_rows(1, seed=5)[0][source]
    decoy = ["?"] if task == "tag" else "?"
    write_jsonl(tmp_path / "in.jsonl", [{DECOY[task]: decoy, OTHER[task][source]: value}])
    write_jsonl(tmp_path / "plain.jsonl", [{source: value}])
    found, plain = (
        json.loads(cli("predict", "m", tmp_path / name).out) for name in ("in.jsonl", "plain.jsonl")
    )
    for name in set(plain) - {source}:
        assert found.get(f"predicted_{name}", found.get(name)) == plain[name]
    # Other data with decoys beside the columns of training.
    rows = rename(make_rows(20, seed=9), task)
    write_jsonl(tmp_path / "other.jsonl", rows)
    odd = [{DECOY[task]: decoy, "label": "x", "tags": ["x"], "target": "y", **row} for row in rows]
    write_jsonl(tmp_path / "odd.jsonl", odd)
    scores = []
    for name in ("other.jsonl", "odd.jsonl"):
        result = cli("evaluate", "m", tmp_path / name, "--json")
        assert result.status == 0, result.err
        scores.append(json.loads(result.out)["scores"])
    assert scores[0] == scores[1]
    assert SCORE[task] in scores[0]
    # Where DATA has other names, they are found as in training.
    write_jsonl(tmp_path / "usual.jsonl", make_rows(20, seed=9))
    if task != "tag":  # rows of conftest have text beside tokens
        usual = cli("evaluate", "m", tmp_path / "usual.jsonl", "--json")
        assert usual.status == 0, usual.err


def test_a_column_that_was_asked_for_is_the_only_one(cli: Cli, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", rename(make_rows(30, seed=1), "classify"))
    small = ("--epochs", 1, *TINY)
    asked = ("--text-column", "review")
    assert cli("classify", tmp_path / "train.jsonl", *asked, "--out", "m", *small).status == 0
    write_jsonl(tmp_path / "in.jsonl", [{"text": "go to rome"}])
    result = cli("predict", "m", tmp_path / "in.jsonl")
    assert result.status == 1
    assert "no field 'review'" in result.err


@pytest.mark.parametrize("task", OTHER)
def test_a_column_that_was_asked_for_in_other_letters(cli: Cli, tmp_path: Path, task: str) -> None:
    rows = rename(make_rows(30, seed=1), task)
    write_jsonl(tmp_path / "train.jsonl", rows)
    options = [f"--{name}" if task == "translate" else f"--{name}-column" for name in OTHER[task]]
    asked = [one for pair in zip(options, OTHER[task].values(), strict=True) for one in pair]
    small = ("--epochs", 1, "--tokens", "word", *TINY)
    spelt = [one if one.startswith("--") else one.upper() for one in asked]
    assert cli(task, "train.jsonl", *spelt, "--out", "m", *small).status == 0
    write_jsonl(tmp_path / "in.jsonl", rows[:2])
    found = cli("predict", "m", "in.jsonl")
    assert (found.status, found.err) == (0, "")


def test_names_between_spaces(cli: Cli, tmp_path: Path) -> None:
    """Of several columns that were asked for, and in headers."""
    rows = [f"{i}, some text, {'xy'[i % 2]} {i}, {'xy'[i % 2]}\n" for i in range(30)]
    (tmp_path / "train.csv").write_text("id, title, body, label\n" + "".join(rows))
    asked = ("--text-column", "title, body")
    assert cli("classify", "train.csv", *asked, "--out", "m", *TINY).status == 0
    found = cli("predict", "m", "train.csv")
    assert (found.status, found.lines[0], len(found.lines)) == (0, "label", 31), found.err
    (tmp_path / "in.jsonl").write_text('{"title": "some text", "body": "x 1"}\n')
    assert cli("predict", "m", "in.jsonl").status == 0


def test_a_folder_that_remembers_nothing(cli: Cli, models: Callable[[str], Path]) -> None:
    """Models of earlier versions read the well-known names."""
    import shutil

    shutil.copytree(models("classify"), "m")
    config = json.loads(Path("m/config.json").read_text())
    del config["columns"]
    Path("m/config.json").write_text(json.dumps(config))
    write_jsonl(Path("in.jsonl"), [{"text": "go to rome"}])
    assert cli("predict", "m", "in.jsonl").status == 0
    for broken in ([], {"text": 5}):
        Path("m/config.json").write_text(json.dumps({**config, "columns": broken}))
        result = cli("predict", "m", "in.jsonl")
        assert (result.status, len(result.errors)) == (1, 1)


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_a_field_of_an_object_within_is_trained_on_and_read_again(
    cli: Cli, tmp_path: Path, task: str
) -> None:
    inner, other = list(OTHER[task].values())
    rows = [
        {"message": {inner: row[inner]}, other: row[other]}
        for row in rename(make_rows(30, seed=0), task)
    ]
    write_jsonl(tmp_path / "t.jsonl", rows)
    option = "--text-column" if task == "classify" else "--tokens-column"
    named = (option, f"message.{inner}")
    small = ("--epochs", 1, "--tokens", "word", *TINY)
    assert cli(task, "t.jsonl", *named, "--out", "m", *small).status == 0
    answers = cli("predict", "m", "t.jsonl")
    assert answers.status == 0
    assert json.loads(answers.out.splitlines()[0])["message"] == rows[0]["message"]
    found = cli("evaluate", "m", "t.jsonl", "--json")
    assert json.loads(found.out)["scores"]
