"""The recurrent cells as ONNX, over right-padded batches.

LSTM, GRU and RNN are operators of ONNX, told how long each sequence is; the others walk step by
step, and a sequence that has ended keeps its state.

Dimensions: T steps, B sequences, I input features, H units, G gates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from seqcli.export.graph import Graph, Value
from seqcli.export.padded import Padded, State, reverse, swap
from seqcli.export.transformer import attend
from seqcli.nn.cells import (
    GRU,
    LSTM,
    SRU,
    Convolution,
    EchoState,
    Elman,
    Jordan,
    MinGRU,
    MinLSTM,
    Mogrifier,
    Transformer,
)


def run(cell: Any, x: Padded, state: State, *, backward: bool) -> tuple[Value, State]:
    """All steps of a cell: (T, B, I) to (T, B, H), and the state after each sequence's last step;
    backward: from each sequence's last token to its first."""
    if backward:
        x = x.with_values(reverse(x.values, x))
    y, state = RUNS[type(cell)](cell, x, state)
    return (reverse(y, x) if backward else y), state


# ------------------------------------------------------------------------------- ONNX operators


def _elman(cell: Elman, x: Padded, state: State) -> tuple[Value, State]:
    return _operate("rnn_" + cell.nonlinearity, cell.weights, x, state)


def _gru(cell: GRU, x: Padded, state: State) -> tuple[Value, State]:
    return _operate("gru", cell.weights, x, state)


def _lstm(cell: LSTM, x: Padded, state: State) -> tuple[Value, State]:
    return _operate("lstm", cell.weights, x, state)


def _echo_state(cell: EchoState, x: Padded, state: State) -> tuple[Value, State]:
    kind, weights = cell.as_kernel()
    return _operate(kind, weights, x, state)


OPERATORS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    # torch's i f g o are ONNX's i o f c, and r z n are z r h.
    "lstm": ("LSTM", (0, 3, 1, 2), {}),
    "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 1}),
    "rnn_tanh": ("RNN", (0,), {"activations": ["Tanh"]}),
    "rnn_relu": ("RNN", (0,), {"activations": ["Relu"]}),
}


def _operate(kind: str, weights: Sequence[Tensor], x: Padded, state: State) -> tuple[Value, State]:
    graph = x.graph
    operator, order, options = OPERATORS[kind]
    ordered = [
        torch.cat([weight.detach().chunk(len(order))[block] for block in order])
        for weight in weights
    ]
    weight_ih, weight_hh, bias_ih, bias_hh = ordered
    found = graph.several(
        operator,
        1 + len(state),
        x.values,
        weight_ih[None],
        weight_hh[None],
        torch.cat([bias_ih, bias_hh])[None],
        graph.cast(x.lengths, "int32"),
        *(graph("Unsqueeze", part, [0]) for part in state),
        hidden_size=weight_hh.shape[1],
        **options,
    )
    y, *last = (
        graph("Squeeze", value, [axis]) for value, axis in zip(found, (1, 0, 0), strict=False)
    )
    return y, tuple(last)


# -------------------------------------------------------------------------------- step by step


def unroll(
    xs: Sequence[Value],
    x: Padded,
    state: State,
    step: Callable[[Graph, list[Value], list[Value]], Sequence[Value]],
) -> tuple[Value, State]:
    """Steps in order of time over what was computed of the input (T, B, ...). `step` gives the
    next states, of which the first is the output."""

    def keep(
        body: Graph, before: list[Value], slices: list[Value]
    ) -> tuple[list[Value], list[Value]]:
        *inputs, real = slices
        after = step(body, inputs, before)
        kept = [body.where(real, new, old) for new, old in zip(after, before, strict=True)]
        return kept, kept[:1]

    last, rows = x.graph.scan(state, [*xs, x.real], keep)
    return rows[0], tuple(last)


def _positive(graph: Graph, x: Value) -> Value:
    """g of the min cells: x + 0.5 above zero, σ(x) below."""
    return graph.where(x < 0.0, graph("Sigmoid", x), x + 0.5)


def _min_gru(cell: MinGRU, x: Padded, state: State) -> tuple[Value, State]:
    graph = x.graph
    z, candidate = graph.several("Split", 2, graph.linear(x.values, cell.weight, cell.bias), axis=2)
    share = graph("Sigmoid", z)
    return _mix(share, _positive(graph, candidate), x, state)


