"""A transformer layer as ONNX, over right-padded batches.

Dimensions: P carried tokens, T steps, S = P + T, B sequences, h heads of D features, K = 2·h·D.
"""

from __future__ import annotations

import math

import numpy as np

from seqcli.export.graph import Value
from seqcli.export.padded import Padded, State, swap
from seqcli.nn.cells import Transformer


def attend(cell: Transformer, x: Padded, state: State) -> tuple[Value, State]:
    """All steps at once, as `Transformer.sequence`; memory grows with T · S."""
    graph = x.graph
    past_BPK, real_B1 = state
    x_BTH = swap(x.values)
    if cell.input_size != cell.hidden_size:
        x_BTH = graph.linear(x_BTH, cell.enter.weight, cell.enter.bias)  # type: ignore[arg-type]
    seen_BTH = graph.normalise(cell.norm_attention, x_BTH)
    asked_BTK = graph.linear(seen_BTH, cell.ask.weight, cell.ask.bias)
    q_BTH, new_BTK = graph.several("Split", 2, asked_BTK, cell.parts, axis=2)
    all_BSK = graph.concat([past_BPK, new_BTK], 1)
    past, steps = graph.size(past_BPK, 1), graph.size(new_BTK, 1)
    at_T, at_S = graph.range(steps), graph.range(past + steps) - past

    away_TS = graph("Unsqueeze", at_T, [1]) - at_S
    near_TS = graph("And", away_TS < cell.window, away_TS > (-1 if cell.causal else -cell.window))
    ages_P = past - graph.range(past)
    real_BP = graph("LessOrEqual", ages_P, real_B1)
    real_BT = at_T < graph("Unsqueeze", x.lengths, [1])
    real_B1S = graph("Unsqueeze", graph.concat([real_BP, real_BT], 1), [1])
    # Padding sees itself: a softmax over nothing is no number.
    open_BTS = graph("Or", graph("And", near_TS, real_B1S), graph("Equal", away_TS, 0))

    k_BSH, v_BSH = graph.several("Split", 2, all_BSK, axis=2)
    q_BhTD = _turn(cell, _split(cell, q_BTH), at_T)
    k_BhSD = _turn(cell, _split(cell, k_BSH), at_S)
    size = cell.parts[0] // cell.heads
    score_BhTS = q_BhTD @ graph("Transpose", k_BhSD, perm=[0, 1, 3, 2]) / math.sqrt(size)
    open_B1TS = graph("Unsqueeze", open_BTS, [1])
    weight_BhTS = graph("Softmax", graph.where(open_B1TS, score_BhTS, float("-inf")), axis=3)
    seen_BThD = graph("Transpose", weight_BhTS @ _split(cell, v_BSH), perm=[0, 2, 1, 3])
    seen_BTH = graph("Reshape", seen_BThD, [0, 0, cell.parts[0]])

    x_BTH = x_BTH + graph.linear(seen_BTH, cell.attended.weight, cell.attended.bias)
    seen_BTH = graph.normalise(cell.norm_wide, x_BTH)
    wide = graph.linear(seen_BTH, cell.wide.weight, cell.wide.bias)
    wide = wide * 0.5 * (graph("Erf", wide / math.sqrt(2)) + 1.0)
    y_BTH = x_BTH + graph.linear(wide, cell.narrow.weight, cell.narrow.bias)
    if not cell.causal:
        return swap(y_BTH), state
    return swap(y_BTH), _carry(cell, x, all_BSK, real_B1)


def _carry(cell: Transformer, x: Padded, all_BSK: Value, real_B1: Value) -> State:
    """Each sequence's newest keys and values to the right, as many as the window needs."""
    graph = x.graph
    size, steps = graph.size(all_BSK, 1), graph.size(x.values, 0)
    lengths_B1 = graph("Unsqueeze", x.lengths, [1])
    from_BS = graph("Max", graph.range(size) + lengths_B1 - steps, 0)
    moved_BSK = graph("GatherND", all_BSK, graph("Unsqueeze", from_BS, [2]), batch_dims=1)
    real_B1 = real_B1 + lengths_B1
    longest = graph("Reshape", graph("ReduceMax", real_B1, keepdims=0), [1])
    kept = graph("Min", [cell.window - 1], longest, size)
    return graph.slice(moved_BSK, size - kept, size, 1), graph("Min", real_B1, kept)


def _split(cell: Transformer, x_BTH: Value) -> Value:
    graph = x_BTH.graph
    heads = graph("Reshape", x_BTH, [0, 0, cell.heads, cell.parts[0] // cell.heads])
    return graph("Transpose", heads, perm=[0, 2, 1, 3])


def _turn(cell: Transformer, x_BhTD: Value, place_T: Value) -> Value:
    graph = x_BhTD.graph
    place_T1 = graph("Unsqueeze", graph.cast(place_T, np.float32), [1])
    angle_TD = place_T1 * cell.turns
    cos_TD, sin_TD = graph("Cos", angle_TD), graph("Sin", angle_TD)
    one, other = graph.several("Split", 2, x_BhTD, axis=3)
    return graph.concat([one * cos_TD - other * sin_TD, one * sin_TD + other * cos_TD], 3)
