"""Dropout on the kernels (drop.h): the mask is computed from a seed, in both passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library
from seqcli.nn.native.ops import OPERATORS


def dropout(x: Tensor, fraction: float) -> Tensor:
    """x with a fraction of its elements, in [0, 1), at zero and the others scaled up; float32, on
    the CPU. The mask follows from one number of torch's global generator."""
    if not 0 <= fraction < 1:
        raise ValueError(f"a fraction of {fraction} cannot be dropped")
    seed = int(torch.randint(1 << 62, ()))
    return _Drop.apply(x, fraction, seed)


def _drop(x: Tensor, fraction: float, seed: int) -> Tensor:
    x = x.float().contiguous()
    y = torch.empty_like(x)
    call = library.Dropout(
        count=x.numel(),
        seed=seed,
        threads=torch.get_num_threads(),
        fraction=fraction,
        x=x.data_ptr(),
        y=y.data_ptr(),
    )
    library.load().drop(call)
    return y


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, fraction: float, seed: int) -> Tensor:
        ctx.options = fraction, seed
        return torch.ops.seqcli.dropout.default(x, fraction, seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return torch.ops.seqcli.dropout.default(dy, *ctx.options), None, None


OPERATORS.define("dropout(Tensor x, float fraction, int seed) -> Tensor")
OPERATORS.impl("dropout", _drop, "CPU")
torch.library.register_fake(
    "seqcli::dropout",
    lambda x, fraction, seed: x.new_empty(x.shape, dtype=torch.float32),
    lib=OPERATORS,
)
