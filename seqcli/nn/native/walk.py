"""Both passes of a recurrent layer as calls of the native kernels, a structure a direction.

Both directions are one call: each thread walks through one of them with all its sequences, which
fills the tiles of the kernels (recurrent.h) twice as well, and what surrounds them is done once.

Dimensions: N tokens, B sequences, H hidden units, G gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

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
FLOAT = 4  # bytes


class Direction(NamedTuple):
    """One direction of a layer: its place among them, its weights and its first state."""

    at: int
    reverse: bool
    w_ih: Tensor
    w_hh: Tensor | None
    b_ih: Tensor
    b_hh: Tensor | None
    h: Tensor
    c: Tensor | None


def list_directions(
    kind: str, reverse: bool, weights: Sequence[Tensor], states: Sequence[Tensor]
) -> list[Direction]:
    """The directions that lists of weights and states describe."""
    size = 2 if kind == "lstm" else 1
    count = len(states) // size
    found = []
    for at in range(count):
        own = weights[at * len(weights) // count : (at + 1) * len(weights) // count]
        w_ih, w_hh, b_ih, b_hh = own if len(own) == 4 else (own[0], None, own[1], None)
        h, *c = states[at * size : (at + 1) * size]
        backwards = reverse if count == 1 else bool(at)
        found.append(Direction(at, backwards, w_ih, w_hh, b_ih, b_hh, h, c[0] if c else None))
    return found


def _run(step: str, kind: str, calls: Sequence[dict[str, Any]]) -> None:
    """Call a kernel for all directions. The fields of `interface.h` are numbers and tensors, which
    the caller keeps alive."""
    number, threads = library.KIND_NUMBERS[kind], torch.get_num_threads()
    structures = [
        library.fill(library.Recurrent, kind=number, threads=threads, **fields) for fields in calls
    ]
    if library.load().run(step, (library.Recurrent * len(calls))(*structures)):
        raise ValueError("offsets must rise from 0 to the number of tokens")


def forward(
    kind: str,
    reverse: bool,
    bf16: bool,
    keep: bool,
    x: Tensor,
    offsets: Tensor,
    weights: list[Tensor],
    states: list[Tensor],
) -> list[Tensor]:
    """y, the last states and, with keep, what KEPT names for each direction and x as an operand if
    that is a copy; operands are filled up by zeros."""
    directions = list_directions(kind, reverse, [w.contiguous() for w in weights], states)
    tokens, hidden = x.shape[0], states[0].shape[1]
    offsets, states = offsets.contiguous(), [state.contiguous() for state in states]
    x_operand = packing.to_operand(x, bf16)
    stride = len(directions) * hidden
    y, last = torch.empty(tokens, stride), [torch.empty_like(state) for state in states]
    size = len(states) // len(directions)
    memories: list[dict[str, Tensor]] = []
    calls = []
    for own in directions:
        panels = packing.panels("rows of", own.w_ih, bf16=bf16)
        inputs = packing.linear(
            x_operand[:tokens], panels, own.w_ih.shape[0], dtype=x_operand.dtype
        )
        memory = {"inputs": inputs}
        if own.w_hh is not None:
            memory["panels"] = packing.panels("hidden", own.w_hh, bf16=bf16, kind=kind)
            memory["before"] = packing.new_operand(tokens, hidden, inputs.dtype)
        if keep and "gates" in KEPT[kind]:
            memory["gates"] = inputs.view(torch.float16) if bf16 else inputs
            dtype = inputs.dtype if kind == "gru" else torch.float32
            memory["other"] = torch.empty(tokens, hidden, dtype=dtype)
        memories.append(memory)
        first, after = states[own.at * size :], last[own.at * size :]
        calls.append(
            {
                "batch": len(offsets) - 1,
                "tokens": tokens,
                "hidden": hidden,
                "reverse": own.reverse,
                "bf16": bf16,
                "keep": keep,
                "y_stride": stride,
                "offsets": offsets,
                "b_ih": own.b_ih,
                "b_hh": own.b_hh,
                "h_first": first[0],
                "c_first": None if own.c is None else first[1],
                "y": y.data_ptr() + own.at * hidden * FLOAT,
                "h_last": after[0],
                "c_last": None if own.c is None else after[1],
                **memory,
            }
        )
    _run("forward", kind, calls)
    if not keep:
        return [y, *last]
    kept = [memory[name] for memory in memories for name in KEPT[kind]]
    return [y, *last, *kept, *([x_operand] if bf16 else [])]


def forward_shapes(
    kind: str,
    reverse: bool,
    bf16: bool,
    keep: bool,
    x: Tensor,
    offsets: Tensor,
    weights: list[Tensor],
    states: list[Tensor],
) -> list[Tensor]:
    tokens, hidden, width = x.shape[0], states[0].shape[1], weights[0].shape[0]
    count = len(list_directions(kind, reverse, weights, states))
    outputs = [x.new_empty(tokens, count * hidden), *(s.new_empty(s.shape) for s in states)]
    if not keep:
        return outputs
    operand = torch.bfloat16 if bf16 else torch.float32
    rows = packing.fill_up(tokens, operand)
    shapes = {
        "inputs": (tokens, width, operand),
        "before": (rows, hidden, operand),
        "gates": (tokens, width, torch.float16 if bf16 else torch.float32),
        "other": (tokens, hidden, operand if kind == "gru" else torch.float32),
    }
    kept = [
        x.new_empty(*shapes[name][:2], dtype=shapes[name][2])
        for _ in range(count)
        for name in KEPT[kind]
    ]
    return [*outputs, *kept, *([x.new_empty(rows, x.shape[1], dtype=operand)] if bf16 else [])]


def backward(
    kind: str,
    reverse: bool,
    bf16: bool,
    wants_first: bool,
    wants_x: bool,
    offsets: Tensor,
    weights: list[Tensor],
    states: list[Tensor],
    y: Tensor,
    kept: list[Tensor],
    dy: Tensor | None,
    dlast: list[Tensor | None],
) -> list[Tensor]:
    """Gradients of the first states (nothing useful unless wanted); for each direction those of the
    sums inside the gates (layout in cells.h) and their sums over all tokens; and, if wanted, of
    x."""
    directions = list_directions(kind, reverse, [w.contiguous() for w in weights], states)
    tokens, hidden = y.shape[0], states[0].shape[1]
    offsets, states = offsets.contiguous(), [state.contiguous() for state in states]
    size, names = len(states) // len(directions), KEPT[kind]
    operand = torch.bfloat16 if bf16 else torch.float32
    width = GRADIENTS[kind] * hidden
    # The kernel turns the gradient of the last state into that of the first, in place.
    dfirst = [
        torch.zeros(state.shape) if d is None else d.clone(memory_format=torch.contiguous_format)
        for state, d in zip(states, dlast, strict=True)
    ]
    if dy is not None and dy.stride(1) != 1:
        dy = dy.contiguous()
    found, calls = [], []
    for own in directions:
        memory = dict(zip(names, kept[own.at * len(names) :], strict=False))
        if own.w_hh is not None:
            memory["panels"] = packing.panels("hidden backward", own.w_hh, bf16=bf16, kind=kind)
        found += [packing.new_operand(tokens, width, operand), torch.empty(width)]
        first, gradient = states[own.at * size :], dfirst[own.at * size :]
        calls.append(
            {
                "batch": len(offsets) - 1,
                "tokens": tokens,
                "hidden": hidden,
                "gradients": GRADIENTS[kind],
                "reverse": own.reverse,
                "bf16": bf16,
                "keep": True,
                "dfirst": wants_first,
                "y_stride": y.stride(0),
                "dy_stride": 0 if dy is None else dy.stride(0),
                "offsets": offsets,
                "b_ih": own.b_ih,
                "h_first": first[0],
                "c_first": None if own.c is None else first[1],
                "y": y.data_ptr() + own.at * hidden * FLOAT,
                "dy": None if dy is None else dy.data_ptr() + own.at * hidden * FLOAT,
                "dgates": found[-2],
                "dbias": found[-1],
                "dh": gradient[0],
                "dc": None if own.c is None else gradient[1],
                **memory,
            }
        )
    _run("backward", kind, calls)
    if not wants_x:
        return [*dfirst, *found]
    parts = []
    for own, dgates in zip(directions, found[::2], strict=True):
        panels = packing.panels("columns of", own.w_ih, bf16=bf16)
        d_input = dgates[:tokens, width - own.w_ih.shape[0] :]
        parts.append(packing.linear(d_input, panels, own.w_ih.shape[1], dtype=torch.float32))
    return [*dfirst, *found, parts[0] if len(parts) == 1 else parts[0].add_(parts[1])]


def backward_shapes(
    kind: str,
    reverse: bool,
    bf16: bool,
    wants_first: bool,
    wants_x: bool,
    offsets: Tensor,
    weights: list[Tensor],
    states: list[Tensor],
    y: Tensor,
    *rest: Any,
) -> list[Tensor]:
    operand = torch.bfloat16 if bf16 else torch.float32
    width = GRADIENTS[kind] * states[0].shape[1]
    found = [state.new_empty(state.shape) for state in states]
    for _ in list_directions(kind, reverse, weights, states):
        rows = packing.fill_up(y.shape[0], operand)
        found += [y.new_empty(rows, width, dtype=operand), y.new_empty(width)]
    return [*found, *([y.new_empty(y.shape[0], weights[0].shape[1])] if wants_x else [])]
