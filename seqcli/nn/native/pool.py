"""The mean or the largest of the rows of each sequence, on the kernels (pool.h)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library
from seqcli.nn.native.ops import OPERATORS

# Dimensions: N tokens, B sequences, B1 = B + 1, H features.


def pool(x_NH: Tensor, offsets_B1: Tensor, kind: str) -> Tensor:
    """(B, H), float32, on the CPU. kind: mean or max. Raises ValueError for empty sequences."""
    return torch.ops.seqcli.pool.default(x_NH, offsets_B1, kind == "max")[0]


def _call(**fields: Any) -> None:
    call = library.fill(library.Pooling, threads=torch.get_num_threads(), **fields)
    if library.load().pool(call):
        raise ValueError("offsets must rise from 0 to the number of tokens, without a standstill")


def _forward(x: Tensor, offsets: Tensor, largest: bool) -> list[Tensor]:
    """(B, H) values, and where the largest are."""
    x, offsets = x.float(), offsets.contiguous()
    x = x if x.stride(1) == 1 else x.contiguous()
    if offsets[-1] != len(x):
        raise ValueError("offsets must end with the number of tokens")
    batch, width = len(offsets) - 1, x.shape[1]
    y = torch.empty(batch, width)
    place = torch.empty(batch if largest else 0, width, dtype=torch.int32)
    _call(
        batch=batch,
        width=width,
        x_stride=x.stride(0),
        offsets=offsets,
        x=x,
        y=y,
        place=place if largest else None,
    )
    return [y, place]


def _backward(dy: Tensor, offsets: Tensor, place: Tensor, tokens: int) -> Tensor:
    dy, offsets = dy.contiguous(), offsets.contiguous()
    batch, width = dy.shape
    dx = torch.empty(tokens, width)
    _call(
        batch=batch,
        width=width,
        offsets=offsets,
        y=dy,
        place=place if len(place) else None,
        dx=dx,
    )
    return dx


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, offsets: Tensor, largest: bool) -> tuple[Tensor, Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            y, place = torch.ops.seqcli.pool.default(x, offsets, largest)
        ctx.mark_non_differentiable(place)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(offsets, place)
        ctx.tokens = len(x)
        return y, place

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, _: None) -> tuple[Tensor, None, None]:
        with torch._C._AutoDispatchBelowAutograd():
            dx = torch.ops.seqcli.pool_backward.default(dy, *ctx.saved_tensors, ctx.tokens)
        return dx, None, None


def _differentiable(x: Tensor, offsets: Tensor, largest: bool) -> Any:
    if torch.is_grad_enabled() and x.requires_grad:
        return _Pool.apply(x, offsets, largest)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.seqcli.pool.default(x, offsets, largest)


def _shapes(x: Tensor, offsets: Tensor, largest: bool) -> list[Tensor]:
    batch, width = len(offsets) - 1, x.shape[1]
    y = x.new_empty(batch, width, dtype=torch.float32)
    return [y, x.new_empty(batch if largest else 0, width, dtype=torch.int32)]


OPERATORS.define("pool(Tensor x, Tensor offsets, bool largest) -> Tensor[]")
OPERATORS.define("pool_backward(Tensor dy, Tensor offsets, Tensor place, int tokens) -> Tensor")
OPERATORS.impl("pool", _forward, "CPU")
OPERATORS.impl("pool", _differentiable, "AutogradCPU")
OPERATORS.impl("pool_backward", _backward, "CPU")
torch.library.register_fake("seqcli::pool", _shapes, lib=OPERATORS)
torch.library.register_fake(
    "seqcli::pool_backward",
    lambda dy, offsets, place, tokens: dy.new_empty(tokens, dy.shape[1]),
    lib=OPERATORS,
)
