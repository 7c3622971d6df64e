"""Proof by removal: silence units and see what the task loses, beside random units.

A silenced unit has a constant value (zero or its mean) wherever anything reads it: in the layer's
output, in the state that a decoder begins from, and in its own recurrence through the recurrent
weights and bias. The fast path still runs:

    W h + b   with h_u = m   is   W' h + (b + W_u m),   W' = W with column u zero
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.inspect.corpus import Corpus
from seqcli.inspect.outcome import Outcome, class_names, measure, metric_name
from seqcli.inspect.trace import Layer, replaced
from seqcli.nn.cells import SRU, MinGRU, MinLSTM, Mogrifier
from seqcli.nn.cells.cell import State
from seqcli.nn.ragged import Ragged

LOOPS = (("weight_hh", "bias_hh"), ("weight_yh", "bias_yh"))
"""Names of the recurrent weight and the bias beside it, of the cells that have them."""
UNMIXED = (MinGRU, MinLSTM, SRU)
"""Cells in which no unit reads another's last h: their output is all there is to silence."""
LEAST, MOST_HURT, NOTABLE = 10, 3, 0.05
"""Predictions of a class that its recall needs to mean something; classes that are named; how much
more than random sets must hurt one."""


class Ablation(NamedTuple):
    """What silencing some units of a layer does to the task.

    metric and loss: before and after; random: the metrics after silencing random sets of the same
    size, none where every unit is silenced; worse: share of the sets, this one counted, that hurt
    the metric at least as much (a one-sided p-value), None without sets; loss_worse: the same for
    the loss.
    """

    name: str
    layer: str
    units: list[int]
    how: str
    metric_name: str
    metric: tuple[float, float]
    loss: tuple[float, float]
    random: list[float]
    random_loss: list[float]
    worse: float | None
    loss_worse: float | None
    classes: list[tuple[str, float, float, float | None]]
    """The classes that lost most: name, recall before and after, and after on average of the
    random sets, None without them."""
    whole_loop: bool
    """Whether the unit is silent in its own recurrence too."""
    rows: int | None
    """How many rows this was judged on; None where text is read on end."""
    tokens: int


@contextmanager
def silenced(layer: Layer, units: Sequence[int], value_U: Tensor) -> Iterator[None]:
    """The model with units of a layer held at constant values."""
    cell, at = layer.cell, torch.as_tensor(list(units))
    run = cell.sequence

    def sequence(x: Ragged, state: State, **options: Any) -> tuple[Ragged, State]:
        y, after = run(x, state, **options)
        h_BH, *memories = after  # a memory beside h shows in h alone
        after = _hold(h_BH, at, value_U), *(_hold(c_BH, at, 0 * value_U) for c_BH in memories)
        return y.with_values(_hold(y.values, at, value_U)), after

    with ExitStack() as stack:
        names = loop_of(cell)
        if names is not None:
            weight, bias = (getattr(cell, name) for name in names)
            stack.enter_context(_cut(weight, bias, at, value_U))
        stack.enter_context(replaced(cell, sequence))
        yield


def _hold(h_NH: Tensor, at: Tensor, value_U: Tensor) -> Tensor:
    return h_NH.index_copy(1, at, value_U.to(h_NH.dtype).expand(len(h_NH), -1))


def loop_of(cell: Any) -> tuple[str, str] | None:
    """The names of a cell's recurrent weight and bias; None where it has none, or others."""
    if isinstance(cell, Mogrifier):  # its rounds read the state, too
        return None
    return next((pair for pair in LOOPS if all(hasattr(cell, name) for name in pair)), None)


@contextmanager
def _cut(weight: Tensor, bias: Tensor, at: Tensor, value_U: Tensor) -> Iterator[None]:
    with torch.no_grad():
        kept_weight, kept_bias = weight.clone(), bias.clone()
        bias += weight[:, at] @ value_U.to(weight.dtype)
        weight[:, at] = 0.0
        try:
            yield
        finally:
            weight.copy_(kept_weight)
            bias.copy_(kept_bias)


def ablate(
    corpus: Corpus,
    model: nn.Module,
    layer: Layer,
    units: Sequence[int],
    *,
    name: str,
    mean_H: Tensor | None,
    whole: Outcome,
    sets: int,
    seed: int,
) -> Ablation:
    """Silence units (at zero, or at their means) and random sets of as many units of the layer.

    whole: the outcome of the intact model on the same corpus.
    """
    task, size = corpus.task, layer.cell.hidden_size
    values_H = torch.zeros(size) if mean_H is None else mean_H

    def outcome(chosen: Sequence[int]) -> Outcome:
        with silenced(layer, chosen, values_H[torch.as_tensor(list(chosen))]):
            return measure(corpus, model)

    after = outcome(units)
    random = np.random.default_rng(seed)
    drawn = [
        outcome(random.choice(size, len(units), replace=False).tolist())
        for _ in range(sets if len(units) < size else 0)
    ]
    metrics, losses = [one.metric(task) for one in drawn], [one.nats() for one in drawn]
    lower_is_worse = metric_name(task) != "cross_entropy"
    sign = 1 if lower_is_worse else -1
    metric, loss = after.metric(task), after.nats()
    worse = _share([sign * one <= sign * metric for one in metrics])
    loss_worse = _share([one >= loss for one in losses])
    return Ablation(
        name,
        layer.key,
        [int(unit) for unit in units],
        "zero" if mean_H is None else "mean",
        metric_name(task),
        (whole.metric(task), metric),
        (whole.nats(), loss),
        metrics,
        losses,
        worse,
        loss_worse,
        _hurt(class_names(task), whole, after, drawn),
        loop_of(layer.cell) is not None or isinstance(layer.cell, UNMIXED),
        None if corpus.carried else len(corpus.rows),
        corpus.tokens,
    )


def _share(worse: Sequence[bool]) -> float | None:
    """The share of random sets that are worse, the set they are compared with counted as one."""
    return (1 + sum(worse)) / (1 + len(worse)) if worse else None


def _hurt(
    names: Sequence[str], whole: Outcome, after: Outcome, drawn: Sequence[Outcome]
) -> list[tuple[str, float, float, float | None]]:
    """The classes whose recall fell most, and by notably more than random sets make it fall."""
    if not names:
        return []
    before_L, after_L = whole.recall(), after.recall()
    random_L = np.mean([one.recall() for one in drawn], axis=0) if drawn else before_L
    lost_L = (after_L < before_L) & (after_L < random_L - NOTABLE)
    hurt = np.flatnonzero(lost_L & (whole.class_total >= LEAST))
    order = hurt[np.argsort((after_L - random_L)[hurt], kind="stable")]
    return [
        (
            names[at],
            float(before_L[at]),
            float(after_L[at]),
            float(random_L[at]) if drawn else None,
        )
        for at in order[:MOST_HURT]
    ]
