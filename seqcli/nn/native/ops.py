"""The native kernels as torch operators, with gradients.

`sequence` runs one direction of one layer over a ragged batch. The gradients of weights are
torch's products over all tokens; the kernels do the rest.

The operators are registered by hand rather than with `torch.library.custom_op`, which costs
four times as much a call: small batches come thousands of times a second.

Dimensions: N tokens, B sequences, B1 = B + 1, I inputs, H hidden units, G gates, K = G · H.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library, packing

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3, "mingru": 2, "minlstm": 3}
# Width of the gradient that the backward kernel writes, in units of H (see cells.h): the first
# GATES belong to the recurrent product, the last GATES to the input.
GRADIENTS = {**GATES, "gru": 4}
SCANS = frozenset({"mingru", "minlstm"})
# What the forward pass leaves for the backward pass, by its name in interface.h.
KEPT = {
    "rnn_tanh": ("before",),
    "rnn_relu": ("before",),
    "lstm": ("before", "gates", "other"),
    "gru": ("before", "gates", "other"),
    "mingru": ("inputs",),
    "minlstm": ("inputs",),
}


def sequence(
    kind: str,
    x_ND: Tensor,
    offsets_B1: Tensor,
    weights: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    *,
    reverse: bool,
    precision: str,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One direction of one recurrent layer over a ragged batch, on the CPU.

    kind: one of `native.KINDS`. x_ND: (N, I) tokens end to end. offsets_B1: (B + 1,) int64 starts
    of the sequences, rising from 0 to N; a sequence may be empty. weights, float32: (w_ih (K, I),
    w_hh (K, H), b_ih (K,), b_hh (K,)) as torch.nn names and orders them (i f g o; r z n), or for
    mingru (z, candidate) and minlstm (f, i, candidate) (w (K, I), b (K,)). state, float32:
    (h (B, H),), and c (B, H) for lstm. reverse: run each sequence from its last token.
    precision: fp32, or bf16 for bf16 operands with fp32 sums where the processor has them (fp32
    elsewhere).

    Returns y_NH, float32, and the state after the last step (in reverse: at the first token).
    Weights that need no gradient are packed once and remembered until they change.
    Raises ValueError for an empty batch and for shapes or offsets that do not fit.
    """
    if len(offsets_B1) < 2:
        raise ValueError("the batch is empty: at least one sequence is needed")
    w_ih, w_hh, b_ih, b_hh = weights if len(weights) == 4 else (weights[0], None, weights[1], None)
    h, c = state if len(state) == 2 else (state[0], None)
    _check(kind, x_ND, offsets_B1, weights, state)
    x_ND = x_ND if x_ND.dtype == torch.float32 else x_ND.float()
    bf16 = precision == "bf16" and library.load().bf16
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x_ND, *weights, *state))
    y_NH, *rest = torch.ops.seqcli.recurrent.default(
        kind, reverse, bf16, keep, x_ND, offsets_B1, w_ih, w_hh, b_ih, b_hh, h, c
    )
    return y_NH, tuple(rest[: len(state)])


def _check(
    kind: str,
    x: Tensor,
    offsets: Tensor,
    weights: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
) -> None:
    """Refuse what would send a kernel outside its memory."""
    batch, hidden = len(offsets) - 1, weights[-1].shape[0] // GATES[kind]
    width = GATES[kind] * hidden
    shapes = [(width, x.shape[1]), (width, hidden), (width,), (width,)]
    if kind in SCANS:
        shapes = [shapes[0], shapes[2]]
    states = 2 if kind == "lstm" else 1
    if [tuple(tensor.shape) for tensor in weights] != shapes:
        raise ValueError(f"the weights of {kind} must have the shapes {shapes}")
    if [tuple(tensor.shape) for tensor in state] != [(batch, hidden)] * states:
        raise ValueError(f"the state of {kind} must be {states} of shape {(batch, hidden)}")
    if offsets.dtype != torch.int64:
        raise ValueError("offsets must be int64")


# ---- a call of the library ----


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """a · b with the operands as they are, autocast or not."""
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return torch.mm(a, b)
    return torch.mm(a, b)


def _call(run: Callable[[library.Recurrent], int], kind: str, **fields: Any) -> None:
    """Fill the interface's structure with numbers and the addresses of tensors; call the kernel."""
    places = {  # `fields` keeps the tensors alive during the call
        name: value.data_ptr() if isinstance(value, Tensor) else value
        for name, value in fields.items()
    }
    number, threads = library.KIND_NUMBERS[kind], torch.get_num_threads()
    if run(library.Recurrent(kind=number, threads=threads, **places)):
        raise ValueError("offsets must rise from 0 to the number of tokens")


# ---- the operators ----


