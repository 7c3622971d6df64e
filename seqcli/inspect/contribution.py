"""How much each token adds to a score.

A linear head over pooled states makes this exact. With pooled_i = Σ_s a_si h_si, the state a sum of
its changes, and ω_ti the pooling weight of the steps that come at or after t in reading order,

    logit_k = b_k + Σ_t w_k · (ω_t ⊙ Δh_t)

    last  ω = 1                     attention  ω_t = Σ_{s≥t} α_s
    mean  ω_t = Σ_{s≥t} 1/T         max        ω_ti = 1 where t ≤ argmax_s h_si

so a token's contribution is its term of the sum. Each direction is read in its own order. Where the
head is not such a sum, integrated gradients (Sundararajan et al. 2017) from zero are given.

Dimensions: T tokens, H features of the top states (both directions), L classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqcli.inspect.trace import Layer
from seqcli.nn.pooling import Pool, softmax
from seqcli.nn.ragged import Ragged, offsets

EXACT = 1e-3
"""A sum of contributions this close to the logit (relative to 1 + |logit|) is the logit."""
PATH = 32
"""Points of an integrated gradient's path."""


class Contribution(NamedTuple):
    """values: (T, L) for every class, or for the asked ones; bias: (L,); exact: whether bias and
    values sum to the logits; method: for reading."""

    values: Tensor
    bias: Tensor
    exact: bool
    method: str


def pool_weights(pool: Pool, h_TH: Tensor) -> Tensor:
    """(T, H) the weight of each step in each pooled feature of one sequence."""
    steps, width = h_TH.shape
    half = width // 2 if pool.bidirectional else width
    if pool.kind == "last":
        return last_weights(steps, width, half, forward=steps - 1, reverse=0)
    if pool.kind == "mean":
        return torch.full((steps, width), 1 / steps)
    if pool.kind == "max":
        return torch.zeros(steps, width).scatter_(0, h_TH.argmax(dim=0, keepdim=True), 1.0)
    score_T = pool.query(torch.tanh(pool.project(h_TH))).squeeze(1)
    like = Ragged(h_TH, torch.tensor([0, steps]))
    return softmax(score_T, like)[:, None].expand(steps, width)


def last_weights(steps: int, width: int, half: int, *, forward: int, reverse: int) -> Tensor:
    """(T, H) one step alone: `forward` for the first `half` features, `reverse` for the rest."""
    weights_TH = torch.zeros(steps, width)
    weights_TH[forward, :half] = 1.0
    weights_TH[reverse, half:] = 1.0
    return weights_TH


def spread(weights_TH: Tensor, h_TH: Tensor, half: int) -> Tensor:
    """(T, H) ω ⊙ Δh: what each step's change adds to each pooled feature; sums to the pooled
    vector. The first `half` features are read forward, the others in reverse."""
    forward = weights_TH[:, :half].flip(0).cumsum(0).flip(0) * h_TH[:, :half].diff(
        dim=0, prepend=torch.zeros(1, half)
    )
    rest = h_TH.shape[1] - half
    backward = weights_TH[:, half:].cumsum(0) * -h_TH[:, half:].diff(
        dim=0, append=torch.zeros(1, rest)
    )
    return torch.cat([forward, backward], dim=1)


def read_out(model: Any) -> tuple[Tensor, Tensor] | None:
    """Weight (L, H) and bias (L,) from top states to scores; None where a head is not linear."""
    if not hasattr(model.head, "bias"):
        return None
    if getattr(model, "narrow", None) is not None:
        vectors_VE = model.embedding.weight
        bias = vectors_VE @ model.narrow.bias + model.head.bias
        return vectors_VE @ model.narrow.weight, bias
    return model.head.weight, model.head.bias


@torch.no_grad()
def label_direction(model: Any, layer: Layer, top: int) -> Tensor | None:
    """(H,) the way a layer's h raises the second of two labels over the first, where the layer is
    the `top` one and feeds a linear head; else None."""
    head = getattr(model, "head", None)
    if layer.number != top or not isinstance(head, nn.Linear) or head.weight is None:
        return None
    size = layer.cell.hidden_size
    begin = size if layer.reverse else 0
    if len(head.weight) != 2 or head.weight.shape[1] < begin + size:
        return None
    return (head.weight[1] - head.weight[0])[begin : begin + size]


