"""Numbers against hand-worked cases and plain readings of their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from planted import STRENGTH, classify_rows, planted_classifier, random_model, rows_of

from seqcli.inspect import numbers
from seqcli.inspect.corpus import make_corpus
from seqcli.inspect.survey import survey
from seqcli.inspect.trace import Steps, list_layers, list_sites


def gather(task, model, rows):  # type: ignore[no-untyped-def]
    corpus = make_corpus(task, rows, max_tokens=None)
    return survey(corpus, model, list_sites(list_layers(model)), top_k=50, min_count=1).numbers


def test_hand_worked_steps() -> None:
    now = torch.tensor([[0.95, -0.2], [0.5, 0.3]])
    before = torch.tensor([[0.0, 0.0], [0.95, -0.2]])
    gate = torch.tensor([[0.05, 0.5], [0.95, 0.99]])
    steps = Steps({"h": now}, {"h": before}, {"z": gate}, gate)
    found = numbers.Numbers(2, 2, "h")
    found.add(steps, np.array([0, 1]))
    values = found.values()
    assert values["saturation"] == pytest.approx(1 / 4)
    assert values["update"] == pytest.approx((0.95 + 0.2 + 0.45 + 0.5) / 4)
    assert values["update_density"] == pytest.approx(1.0)
    # Of |0.95| + |−0.2| before the second step, min(0.5, 0.95) is kept; the other changed sign.
    assert values["kept_rate"] == pytest.approx(0.5 / 1.15)
    assert values["gate_z_shut"] == pytest.approx(1 / 4)
    assert values["gate_z_open"] == pytest.approx(2 / 4)
    share = (0.05 + 0.5 + 0.95 + 0.99) / 4
    assert values["memory_scale"] == pytest.approx(1 / (1 - share))
    units = found.unit_values()
    assert units["kept_rate"] == pytest.approx([0.5 / 0.95, 0.0])
    assert units["gate_z"] == pytest.approx([0.5, 0.745])
    assert found.values(np.array([1, 1]))["saturation"] == 0.0


def test_planted_saturation() -> None:
    """tanh(1.2) is 0.83; one unit is made to answer with tanh(3), above 0.9."""
    rows = classify_rows(100)
    task, model = planted_classifier(rows)
    with torch.no_grad():
        model.recurrent.cells[0].weight_ih[0] *= 3 / STRENGTH
    found = gather(task, model, rows)["1.forward.h"]
    words = [word for text in rows["text"] for word in text.split()]
    moved = np.isin(words, ["excellent", "moving", "funny", "superb", "worst", "dull", "tired"])
    share = float((moved | np.isin(words, ["empty"])).mean())
    assert found.unit_values()["saturation"] == pytest.approx([share] + [0.0] * 7)
    assert found.values()["saturation"] == pytest.approx(share / 8)


@pytest.mark.parametrize(
    ("cell", "share"), [("lstm", 0.75), ("gru", 0.9), ("mingru", 0.8), ("minlstm", 2 / 3)]
)
def test_planted_memory_scale(cell: str, share: float) -> None:
    """Gates that do not look at anything keep a known share, hence a known number of steps."""
    rows = rows_of("classify", 30)
    task, model = random_model("classify", rows, cell=cell, hidden=4, embedding=3)
    one = model.recurrent.cells[0]
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.zero_()
        odds = math.log(share / (1 - share))
        if cell == "lstm" or cell == "gru":
            one.bias_ih[4:8] = odds
        elif cell == "mingru":
            one.bias[:4] = -odds
        else:  # f / (f + i) with f = 0.8 and i = 0.4
            one.bias[:4], one.bias[4:8] = math.log(0.8 / 0.2), math.log(0.4 / 0.6)
    found = gather(task, model, rows)["1.forward.h"]
    assert found.values()["memory_scale"] == pytest.approx(1 / (1 - share), rel=1e-4)
    assert found.unit_values()["memory_scale"] == pytest.approx([1 / (1 - share)] * 4, rel=1e-4)


@pytest.mark.parametrize("cell", ["rnn", "jordan"])
def test_a_cell_without_gates_has_no_gate_numbers(cell: str) -> None:
    rows = rows_of("classify", 20)
    task, model = random_model("classify", rows, cell=cell, hidden=4, embedding=3)
    values = gather(task, model, rows)["1.forward.h"].values()
    assert "memory_scale" not in values
    assert not [name for name in values if name.startswith("gate")]


def test_sparsity_measures() -> None:
    one, all_alike = torch.tensor([[0.0, 0.0, -3.0, 0.0]]), torch.ones(1, 4)
    assert numbers.hoyer(one).item() == pytest.approx(1.0)
    assert numbers.hoyer(all_alike).item() == pytest.approx(0.0)
    assert numbers.hoyer(torch.zeros(1, 4)).item() == 0.0
    v = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert numbers.hoyer(torch.from_numpy(v)).item() == pytest.approx(2 - 10 / 30**0.5)
    differences = np.abs(v[0][:, None] - v[0][None, :]).sum()
    assert numbers.gini(v)[0] == pytest.approx(differences / (2 * 4 * v.sum()))
    assert numbers.gini(np.zeros((1, 4)))[0] == 0.0


def test_intervals_hold_the_value_and_repeat() -> None:
    rows = classify_rows(60)
    task, model = random_model("classify", rows, cell="lstm", hidden=4, embedding=3)
    found = gather(task, model, rows)["1.forward.h"]
    values, intervals = found.values(), found.intervals(seed=1, resamples=200)
    assert set(intervals) == set(values)
    for name, (low, high) in intervals.items():
        assert low - 1e-9 <= values[name] <= high + 1e-9
    assert found.intervals(seed=1, resamples=200) == intervals
    assert "saturation" not in gather(task, model, rows)["1.forward.c"].values()
