"""A fully connected layer on the kernels (linear.h): weights packed once when they are frozen,
float32 results from bf16 operands, the same bits for a row whatever rows surround it.

Dimensions: N tokens, D inputs, K outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library, packing
from seqcli.nn.native.ops import OPERATORS, sum_outer
from seqcli.nn.native.packing import to_operand


def linear(
    x_ND: Tensor, weight_KD: Tensor, bias_K: Tensor | None = None, *, precision: str
) -> Tensor:
    """x · weight^T + bias on the CPU, (N, K) float32.

    weight_KD, bias_K: float32. precision: fp32, or bf16 for bf16 operands with fp32 sums where
    the processor has them. Decoding a few rows with frozen weights takes a third of the time of
    torch's; training about what torch takes. Raises ValueError for shapes that do not fit.
    """
    if x_ND.dim() != 2 or x_ND.shape[1] != weight_KD.shape[1]:
        raise ValueError(f"x {tuple(x_ND.shape)} does not fit weights {tuple(weight_KD.shape)}")
    if bias_K is not None and bias_K.shape != weight_KD.shape[:1]:
        raise ValueError(f"bias {tuple(bias_K.shape)} does not fit {tuple(weight_KD.shape)}")
    x_ND = x_ND if x_ND.dtype == torch.float32 else x_ND.float()
    bf16 = precision == "bf16" and library.load().bf16
    return torch.ops.seqcli.linear.default(x_ND, weight_KD, bias_K, bf16)


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, bf16: bool) -> Tensor:
    panels = packing.panels("rows of", weight, bf16=bf16)
    x_operand = to_operand(x, bf16)[: len(x)]
    return packing.linear(x_operand, panels, weight.shape[0], dtype=torch.float32, bias=bias)


def _backward(dy: Tensor, weight: Tensor, bf16: bool) -> Tensor:
    panels = packing.panels("columns of", weight, bf16=bf16)
    return packing.linear(dy, panels, weight.shape[1], dtype=torch.float32)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, bf16: bool) -> Tensor:
        x_operand = to_operand(x, bf16)
        ctx.save_for_backward(x_operand, weight)
        ctx.bf16 = bf16
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.seqcli.linear.default(x_operand[: len(x)], weight, bias, bf16)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        d = to_operand(dy, ctx.bf16)
        dx = None
        if needs_x:
            with torch._C._AutoDispatchBelowAutograd():
                dx = torch.ops.seqcli.linear_backward.default(d[: len(dy)], weight, ctx.bf16)
        dweight = sum_outer(d, x) if needs_weight else None
        return dx, dweight, dy.sum(0) if needs_bias else None, None


def _differentiable(x: Tensor, weight: Tensor, bias: Tensor | None, bf16: bool) -> Tensor:
    parts = (x, weight) if bias is None else (x, weight, bias)
    if torch.is_grad_enabled() and any(part.requires_grad for part in parts):
        return _Linear.apply(x, weight, bias, bf16)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.seqcli.linear.default(x, weight, bias, bf16)


OPERATORS.define("linear(Tensor x, Tensor weight, Tensor? bias, bool bf16) -> Tensor")
OPERATORS.define("linear_backward(Tensor dy, Tensor weight, bool bf16) -> Tensor")
OPERATORS.impl("linear", _forward, "CPU")
OPERATORS.impl("linear", _differentiable, "AutogradCPU")
OPERATORS.impl("linear_backward", _backward, "CPU")
torch.library.register_fake(
    "seqcli::linear",
    lambda x, weight, bias, bf16: weight.new_empty(x.shape[0], weight.shape[0]),
    lib=OPERATORS,
)
torch.library.register_fake(
    "seqcli::linear_backward",
    lambda dy, weight, bf16: dy.new_empty(dy.shape[0], weight.shape[1], dtype=torch.float32),
    lib=OPERATORS,
)
