"""Cache and dynamic evaluation against the papers' formulas, step by step."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Result, make_rows, tiny

from seqcli.data.rows import Rows
from seqcli.nn import dynamic
from seqcli.nn.cache import Cache, mix
from seqcli.nn.ragged import Ragged
from seqcli.tasks import recency
from seqcli.tasks.lm import LanguageModeling

pytestmark = pytest.mark.usefixtures("one_thread")


def make(**settings: Any) -> tuple[LanguageModeling, Any, Rows]:
    rows = Rows({"text": [row["text"] for row in make_rows(30, seed=1)]}, "test")
    task = LanguageModeling.learn(tiny("lm", None, tokens="word", **settings), rows)
    torch.manual_seed(3)
    return task, task.build().eval().requires_grad_(False), rows


# ----------------------------------------------------------------------------------------- cache


def chances_by_hand(h: np.ndarray, gold: np.ndarray, size: int, theta: float) -> list[float]:
    """p_cache of each gold token, one at a time (Grave et al. 2017, equations 2 and 3)."""
    found = []
    for t in range(len(h)):
        weights = {i: np.exp(theta * h[t] @ h[i]) for i in range(max(0, t - size), t)}
        total = sum(weights.values())
        found.append(sum(w for i, w in weights.items() if gold[i] == gold[t]) / (total or np.nan))
    return found


@pytest.mark.parametrize("size", [1, 5, 100])
def test_cache_equals_the_equations(size: int) -> None:
    rng = np.random.default_rng(1)
    h, gold = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 5, 40)
    thetas_Q = torch.tensor([0.0, 0.7])
    cache = Cache(size)
    parts = [slice(0, 7), slice(7, 8), slice(8, 40)]
    found = torch.cat(
        [
            cache.probabilities(torch.from_numpy(h[part]), torch.from_numpy(gold[part]), thetas_Q)
            for part in parts
        ],
        dim=1,
    )
    for theta, row in zip(thetas_Q.tolist(), found, strict=True):
        np.testing.assert_allclose(row, chances_by_hand(h, gold, size, theta), rtol=1e-4)


def test_mixture() -> None:
    nats, chance = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([torch.nan, 0.5, 0.0])
    wanted = [1.0, -np.log(0.8 * np.exp(-2) + 0.2 * 0.5), 3 - np.log(0.8)]
    np.testing.assert_allclose(mix(nats, chance, 0.2), wanted, rtol=1e-6)
    assert mix(nats, chance, 0.0).tolist() == pytest.approx([1.0, 2.0, 3.0])


def test_cache_sums_up_all_streams() -> None:
    """The whole evaluation against each stream by itself, by hand."""
    task, model, rows = make()
    found = recency.with_cache(task, model, rows, size=7, validation=rows)
    chosen, total = found["cache"], 0.0
    tokens = task.encode_stream(rows).tokens
    assert task.ngrams is not None
    counted = task.ngrams.counts().chances(tokens, np.array([0]))[1:]
    steps = -(-(len(tokens) - 1) // 16)
    for start in range(0, len(tokens) - 1, steps):
        end = min(start + steps, len(tokens) - 1)
        read, gold = torch.from_numpy(tokens[start:end]), tokens[start + 1 : end + 1]
        h, _ = model.read(Ragged(read, torch.tensor([0, len(read)])), None)
        network = np.exp(-model.head.nats(h, torch.from_numpy(gold)).numpy())
        network = (1 - task.ngrams.share) * network + task.ngrams.share * counted[start:end]
        cached = chances_by_hand(h.numpy(), gold, 7, chosen["theta"])
        for p, c in zip(network, cached, strict=True):
            total -= np.log(p if np.isnan(c) else (1 - chosen["share"]) * p + chosen["share"] * c)
    assert found["cross_entropy"] == pytest.approx(total / (len(tokens) - 1), rel=1e-4)
    plain = task.evaluate(model, rows)
    assert found["cross_entropy"] <= plain["cross_entropy"] + 1e-6
    assert found["signature"].startswith(plain["signature"] + "|cache:size=7,")


# --------------------------------------------------------------------------------------- dynamic


@pytest.mark.parametrize("tie", [True, False])
def test_dynamic_evaluation_equals_the_rule(tie: bool) -> None:
    """That of Krause et al. (2018), the decay after the step, by an ordinary backward pass."""
    task, model, rows = make(dropout=0.4, tie=tie)
    tokens = torch.from_numpy(task.encode_stream(rows).tokens)
    model.requires_grad_(True)
    other = copy.deepcopy(model)
    before = [weight.detach().clone() for weight in model.parameters()]
    roots = dynamic.measure(model, tokens[:50], 5)
    rule = dynamic.Rule(rate=0.005, decay=0.02)
    found = dynamic.evaluate(model, tokens[50:], roots, rule, 5)
    assert all(map(torch.equal, before, model.parameters()))  # left as it was

    def segments(text: torch.Tensor) -> Iterator[torch.Tensor]:
        states = None
        for begin in range(0, len(text) - 1, 5):
            read, gold = text[:-1][begin : begin + 5], text[1:][begin : begin + 5]
            scores, states = other(Ragged(read, torch.tensor([0, len(read)])), states)
            other.zero_grad()
            nats = F.cross_entropy(scores, gold, reduction="sum")
            (nats / len(gold)).backward()
            yield nats.detach()
            states = [tuple(part.detach() for part in state) for state in states]

    squares = [torch.zeros_like(weight) for weight in other.parameters()]
    for _ in segments(tokens[:50]):
        for square, weight in zip(squares, other.parameters(), strict=True):
            square += weight.grad**2 / 10
    for root, square in zip(roots, squares, strict=True):
        torch.testing.assert_close(root, square.sqrt())
    mean = torch.cat([root.flatten() for root in roots]).mean()
    total = 0.0
    for nats in segments(tokens[50:]):
        total += float(nats)
        with torch.no_grad():
            for weight, first, root in zip(other.parameters(), before, roots, strict=True):
                weight -= 0.005 * weight.grad / (root + mean)
                weight += (0.02 * root / mean).clamp(max=1) * (first - weight)
    assert float(found.sum()) == pytest.approx(total, rel=1e-6)


def test_learning_on_helps_on_text_of_another_kind() -> None:
    task, model, rows = make()
    repeated = Rows({"text": ["stay in oslo on day 3"] * 60}, "test")
    found = recency.with_learning(task, model, repeated, train=rows, validation=repeated)
    assert found["cross_entropy"] < task.evaluate(model, repeated)["cross_entropy"]
    assert set(found["dynamic"]) == {"segment", "rate", "decay", "share"}


def test_rate_and_share_are_chosen_for_network_and_counts_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Best with the counts is a network that knows what they do not, though it knows least."""
    task, model, rows = make()
    assert task.ngrams is not None
    tokens = task.encode_stream(rows).tokens
    counted = task.ngrams.counts().chances(tokens, np.array([0]))[1:]
    rare = counted < np.median(counted)
    nats = {rate: np.full(len(counted), 1.0 + rate) for rate in recency.RATES}
    nats[3e-4] = np.where(rare, 0.1, 9.0)

    def adapt(model: Any, tokens: Any, roots: Any, rule: dynamic.Rule, segment: int) -> Any:
        return torch.from_numpy(nats[rule.rate] + abs(rule.decay - 0.1)).float()

    monkeypatch.setattr(dynamic, "evaluate", adapt)
    found = recency.with_learning(task, model, rows, train=rows, validation=rows)
    chosen = found["dynamic"]
    assert (chosen["rate"], chosen["decay"]) == (3e-4, 0.1)
    shares = np.linspace(0.001, 0.999, 999)[:, None]
    mixed = -np.log((1 - shares) * np.exp(-nats[3e-4]) + shares * counted).mean(1)
    assert chosen["share"] == pytest.approx(shares[mixed.argmin(), 0], abs=2e-3)
    assert found["cross_entropy"] == pytest.approx(mixed.min(), rel=1e-4)
    assert found["signature"].endswith(f",share={chosen['share']:.4g}")
    assert task.ngrams.share == 0.25  # the model's is for a network that stays as it is


# -------------------------------------------------------------------------------- command line


def test_evaluate_with_a_memory(
    cli: Callable[..., Result], models: Callable[[str], Path], data: Path
) -> None:
    for options, name in ((("--cache", 50), "cache"), (("--dynamic",), "dynamic")):
        result = cli("evaluate", models("lm"), "--json", *options)
        assert result.status == 0, result.err
        assert name in json.loads(result.out)["scores"]
    for model, options in (
        (models("lm"), ("--cache", 5, "--dynamic")),
        (models("classify"), ("--cache", 5)),
    ):
        result = cli("evaluate", model, *options)
        assert (result.status, len(result.errors)) == (2, 1)
