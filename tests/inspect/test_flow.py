"""Gradient flow: verdicts on networks whose flow is known, and norms against autograd."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from planted import WORDS, random_model, rows_of

from seqcli.data.rows import Rows
from seqcli.inspect import flow
from seqcli.inspect.corpus import make_corpus
from seqcli.inspect.trace import list_layers


def long_rows(steps: int, count: int = 12) -> Rows:
    draw = np.random.default_rng(5)
    texts = [" ".join(draw.choice(WORDS, steps)) for _ in range(count)]
    labels = ["negative" if at % 2 else "positive" for at in range(count)]
    return Rows({"text": texts, "label": labels}, "long.jsonl")


def verdict(cell: str, *, scale: float | None, steps: int, pool: str = "last", **more: Any) -> Any:
    rows = long_rows(steps)
    task, model = random_model(
        "classify", rows, cell=cell, hidden=32, embedding=16, pool=pool, **more
    )
    if scale is not None:
        with torch.no_grad():
            torch.nn.init.orthogonal_(model.recurrent.cells[0].weight_hh, gain=scale)
    corpus = make_corpus(task, rows, max_tokens=None)
    return flow.gradient_flow(corpus, model, list_layers(model))["1.forward"]


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
def test_a_plain_network_on_long_texts_vanishes(pool: str) -> None:
    found = verdict("rnn", scale=0.6, steps=80, pool=pool)
    assert found.verdict == "vanishing"
    assert found.factor < 0.65
    assert len(found.norms["h"]) == 80
    assert found.norms["h"][0] == pytest.approx(1.0)


def test_very_long_texts_need_more_than_short_ones() -> None:
    """What keeps 95 % a step is healthy on short texts, and lost on very long ones."""
    assert verdict("rnn", scale=0.95, steps=30).verdict == "healthy"
    assert verdict("rnn", scale=0.9, steps=900).verdict == "vanishing"


@pytest.mark.parametrize(("nonlinearity", "scale"), [("tanh", 4.0), ("relu", 3.0)])
def test_a_large_recurrent_matrix_explodes(nonlinearity: str, scale: float) -> None:
    found = verdict("rnn", scale=scale, steps=60, nonlinearity=nonlinearity)
    assert found.verdict == "exploding"
    assert found.factor > 1.05


@pytest.mark.parametrize("steps", [30, 80])
def test_a_new_lstm_with_forget_bias_one_is_healthy(steps: int) -> None:
    found = verdict("lstm", scale=None, steps=steps)
    assert found.verdict == "healthy"
    assert set(found.norms) == {"h", "c"}


def test_norms_are_those_of_the_whole_gradient() -> None:
    """With last pooling the loss reaches the states through the recurrence alone."""
    rows = long_rows(9, count=6)
    task, model = random_model("classify", rows, cell="gru", hidden=8, embedding=6, pool="last")
    corpus = make_corpus(task, rows, max_tokens=None)
    found = flow.gradient_flow(corpus, model, list_layers(model))["1.forward"]
    logs = []
    for text, label in zip(rows["text"], rows["label"], strict=True):
        ids = torch.from_numpy(task.encode_rows(task.read([text])).values.astype("int64"))
        state, states = model.recurrent.cells[0].initial(1), []
        for token in ids:
            _, state = model.recurrent.cells[0].step(model.embedding(token[None]), state)
            state[0].retain_grad()
            states.append(state[0])
        gold = torch.tensor([task.labels.index(label)])
        torch.nn.functional.cross_entropy(model.head(state[0]), gold).backward()
        sizes = [float(one.grad.norm()) for one in reversed(states)]
        logs.append([math.log(size / sizes[0]) for size in sizes])
    true = np.exp(np.mean(logs, axis=0))
    assert np.allclose(found.norms["h"], true, rtol=1e-3)


def test_the_model_is_left_in_eval_mode_without_gradients() -> None:
    rows = rows_of("tag", 20)
    task, model = random_model("tag", rows, cell="lstm", hidden=6, embedding=5)
    flow.gradient_flow(make_corpus(task, rows, max_tokens=None), model, list_layers(model))
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["classify", "tag", "lm", "translate"])
def test_every_task_has_flow_and_connectivity(name: str) -> None:
    rows = rows_of(name, 40)
    more = {"tokens": "word"} if name == "lm" else {}
    task, model = random_model(name, rows, cell="gru", hidden=6, embedding=5, **more)
    corpus, layers = make_corpus(task, rows, max_tokens=None), list_layers(model)
    found = flow.gradient_flow(corpus, model, layers)
    assert set(found) == {layer.key for layer in layers}
    assert all(one.norms["h"][0] == pytest.approx(1.0) for one in found.values())
    reach = flow.connectivity(corpus, model, layers)
    assert set(reach) == {layer.part for layer in layers}
    assert all(value > 0 for values in reach.values() for value in values)


def test_judging_known_curves() -> None:
    falling = [0.5**lag for lag in range(30)]
    factor, slope, horizon, word = flow.judge(falling, 20)
    assert factor == pytest.approx(0.5)
    assert slope == pytest.approx(math.log(0.5))
    assert horizon == 7  # the first lag with less than 1 %
    assert word == "vanishing"
    assert factor**horizon == pytest.approx(falling[7])
    assert flow.judge([1.2**lag for lag in range(30)], 20)[3] == "exploding"
    assert flow.judge([0.9**lag for lag in range(30)], 20)[3] == "healthy"
    assert flow.judge([0.9**lag for lag in range(30)], 1000)[3] == "vanishing"
    assert flow.judge([1.0] + [0.0] * 10, 10)[3] == "vanishing"
    assert flow.judge([1.0, 0.9], 2) == (None, None, None, "unknown")


def test_a_curve_that_flattens_is_judged_by_what_it_lost() -> None:
    """A line through such a curve would say that nearly all of it is kept a step."""
    lost = [1.0, *(0.5**lag for lag in range(1, 8)), *[0.5**8] * 92]
    factor, _, horizon, word = flow.judge(lost, 100)
    assert (horizon, word) == (7, "vanishing")
    assert factor < flow.LOST
    kept = [1.0, 0.2, 0.1, *[0.05] * 98]
    factor, _, horizon, word = flow.judge(kept, 100)
    assert (horizon, word) == (None, "healthy")  # and no guess where it would be
    assert factor == pytest.approx(0.05 ** (1 / 100))


def test_running_text_has_no_length() -> None:
    rows = rows_of("lm", 40)
    task, model = random_model("lm", rows, cell="gru", hidden=6, embedding=5, tokens="word")
    found = flow.gradient_flow(make_corpus(task, rows, max_tokens=None), model, list_layers(model))
    assert [one.length for one in found.values()] == [None]