def _forward(
    kind: str,
    reverse: bool,
    bf16: bool,
    keep: bool,
    x: Tensor,
    offsets: Tensor,
    w_ih: Tensor,
    w_hh: Tensor | None,
    b_ih: Tensor,
    b_hh: Tensor | None,
    h: Tensor,
    c: Tensor | None,
) -> list[Tensor]:
    """y, the last state and, with keep, what KEPT names and x as an operand if that is a copy."""
    tokens, hidden = x.shape[0], h.shape[1]
    offsets, h, c = offsets.contiguous(), h.contiguous(), None if c is None else c.contiguous()
    b_ih, b_hh = b_ih.contiguous(), None if b_hh is None else b_hh.contiguous()
    x_operand = x.to(torch.bfloat16) if bf16 else x
    w_panels = packing.panels("rows of", w_ih, bf16=bf16)
    inputs = packing.linear(x_operand, w_panels, w_ih.shape[0], dtype=x_operand.dtype)
    memory: dict[str, Tensor] = {"inputs": inputs}
    if w_hh is not None:
        memory["panels"] = packing.panels("hidden", w_hh, bf16=bf16, kind=kind)
        memory["before"] = torch.empty(tokens, hidden, dtype=inputs.dtype)
    if keep and "gates" in KEPT[kind]:
        memory["gates"] = inputs.view(torch.float16) if bf16 else inputs
        dtype = inputs.dtype if kind == "gru" else torch.float32
        memory["other"] = torch.empty(tokens, hidden, dtype=dtype)
    y, last = torch.empty(tokens, hidden), [torch.empty_like(h)]
    if c is not None:
        last.append(torch.empty_like(c))
    _call(
        library.load().forward,
        kind,
        batch=len(offsets) - 1,
        tokens=tokens,
        hidden=hidden,
        reverse=reverse,
        bf16=bf16,
        keep=keep,
        y_stride=hidden,
        offsets=offsets,
        b_ih=b_ih,
        b_hh=b_hh,
        h_first=h,
        c_first=c,
        y=y,
        h_last=last[0],
        c_last=None if c is None else last[1],
        **memory,
    )
    if not keep:
        return [y, *last]
    return [y, *last, *(memory[name] for name in KEPT[kind]), *([x_operand] if bf16 else [])]


def _forward_shapes(
    kind: str, reverse: bool, bf16: bool, keep: bool, *tensors: Any
) -> list[Tensor]:
    x, _, w_ih, _, _, _, h, c = tensors
    tokens, hidden = x.shape[0], h.shape[1]
    states = [state.new_empty(state.shape) for state in (h, c) if state is not None]
    if not keep:
        return [x.new_empty(tokens, hidden), *states]
    operand = torch.bfloat16 if bf16 else torch.float32
    shapes = {
        "inputs": (w_ih.shape[0], operand),
        "before": (hidden, operand),
        "gates": (w_ih.shape[0], torch.float16 if bf16 else torch.float32),
        "other": (hidden, operand if kind == "gru" else torch.float32),
    }
    kept = [x.new_empty(tokens, shapes[name][0], dtype=shapes[name][1]) for name in KEPT[kind]]
    x_operand = [x.new_empty(x.shape, dtype=operand)] if bf16 else []
    return [x.new_empty(tokens, hidden), *states, *kept, *x_operand]


