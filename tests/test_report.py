"""The model card, read as GitHub and the Hub render it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TASKS, Result, tiny

from seqcli import metrics
from seqcli.data.rows import Rows
from seqcli.metrics import Scores
from seqcli.report import Report, find_better, model_card
from seqcli.tasks import TASKS as CLASSES


def read_tables(page: str) -> list[list[list[str]]]:
    """The cells of each row of each table: a bar divides them unless it is escaped, within code
    too (GitHub Flavored Markdown, 4.10)."""
    blocks = re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)
    return [
        [
            [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in block.splitlines()
        ]
        for block in blocks
    ]


@pytest.mark.parametrize("task", TASKS)
def test_every_row_of_a_card_has_the_cells_of_its_head(task: str, models) -> None:
    for table in read_tables((models(task) / "README.md").read_text(encoding="utf-8")):
        assert {len(row) for row in table} == {len(table[0])}


def test_a_card_shows_signatures_and_settings_whole() -> None:
    rows = Rows({"text": ["a", "b"], "label": [["x|y"], ["z"]]}, "test")
    config = tiny("classify", None, label_separator="|")
    task = CLASSES["classify"].learn(config, rows)
    signature = "seqcli:0|labels-f1|rows:2"
    scores = {"test": {"micro_f1": 0.5, "signature": signature}}
    report = Report("classify", Path("m"), 1, 10, scores, {"test": {}})
    facts, found = read_tables(model_card(task, report))
    assert ["labels", "2, any number a text: x|y, z"] in facts
    assert ["--label-separator", "|"] in facts
    assert found[-1] == ["test", "0.5000", f"`{signature}`"]


@pytest.mark.parametrize(("condition", "given"), [(None, "lines.txt"), ("label", "lines.jsonl")])
def test_a_card_names_a_kind_of_input_that_can_be_read(condition: str | None, given: str) -> None:
    rows = Rows({"text": ["a", "b"]} | ({"condition": ["x", "y"]} if condition else {}), "test")
    task = CLASSES["lm"].learn(tiny("lm", None, condition=condition), rows)
    assert f"seqcli predict m < {given}\n" in model_card(
        task, Report("lm", Path("m"), 1, 1, {}, {})
    )


def test_a_better_baseline_is_named() -> None:
    """By hand: of a hundred rows the network has 60 right, the baselines 59, 62, 90 and 80."""
    gold = ["a", "b"] * 50

    def right(count: int) -> Scores:
        wrong = [{"a": "b", "b": "a"}[label] for label in gold[count:]]
        return metrics.classification(gold, [*gold[:count], *wrong], ["a", "b"])

    others = {"one": right(59), "two": right(62), "three": right(90), "four": right(80)}
    told = find_better("classify", right(60), others)
    assert told is not None
    assert told.startswith(
        "the baseline 'three' does better on validation: accuracy 0.9000, the network 0.6000;"
    )
    assert find_better("classify", right(60), {"two": right(62)}) is None  # may be chance
    assert find_better("classify", right(60), {}) is None


def test_a_training_tells_of_a_better_baseline(cli: Callable[..., Result], data: Path) -> None:
    short = ["--hidden", 4, "--embedding", 4, "--epochs", 1, "--learning-rate", 1e-6]
    result = cli("lm", data, *short, "--tokens", "character", "--ngrams", 0)
    assert result.status == 0
    assert "the baseline 'n-grams' does better on validation" in result.err