def _min_lstm(cell: MinLSTM, x: Padded, state: State) -> tuple[Value, State]:
    graph = x.graph
    f, i, candidate = graph.several(
        "Split", 3, graph.linear(x.values, cell.weight, cell.bias), axis=2
    )
    f, i = graph("Sigmoid", f), graph("Sigmoid", i)
    return _mix(i / (f + i), _positive(graph, candidate), x, state)


def _mix(share: Value, candidate: Value, x: Padded, state: State) -> tuple[Value, State]:
    def step(body: Graph, inputs: list[Value], before: list[Value]) -> Sequence[Value]:
        (keep, new), (h,) = inputs, before
        return [keep * h + new]

    return unroll([1.0 - share, share * candidate], x, state, step)


def _sru(cell: SRU, x: Padded, state: State) -> tuple[Value, State]:
    graph = x.graph
    parts = graph.several("Split", cell.products, graph.linear(x.values, cell.weight), axis=2)
    b_f, b_r = cell.bias.chunk(2)
    v_f, v_r = cell.v.chunk(2)
    wide = x.values if cell.products == 3 else parts[3]

    def step(body: Graph, inputs: list[Value], before: list[Value]) -> Sequence[Value]:
        (u, a_f, a_r, wide), (_, c) = inputs, before
        f, r = body("Sigmoid", a_f + c * v_f), body("Sigmoid", a_r + c * v_r)
        c = f * c + (1.0 - f) * u
        return [r * c + (1.0 - r) * wide, c]

    inputs = [parts[0], parts[1] + b_f, parts[2] + b_r, wide * cell.scale]
    return unroll(inputs, x, state, step)


def _jordan(cell: Jordan, x: Padded, state: State) -> tuple[Value, State]:
    squash = "Tanh" if cell.nonlinearity == "tanh" else "Relu"

    def step(body: Graph, inputs: list[Value], before: list[Value]) -> Sequence[Value]:
        (a,), (y,) = inputs, before
        h = body(squash, a + body.linear(y, cell.weight_yh, cell.bias_yh))
        return [body("Tanh", body.linear(h, cell.weight_hy, cell.bias_hy))]

    read = x.graph.linear(x.values, cell.weight_ih, cell.bias_ih)
    return unroll([read], x, state, step)


def _mogrifier(cell: Mogrifier, x: Padded, state: State) -> tuple[Value, State]:
    def step(body: Graph, inputs: list[Value], before: list[Value]) -> Sequence[Value]:
        (x_BI,), (h, c) = inputs, before
        for number, scale in enumerate(cell.scales):
            if number % 2 == 0:
                x_BI = body("Sigmoid", body.linear(h, scale)) * 2.0 * x_BI
            else:
                h = body("Sigmoid", body.linear(x_BI, scale)) * 2.0 * h
        a = body.linear(x_BI, cell.weight_ih, cell.bias_ih) + body.linear(
            h, cell.weight_hh, cell.bias_hh
        )
        i, f, g, o = body.several("Split", 4, a, axis=1)
        c = body("Sigmoid", f) * c + body("Sigmoid", i) * body("Tanh", g)
        return [body("Sigmoid", o) * body("Tanh", c), c]

    return unroll([x.values], x, state, step)


def _convolution(cell: Convolution, x: Padded, state: State) -> tuple[Value, State]:
    """One convolution over the inputs carried and those of the text; padding comes behind."""
    graph, before = x.graph, cell.width - 1
    whole_BSI = swap(x.values)
    if before:
        carried_BKI = graph("Reshape", state[0], [-1, before, cell.input_size])
        whole_BSI = graph.concat([carried_BKI, whole_BSI], 1)
    y_BHT = graph("Conv", graph("Transpose", whole_BSI, perm=[0, 2, 1]), cell.weight, cell.bias)
    y_TBH = graph("Transpose", graph("Relu", y_BHT), perm=[2, 0, 1])
    if not before:
        return y_TBH, state
    # The newest inputs of each sequence: those behind `lengths` of all, the carried ones included.
    at_BK = graph("Unsqueeze", x.lengths, [1]) + torch.arange(before)
    last_BKI = graph("GatherND", whole_BSI, graph("Unsqueeze", at_BK, [2]), batch_dims=1)
    return y_TBH, (graph("Reshape", last_BKI, [-1, before * cell.input_size]),)


RUNS: dict[type, Callable[[Any, Padded, State], tuple[Value, State]]] = {
    Elman: _elman,
    LSTM: _lstm,
    GRU: _gru,
    EchoState: _echo_state,
    MinGRU: _min_gru,
    MinLSTM: _min_lstm,
    SRU: _sru,
    Jordan: _jordan,
    Mogrifier: _mogrifier,
    Convolution: _convolution,
    Transformer: attend,
}
