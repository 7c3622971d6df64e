"""How far gradients reach: through the recurrence, and from a score back to the inputs.

Gradient flow takes the gradient that the task's own loss sends into a layer's last state and
follows it back through the recurrence alone, step by step with the cell's reference step:

    h_{T−k} ──► … ──► h_{T−1} ──► h_T ◄── ∂L/∂h_T          ‖∂L/∂h_{T−k}‖ / ‖∂L/∂h_T‖ by lag k

so that pooling or attention, which give every step a direct path, do not hide what the recurrence
can or cannot learn (Bengio et al. 1994; Pascanu et al. 2013).

Dimensions: B sequences, T steps, I inputs, H units, K lags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.inspect.corpus import Corpus
from seqcli.inspect.trace import Call, Layer, complete, watched
from seqcli.nn.ragged import Ragged

LAGS = 100
"""Steps that a gradient is followed back."""
TEXTS = 32
"""Sequences that it is followed in, the longest of a batch."""
LOST = 0.6
"""A gradient that keeps less than this share a step, up to its horizon, has lost 99 % within nine
steps."""
GROWN = 1.05
"""A gradient that grows by more than this a step explodes: 130-fold in a hundred."""
FAINT = 0.01
"""At the horizon less than this share is left."""
FELT, REACH = 0.05, 10
"""The share of the gradient that must be left after a tenth of a text, or of LAGS in a stream."""
SMALLEST, LARGEST = 1e-30, 1e38  # what float32 can still tell from nothing and from everything


class Flow(NamedTuple):
    """One layer: norms by lag, by state letter, as shares of lag 0 (geometric mean over texts);
    factor: geometric mean of the share kept a step, from lag 0 to the horizon or else to the last
    lag; slope: its log; horizon: the first lag with less than 1 % left (None: not within the lags
    looked at); verdict: vanishing, healthy, exploding or unknown; length: the median of the texts,
    None where text is read on end."""

    norms: dict[str, list[float]]
    factor: float | None
    slope: float | None
    horizon: int | None
    verdict: str
    texts: int
    length: float | None


def gradient_flow(corpus: Corpus, model: nn.Module, layers: Sequence[Layer]) -> dict[str, Flow]:
    """The flow of each layer, from its longest texts (at most 32 of a batch)."""
    calls, ends = _calls_with_gradients(corpus, model, layers)
    found = {}
    for layer in layers:
        lengths = np.diff(corpus.parts[layer.part].bounds)
        length = None if corpus.carried else float(np.median(lengths))
        found[layer.key] = _follow(layer.cell, calls[layer.key], ends[layer.key], length)
    return found


def _calls_with_gradients(
    corpus: Corpus, model: nn.Module, layers: Sequence[Layer]
) -> tuple[dict[str, Call], dict[str, Tensor]]:
    """The calls of a batch of long texts, and the loss's gradient at each sequence's last step."""
    batch = corpus.batches[_longest(corpus)]
    with differentiable(model), watched(layers) as calls:
        found = batch.run(model, None)
        for call in calls.values():
            call.y.values.retain_grad()
        found.nats().mean().backward()
    ends = {}
    for key, call in calls.items():
        grad = call.y.values.grad
        at = call.y.first() if call.reverse else call.y.last()
        ends[key] = grad[at].detach() if grad is not None else torch.zeros(len(at), 1)
    plain = {
        key: Call(
            Ragged(call.x.values.detach(), call.x.offsets),
            tuple(part.detach() for part in call.state),
            Ragged(call.y.values.detach(), call.y.offsets),
            call.reverse,
        )
        for key, call in calls.items()
    }
    return plain, ends


@contextmanager
def differentiable(model: nn.Module) -> Iterator[None]:
    """Gradients through a model in eval mode: dropout must not run, and cuDNN, which refuses a
    backward pass there, is left out. A loaded model's weights ask for none, so they do meanwhile.
    """
    asked = [parameter.requires_grad for parameter in model.parameters()]
    model.requires_grad_(True)
    try:
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        model.zero_grad(set_to_none=True)
        for parameter, before in zip(model.parameters(), asked, strict=True):
            parameter.requires_grad_(before)


def _longest(corpus: Corpus) -> int:
    """The batch with the longest texts that still holds several of them."""
    if corpus.carried:
        return 0
    part = list(corpus.parts.values())[-1]
    lengths = []
    for batch in corpus.batches:
        places = list(batch.places.values())[-1]
        texts = len(np.unique(part.example[places]))
        lengths.append(len(places) / texts if texts >= min(8, corpus.examples) else 0)
    return int(np.argmax(lengths))


def _follow(cell: Any, call: Call, ends_BH: Tensor, length: float | None) -> Flow:
    """Run the last K + 1 steps of each sequence with the reference step and go back."""
    lengths = call.x.lengths.numpy()
    window = int(min(np.sort(lengths)[-min(len(lengths), TEXTS) // 2], LAGS + 1))
    rows = np.flatnonzero(lengths >= window)[-TEXTS:]
    steps = np.arange(window)
    bounds = call.x.offsets.numpy()
    if call.reverse:
        place_BT = torch.from_numpy(bounds[rows][:, None] + window - 1 - steps)
    else:
        place_BT = torch.from_numpy(bounds[rows + 1][:, None] - window + steps)
    state = _state_before(cell, call, place_BT[:, 0])
    seed_BH = _directions(ends_BH[torch.from_numpy(rows)], call.y.values.shape[1])
    with torch.enable_grad():
        state = tuple(part.detach().requires_grad_() for part in state)
        history: list[tuple[Tensor, ...]] = []
        y = state[0]
        for t in range(window):
            y, state = cell.step(call.x.values[place_BT[:, t]], state)
            history.append(state)
        wanted = [part for parts in history for part in parts[:2]]
        grads = torch.autograd.grad((seed_BH * y).sum(), wanted, allow_unused=True)
    width = len(history[0][:2])
    norms: dict[str, list[float]] = {}
    for at, letter in enumerate("hc"[:width]):
        by_lag = []
        for grad in reversed(grads[at::width]):
            size_B = torch.zeros(len(rows)) if grad is None else grad.norm(dim=1)
            by_lag.append(size_B.double().nan_to_num(nan=LARGEST).clamp(1e-45, LARGEST).log())
        logs_KB = torch.stack(by_lag)
        norms[letter] = (logs_KB - logs_KB[0]).mean(1).exp().tolist()
    # A stream has no length of its own: what counts is the window that is looked at.
    judged = judge(norms["hc"[width - 1]], LAGS if length is None else length)
    return Flow(norms, *judged, len(rows), length)


def _state_before(cell: Any, call: Call, first_B: Tensor) -> tuple[Tensor, ...]:
    """The states before the positions `first_B`, by the reference steps up to there."""
    with torch.no_grad():
        steps = complete(cell, call, check=False)
    return tuple(part[first_B] for part in steps.before.values())


def _directions(grad_BH: Tensor, width: int) -> Tensor:
    """Unit gradients; a fixed random one where the loss sends none (no unit has its maximum in the
    last step)."""
    random = torch.randn(len(grad_BH), width, generator=torch.Generator().manual_seed(1))
    random = random.to(grad_BH.device)
    size_B1 = grad_BH.norm(dim=1, keepdim=True)
    found = torch.where(size_B1 > 0, grad_BH.expand(len(grad_BH), width), random)
    return found / found.norm(dim=1, keepdim=True)


def judge(
    norms: Sequence[float], typical: float
) -> tuple[float | None, float | None, int | None, str]:
    """Factor, slope, horizon and verdict, as in `Flow`, of norms by lag (shares of lag 0, which is
    first); fewer than three lags tell nothing.

    vanishing: less than 60 % is kept a step, or at that rate less than 5 % after a tenth of a
    typical text. exploding: it grows by more than 5 % a step.
    """
    last = len(norms) - 1
    if last < 3:
        return None, None, None, "unknown"
    horizon = next((lag for lag, size in enumerate(norms) if size < FAINT), None)
    end = horizon or last
    slope = float(np.log(max(norms[end], SMALLEST)) / end)
    factor = float(np.exp(slope))
    if factor > GROWN:
        verdict = "exploding"
    elif factor < LOST or factor ** (typical / REACH) < FELT:
        verdict = "vanishing"
    else:
        verdict = "healthy"
    return factor, slope, horizon, verdict


def say_horizon(horizon: int | None, lags: int) -> str:
    """How far back a gradient could be felt, of those followed over some lags."""
    if horizon is None:
        return f"1 % not reached within {lags} step{'' if lags == 1 else 's'}"
    return f"below 1 % after {horizon} of {lags} steps"


def connectivity(
    corpus: Corpus, model: nn.Module, layers: Sequence[Layer]
) -> dict[str, list[float]]:
    """Mean ‖∂logit/∂x‖ by distance from the last token read, for each part's first layer: the
    score is the best one of each text's last prediction."""
    batch = corpus.batches[_longest(corpus)]
    first = [layer for layer in layers if layer.number == 1 and not layer.reverse]
    found: dict[str, list[float]] = {}
    with differentiable(model), watched(layers) as calls:
        scores = batch.run(model, None).scores
        top = calls[layers[-1].key].y
        at = top.last() if len(scores) == len(top.values) else torch.arange(len(scores))
        inputs = [calls[layer.key].x for layer in first]
        grads = torch.autograd.grad(
            scores[at].amax(dim=1).sum(), [x.values for x in inputs], allow_unused=True
        )
    for layer, x, grad in zip(first, inputs, grads, strict=True):
        if grad is None:
            continue
        size_N = grad.norm(dim=1)
        ends_N = torch.repeat_interleave(x.offsets[1:] - 1, x.lengths)
        lag_N = ends_N - torch.arange(len(size_N))
        near = lag_N < LAGS
        sums = torch.zeros(LAGS).index_add_(0, lag_N[near], size_N[near])
        count = torch.bincount(lag_N[near], minlength=LAGS)
        found[layer.part] = [float(s / c) for s, c in zip(sums, count, strict=True) if c]
    return found
