"""Jordan's network on the kernels, as a simple recurrent network of two matrices in turn.

A token is two steps of one sequence of states (recurrent.h): from the output before it to the
hidden layer, and from there to its own output.

    y₀ ─W_yh─► h₁ ─W_hy─► y₁ ─W_yh─► h₂ ─W_hy─► y₂ …
         x₁ ─┘              x₂ ─┘

Dimensions: N tokens, M = 2N steps, B sequences, B1 = B + 1, I inputs, H hidden units.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library, packing
from seqcli.nn.native.linear import linear
from seqcli.nn.native.ops import OPERATORS, sum_outer


def jordan(
    x_ND: Tensor,
    offsets_B1: Tensor,
    weights: tuple[Tensor, ...],
    y_BH: Tensor,
    *,
    relu: bool,
    reverse: bool,
    precision: str,
) -> tuple[Tensor, Tensor]:
    """One direction of one layer over a ragged batch, on the CPU: outputs (N, H) and the last
    output (B, H), float32.

    x_ND: (N, I) tokens end to end. offsets_B1: (B + 1,) int64, rising from 0 to N; a sequence may
    be empty. weights, float32: w_ih (H, I), w_yh and w_hy (H, H), b_ih, b_yh and b_hy (H). y_BH:
    the output before. relu: of the hidden layer; tanh without. reverse, precision: see
    `ops.sequence`. Raises ValueError for shapes or offsets that do not fit.
    """
    w_ih, w_yh, w_hy, b_ih, b_yh, b_hy = weights
    (batch, hidden), (tokens, inputs) = y_BH.shape, x_ND.shape
    shapes = [(hidden, inputs), *[(hidden, hidden)] * 2, *[(hidden,)] * 3]
    if [tuple(part.shape) for part in weights] != shapes:
        raise ValueError(f"the weights of jordan must have the shapes {shapes}")
    if len(offsets_B1) != batch + 1 or offsets_B1.dtype != torch.int64 or not batch:
        raise ValueError("offsets must be int64, one more than the sequences of the state")
    into_NH = linear(x_ND, w_ih, b_ih + b_yh, precision=precision)
    halves = [into_NH, b_hy.expand(tokens, hidden)]
    into_MH = torch.stack(halves[::-1] if reverse else halves, 1).view(-1, hidden)
    bf16 = precision == "bf16" and library.load().bf16
    tensors = into_MH, w_yh, w_hy, y_BH
    keep = torch.is_grad_enabled() and any(part.requires_grad for part in tensors)
    states_MH, y_BH, *_ = torch.ops.seqcli.alternate.default(
        relu, reverse, bf16, keep, into_MH, 2 * offsets_B1, w_yh, w_hy, y_BH
    )
    return states_MH.view(tokens, 2, hidden)[:, 0 if reverse else 1].contiguous(), y_BH


def _run(step: str, relu: bool, states: Tensor, **fields: Any) -> None:
    """Call a kernel with states (M, H); fields of `interface.h`, which the caller keeps alive."""
    steps, hidden = states.shape
    call = library.fill(
        library.Recurrent,
        kind=library.KIND_NUMBERS["rnn_relu_tanh" if relu else "rnn_tanh"],
        threads=torch.get_num_threads(),
        tokens=steps,
        hidden=hidden,
        gradients=1,
        y=states,
        y_stride=hidden,
        keep=True,
        **fields,
    )
    if library.load().run(step, (library.Recurrent * 1)(call)):
        raise ValueError("offsets must rise from 0 to the number of tokens")


def _forward(
    relu: bool,
    reverse: bool,
    bf16: bool,
    keep: bool,
    inputs: Tensor,
    offsets: Tensor,
    even: Tensor,
    odd: Tensor,
    first: Tensor,
) -> list[Tensor]:
    """The states, the last one of each sequence and, with keep, as operands those that the steps
    start from."""
    steps, hidden = inputs.shape
    operands = packing.to_operand(inputs, bf16)
    before = packing.new_operand(steps, hidden, operands.dtype)
    panels = [packing.panels("hidden", part, bf16=bf16, kind="rnn_tanh") for part in (even, odd)]
    none = torch.zeros(hidden)  # the biases are among the inputs
    states, last = torch.empty(steps, hidden), torch.empty(first.shape)
    _run(
        "forward",
        relu,
        states,
        batch=len(first),
        reverse=reverse,
        bf16=bf16,
        offsets=offsets.contiguous(),
        inputs=operands,
        b_ih=none,
        b_hh=none,
        panels=panels[0],
        odd_panels=panels[1],
        h_first=first.contiguous(),
        before=before,
        h_last=last,
    )
    return [states, last, *([before] if keep else [])]


def _forward_shapes(
    relu: bool, reverse: bool, bf16: bool, keep: bool, inputs: Tensor, *rest: Tensor
) -> list[Tensor]:
    steps, hidden = inputs.shape
    dtype = torch.bfloat16 if bf16 else torch.float32
    found = [inputs.new_empty(steps, hidden), inputs.new_empty(rest[-1].shape)]
    rows = packing.fill_up(steps, dtype)
    return [*found, *([inputs.new_empty(rows, hidden, dtype=dtype)] if keep else [])]


def _backward(
    relu: bool,
    reverse: bool,
    bf16: bool,
    wants_first: bool,
    states: Tensor,
    offsets: Tensor,
    even: Tensor,
    odd: Tensor,
    first: Tensor,
    dstates: Tensor | None,
    dlast: Tensor | None,
) -> list[Tensor]:
    """Gradients, as operands, of the sums inside the activations, and of the first output (nothing
    useful unless wanted)."""
    steps, hidden = states.shape
    dsums = packing.new_operand(steps, hidden, torch.bfloat16 if bf16 else torch.float32)
    panels = [
        packing.panels("hidden backward", part, bf16=bf16, kind="rnn_tanh") for part in (even, odd)
    ]
    # The kernel turns the gradient of the last output into that of the first, in place.
    dfirst = torch.zeros(first.shape) if dlast is None else dlast.clone().contiguous()
    if dstates is not None and dstates.stride(1) != 1:
        dstates = dstates.contiguous()
    _run(
        "backward",
        relu,
        states,
        batch=len(first),
        reverse=reverse,
        bf16=bf16,
        dfirst=wants_first,
        dy_stride=0 if dstates is None else dstates.stride(0),
        offsets=offsets.contiguous(),
        panels=panels[0],
        odd_panels=panels[1],
        h_first=first.contiguous(),
        dy=dstates,
        dgates=dsums,
        dbias=torch.empty(hidden),
        dh=dfirst,
    )
    return [dsums, dfirst]


def _backward_shapes(
    relu: bool, reverse: bool, bf16: bool, wants_first: bool, states: Tensor, *rest: Any
) -> list[Tensor]:
    dtype = torch.bfloat16 if bf16 else torch.float32
    rows = packing.fill_up(len(states), dtype)
    return [states.new_empty(rows, states.shape[1], dtype=dtype), states.new_empty(rest[3].shape)]


class _Alternate(torch.autograd.Function):
    """Gradients: the backward kernel for what depends on time, products for the matrices."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        relu, reverse, bf16, _, _, *rest = arguments
        with torch._C._AutoDispatchBelowAutograd():
            states, last, before = torch.ops.seqcli.alternate.default(*arguments)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(before)
        ctx.save_for_backward(before, states, *rest)
        ctx.options = relu, reverse, bf16
        return states, last, before

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dstates: Tensor | None, dlast: Tensor | None, _: Any) -> tuple[Any, ...]:
        before, states, *rest = ctx.saved_tensors
        relu, reverse, bf16 = ctx.options
        needs_inputs, _, needs_even, needs_odd, needs_first = ctx.needs_input_grad[4:]
        with torch._C._AutoDispatchBelowAutograd():
            dsums, dfirst = torch.ops.seqcli.alternate_backward.default(
                relu, reverse, bf16, needs_first, states, *rest, dstates, dlast
            )
        even, odd = (1, 0) if reverse else (0, 1)
        return (
            *(None, None, None, None),
            dsums[: len(states)].float() if needs_inputs else None,
            None,
            sum_outer(dsums[even::2], before[even::2]) if needs_even else None,
            sum_outer(dsums[odd::2], before[odd::2]) if needs_odd else None,
            dfirst if needs_first else None,
        )


def _differentiable(*arguments: Any) -> tuple[Tensor, ...]:
    if arguments[3]:  # keep
        return _Alternate.apply(*arguments)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.seqcli.alternate.default(*arguments)


_OPTIONS = "bool relu, bool reverse, bool bf16"
OPERATORS.define(
    f"alternate({_OPTIONS}, bool keep, Tensor inputs, Tensor offsets, Tensor even, Tensor odd, "
    "Tensor first) -> Tensor[]"
)
OPERATORS.define(
    f"alternate_backward({_OPTIONS}, bool wants_first, Tensor states, Tensor offsets, "
    "Tensor even, Tensor odd, Tensor first, Tensor? dstates, Tensor? dlast) -> Tensor[]"
)
OPERATORS.impl("alternate", _forward, "CPU")
OPERATORS.impl("alternate", _differentiable, "AutogradCPU")
OPERATORS.impl("alternate_backward", _backward, "CPU")
torch.library.register_fake("seqcli::alternate", _forward_shapes, lib=OPERATORS)
torch.library.register_fake("seqcli::alternate_backward", _backward_shapes, lib=OPERATORS)
