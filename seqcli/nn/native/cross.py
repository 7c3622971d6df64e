"""The loss of a vocabulary on the kernels (cross.h): scores, softmax and gradients in one pass that
keeps no scores.

Dimensions: N tokens, D features, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library, packing
from seqcli.nn.native.ops import OPERATORS, sum_outer
from seqcli.nn.native.packing import fill_up, new_operand, to_operand


def cross_entropy(
    x_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    gold_N: Tensor,
    *,
    smoothing: float = 0.0,
    count: int | None = None,
    precision: str,
) -> Tensor:
    """The summed −log softmax(x · weight^T + bias) at the gold tokens, divided by `count` (default
    N: their mean), on the CPU.

    weight_VD, bias_V: float32. gold_N: int64 in [0, V). smoothing: the share of the target that is
    spread evenly over the vocabulary, in [0, 1]. precision: fp32, or bf16 for bf16 operands with
    fp32 sums where the processor has them. Raises ValueError for shapes that do not fit and gold
    tokens outside the vocabulary.
    """
    x_ND, bf16 = _check(x_ND, weight_VD, bias_V, gold_N, precision)
    count = len(gold_N) if count is None else count
    arguments = x_ND, weight_VD, bias_V, gold_N, smoothing, count, bf16
    parts = (x_ND, weight_VD) if bias_V is None else (x_ND, weight_VD, bias_V)
    if torch.is_grad_enabled() and any(part.requires_grad for part in parts):
        return _CrossEntropy.apply(*arguments)
    return torch.ops.seqcli.cross_entropy.default(*arguments, False)[0].sum() / count


def nats(
    x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, gold_N: Tensor, *, precision: str
) -> Tensor:
    """(N,) the loss of each token, without smoothing and without gradients."""
    x_ND, bf16 = _check(x_ND, weight_VD, bias_V, gold_N, precision)
    with torch.no_grad():
        return torch.ops.seqcli.cross_entropy.default(
            x_ND, weight_VD, bias_V, gold_N, 0.0, 1, bf16, False
        )[0]


def _check(
    x: Tensor, weight: Tensor, bias: Tensor | None, gold: Tensor, precision: str
) -> tuple[Tensor, bool]:
    """x in float32, and whether operands are bf16."""
    fits = x.dim() == 2 and weight.shape[1:] == x.shape[1:] and gold.shape == x.shape[:1]
    fits = fits and gold.dtype == torch.int64
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("vectors, weights, bias and gold tokens do not fit together")
    x = x if x.dtype == torch.float32 else x.float()
    return x, precision == "bf16" and library.load().bf16


def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    gold: Tensor,
    smoothing: float,
    count: int,
    bf16: bool,
    keep: bool,
) -> list[Tensor]:
    """The losses and, with keep, the gradients of scores, filled up with zeros, and of the bias."""
    x, gold = to_operand(x, bf16)[: len(x)].contiguous(), gold.contiguous()
    bias = None if bias is None else bias.contiguous()
    (tokens, depth), width = x.shape, weight.shape[0]
    panels = packing.panels("rows of", weight, bf16=bf16)
    results = {"nats": torch.empty(tokens)}
    if keep:
        results["d"] = new_operand(tokens, width, x.dtype)
        results["dbias"] = torch.empty(width)
    call = library.Vocabulary(
        tokens=tokens,
        depth=depth,
        width=width,
        bf16=bf16,
        threads=torch.get_num_threads(),
        smoothing=smoothing,
        scale=1 / max(count, 1),
        x=x.data_ptr(),
        panels=panels.data_ptr(),
        bias=None if bias is None else bias.data_ptr(),
        gold=gold.data_ptr(),
        **{name: result.data_ptr() for name, result in results.items()},
    )
    if library.load().cross(call):
        raise ValueError(f"a gold token is outside the vocabulary of {width}")
    return list(results.values())


def _shapes(x: Tensor, weight: Tensor, *rest: Any) -> list[Tensor]:
    *_, bf16, keep = rest
    tokens, width = x.shape[0], weight.shape[0]
    if not keep:
        return [weight.new_empty(tokens)]
    dtype = torch.bfloat16 if bf16 else torch.float32
    d = x.new_empty(fill_up(tokens, dtype), width, dtype=dtype)
    return [weight.new_empty(tokens), d, weight.new_empty(width)]


class _CrossEntropy(torch.autograd.Function):
    """The forward pass already has the gradients of the scores; two products are left."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        x, weight, *_, count, bf16 = arguments
        x_operand = to_operand(x, bf16)
        with torch._C._AutoDispatchBelowAutograd():
            nats_N, d, dbias = torch.ops.seqcli.cross_entropy.default(
                x_operand[: len(x)], *arguments[1:], True
            )
        ctx.save_for_backward(x_operand, weight, d, dbias)
        ctx.options = len(x), bf16
        return nats_N.sum() / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, d, dbias = ctx.saved_tensors
        tokens, bf16 = ctx.options
        needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        found: list[Tensor | None] = [None, None, dbias if needs_bias else None]
        if needs_x:
            with torch._C._AutoDispatchBelowAutograd():
                found[0] = torch.ops.seqcli.linear_backward.default(d[:tokens], weight, bf16)
        if needs_weight:
            found[1] = sum_outer(d, x)
        if gradient != 1:  # as after a plain backward()
            found = [None if part is None else part * gradient for part in found]
        return *found, None, None, None, None


OPERATORS.define(
    "cross_entropy(Tensor x, Tensor weight, Tensor? bias, Tensor gold, float smoothing, "
    "int count, bool bf16, bool keep) -> Tensor[]"
)
OPERATORS.impl("cross_entropy", _forward, "CPU")
torch.library.register_fake("seqcli::cross_entropy", _shapes, lib=OPERATORS)
