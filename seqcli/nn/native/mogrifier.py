"""The Mogrifier LSTM on the kernels (mogrifier.h, mogrify.h) as a torch operator with gradients.

Dimensions: N tokens, B sequences, B1 = B + 1, I inputs, H hidden units, R rows of operands (N or
more), X and Y scalings of the input and of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library, packing
from seqcli.nn.native.ops import OPERATORS, sum_outer

UNITS = 64
"""Of a packed matrix at most: products are written in multiples of these (WIDEST_UNITS)."""


def mogrifier(
    x_ND: Tensor,
    offsets_B1: Tensor,
    weights: Sequence[Tensor],
    state: tuple[Tensor, Tensor],
    *,
    reverse: bool,
    precision: str,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """One direction of one layer over a ragged batch, on the CPU: outputs (N, H) and the state
    (B, H) twice after the last step, float32.

    x_ND: (N, I) tokens end to end. offsets_B1: (B + 1,) int64, rising from 0 to N; a sequence may
    be empty. weights, float32: those of an LSTM (w_ih, w_hh, b_ih, b_hh), then the scales of the
    rounds, (I, H) and (H, I) in turn. state: h and c before. reverse, precision: see
    `ops.sequence`. Raises ValueError for shapes or offsets that do not fit.
    """
    (batch, hidden), inputs = state[0].shape, x_ND.shape[1]
    gates = 4 * hidden
    shapes: list[tuple[int, ...]] = [(gates, inputs), (gates, hidden), (gates,), (gates,)]
    sides = [(inputs, hidden), (hidden, inputs)]
    shapes += [sides[number % 2] for number in range(len(weights) - 4)]
    if [tuple(part.shape) for part in weights] != shapes or state[1].shape != state[0].shape:
        raise ValueError(f"the weights of mogrifier must have the shapes {shapes}")
    if len(offsets_B1) != batch + 1 or offsets_B1.dtype != torch.int64 or not batch:
        raise ValueError("offsets must be int64, one more than the sequences of the state")
    x_ND = x_ND if x_ND.dtype == torch.float32 else x_ND.float()
    bf16 = precision == "bf16" and library.load().bf16
    tensors = x_ND, *weights, *state
    keep = torch.is_grad_enabled() and any(part.requires_grad for part in tensors)
    y_NH, *rest = torch.ops.seqcli.mogrifier.default(
        reverse, bf16, keep, x_ND, offsets_B1, *state, weights
    )
    return y_NH, (rest[0], rest[1])


def _call(run: Callable[[library.Mogrifier], int], **fields: Any) -> None:
    if run(library.fill(library.Mogrifier, threads=torch.get_num_threads(), **fields)):
        raise ValueError("offsets must rise from 0 to the number of tokens")


def _describe(
    weights: Sequence[Tensor], matrix: str, bf16: bool, x: Tensor, h: Tensor
) -> tuple[dict[str, Any], list[Tensor]]:
    """The sizes and the packed weights of a call, and tensors to keep alive meanwhile."""
    w_ih, w_hh, b_ih, b_hh, *scales = weights
    packed = [packing.panels(matrix, part, bf16=bf16) for part in (w_ih, w_hh, *scales)]
    addresses = torch.tensor([part.data_ptr() for part in packed[2:]], dtype=torch.int64)
    fields = {
        "batch": len(h),
        "tokens": len(x),
        "inputs": x.shape[1],
        "hidden": h.shape[1],
        "rounds": len(scales),
        "bf16": bf16,
        "w_ih": packed[0],
        "w_hh": packed[1],
        "scales": addresses,
        "bias": b_ih + b_hh,
    }
    return fields, packed


def _stride(*widths: int) -> int:
    return sum(-(-width // UNITS) * UNITS for width in widths)


def _layers(count: int, tokens: int, width: int, dtype: torch.dtype) -> Tensor:
    """(count, R, width) operands, zero behind the tokens."""
    found = torch.empty(count, packing.fill_up(tokens, dtype), width, dtype=dtype)
    found[:, tokens:] = 0
    return found


def _sizes(
    tokens: int, inputs: int, hidden: int, scales: int, bf16: bool
) -> list[tuple[tuple[int, ...], torch.dtype]]:
    """Shapes and types of xs, hs, x_shares, h_shares, gates and c."""
    operand = torch.bfloat16 if bf16 else torch.float32
    gate = torch.float16 if bf16 else torch.float32
    rows, x_scales, h_scales = packing.fill_up(tokens, operand), (scales + 1) // 2, scales // 2
    return [
        ((1 + x_scales, rows, inputs), operand),
        ((1 + h_scales, rows, hidden), operand),
        ((x_scales, tokens, inputs), gate),
        ((h_scales, tokens, hidden), gate),
        ((tokens, 4 * hidden), gate),
        ((tokens, hidden), torch.float32),
    ]


def _forward(
    reverse: bool,
    bf16: bool,
    keep: bool,
    x: Tensor,
    offsets: Tensor,
    h: Tensor,
    c: Tensor,
    weights: Sequence[Tensor],
) -> list[Tensor]:
    """y, the last state and, with keep, what `_sizes` names."""
    (tokens, inputs), (batch, hidden) = x.shape, h.shape
    sizes = _sizes(tokens, inputs, hidden, len(weights) - 4, bf16)
    xs, hs = (_layers(size[0], tokens, size[2], dtype) for size, dtype in sizes[:2])
    xs[0, :tokens] = x
    kept = [torch.empty(size, dtype=dtype) for size, dtype in sizes[2:5]] if keep else []
    memories = torch.empty(sizes[5][0])
    y, h_last, c_last = torch.empty(tokens, hidden), torch.empty_like(h), torch.empty_like(c)
    stride = max(_stride(4 * hidden), _stride(inputs))
    fields, _packed = _describe(weights, "rows of", bf16, x, h)
    _call(
        library.load().mogrifier_forward,
        **fields,
        rows=xs.shape[1],
        reverse=reverse,
        keep=keep,
        stride=stride,
        offsets=offsets.contiguous(),
        h_first=h.contiguous(),
        c_first=c.contiguous(),
        sums=torch.empty(batch, stride),
        xs=xs,
        hs=hs,
        **dict(zip(("x_shares", "h_shares", "gates"), kept, strict=False)),
        c=memories,
        y=y,
        h_last=h_last,
        c_last=c_last,
    )
    return [y, h_last, c_last, *([xs, hs, *kept, memories] if keep else [])]


def _forward_shapes(
    reverse: bool, bf16: bool, keep: bool, x: Tensor, offsets: Tensor, h: Tensor, *rest: Any
) -> list[Tensor]:
    (tokens, inputs), hidden = x.shape, h.shape[1]
    found = [h.new_empty(tokens, hidden), h.new_empty(h.shape), h.new_empty(h.shape)]
    sizes = _sizes(tokens, inputs, hidden, len(rest[-1]) - 4, bf16) if keep else []
    return [*found, *(x.new_empty(size, dtype=dtype) for size, dtype in sizes)]


def _backward(
    reverse: bool,
    bf16: bool,
    offsets: Tensor,
    h: Tensor,
    c: Tensor,
    weights: Sequence[Tensor],
    kept: Sequence[Tensor],
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> list[Tensor]:
    """Gradients of x, of the first state, of the sums inside the gates and of their sums over all
    tokens, of the sums inside the scalings of the input and of the state."""
    xs, hs, x_shares, h_shares, gates, memories = kept
    (tokens, hidden), inputs = memories.shape, xs.shape[2]
    dx_sums, dh_sums = (
        _layers(len(part) - 1, tokens, part.shape[2], xs.dtype) for part in (xs, hs)
    )
    (dgates,) = _layers(1, tokens, 4 * hidden, xs.dtype)
    dx, dbias = torch.empty(tokens, inputs), torch.empty(4 * hidden)
    # The kernel turns the gradient of the last state into that of the first, in place.
    dh, dc = (
        torch.zeros(first.shape) if last is None else last.clone().contiguous()
        for first, last in ((h, dh_last), (c, dc_last))
    )
    if dy is not None and dy.stride(1) != 1:
        dy = dy.contiguous()
    stride = _stride(inputs, hidden)
    fields, _packed = _describe(weights, "columns of", bf16, dx, h)
    _call(
        library.load().mogrifier_backward,
        **fields,
        rows=xs.shape[1],
        reverse=reverse,
        keep=True,
        stride=stride,
        dy_stride=0 if dy is None else dy.stride(0),
        offsets=offsets.contiguous(),
        h_first=h.contiguous(),
        c_first=c.contiguous(),
        sums=torch.empty(len(h), stride),
        xs=xs,
        hs=hs,
        x_shares=x_shares,
        h_shares=h_shares,
        gates=gates,
        c=memories,
        dy=dy,
        dgates=dgates,
        dx_sums=dx_sums,
        dh_sums=dh_sums,
        dx=dx,
        dbias=dbias,
        dh=dh,
        dc=dc,
    )
    return [dx, dh, dc, dgates, dbias, dx_sums, dh_sums]


def _backward_shapes(
    reverse: bool,
    bf16: bool,
    offsets: Tensor,
    h: Tensor,
    c: Tensor,
    weights: Any,
    kept: Any,
    *_: Any,
) -> list[Tensor]:
    xs, hs = kept[:2]
    (tokens, hidden), rows = kept[-1].shape, xs.shape[1]
    return [
        h.new_empty(tokens, xs.shape[2]),
        h.new_empty(h.shape),
        h.new_empty(h.shape),
        xs.new_empty(rows, 4 * hidden),
        h.new_empty(4 * hidden),
        *(part.new_empty(len(part) - 1, *part.shape[1:]) for part in (xs, hs)),
    ]


class _Mogrifier(torch.autograd.Function):
    """Gradients: the backward kernel for what depends on time, products for the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        reverse: bool,
        bf16: bool,
        x: Tensor,
        offsets: Tensor,
        h: Tensor,
        c: Tensor,
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            outputs = torch.ops.seqcli.mogrifier.default(
                reverse, bf16, True, x, offsets, h, c, weights
            )
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*outputs[3:])
        ctx.save_for_backward(offsets, h, c, *weights, *outputs[3:])
        ctx.options = reverse, bf16, len(weights)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        reverse, bf16, count = ctx.options
        offsets, h, c, *rest = ctx.saved_tensors
        weights, kept = rest[:count], rest[count:]
        with torch._C._AutoDispatchBelowAutograd():
            dx, dh, dc, dgates, dbias, *dsums = torch.ops.seqcli.mogrifier_backward.default(
                reverse, bf16, offsets, h, c, weights, kept, *gradients[:3]
            )
        _, _, needs_x, _, *needs = ctx.needs_input_grad
        first = (d if need else None for d, need in zip((dh, dc), needs, strict=False))
        dweights = _weight_gradients(kept[:2], dgates, dbias, dsums, needs[2:])
        return None, None, dx if needs_x else None, None, *first, *dweights


