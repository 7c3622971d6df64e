"""Classes of unlike size: weights against scikit-learn and torch, draws counted, resumed alike."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, Result, make_rows, tiny, train_in_parts, write_jsonl

from seqcli.data.load import load
from seqcli.tasks import TASKS
from seqcli.tasks.balance import draw, focal_loss, weigh

LABELS = np.array([0] * 50 + [1] * 7 + [3] * 20)  # label 2 does not come


def test_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    np.testing.assert_allclose(weigh(LABELS), compute_sample_weight("balanced", LABELS), rtol=1e-6)
    assert weigh(LABELS).mean() == pytest.approx(1)


@pytest.mark.parametrize(("over", "size"), [(True, 50), (False, 7)])
def test_drawn_labels_come_equally_often(over: bool, size: int) -> None:
    rows = draw(LABELS, over=over, seed=1, epoch=2)
    assert Counter(LABELS[rows].tolist()) == {0: size, 1: size, 3: size}
    times = Counter(rows.tolist())
    for label, count in Counter(LABELS.tolist()).items():
        found = [times[row] for row in np.flatnonzero(label == LABELS).tolist()]
        assert max(found) - min(found) <= 1  # no row stands for the others
        assert sum(found) == size
        assert min(found) >= size // count
    np.testing.assert_array_equal(draw(LABELS, over=over, seed=1, epoch=2), rows)
    assert (draw(LABELS, over=over, seed=1, epoch=3) != rows).any()
    assert (draw(LABELS, over=over, seed=2, epoch=2) != rows).any()


def test_focal_loss_is_that_of_the_paper() -> None:
    """FL(p) = −(1 − p)^γ log p, equations 1 and 4 of Lin et al. (2017)."""
    scores = torch.randn(9, 4, generator=torch.Generator().manual_seed(1)) * 3
    gold = torch.arange(9) % 4
    p = np.exp(scores.numpy()) / np.exp(scores.numpy()).sum(1, keepdims=True)
    p_gold = p[np.arange(9), gold.numpy()]
    for gamma in (0, 0.5, 2):
        found = focal_loss(scores, gold, gamma=gamma)
        np.testing.assert_allclose(found, -((1 - p_gold) ** gamma) * np.log(p_gold), rtol=2e-4)


def test_slope_of_the_focal_loss_is_finite_where_the_answer_is_sure() -> None:
    scores = torch.tensor([[200.0, 0.0], [-200.0, 0.0]], requires_grad=True)
    for gamma in (0.5, 2.0):
        scores.grad = None
        focal_loss(scores, torch.tensor([0, 0]), gamma=gamma).sum().backward()
        assert scores.grad is not None
        assert scores.grad.isfinite().all()


def make_data(folder: Path) -> Path:
    """The rows of conftest with most of one label left out of each split."""
    for number, split in enumerate(("train", "validation", "test")):
        rows = make_rows(80 if split == "train" else 30, seed=number)
        few = [row for row in rows if row["label"] == "stay"][:8]
        kept = [row for row in rows if row["label"] == "go"] + few
        write_jsonl(folder / f"{split}.jsonl", kept)
    return folder


def encoded(folder: Path, **settings: Any) -> tuple[Any, Any]:
    config = tiny("classify", folder, **settings)
    splits = load("classify", config.data)
    assert splits.train
    task = TASKS["classify"].learn(config, splits.train)
    return task, task.encode(splits.train)


def test_weighted_loss_is_that_of_torch(tmp_path: Path) -> None:
    off = {"dropout": 0.0, "word_dropout": 0.0, "ngrams": False}
    task, rows = encoded(make_data(tmp_path), balance="weights", **off)
    torch.manual_seed(1)
    model = task.build()
    (batch,) = task.batches(rows, [np.arange(len(rows.labels))], 0)
    counts = torch.bincount(torch.from_numpy(rows.labels))
    weights = len(rows.labels) / (2 * counts)
    from seqcli.nn.ragged import to_ragged

    scores = model(to_ragged(rows.tokens, torch.device("cpu")))
    expected = F.cross_entropy(scores, torch.from_numpy(rows.labels), weight=weights)
    # Over all rows the weights sum to their number, so both ways to divide agree.
    found = task.loss(model, task.prepare(model, batch), None)
    torch.testing.assert_close(found.whole, expected)


def test_plan_draws_from_training_rows(tmp_path: Path) -> None:
    task, rows = encoded(make_data(tmp_path), balance="over")
    drawn = np.concatenate(task.plan(rows, 1))
    counts = np.bincount(rows.labels[drawn])
    assert counts[0] == counts[1] == np.bincount(rows.labels).max()
    assert set(drawn.tolist()) == set(range(len(rows.labels)))
    # The batches hold the rows that were drawn.
    found = [batch.labels for batch in task.batches(rows, task.plan(rows, 1), 0)]
    np.testing.assert_array_equal(np.concatenate(found), rows.labels[drawn])
    plain, rows = encoded(tmp_path)
    assert sorted(np.concatenate(plain.plan(rows, 1))) == list(range(len(rows.labels)))


def test_batches_are_mixed_where_lengths_tell_labels(tmp_path: Path) -> None:
    rows = [
        {"text": "a " * (4 + 4 * (i % 2)), "label": "short" if i % 2 else "long"}
        for i in range(200)
    ]
    for split in ("train", "validation"):
        write_jsonl(tmp_path / f"{split}.jsonl", rows)
    task, encoded_rows = encoded(tmp_path)
    labels = [set(encoded_rows.labels[batch]) for batch in task.plan(encoded_rows, 1)]
    assert sum(len(one) == 2 for one in labels) > len(labels) / 2


@pytest.mark.parametrize("how", ["over", "under", "weights"])
def test_resumed_training_is_the_same_to_the_bit(tmp_path: Path, how: str) -> None:
    (tmp_path / "data").mkdir()
    config = tiny("classify", make_data(tmp_path / "data"), balance=how, focal=2.0, epochs=2)
    train_in_parts(config, tmp_path)


def test_command_line(cli: Callable[..., Result], tmp_path: Path) -> None:
    """The epoch is chosen by macro F1, and every split is scored as it is."""
    (tmp_path / "d").mkdir()
    make_data(tmp_path / "d")
    options = ("--balance", "over", "--epochs", 2, "--out", "m", "--json", *TINY)
    result = cli("classify", tmp_path / "d", *options)
    assert result.status == 0, result.err
    assert "valid macro f1" in result.err
    test = json.loads(result.out)["scores"]["test"]
    lines = [json.loads(line) for line in (tmp_path / "d" / "test.jsonl").read_text().splitlines()]
    support = {name: one["support"] for name, one in test["per_class"].items()}
    assert support == Counter(line["label"] for line in lines)
    history = Path("m/history.jsonl").read_text().splitlines()
    best = max(json.loads(line)["macro_f1"] for line in history)
    assert json.loads(result.out)["scores"]["validation"]["macro_f1"] == best
