"""h' = a ⊙ h + b over ragged sequences in Triton: one program runs a sequence and BLOCK units from
its first token to its last, with nothing padded. Imported only where Triton is.

Dimensions: N tokens of a batch, B sequences, B1 = B + 1, H units.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 64


def scan(
    a_NH: Tensor, b_NH: Tensor, first_BH: Tensor, offsets_B1: Tensor, *, reverse: bool
) -> Tensor:
    """(N, H) the state after each token, float32, with gradients; all on one GPU. first: the states
    before the first tokens. reverse: each sequence from its last token to its first."""
    return _Scan.apply(a_NH, b_NH, first_BH, offsets_B1, reverse)


@triton.jit
def _forward(
    a, b, first, offsets, before, h, width, REVERSE: tl.constexpr, BLOCK: tl.constexpr
) -> None:
    sequence = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < width
    begin = tl.load(offsets + sequence)
    end = tl.load(offsets + sequence + 1)
    state = tl.load(first + sequence * width + unit, mask=inside, other=0.0)
    for step in range(end - begin):
        token = begin + step
        if REVERSE:
            token = end - 1 - step
        place = token * width + unit
        tl.store(before + place, state, mask=inside)
        keep = tl.load(a + place, mask=inside, other=0.0)
        new = tl.load(b + place, mask=inside, other=0.0)
        state = keep * state + new
        tl.store(h + place, state, mask=inside)


@triton.jit
def _backward(
    a, before, offsets, dh, da, db, dfirst, width, REVERSE: tl.constexpr, BLOCK: tl.constexpr
) -> None:
    sequence = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = unit < width
    begin = tl.load(offsets + sequence)
    end = tl.load(offsets + sequence + 1)
    running = tl.zeros([BLOCK], tl.float32)  # the gradient that flows back through time
    for step in range(end - begin):
        token = end - 1 - step
        if REVERSE:
            token = begin + step
        place = token * width + unit
        running += tl.load(dh + place, mask=inside, other=0.0)
        state = tl.load(before + place, mask=inside, other=0.0)
        tl.store(da + place, running * state, mask=inside)
        tl.store(db + place, running, mask=inside)
        running *= tl.load(a + place, mask=inside, other=0.0)
    tl.store(dfirst + sequence * width + unit, running, mask=inside)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, first: Tensor, offsets: Tensor, reverse: bool
    ) -> Tensor:
        a, b, first = a.contiguous(), b.contiguous(), first.contiguous()
        before, h = torch.empty_like(b), torch.empty_like(b)
        (batch, width), ctx.reverse = first.shape, reverse
        _forward[batch, triton.cdiv(width, BLOCK)](
            *(a, b, first, offsets, before, h, width), REVERSE=reverse, BLOCK=BLOCK
        )
        ctx.save_for_backward(a, before, offsets)
        ctx.batch = batch
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor | None, ...]:
        a, before, offsets = ctx.saved_tensors
        da, db = torch.empty_like(a), torch.empty_like(a)
        width = a.shape[1]
        dfirst = a.new_empty(ctx.batch, width)
        _backward[ctx.batch, triton.cdiv(width, BLOCK)](
            *(a, before, offsets, dh.contiguous(), da, db, dfirst, width),
            REVERSE=ctx.reverse,
            BLOCK=BLOCK,
        )
        return da, db, dfirst, None, None
