"""lm as ONNX: token ids and the carried state to the log-probability of each next token.

Dimensions: B texts, T tokens of the longest, H states, V vocabulary.
"""

from __future__ import annotations

from torch import nn

from seqcli.export.graph import FLOAT, INTEGER, Graph, Value
from seqcli.export.layers import embed, look_up, recur
from seqcli.export.padded import Padded, give_states, take_states
from seqcli.nn.condition import Conditioning
from seqcli.nn.language import LanguageModel
from seqcli.nn.softmax import AdaptiveSoftmax, FullSoftmax
from seqcli.tasks.lm import LanguageModeling


def build(task: LanguageModeling, model: LanguageModel) -> dict[str, Graph]:
    """One graph. It takes the state of each cell, zeros at first, and gives the one after."""
    graph = Graph()
    tokens = graph.input("tokens", INTEGER, "batch", "time")
    x = embed(graph, model.embedding.weight, tokens, graph.input("lengths", INTEGER, "batch"))
    condition = None
    if model.conditioning is not None:
        condition = _condition(graph, model.conditioning)
        x = _beside(x, condition)
    before = take_states(graph, model.recurrent, "state")
    h, after = recur(model.recurrent, x, before)
    if model.conditioning is not None and condition is not None:
        h = h.with_values(h.values + graph.linear(condition, model.conditioning.output.weight))
    values = h.values
    if model.narrow is not None:
        values = graph.linear(values, model.narrow.weight, model.narrow.bias)
    logs_TBV = _log_probabilities(model.head, values)
    shape = ("batch", "time", len(task.tokenizer.vocabulary))
    logs_BTV = graph("Transpose", logs_TBV, perm=[1, 0, 2])
    graph.output("log_probabilities", logs_BTV, FLOAT, *shape)
    give_states(model.recurrent, "state", after, prefix="next_")
    return {"model": graph}


def _condition(graph: Graph, conditioning: Conditioning) -> Value:
    """(B, C) what each text is written from: a label's number, or numbers."""
    vectors = conditioning.vectors
    if isinstance(vectors, nn.Embedding):
        given = graph.input("condition", INTEGER, "batch")
        return look_up(graph, vectors.weight, given)
    assert isinstance(vectors, nn.Linear)
    given = graph.input("condition", FLOAT, "batch", vectors.in_features)
    return graph.linear(given, vectors.weight, vectors.bias)


def _beside(x: Padded, condition: Value) -> Padded:
    """The condition of a text beside the vector of each of its tokens."""
    graph = x.graph
    shape = graph.concat([graph.size(x.values, 0), graph("Shape", condition)], 0)
    return x.with_values(graph.concat([x.values, graph("Expand", condition, shape)], 2))


def _log_probabilities(head: object, h: Value) -> Value:
    """(T, B, V) of what the head takes, as `Softmax`."""
    graph = h.graph
    if isinstance(head, FullSoftmax):
        return graph("LogSoftmax", graph.linear(h, head.vectors(), head.bias), axis=2)
    assert isinstance(head, AdaptiveSoftmax)
    weights, clusters = head.weights, len(head.weights.tail)
    scores = graph.linear(h, weights.head.weight, weights.head.bias)
    first = graph("LogSoftmax", scores, axis=2)
    alone = weights.head.out_features - clusters
    parts = [graph.slice(first, 0, alone, 2)]
    for number, tail in enumerate(weights.tail):
        narrow, vectors = tail[0], tail[1]  # type: ignore[index]
        inside = graph.linear(graph.linear(h, narrow.weight), vectors.weight)
        share = graph.slice(first, alone + number, alone + number + 1, 2)
        parts.append(graph("LogSoftmax", inside, axis=2) + share)
    return graph.concat(parts, 2)
