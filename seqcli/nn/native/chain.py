"""The sums over all paths of labels, and their gradients, on the kernels (chain.h).

Dimensions: N tokens, B sequences, B1 = B + 1, L labels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library


class Sums(NamedTuple):
    """What the forward and the backward pass over each sequence give, float64.

    before_NL: p(label | tokens up to here). behind_NL: what the tokens after it make of that; the
    product of both is the marginal. next_NL: what each token but the first of its sequence gives to
    the backward sum of the one before it. total_B: log Z, less the score of a path, if one is
    given. odds: exponentials of the weights.
    """

    before_NL: Tensor
    behind_NL: Tensor
    next_NL: Tensor
    total_B: Tensor
    odds: Tensor


def nats(
    scores_NL: Tensor,
    first_L: Tensor,
    after_LL: Tensor,
    last_L: Tensor,
    offsets_B1: Tensor,
    gold_N: Tensor | None,
) -> Tensor:
    """(B,) float64: log Z of each sequence, less the score of its gold labels, if they are given.

    Scores of labels, of a first label, of one (column) after another (row), and of a last, on the
    CPU, taken as float32. Raises ValueError for shapes that do not fit, for empty sequences and for
    gold labels that there are not.
    """
    return _Nats.apply(scores_NL, first_L, after_LL, last_L, offsets_B1, gold_N)


def chains(
    scores_NL: Tensor,
    first_L: Tensor,
    after_LL: Tensor,
    last_L: Tensor,
    offsets_B1: Tensor,
    gold_N: Tensor | None = None,
) -> Sums:
    """The sums behind `nats`, without gradients."""
    tokens, labels = scores_NL.shape
    shapes = [tuple(part.shape) for part in (first_L, after_LL, last_L)]
    fits = shapes == [(labels,), (labels, labels), (labels,)] and offsets_B1[-1] == tokens
    if not fits or (gold_N is not None and gold_N.shape != (tokens,)):
        raise ValueError(f"weights {shapes}, offsets and labels do not fit {tokens} × {labels}")
    offsets_B1 = offsets_B1.contiguous()
    gold_N = None if gold_N is None else gold_N.contiguous()
    each = (tokens, labels)
    sizes = each, each, each, len(offsets_B1) - 1, 2 * labels * (1 + labels)
    found = Sums._make(torch.empty(size, dtype=torch.float64) for size in sizes)
    given = {"scores": scores_NL, "first": first_L, "after": after_LL, "last": last_L}
    kept = {name: part.detach().float().contiguous() for name, part in given.items()}
    wrong = library.load().chains(_describe(found, offsets=offsets_B1, gold=gold_N, **kept))
    if wrong == 2:
        raise ValueError(f"a gold label is not one of the {labels}")
    if wrong:
        raise ValueError("offsets must rise from 0 to the number of tokens, without a standstill")
    return found


def _describe(sums: Sums, **tensors: Tensor | None) -> library.Chain:
    return library.fill(
        library.Chain,
        batch=len(sums.total_B),
        labels=sums.before_NL.shape[1],
        threads=torch.get_num_threads(),
        before=sums.before_NL,
        behind=sums.behind_NL,
        next=sums.next_NL,
        total=sums.total_B,
        odds=sums.odds,
        **tensors,
    )


class _Nats(torch.autograd.Function):
    """The gradient is what is expected of all paths less the gold path."""

    @staticmethod
    def forward(
        ctx: Any,
        scores_NL: Tensor,
        first_L: Tensor,
        after_LL: Tensor,
        last_L: Tensor,
        offsets_B1: Tensor,
        gold_N: Tensor | None,
    ) -> Tensor:
        offsets_B1 = offsets_B1.contiguous()
        gold_N = None if gold_N is None else gold_N.contiguous()
        sums = chains(scores_NL, first_L, after_LL, last_L, offsets_B1, gold_N)
        ctx.save_for_backward(*sums, offsets_B1, gold_N)
        ctx.dtype = scores_NL.dtype
        return sums.total_B

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight_B: Tensor) -> tuple[Tensor | None, ...]:
        *parts, offsets_B1, gold_N = ctx.saved_tensors
        sums, weight_B = Sums(*parts), weight_B.contiguous()
        tokens, labels = sums.before_NL.shape
        dscores_NL, dweights = torch.empty(tokens, labels), torch.empty(labels * (2 + labels))
        results = {"weight": weight_B, "dscores": dscores_NL, "dweights": dweights}
        given = {"offsets": offsets_B1, "gold": gold_N}
        library.load().chains_backward(_describe(sums, **given, **results))
        dfirst_L, dlast_L, dafter = dweights.split((labels, labels, labels * labels))
        dafter_LL = dafter.view(labels, labels)
        return dscores_NL.to(ctx.dtype), dfirst_L, dafter_LL, dlast_L, None, None
