"""The native kernels as torch operators, with gradients.

`sequence` runs one direction of one layer over a ragged batch. The products that involve all
tokens at once (x · W_ih and the weight gradients) are torch's; the kernels do what depends on time.

Dimensions: N tokens, B sequences, B1 = B + 1, I inputs, H hidden units, G gates, K = G · H.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqcli.nn.native import library

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3, "mingru": 2, "minlstm": 3}
# Width of the gradient the backward kernel writes, in units of H (see cells.h): the last GATES
# belong to the input, the first HIDDEN to the recurrent product.
GRADIENTS = {**GATES, "gru": 4}
SCANS = frozenset({"mingru", "minlstm"})


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
    """One direction of one recurrent layer over a ragged batch.

    kind: one of `native.KINDS`. x_ND: (N, I) float32 tokens end to end; offsets_B1: (B + 1,) int64
    starts of the sequences, rising from 0 to N; a sequence may be empty. weights: (w_ih (K, I),
    w_hh (K, H), b_ih (K,), b_hh (K,)) as torch.nn names and orders them (i f g o; r z n), or for
    mingru (z, candidate) and minlstm (f, i, candidate) (w (K, I), b (K,)). state: (h (B, H),), and
    c (B, H) for lstm. reverse: run each sequence from its last token. precision: fp32, or bf16 for
    bf16 operands with fp32 sums where the processor has them (fp32 elsewhere).

    Returns y_NH, float32, and the state after the last step (in reverse: at the first token).
    Raises ValueError for an empty batch or offsets that do not fit.
    """
    if len(offsets_B1) < 2:
        raise ValueError("the batch is empty: at least one sequence is needed")
    bf16 = precision == "bf16" and library.load().bf16
    keep = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (x_ND, *weights, *state)
    )
    if kind in SCANS:
        w, b = weights
        y_NH, last_BH, *_ = torch.ops.seqcli.scan(
            kind, reverse, bf16, x_ND, offsets_B1, w, b, state[0]
        )
        return y_NH, (last_BH,)
    cell = state[1] if kind == "lstm" else None
    y_NH, h_BH, c_BH, *_ = torch.ops.seqcli.recurrent(
        kind, reverse, bf16, keep, x_ND, offsets_B1, *weights, state[0], cell
    )
    return y_NH, (h_BH, c_BH) if kind == "lstm" else (h_BH,)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _operand(shape_NK: tuple[int, int], *, bf16: bool) -> Tensor:
    """Memory for operands: bf16 rows hold pairs, so an odd width gets a zero at its end."""
    tokens, width = shape_NK
    if not bf16:
        return torch.empty(tokens, width)
    if width % 2:
        return torch.zeros(tokens, width + 1, dtype=torch.bfloat16)
    return torch.empty(tokens, width, dtype=torch.bfloat16)


def _pack(kind: str, w_hh: Tensor, *, bf16: bool, backward: bool) -> Tensor:
    """W_hh in the panels of the kernels (panel.h)."""
    native = library.load()
    number, hidden = library.KIND_NUMBERS[kind], w_hh.shape[1]
    dtype = torch.bfloat16 if bf16 else torch.float32
    panels = torch.empty(native.panel_elements(number, hidden, backward), dtype=dtype)
    native.pack(
        *(number, hidden, bf16, backward),
        *(w_hh.contiguous().data_ptr(), panels.data_ptr(), torch.get_num_threads()),
    )
    return panels


def _call(function: str, kind: str, **fields: object) -> None:
    """Fill the interface's structure with numbers and the addresses of tensors; call the kernel."""
    native = library.load()
    call = library.Recurrent(
        kind=library.KIND_NUMBERS[kind],
        threads=torch.get_num_threads(),
        **{
            name: _pointer(value) if isinstance(value, Tensor) else value
            for name, value in fields.items()
        },
    )
    if getattr(native, function)(call):
        raise ValueError("offsets must rise from 0 to the number of tokens")


