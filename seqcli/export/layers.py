"""What several networks are made of, as ONNX over right-padded batches.

Dimensions: T steps, B sequences, E embedding, H states, L labels, M n-grams of a text, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqcli.data.tokens import BOS
from seqcli.export.cells import run
from seqcli.export.graph import ML, Graph, Value
from seqcli.export.padded import Padded, State, first_states, pad
from seqcli.nn.ngrams import Ngrams
from seqcli.nn.pooling import Pool
from seqcli.nn.recurrent import Recurrent


def look_up(graph: Graph, vectors: Tensor, tokens: Value) -> Value:
    """Ids of any shape to vectors."""
    return graph("Gather", graph.value(vectors), tokens)


def embed(graph: Graph, vectors: Tensor, tokens: Value, lengths: Value) -> Padded:
    """(B, T) ids to a batch of vectors."""
    return pad(look_up(graph, vectors, tokens), lengths)


def recur(
    recurrent: Recurrent, x: Padded, states: Sequence[State] | None = None
) -> tuple[Padded, list[State]]:
    """All layers and directions, as `Recurrent`: the top layer's outputs (T, B, H) and every
    cell's last state."""
    graph = x.graph
    width: int = recurrent.cells[0].input_size  # type: ignore[assignment]
    states = first_states(recurrent, x) if states is None else states
    after: list[State] = []
    for at in range(0, len(recurrent.cells), recurrent.directions):
        seen = x
        if recurrent.norms:
            norm: Any = recurrent.norms[at // recurrent.directions]
            seen = x.with_values(graph.normalise(norm, x.values))
        outputs = []
        for direction in range(recurrent.directions):
            cell: Any = recurrent.cells[at + direction]
            y, state = run(cell, seen, states[at + direction], backward=bool(direction))
            outputs.append(y)
            after.append(state)
        y = graph.concat(outputs, 2)
        size = recurrent.directions * cell.hidden_size
        x = x.with_values(x.values + y if recurrent.residual and size == width else y)
        if recurrent.feed_forwards:
            x = widen(recurrent.feed_forwards[at // recurrent.directions], x)
        width = size
    if recurrent.norm is not None:
        x = x.with_values(graph.normalise(recurrent.norm, x.values))
    return x, after


def widen(layer: Any, x: Padded) -> Padded:
    """(T, B, H) to the same, as `FeedForward`."""
    graph = x.graph
    read = graph.normalise(layer.norm, x.values)
    wide = graph("Relu", graph.linear(read, layer.wide.weight, layer.wide.bias))
    return x.with_values(x.values + graph.linear(wide, layer.narrow.weight, layer.narrow.bias))


def pool(layer: Pool, h: Padded) -> Value:
    """(T, B, H) to (B, H), as `Pool`."""
    graph = h.graph
    if layer.kind == "last":
        at_B1 = graph("Unsqueeze", h.lengths - 1, [1])
        h_BTH = graph("Transpose", h.values, perm=[1, 0, 2])
        ends_BH = graph("GatherND", h_BTH, at_B1, batch_dims=1)
        if not layer.bidirectional:
            return ends_BH
        begins_BH = graph("Gather", h.values, 0)
        size = graph.size(h.values, 2)
        half = size / 2
        return graph.concat(
            [graph.slice(ends_BH, 0, half, 1), graph.slice(begins_BH, half, size, 1)], 1
        )
    if layer.kind == "max":
        return graph("ReduceMax", mask(h), axes=[0], keepdims=0)
    if layer.kind == "mean":
        sum_BH = graph("ReduceSum", graph.where(h.real, h.values, 0.0), [0], keepdims=0)
        return sum_BH / graph("Unsqueeze", graph.cast(h.lengths, "float32"), [1])
    looked = graph("Tanh", graph.linear(h.values, layer.project.weight, layer.project.bias))
    score_TB1 = h.with_values(graph.linear(looked, layer.query.weight))
    weight_TB1 = graph("Softmax", mask(score_TB1), axis=0)
    return graph("ReduceSum", h.values * weight_TB1, [0], keepdims=0)


def mask(x: Padded) -> Value:
    """The values, −∞ in place of padding."""
    return x.graph.where(x.real, x.values, float("-inf"))


# --------------------------------------------------------------------------------------- n-grams


def score_ngrams(model: Ngrams, texts: Sequence[tuple[Value, Value]]) -> Value:
    """(B, L) scores by the n-grams of texts: pairs of (B, T) ids and (B,) lengths, of which one
    goes on where the one before ends.

    The key of each run is looked up; sorted by what was found, the first of equals counts.
    """
    graph = texts[0][0].graph
    size = len(model.keys_F)
    batch = graph.size(texts[0][0], 0)
    if not size:
        return graph.zeros(batch, [len(model.bias)]) + model.bias
    runs = _list_keys(model, texts)
    found = []
    for keys, (tokens_BT, lengths_B) in zip(runs, texts, strict=True):
        real_BT = graph.range(graph.size(tokens_BT, 1)) < graph("Unsqueeze", lengths_B, [1])
        for key_BT in keys:
            place_BT = graph(
                "LabelEncoder",
                key_BT,
                domain=ML,
                keys_int64s=model.keys_F.tolist(),
                values_int64s=list(range(size)),
                default_int64=size,
            )
            found.append(graph.where(real_BT, place_BT, size))
    place_BM = graph.concat(found, 1)
    sorted_BM, _ = graph.several("TopK", 2, place_BM, graph.size(place_BM, 1), largest=0)
    shifted_BM = graph.concat(
        [
            graph("Expand", [[-1]], graph.concat([batch, [1]], 0)),
            graph.slice(sorted_BM, 0, graph.size(sorted_BM, 1) - 1, 1),
        ],
        1,
    )
    weight_F = torch.cat([model.weight_F, model.weight_F.new_zeros(1)])
    table_FL = torch.cat([model.table.detach(), model.table.new_zeros(1, len(model.bias))])
    again_BM = graph("Equal", sorted_BM, shifted_BM)
    x_BM = graph.where(again_BM, 0.0, look_up(graph, weight_F, sorted_BM))
    norm_B1 = graph("Sqrt", graph("ReduceSum", x_BM * x_BM, [1], keepdims=1))
    x_B1M = graph("Unsqueeze", x_BM / graph("Max", norm_B1, 1e-9), [1])
    sum_B1L = x_B1M @ look_up(graph, table_FL, sorted_BM)
    return graph("Squeeze", sum_B1L, [1]) + model.bias


def _list_keys(model: Ngrams, texts: Sequence[tuple[Value, Value]]) -> list[list[Value]]:
    """For each text the keys (B, T) of the runs of one, two … tokens, as `list_keys`."""
    graph = texts[0][0].graph
    digits = [tokens_BT for tokens_BT, _ in texts]
    found = [[tokens_BT] for tokens_BT in digits]
    batch, begin, base = graph.size(digits[0], 0), BOS, 0
    for _ in range(model.longest - 1):
        before_B1 = graph("Expand", [[begin]], graph.concat([batch, [1]], 0))
        longer = []
        for before_BT, (tokens_BT, lengths_B) in zip(digits, texts, strict=True):
            steps = graph.size(tokens_BT, 1)
            shifted_BT = graph.concat([before_B1, graph.slice(before_BT, 0, steps - 1, 1)], 1)
            longer.append(shifted_BT * model.vocabulary + tokens_BT)
            last_B1 = graph("Unsqueeze", lengths_B - 1, [1])
            before_B1 = graph("GatherElements", before_BT, last_B1, axis=1)
        digits, base = longer, (base + 1) * model.vocabulary
        begin = begin * model.vocabulary + BOS
        for keys, digits_BT in zip(found, digits, strict=True):
            keys.append(digits_BT + base)
    return found


def mean(parts: Sequence[Value]) -> Value:
    """The mean of values of one shape."""
    return parts[0].graph("Mean", *parts)
