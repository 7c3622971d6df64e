"""The simple recurrent unit on the kernels (sru.h, scan.h) as a torch operator with gradients.

Dimensions: N tokens, B sequences, B1 = B + 1, I inputs, H hidden units, P products of the input, 3
where I = H and else 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library, packing
from seqcli.nn.native.ops import OPERATORS, sum_outer


def sru(
    x_ND: Tensor,
    offsets_B1: Tensor,
    weights: tuple[Tensor, Tensor, Tensor],
    c_BH: Tensor,
    *,
    scale: float,
    reverse: bool,
    precision: str,
) -> tuple[Tensor, Tensor]:
    """One direction of one layer over a ragged batch, on the CPU: outputs (N, H) and the memory
    (B, H) after the last step, float32.

    x_ND: (N, I) tokens end to end. offsets_B1: (B + 1,) int64, rising from 0 to N; a sequence may
    be empty. weights, float32: (P·H, I) of u, the gates f and r and, where I ≠ H, the highway; v
    and bias (2·H) of f and r. c_BH: the memory before. scale: of the highway. reverse, precision:
    see `ops.sequence`. Raises ValueError for shapes or offsets that do not fit.
    """
    weight, v, bias = weights
    hidden, inputs = c_BH.shape[1], x_ND.shape[1]
    shapes = [((3 if inputs == hidden else 4) * hidden, inputs), (2 * hidden,), (2 * hidden,)]
    if [tuple(part.shape) for part in weights] != shapes:
        raise ValueError(f"the weights of sru must have the shapes {shapes}")
    if len(offsets_B1) != len(c_BH) + 1 or offsets_B1.dtype != torch.int64 or not len(c_BH):
        raise ValueError("offsets must be int64, one more than the sequences of the memory")
    x_ND = x_ND if x_ND.dtype == torch.float32 else x_ND.float()
    bf16 = precision == "bf16" and library.load().bf16
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x_ND, *weights, c_BH))
    y_NH, c_BH, *_ = torch.ops.seqcli.sru.default(
        reverse, bf16, keep, scale, x_ND, offsets_B1, weight, v, bias, c_BH
    )
    return y_NH, c_BH


def _call(run: Callable[[library.Sru], int], **fields: Any) -> None:
    if run(library.fill(library.Sru, threads=torch.get_num_threads(), **fields)):
        raise ValueError("offsets must rise from 0 to the number of tokens")


def _forward(
    reverse: bool,
    bf16: bool,
    keep: bool,
    scale: float,
    x: Tensor,
    offsets: Tensor,
    weight: Tensor,
    v: Tensor,
    bias: Tensor,
    c: Tensor,
) -> list[Tensor]:
    """y, the last memory and, with keep, the products, the memories and x as an operand if that is
    a copy."""
    (tokens, _), (batch, hidden) = x.shape, c.shape
    x_operand = packing.to_operand(x, bf16)
    panels = packing.panels("rows of", weight, bf16=bf16)
    inputs = packing.linear(x_operand[:tokens], panels, weight.shape[0], dtype=x_operand.dtype)
    y, last = torch.empty(tokens, hidden), torch.empty(batch, hidden)
    memories = torch.empty(tokens, hidden) if keep else None
    _call(
        library.load().sru_forward,
        batch=batch,
        tokens=tokens,
        hidden=hidden,
        products=weight.shape[0] // hidden,
        reverse=reverse,
        bf16=bf16,
        scale=scale,
        offsets=offsets.contiguous(),
        inputs=inputs,
        x=x.contiguous(),
        v=v.contiguous(),
        bias=bias.contiguous(),
        c_first=c.contiguous(),
        y=y,
        c=memories,
        c_last=last,
    )
    if memories is None:
        return [y, last]
    return [y, last, inputs, memories, *([x_operand] if bf16 else [])]


def _forward_shapes(reverse: bool, bf16: bool, keep: bool, scale: float, *tensors: Any) -> Any:
    x, _, weight, _, _, c = tensors
    found = [x.new_empty(x.shape[0], c.shape[1]), c.new_empty(c.shape)]
    if not keep:
        return found
    dtype = torch.bfloat16 if bf16 else torch.float32
    found += [x.new_empty(x.shape[0], weight.shape[0], dtype=dtype), x.new_empty(found[0].shape)]
    rows = packing.fill_up(x.shape[0], dtype)
    return [*found, *([x.new_empty(rows, x.shape[1], dtype=dtype)] if bf16 else [])]


def _backward(
    reverse: bool,
    bf16: bool,
    wants_x: bool,
    scale: float,
    x: Tensor,
    offsets: Tensor,
    weight: Tensor,
    v: Tensor,
    bias: Tensor,
    c: Tensor,
    inputs: Tensor,
    memories: Tensor,
    dy: Tensor | None,
    dc_last: Tensor | None,
) -> list[Tensor]:
    """Gradients of the products, of bias and v end to end, of the first memory and, if wanted, of
    x."""
    tokens, hidden = memories.shape
    dinputs = packing.new_operand(tokens, inputs.shape[1], inputs.dtype)
    sums = torch.empty(4 * hidden)
    dhighway = torch.empty(tokens, hidden) if x.shape[1] == hidden else None
    # The kernel turns the gradient of the last memory into that of the first, in place.
    dc = torch.zeros(c.shape) if dc_last is None else dc_last.clone().contiguous()
    if dy is not None and dy.stride(1) != 1:
        dy = dy.contiguous()
    _call(
        library.load().sru_backward,
        batch=len(c),
        tokens=tokens,
        hidden=hidden,
        products=weight.shape[0] // hidden,
        reverse=reverse,
        bf16=bf16,
        dy_stride=0 if dy is None else dy.stride(0),
        scale=scale,
        offsets=offsets.contiguous(),
        inputs=inputs,
        x=x.contiguous(),
        v=v.contiguous(),
        bias=bias.contiguous(),
        c_first=c.contiguous(),
        c=memories,
        dy=dy,
        dinputs=dinputs,
        dx=dhighway,
        sums=sums,
        dc=dc,
    )
    if not wants_x:
        return [dinputs, sums, dc]
    panels = packing.panels("columns of", weight, bf16=bf16)
    dx = packing.linear(dinputs[:tokens], panels, weight.shape[1], dtype=torch.float32)
    return [dinputs, sums, dc, dx if dhighway is None else dx.add_(dhighway)]


def _backward_shapes(reverse: bool, bf16: bool, wants_x: bool, scale: float, *tensors: Any) -> Any:
    x, _, _, _, _, c, inputs, *_ = tensors
    rows = packing.fill_up(inputs.shape[0], inputs.dtype)
    found = [
        inputs.new_empty(rows, inputs.shape[1]),
        c.new_empty(4 * c.shape[1]),
        c.new_empty(c.shape),
    ]
    return [*found, *([x.new_empty(x.shape, dtype=torch.float32)] if wants_x else [])]


class _Sru(torch.autograd.Function):
    """Gradients: the backward kernel for what depends on time, a product for the weight."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        reverse, bf16, _, scale, x, offsets, weight, v, bias, c = arguments
        with torch._C._AutoDispatchBelowAutograd():
            outputs = torch.ops.seqcli.sru.default(*arguments)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*outputs[2:])
        ctx.save_for_backward(x, offsets, weight, v, bias, c, *outputs[2:])
        ctx.options = reverse, bf16, scale
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, dc_last: Tensor | None, *_: Any) -> tuple[Any, ...]:
        x, offsets, weight, v, bias, c, inputs, memories, *copy = ctx.saved_tensors
        reverse, bf16, scale = ctx.options
        needs_x, _, needs_weight, *needs = ctx.needs_input_grad[4:]
        with torch._C._AutoDispatchBelowAutograd():
            dinputs, sums, dc, *dx = torch.ops.seqcli.sru_backward.default(
                *(reverse, bf16, needs_x, scale, x, offsets, weight, v, bias, c),
                *(inputs, memories, dy, dc_last),
            )
        dweight = sum_outer(dinputs, copy[0] if copy else x) if needs_weight else None
        # Copies: two parameters must not share the memory of their gradients.
        dbias, dv = (part.clone() for part in sums.chunk(2))
        rest = (d if need else None for d, need in zip((dv, dbias, dc), needs, strict=True))
        return None, None, None, None, dx[0] if needs_x else None, None, dweight, *rest


def _differentiable(*arguments: Any) -> tuple[Tensor, ...]:
    if arguments[2]:  # keep
        return _Sru.apply(*arguments)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.seqcli.sru.default(*arguments)


_TENSORS = "Tensor x, Tensor offsets, Tensor weight, Tensor v, Tensor bias, Tensor c"
OPERATORS.define(f"sru(bool reverse, bool bf16, bool keep, float scale, {_TENSORS}) -> Tensor[]")
OPERATORS.define(
    f"sru_backward(bool reverse, bool bf16, bool wants_x, float scale, {_TENSORS}, "
    "Tensor inputs, Tensor memories, Tensor? dy, Tensor? dc_last) -> Tensor[]"
)
OPERATORS.impl("sru", _forward, "CPU")
OPERATORS.impl("sru", _differentiable, "AutogradCPU")
OPERATORS.impl("sru_backward", _backward, "CPU")
torch.library.register_fake("seqcli::sru", _forward_shapes, lib=OPERATORS)
torch.library.register_fake("seqcli::sru_backward", _backward_shapes, lib=OPERATORS)
