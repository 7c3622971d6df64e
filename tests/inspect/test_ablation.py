"""Silenced units against a lesion made by hand, step by step."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from planted import RECURRENT, classify_rows, planted_classifier, random_model, rows_of
from torch import Tensor

from seqcli.data.rows import Rows
from seqcli.errors import UsageError
from seqcli.inspect.ablation import _hurt, ablate, silenced
from seqcli.inspect.checks import parse_ablations
from seqcli.inspect.cocluster import Clustering
from seqcli.inspect.corpus import make_corpus
from seqcli.inspect.outcome import Outcome, measure
from seqcli.inspect.trace import list_layers, watched


@pytest.mark.parametrize("cell", [name for name in RECURRENT if name != "mogrifier"])
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_silenced_units_are_constant_for_all_who_read_them(cell: str, value: float) -> None:
    rows = rows_of("classify", 20)
    task, model = random_model("classify", rows, cell=cell, hidden=5, embedding=4)
    layer, units = list_layers(model)[0], [1, 3]
    batch = make_corpus(task, rows, max_tokens=None).batches[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    held = torch.full((2,), value)
    with torch.no_grad(), watched([layer]) as calls:
        with silenced(layer, units, held):
            batch.run(model, None)
        x = calls[layer.key].x
    with torch.no_grad():
        with silenced(layer, units, held):
            y, _ = layer.cell.sequence(x, layer.cell.initial(x.batch))
        at = 0
        for x_TI in x.split():
            state = layer.cell.initial(1)
            for row in x_TI:
                shown = tuple(part.clone() for part in state)
                shown[0][:, units] = value
                _, state = layer.cell.step(row[None], shown)
                true = state[0][0].clone()
                true[units] = value
                kept = [unit for unit in range(5) if unit not in units]
                assert torch.allclose(y.values[at][kept], true[kept], atol=1e-5)
                assert torch.equal(y.values[at][units], held)
                at += 1
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("cell", ["gru", "lstm", "sru"])
def test_a_silenced_encoder_gives_the_decoder_nothing_to_begin_from(cell: str) -> None:
    """A decoder that starts where the encoder ended and attends to nothing knows the source by the
    encoder's units alone: without them, all sources of a length are one."""
    rows = Rows({"source": ["go oslo", "stay rome"], "target": ["aller", "rester"]}, "x")
    settings = {"cell": cell, "hidden": 5, "embedding": 4, "attention": "none", "bridge": "copy"}
    task, model = random_model("translate", rows, tokens="word", **settings)
    corpus = make_corpus(task, rows, max_tokens=None)

    def first_words() -> Tensor:
        with torch.no_grad():
            return corpus.batches[0].run(model, None).scores[::2]  # a word, then its end

    one, other = first_words()
    assert not torch.allclose(one, other)
    with ExitStack() as stack:
        for layer in list_layers(model):
            if layer.part == "encoder":
                stack.enter_context(silenced(layer, range(5), torch.zeros(5)))
        one, other = first_words()
    assert torch.equal(one, other)


def test_planted_units_carry_the_answer() -> None:
    """Units 0 to 3 are all that the head reads; units 4 to 7 can go without a trace."""
    rows = classify_rows(200)
    task, model = planted_classifier(rows, pool="mean")
    corpus = make_corpus(task, rows, max_tokens=None)
    whole, layer = measure(corpus, model), list_layers(model)[0]
    assert whole.metric(task) > 0.6

    def run(units: list[int]) -> Any:
        return ablate(
            corpus, model, layer, units, name="x", mean_H=None, whole=whole, sets=30, seed=1
        )

    read, unread = run([0, 1, 2, 3]), run([4, 5, 6, 7])
    assert unread.loss[0] == pytest.approx(unread.loss[1])
    assert unread.metric[0] == unread.metric[1]
    assert read.loss[1] > read.loss[0] + 0.05
    assert read.loss_worse < 0.1
    assert unread.loss_worse == 1.0
    assert len(read.random) == 30
    assert read.whole_loop
    # Without the units that are read, the bias alone speaks: every text is taken for negative.
    assert read.classes[0][0] == "positive"
    assert read.classes[0][2] == 0.0
    assert unread.classes == []


@pytest.mark.parametrize("cell", RECURRENT)
def test_it_is_said_where_a_loop_is_not_cut(cell: str) -> None:
    rows = rows_of("classify", 20)
    task, model = random_model("classify", rows, cell=cell, hidden=5, embedding=4)
    corpus = make_corpus(task, rows, max_tokens=None)
    whole, layer = measure(corpus, model), list_layers(model)[0]
    found = ablate(corpus, model, layer, [1], name="x", mean_H=None, whole=whole, sets=0, seed=1)
    assert found.whole_loop == (cell != "mogrifier")


def test_without_random_sets_there_is_nothing_to_compare_with() -> None:
    rows = classify_rows(200)
    task, model = planted_classifier(rows, pool="mean")
    corpus = make_corpus(task, rows, max_tokens=None)
    whole, layer = measure(corpus, model), list_layers(model)[0]
    for units, sets in (([0, 1, 2, 3], 0), (list(range(8)), 20)):  # the latter are all units
        found = ablate(
            corpus, model, layer, units, name="x", mean_H=None, whole=whole, sets=sets, seed=1
        )
        assert (found.worse, found.loss_worse, found.random) == (None, None, [])
        assert [(name, other) for name, *_, other in found.classes] == [("positive", None)]


def test_a_class_that_lost_nothing_is_not_named() -> None:
    """Even where random units make it better."""

    def outcome(*right: float) -> Outcome:
        zeros = np.zeros(1)
        return Outcome(*[zeros] * 7, np.array(right), np.array([20.0, 20.0, 20.0]))

    whole, after = outcome(10, 10, 10), outcome(10, 4, 6)
    drawn = [outcome(14, 10, 6)]
    assert [one[0] for one in _hurt(["a", "b", "c"], whole, after, drawn)] == ["b"]
    assert [one[0] for one in _hurt(["a", "b", "c"], whole, after, [])] == ["b", "c"]


def test_what_to_ablate_is_read_with_care() -> None:
    found = Clustering(np.zeros(3), np.array([0, 0, 1, -1]), np.zeros(3), None, 0.0, 1.0)
    assert parse_ablations(["clusters"], found, 4) == {"cluster 1": [0, 1], "cluster 2": [2]}
    assert parse_ablations(["cluster:2", "unit:3"], found, 4) == {"cluster 2": [2], "unit 3": [3]}
    assert parse_ablations(["units:2,0,2"], found, 4) == {"units 2,0,2": [0, 2]}
    assert parse_ablations(["none"], found, 4) == {}
    for wrong, said in {
        "cluster:3": "clusters 1 to 2",
        "unit:4": "units 0 to 3",
        "unit:x": "no number",
        "everything": "use clusters",
    }.items():
        with pytest.raises(UsageError, match=said):
            parse_ablations([wrong], found, 4)


def test_a_row_that_is_too_long_is_passed_over() -> None:
    texts = ["the rome " * 300, *["good rome"] * 9]
    rows = Rows({"text": texts, "label": ["x", "y"] * 5}, "x")
    task, _ = random_model("classify", rows, hidden=5, embedding=4)
    for seed in range(9):
        assert make_corpus(task, rows, max_tokens=8, seed=seed).tokens == 8
    assert make_corpus(task, rows.take([0]), max_tokens=8).tokens == 600
