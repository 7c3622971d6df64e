"""Any number of labels a text: metrics against scikit-learn, training, thresholds, answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, Quiet, Result, make_rows, tiny, write_jsonl

from seqcli import bundle, metrics, run
from seqcli.tasks.calibration import Calibration
from seqcli.tasks.many_labels import ManyLabels

Cli = Callable[..., Result]
RANDOM = np.random.default_rng(7)


def label(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The city, going, and a late day are labels of a row; some rows have none."""
    made = []
    for row in rows:
        day = int(row["tokens"][-1])
        labels = [row["tokens"][2]] if day % 4 else []
        labels += ["go"] * (row["label"] == "go") + ["late"] * (day > 14)
        made.append({"text": row["text"], "labels": labels})
    return made


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number, (split, count) in enumerate((("train", 60), ("validation", 30), ("test", 30))):
        write_jsonl(folder / f"{split}.jsonl", label(make_rows(count, seed=number)))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, many: Path) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    run.train(tiny("classify", many, epochs=2), folder, Quiet())
    return folder


def test_metrics_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, hamming_loss, precision_recall_fscore_support

    names = ["a", "b", "c", "d"]
    gold, said = RANDOM.random((40, 4)) < 0.4, RANDOM.random((40, 4)) < 0.5

    def name(table: np.ndarray) -> list[list[str]]:
        return [[names[i] for i in np.flatnonzero(row)] for row in table]

    found = metrics.labelling(name(gold), name(said), names)
    for average in ("micro", "macro"):
        expected = precision_recall_fscore_support(gold, said, average=average, zero_division=0)
        values = [found[f"{average}_{score}"] for score in ("precision", "recall", "f1")]
        assert values == pytest.approx(list(expected[:3]))
    assert found["subset_accuracy"] == pytest.approx(accuracy_score(gold, said))
    assert found["hamming_loss"] == pytest.approx(hamming_loss(gold, said))
    each = precision_recall_fscore_support(gold, said, zero_division=0)
    for number, label_name in enumerate(names):
        assert list(found["per_class"][label_name].values()) == pytest.approx(
            [float(column[number]) for column in each]
        )
    # What the rows add gives the same, and the scores of other choices of rows.
    rows = RANDOM.integers(0, 40, 40)
    weights = np.bincount(rows, minlength=40)[None].astype(float)
    again = metrics.labelling(name(gold[rows]), name(said[rows]), names)
    for tally in found.tallies:
        for score, value in tally.weigh(weights).items():
            assert value[0] == pytest.approx(again[score]), score


def test_labels_only_in_gold_are_missed_and_rows_without_any_can_be_right() -> None:
    found = metrics.labelling([["a"], [], ["new"]], [["a"], [], []], ["a", "b"])
    assert found["micro_recall"] == 0.5
    assert found["micro_precision"] == 1
    assert found["macro_f1"] == 0.5  # a and new; b comes nowhere
    assert found["subset_accuracy"] == pytest.approx(2 / 3)
    assert found["hamming_loss"] == pytest.approx(1 / 9)


def make_decision(**settings: Any) -> ManyLabels:
    training = tiny("classify", None, **settings).training
    return ManyLabels(["a", "b", "c"], training, Calibration(), separator="|")


def test_losses_are_those_of_torch_and_of_the_paper() -> None:
    scores = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    decision = make_decision()
    gold = torch.from_numpy(decision.encode([["a"], ["a", "c"], [], ["b"], ["b", "new"]]))
    assert gold.tolist()[4] == [0, 1, 0]
    ones = torch.ones_like(gold)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, gold)
    torch.testing.assert_close(decision.loss(scores, gold, ones), expected)
    # Focal (Lin et al. 2017): −(1 − p)^γ log p of each decision.
    p = torch.sigmoid(scores)
    true = torch.where(gold > 0, p, 1 - p)
    focal = make_decision(focal=2.0).loss(scores, gold, ones)
    torch.testing.assert_close(focal, (-((1 - true) ** 2) * true.log()).mean())
    # Balanced: rows with a label weigh as much in sum as those without.
    weights = make_decision(balance="weights").weigh(gold.numpy())
    for column, weight in zip(gold.numpy().T, weights.T, strict=True):
        assert weight[column > 0].sum() == pytest.approx(weight[column == 0].sum())