def _backward(
    kind: str,
    reverse: bool,
    bf16: bool,
    wants_first: bool,
    wants_x: bool,
    offsets: Tensor,
    w_ih: Tensor,
    w_hh: Tensor | None,
    b_ih: Tensor,
    h: Tensor,
    c: Tensor | None,
    y: Tensor,
    kept: list[Tensor],
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> list[Tensor]:
    """Gradients of the sums inside the gates (layout in cells.h), their sums over all tokens, the
    gradients of the first state (nothing useful unless wanted) and, if wanted, of x."""
    tokens, hidden = y.shape
    offsets, h, c = offsets.contiguous(), h.contiguous(), None if c is None else c.contiguous()
    b_ih = b_ih.contiguous()
    memory = dict(zip(KEPT[kind], kept, strict=True))
    if w_hh is not None:
        memory["panels"] = packing.panels("hidden backward", w_hh, bf16=bf16, kind=kind)
    operand = torch.bfloat16 if bf16 else torch.float32
    width = GRADIENTS[kind] * hidden
    dgates, dbias = torch.empty(tokens, width, dtype=operand), torch.empty(width)
    # The kernel turns the gradient of the last state into that of the first, in place.
    dfirst = [
        torch.zeros(h.shape) if d is None else d.clone(memory_format=torch.contiguous_format)
        for d in ((dh_last,) if c is None else (dh_last, dc_last))
    ]
    if dy is not None and dy.stride(1) != 1:
        dy = dy.contiguous()
    _call(
        library.load().backward,
        kind,
        batch=len(offsets) - 1,
        tokens=tokens,
        hidden=hidden,
        gradients=GRADIENTS[kind],
        reverse=reverse,
        bf16=bf16,
        keep=True,
        dfirst=wants_first,
        y_stride=hidden,
        dy_stride=0 if dy is None else dy.stride(0),
        offsets=offsets,
        b_ih=b_ih,
        h_first=h,
        c_first=c,
        y=y,
        dy=dy,
        dgates=dgates,
        dbias=dbias,
        dh=dfirst[0],
        dc=None if c is None else dfirst[1],
        **memory,
    )
    if not wants_x:
        return [dgates, dbias, *dfirst]
    panels = packing.panels("columns of", w_ih, bf16=bf16)
    d_input = dgates[:, dgates.shape[1] - w_ih.shape[0] :]
    dx = packing.linear(d_input, panels, w_ih.shape[1], dtype=torch.float32)
    return [dgates, dbias, *dfirst, dx]


def _backward_shapes(
    kind: str, reverse: bool, bf16: bool, wants_first: bool, wants_x: bool, *tensors: Any
) -> list[Tensor]:
    _, w_ih, _, _, h, c, y, *_ = tensors
    operand = torch.bfloat16 if bf16 else torch.float32
    width = GRADIENTS[kind] * h.shape[1]
    gradients = [y.new_empty(y.shape[0], width, dtype=operand), y.new_empty(width)]
    gradients += [state.new_empty(state.shape) for state in (h, c) if state is not None]
    return [*gradients, *([y.new_empty(y.shape[0], w_ih.shape[1])] if wants_x else [])]


_INPUTS = (
    *("kind", "reverse", "bf16", "keep", "x", "offsets"),
    *("w_ih", "w_hh", "b_ih", "b_hh", "h", "c"),
)


class _Recurrent(torch.autograd.Function):
    """Gradients: the backward kernel for what depends on time, products over all tokens for the
    rest."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        kind, reverse, bf16, _, x, offsets, w_ih, w_hh, b_ih, _, h, c = arguments
        with torch._C._AutoDispatchBelowAutograd():
            outputs = torch.ops.seqcli.recurrent.default(*arguments)
        y, kept = outputs[0], outputs[2 if c is None else 3 :]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*kept)
        x_operand = kept.pop() if bf16 else x
        ctx.save_for_backward(x_operand, offsets, w_ih, w_hh, b_ih, h, c, y, *kept)
        ctx.options = kind, reverse, bf16
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, *gradients: Tensor | None) -> tuple[Any, ...]:
        kind, reverse, bf16 = ctx.options
        x, offsets, w_ih, w_hh, b_ih, h, c, y, *kept = ctx.saved_tensors
        dh_last, dc_last = gradients[0], None if c is None else gradients[1]
        needs = dict(zip(_INPUTS, ctx.needs_input_grad, strict=True))
        with torch._C._AutoDispatchBelowAutograd():
            dgates, dbias, *others = torch.ops.seqcli.recurrent_backward.default(
                *(kind, reverse, bf16, needs["h"] or needs["c"], needs["x"]),
                *(offsets, w_ih, w_hh, b_ih, h, c, y, kept, dy, dh_last, dc_last),
            )
        (width, _), hidden = w_ih.shape, h.shape[1]
        skip = (GRADIENTS[kind] - GATES[kind]) * hidden
        for_input, for_hidden = dgates[:, skip : skip + width], dgates[:, :width]
        names = [*(["h"] if c is None else ["h", "c"]), *(["x"] if needs["x"] else [])]
        found: dict[str, Tensor] = dict(zip(names, others, strict=True))
        if needs["w_ih"]:
            found["w_ih"] = multiply(for_input.t(), x).float()
        if needs["w_hh"]:
            found["w_hh"] = multiply(for_hidden.t(), kept[0]).float()
        # Copies: two parameters must not share the memory of their gradients.
        found["b_ih"] = dbias[skip : skip + width].clone()
        found["b_hh"] = dbias[:width].clone()
        if kind == "gru":  # its recurrent gradients stand in the order n r z
            for name in {"w_hh", "b_hh"} & found.keys():
                found[name] = found[name].roll(-hidden, 0)
        return tuple(found.get(name) if need else None for name, need in needs.items())


def _differentiable(*arguments: Any) -> tuple[Tensor, ...]:
    if arguments[3]:  # keep
        return _Recurrent.apply(*arguments)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.seqcli.recurrent.default(*arguments)


OPERATORS = torch.library.Library("seqcli", "DEF")
OPERATORS.define(
    "recurrent(str kind, bool reverse, bool bf16, bool keep, Tensor x, Tensor offsets, "
    "Tensor w_ih, Tensor? w_hh, Tensor b_ih, Tensor? b_hh, Tensor h, Tensor? c) -> Tensor[]"
)
OPERATORS.define(
    "recurrent_backward(str kind, bool reverse, bool bf16, bool wants_first, bool wants_x, "
    "Tensor offsets, Tensor w_ih, Tensor? w_hh, Tensor b_ih, Tensor h, Tensor? c, Tensor y, "
    "Tensor[] kept, Tensor? dy, Tensor? dh_last, Tensor? dc_last) -> Tensor[]"
)
OPERATORS.impl("recurrent", _forward, "CPU")
OPERATORS.impl("recurrent", _differentiable, "AutogradCPU")
OPERATORS.impl("recurrent_backward", _backward, "CPU")
torch.library.register_fake("seqcli::recurrent", _forward_shapes, lib=OPERATORS)
torch.library.register_fake("seqcli::recurrent_backward", _backward_shapes, lib=OPERATORS)