@torch.no_grad()
def of_text(model: Any, tokens: Ragged, h_TH: Tensor, scores_L: Tensor) -> Contribution | None:
    """Contributions of a text's tokens to its class scores, or None where they are not exact."""
    if not hasattr(model, "pool") or not isinstance(model.head, nn.Linear):
        return None
    weight_LH, bias_L = model.head.weight, model.head.bias
    if weight_LH.shape[1] != h_TH.shape[1]:
        return None
    half = h_TH.shape[1] // (2 if model.pool.bidirectional else 1)
    parts_TH = spread(pool_weights(model.pool, h_TH), h_TH, half)
    values_TL = parts_TH @ weight_LH.T
    method = f"exact for {model.pool.kind} pooling"
    if model.ngrams is not None:
        values_TL = (values_TL + model.spread(tokens)) / 2
        bias_L = (bias_L + sum(one.bias for one in model.linear)) / 2
        method += " and n-grams together"
    off = ((values_TL.sum(0) + bias_L - scores_L).abs() / (1 + scores_L.abs())).max()
    if not float(off) <= EXACT:
        return None
    return Contribution(values_TL, bias_L, True, method)


@torch.no_grad()
def by_gradients(model: Any, tokens: Ragged, scores_L: Tensor) -> Contribution:
    """Contributions of the tokens of a text, or of the two of a pair, to any network's scores: the
    n-grams' are exact, the others are integrated gradients."""
    values_TL = integrated_gradients(model.embedding, tokens, model)
    method = "integrated gradients"
    if model.ngrams is not None:
        whole = Ragged(tokens.values, torch.tensor([0, len(tokens.values)]))
        values_TL = values_TL + model.spread(whole) / 2
        method += ", those of n-grams exact"
    return Contribution(values_TL, torch.zeros(len(scores_L)), False, method)


@torch.no_grad()
def of_tokens(model: Any, h_TH: Tensor, scores_TL: Tensor, *, bidirectional: bool) -> Tensor | None:
    """(T, T) what each token (column) adds to the best score at each token (row), or None where
    the rows, with the bias, do not sum to those scores."""
    if (linear := read_out(model)) is None:
        return None
    weight_LH, bias_L = linear
    best_T = scores_TL.argmax(dim=1)
    steps, width = h_TH.shape
    half = width // (2 if bidirectional else 1)
    rows = []
    for at in range(steps):
        weights_TH = last_weights(steps, width, half, forward=at, reverse=at)
        rows.append(spread(weights_TH, h_TH, half) @ weight_LH[best_T[at]])
    found_TT = torch.stack(rows)
    best_scores = scores_TL.gather(1, best_T[:, None]).squeeze(1)
    off = (found_TT.sum(1) + bias_L[best_T] - best_scores).abs() / (1 + best_scores.abs())
    return found_TT if float(off.max()) <= EXACT else None


def integrated_gradients(
    embedding: nn.Module, tokens: Ragged, run: Callable[[Ragged], Tensor]
) -> Tensor:
    """(T, L) integrated gradients of each of L scores along the path from zero vectors.

    tokens: a text, or the two of a pair. run: n equal copies of it to scores (n, L); its embedding
    layer is replaced by the points of the path. Each column sums to score(text) − score(zero),
    nearly.
    """
    ids_T = tokens.values
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        x_TE = embedding(ids_T).detach()
        share_P = (torch.arange(PATH, device=x_TE.device) + 0.5) / PATH
        x_PTE = (share_P[:, None, None] * x_TE).requires_grad_()
        handle = embedding.register_forward_hook(lambda *_: x_PTE.flatten(0, 1))
        try:
            scores_PL = run(Ragged(ids_T.repeat(PATH), offsets(tokens.lengths.repeat(PATH))))
        finally:
            handle.remove()
        columns = []
        for label in range(scores_PL.shape[1]):
            last = label == scores_PL.shape[1] - 1
            (slope_PTE,) = torch.autograd.grad(
                scores_PL[:, label].sum(), x_PTE, retain_graph=not last
            )
            columns.append((slope_PTE.mean(0) * x_TE).sum(1))
    return torch.stack(columns, dim=1)