# ---- cells with a recurrent product ----


@torch.library.custom_op("seqcli::recurrent", mutates_args=())
def _recurrent(
    kind: str,
    reverse: bool,
    bf16: bool,
    keep: bool,
    x: Tensor,
    offsets: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    h: Tensor,
    c: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns y, h_last, c_last and, for the backward pass, gates, other, before and bf16 x."""
    tokens, hidden = x.shape[0], w_hh.shape[1]
    x_operand = x.to(torch.bfloat16) if bf16 else x.new_empty(0)
    if bf16:
        inputs = torch.mm(x_operand, w_ih.to(torch.bfloat16).t())
    else:
        inputs = torch.mm(x, w_ih.t())
    gates, other = torch.empty(0), torch.empty(0)
    if keep and kind in ("lstm", "gru"):
        gates = inputs.view(torch.float16) if bf16 else inputs
        other = torch.empty(tokens, hidden, dtype=inputs.dtype if kind == "gru" else None)
    y = torch.empty(tokens, hidden)
    before = _operand((tokens, hidden), bf16=bf16)
    h, c = h.contiguous(), None if c is None else c.contiguous()
    h_last = torch.empty_like(h)
    c_last = torch.empty(0) if c is None else torch.empty_like(c)
    _call(
        "forward",
        kind,
        batch=len(offsets) - 1,
        tokens=tokens,
        hidden=hidden,
        reverse=reverse,
        bf16=bf16,
        keep=keep,
        y_stride=hidden,
        offsets=offsets,
        inputs=inputs,
        b_ih=b_ih,
        b_hh=b_hh,
        panels=_pack(kind, w_hh, bf16=bf16, backward=False),
        h_first=h,
        c_first=c,
        y=y,
        before=before,
        gates=gates,
        other=other,
        h_last=h_last,
        c_last=c_last,
    )
    if not keep:
        before = torch.empty(0)
    return y, h_last, c_last, gates, other, before, x_operand


@_recurrent.register_fake
def _(kind, reverse, bf16, keep, x, offsets, w_ih, w_hh, b_ih, b_hh, h, c):  # type: ignore[no-untyped-def]
    tokens, hidden = x.shape[0], w_hh.shape[1]
    nothing = x.new_empty(0)
    gated = keep and kind in ("lstm", "gru")
    dtype = torch.bfloat16 if bf16 else torch.float32
    kept = torch.float16 if bf16 else torch.float32
    stride = (hidden + 1) // 2 * 2 if bf16 else hidden
    return (
        x.new_empty(tokens, hidden),
        torch.empty_like(h, memory_format=torch.contiguous_format),
        nothing if c is None else torch.empty_like(c, memory_format=torch.contiguous_format),
        x.new_empty(tokens, w_ih.shape[0], dtype=kept) if gated else x.new_empty(0),
        x.new_empty(tokens, hidden, dtype=dtype if kind == "gru" else None) if gated else x.new_empty(0),
        x.new_empty(tokens, stride, dtype=dtype) if keep else x.new_empty(0),
        x.new_empty(x.shape, dtype=dtype) if bf16 else x.new_empty(0),
    )


@torch.library.custom_op("seqcli::recurrent_backward", mutates_args=())
def _recurrent_backward(
    kind: str,
    reverse: bool,
    bf16: bool,
    offsets: Tensor,
    w_hh: Tensor,
    h: Tensor,
    c: Tensor | None,
    y: Tensor,
    gates: Tensor,
    other: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of the gates' sums (layout in cells.h) and of the first state."""
    tokens, hidden = y.shape
    dgates = _operand((tokens, GRADIENTS[kind] * hidden), bf16=bf16)
    dh = torch.zeros_like(h) if dh_last is None else dh_last.clone().contiguous()
    dc = torch.empty(0)
    if c is not None:
        c = c.contiguous()
        dc = torch.zeros_like(c) if dc_last is None else dc_last.clone().contiguous()
    if dy is not None and dy.stride(1) != 1:
        dy = dy.contiguous()
    _call(
        "backward",
        kind,
        batch=len(offsets) - 1,
        tokens=tokens,
        hidden=hidden,
        reverse=reverse,
        bf16=bf16,
        keep=True,
        y_stride=hidden,
        dy_stride=0 if dy is None else dy.stride(0),
        offsets=offsets,
        panels=_pack(kind, w_hh, bf16=bf16, backward=True),
        h_first=h.contiguous(),
        c_first=c,
        y=y,
        gates=gates,
        other=other,
        dy=dy,
        dgates=dgates,
        dh=dh,
        dc=dc,
    )
    return dgates, dh, dc


@_recurrent_backward.register_fake
def _(kind, reverse, bf16, offsets, w_hh, h, c, y, gates, other, dy, dh_last, dc_last):  # type: ignore[no-untyped-def]
    tokens, hidden = y.shape
    width = GRADIENTS[kind] * hidden
    dgates = y.new_empty(tokens, (width + 1) // 2 * 2 if bf16 else width)
    return (
        dgates.to(torch.bfloat16) if bf16 else dgates,
        torch.empty_like(h, memory_format=torch.contiguous_format),
        y.new_empty(0) if c is None else torch.empty_like(c),
    )


def _save_recurrent(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    kind, reverse, bf16, _, x, offsets, w_ih, w_hh, _, _, h, c = inputs
    y, _, _, gates, other, before, x_operand = output
    ctx.save_for_backward(
        x_operand if bf16 else x, offsets, w_ih, w_hh, h, c, y, gates, other, before
    )
    ctx.options = kind, reverse, bf16
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(gates, other, before, x_operand)


def _differentiate_recurrent(ctx, dy, dh_last, dc_last, *_):  # type: ignore[no-untyped-def]
    kind, reverse, bf16 = ctx.options
    x, offsets, w_ih, w_hh, h, c, y, gates, other, before = ctx.saved_tensors
    needs = ctx.needs_input_grad[4:]
    dgates, dh, dc = torch.ops.seqcli.recurrent_backward(
        kind, reverse, bf16, offsets, w_hh, h, c, y, gates, other, dy, dh_last, dc_last
    )
    width, hidden = w_ih.shape[0], w_hh.shape[1]
    skip = (GRADIENTS[kind] - GATES[kind]) * hidden
    d_input, d_hidden = dgates[:, skip : skip + width], dgates[:, :width]
    dx = dw_ih = dw_hh = db_ih = db_hh = None
    if needs[0]:
        dx = torch.mm(d_input, w_ih.to(dgates.dtype)).float()
    if needs[2]:
        dw_ih = torch.mm(d_input.t(), x).float()
    if needs[3]:
        dw_hh = torch.mm(d_hidden.t(), before[:, :hidden]).float()
    if needs[4] or needs[5]:
        total = dgates.sum(0, dtype=torch.float32)
        db_ih, db_hh = total[skip : skip + width], total[:width]
    if kind == "gru":  # the recurrent gradients stand in the order n r z
        dw_hh = None if dw_hh is None else dw_hh.roll(-hidden, 0)
        db_hh = None if db_hh is None else db_hh.roll(-hidden, 0)
    return (
        *(None, None, None, None, dx, None, dw_ih, dw_hh, db_ih, db_hh),
        dh if needs[6] else None,
        dc if needs[7] else None,
    )


_recurrent.register_autograd(_differentiate_recurrent, setup_context=_save_recurrent)


# ---- cells without one ----


@torch.library.custom_op("seqcli::scan", mutates_args=())
def _scan(
    kind: str,
    reverse: bool,
    bf16: bool,
    x: Tensor,
    offsets: Tensor,
    w: Tensor,
    b: Tensor,
    h: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns y, h_last and, for the backward pass, the gates' sums and bf16 x."""
    tokens, hidden = x.shape[0], h.shape[1]
    x_operand = x.to(torch.bfloat16) if bf16 else x.new_empty(0)
    inputs = torch.mm(x_operand, w.to(torch.bfloat16).t()) if bf16 else torch.mm(x, w.t())
    y, h = torch.empty(tokens, hidden), h.contiguous()
    h_last = torch.empty_like(h)
    _call(
        "forward",
        kind,
        batch=len(offsets) - 1,
        tokens=tokens,
        hidden=hidden,
        reverse=reverse,
        bf16=bf16,
        y_stride=hidden,
        offsets=offsets,
        inputs=inputs,
        b_ih=b,
        h_first=h,
        y=y,
        h_last=h_last,
    )
    return y, h_last, inputs, x_operand


@_scan.register_fake
def _(kind, reverse, bf16, x, offsets, w, b, h):  # type: ignore[no-untyped-def]
    dtype = torch.bfloat16 if bf16 else torch.float32
    return (
        x.new_empty(x.shape[0], h.shape[1]),
        torch.empty_like(h, memory_format=torch.contiguous_format),
        x.new_empty(x.shape[0], w.shape[0], dtype=dtype),
        x.new_empty(x.shape, dtype=dtype) if bf16 else x.new_empty(0),
    )


@torch.library.custom_op("seqcli::scan_backward", mutates_args=())
def _scan_backward(
    kind: str,
    reverse: bool,
    bf16: bool,
    offsets: Tensor,
    b: Tensor,
    h: Tensor,
    y: Tensor,
    inputs: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of the gates' sums and of the first state."""
    tokens, hidden = y.shape
    dgates = _operand((tokens, GATES[kind] * hidden), bf16=bf16)
    dh = torch.zeros_like(h) if dh_last is None else dh_last.clone().contiguous()
    if dy is not None and dy.stride(1) != 1:
        dy = dy.contiguous()
    _call(
        "backward",
        kind,
        batch=len(offsets) - 1,
        tokens=tokens,
        hidden=hidden,
        reverse=reverse,
        bf16=bf16,
        y_stride=hidden,
        dy_stride=0 if dy is None else dy.stride(0),
        offsets=offsets,
        inputs=inputs,
        b_ih=b,
        h_first=h.contiguous(),
        y=y,
        dy=dy,
        dgates=dgates,
        dh=dh,
    )
    return dgates, dh


@_scan_backward.register_fake
def _(kind, reverse, bf16, offsets, b, h, y, inputs, dy, dh_last):  # type: ignore[no-untyped-def]
    width = GATES[kind] * y.shape[1]
    dgates = y.new_empty(y.shape[0], (width + 1) // 2 * 2 if bf16 else width)
    return (
        dgates.to(torch.bfloat16) if bf16 else dgates,
        torch.empty_like(h, memory_format=torch.contiguous_format),
    )


def _save_scan(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    kind, reverse, bf16, x, offsets, w, b, h = inputs
    y, _, sums, x_operand = output
    ctx.save_for_backward(x_operand if bf16 else x, offsets, w, b, h, y, sums)
    ctx.options = kind, reverse, bf16
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(sums, x_operand)


def _differentiate_scan(ctx, dy, dh_last, *_):  # type: ignore[no-untyped-def]
    kind, reverse, bf16 = ctx.options
    x, offsets, w, b, h, y, sums = ctx.saved_tensors
    needs = ctx.needs_input_grad[3:]
    dgates, dh = torch.ops.seqcli.scan_backward(
        kind, reverse, bf16, offsets, b, h, y, sums, dy, dh_last
    )
    dgates = dgates[:, : w.shape[0]]
    return (
        *(None, None, None),
        torch.mm(dgates, w.to(dgates.dtype)).float() if needs[0] else None,
        None,
        torch.mm(dgates.t(), x).float() if needs[2] else None,
        dgates.sum(0, dtype=torch.float32) if needs[3] else None,
        dh if needs[4] else None,
    )


_scan.register_autograd(_differentiate_scan, setup_context=_save_scan)