def _weight_gradients(
    sides: Sequence[Tensor],
    dgates: Tensor,
    dbias: Tensor,
    dsums: Sequence[Tensor],
    wanted: list[bool],
) -> list[Tensor | None]:
    """The gradients of the weights, in their order, those that are wanted. sides: xs and hs; dsums:
    of the sums inside their scalings."""
    products = [(dgates, layers[-1]) for layers in sides]
    for number in range(len(wanted) - 4):
        side, before = number % 2, number // 2
        products.append((dsums[side][before], sides[1 - side][before + side]))
    found = [
        sum_outer(d, x) if need else None
        for (d, x), need in zip(products, wanted[:2] + wanted[4:], strict=True)
    ]
    # Copies: two parameters must not share the memory of their gradients.
    biases = [dbias.clone() if need else None for need in wanted[2:4]]
    return [*found[:2], *biases, *found[2:]]


def _differentiable(*arguments: Any) -> tuple[Tensor, ...]:
    reverse, bf16, keep, *tensors, weights = arguments
    if keep:
        return _Mogrifier.apply(reverse, bf16, *tensors, *weights)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.seqcli.mogrifier.default(*arguments)


OPERATORS.define(
    "mogrifier(bool reverse, bool bf16, bool keep, Tensor x, Tensor offsets, Tensor h, Tensor c, "
    "Tensor[] weights) -> Tensor[]"
)
OPERATORS.define(
    "mogrifier_backward(bool reverse, bool bf16, Tensor offsets, Tensor h, Tensor c, "
    "Tensor[] weights, Tensor[] kept, Tensor? dy, Tensor? dh_last, Tensor? dc_last) -> Tensor[]"
)
OPERATORS.impl("mogrifier", _forward, "CPU")
OPERATORS.impl("mogrifier", _differentiable, "AutogradCPU")
OPERATORS.impl("mogrifier_backward", _backward, "CPU")
torch.library.register_fake("seqcli::mogrifier", _forward_shapes, lib=OPERATORS)
torch.library.register_fake("seqcli::mogrifier_backward", _backward_shapes, lib=OPERATORS)
