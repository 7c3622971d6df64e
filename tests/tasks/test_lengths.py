"""Texts of one token and of a hundred thousand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Result

Cli = Callable[..., Result]
LONG = "word " * 99_999 + "go"


def write(name: str, longest: str) -> None:
    rows = [("go", "x"), ("stay", "y")] * 10 + [(longest, "x")]
    Path(name).write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))


@pytest.mark.parametrize("cell", ["gru", "minlstm"])
def test_one_token_and_very_many(cli: Cli, cell: str) -> None:
    write("t.csv", LONG)
    files = ("--train", "t.csv", "--validation", "t.csv")
    result = cli("classify", *files, "--cell", cell, "--epochs", 1, "--out", "m", *TINY)
    assert result.status == 0, result.err
    assert "longer than" not in result.err
    Path("in.txt").write_text(f"go\n{LONG}\n\n")
    found = cli("predict", "m", "in.txt")
    assert (found.status, len(found.lines)) == (0, 3)
    # What is read is the first 100,000 tokens.
    Path("in.txt").write_text(f"{LONG}\n{LONG} and some more words that are not read\n")
    one, other = cli("predict", "m", "in.txt", "--probabilities").lines
    assert one == other


def test_cut_texts_are_counted(cli: Cli) -> None:
    write("t.csv", "a b c d e f g")
    files = ("--train", "t.csv", "--validation", "t.csv", "--tokens", "word")
    result = cli("classify", *files, "--max-length", 3, "--epochs", 1, "--out", "m", *TINY)
    assert result.status == 0, result.err
    assert "texts longer than 3 tokens: 1" in result.err
    longer = cli("classify", *files, "--max-length", 7, "--epochs", 1, "--out", "n", *TINY)
    assert "longer than" not in longer.err