def test_training_evaluation_and_resume(tmp_path: Path, many: Path, model: Path) -> None:
    seen = [0]

    def stop() -> int:
        seen[0] += 1
        return 15 if seen[0] == 2 else 0

    with pytest.raises(run.Interrupted):
        run.train(tiny("classify", many, epochs=2), tmp_path / "m", Quiet(), stop=stop)
    run.resume(tmp_path / "m", Quiet())
    for name in (bundle.WEIGHTS, "metrics.json", "calibration.json", "labels.json"):
        assert (tmp_path / "m" / name).read_bytes() == (model / name).read_bytes()
    scores = json.loads((model / "metrics.json").read_text())["scores"]["test"]
    assert {"micro_f1", "macro_f1", "subset_accuracy", "hamming_loss", "ece"} <= set(scores)
    baselines = json.loads((model / "metrics.json").read_text())["baselines"]["test"]
    # The words tell the labels.
    assert baselines["bag of words"]["micro_f1"] > 0.7 > baselines["majority"]["micro_f1"]
    thresholds = json.loads((model / "calibration.json").read_text())["thresholds"]
    assert sorted(thresholds) == bundle.load_task(model).labels


def test_learns(many: Path, tmp_path: Path) -> None:
    config = tiny("classify", many, epochs=25, learning_rate=0.03, hidden=16, embedding=16)
    report = run.train(config, tmp_path / "m", Quiet())
    assert report.scores["test"]["micro_f1"] > 0.8


def test_answers(cli: Cli, model: Path) -> None:
    thresholds = json.loads((model / "calibration.json").read_text())["thresholds"]
    Path("in.txt").write_text("go to rome on day 3\n\nstay in oslo on day 20\n")
    plain = cli("predict", model, "in.txt")
    records = [
        json.loads(line)
        for line in cli("predict", model, "in.txt", "--format", "jsonl", "--probabilities").lines
    ]
    assert len(plain.lines) == len(records) == 3
    for line, record in zip(plain.lines, records, strict=True):
        chance = record["probabilities"]
        said = [name for name in sorted(thresholds) if chance[name] >= thresholds[name]]
        assert record["labels"] == said
        assert line == "|".join(said)
    ranked = cli("predict", model, "in.txt", "--top-k", 2)
    assert [line.count("=") for line in ranked.lines] == [2, 2, 2]
    assert cli("predict", model, "in.txt", "--top-k", 2, "--probabilities").out == ranked.out
    few = json.loads(cli("predict", model, "in.txt", "--format", "jsonl").lines[0])
    assert set(few["probabilities"]) == set(few["labels"])


def test_evaluate_on_other_data(cli: Cli, model: Path, many: Path) -> None:
    lists = cli("evaluate", model, many / "test.jsonl", "--json")
    assert lists.status == 0, lists.err
    # The same rows with their labels written in one cell.
    rows = [json.loads(line) for line in (many / "test.jsonl").read_text().splitlines()]
    cells = [{**row, "labels": json.dumps(row["labels"]).replace('"', "'")} for row in rows]
    write_jsonl(Path("cells.jsonl"), cells)
    again = cli("evaluate", model, "cells.jsonl", "--json")
    assert json.loads(again.out)["scores"] == json.loads(lists.out)["scores"]
    # One label a row is a list of one.
    write_jsonl(Path("one.jsonl"), [{"text": "go to rome", "labels": "go"}] * 3)
    one = cli("evaluate", model, "one.jsonl", "--json")
    assert one.status == 0, one.err
    table = cli("evaluate", model, many / "test.jsonl")
    assert {"micro f1", "hamming loss"} <= set(re.findall(r"\w+ \w+", table.out))


def test_separator(cli: Cli, many: Path) -> None:
    for split in ("train", "validation"):
        rows = [json.loads(line) for line in (many / f"{split}.jsonl").read_text().splitlines()]
        lines = ["text,label"] + [f"{row['text']},{';'.join(row['labels'])}" for row in rows]
        Path(f"{split}.csv").write_text("\n".join(lines) + "\n")
    files = ("--train", "train.csv", "--validation", "validation.csv")
    small = ("--epochs", 1, *TINY)
    result = cli("classify", *files, "--label-separator", ";", "--out", "m", *small)
    assert result.status == 0, result.err
    assert "any number a text" in result.err
    assert "valid micro f1" in result.err
    cells = [line.split(",")[1] for line in Path("train.csv").read_text().splitlines()[1:]]
    names = {name for cell in cells for name in cell.split(";") if name}
    assert bundle.load_task(Path("m")).labels == sorted(names)
    refused = cli("classify", *files, "--label-separator", ";", "--balance", "over", *small)
    assert (refused.status, len(refused.errors)) == (2, 1)
    assert "--balance weights serves them" in refused.err


def test_a_model_of_one_label_refuses_rows_with_two(
    cli: Cli, models: Callable[[str], Path], many: Path
) -> None:
    result = cli("evaluate", models("classify"), many / "test.jsonl")
    assert (result.status, len(result.errors)) == (1, 1)
    assert "labels, and the model gives one" in result.err
