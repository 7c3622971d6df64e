"""translate as ONNX: a graph that reads the source, and one for each step that writes the target.

Dimensions: B sentences, R hypotheses, S source tokens of the longest, H units, E embedding, V
target vocabulary.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seqcli.export.graph import FLOAT, INTEGER, Graph, Value
from seqcli.export.layers import embed, look_up, recur
from seqcli.export.padded import Padded, State, first_states, give_states, pad, take_states
from seqcli.nn.attention import Attention
from seqcli.nn.translator import Shared, Translator
from seqcli.tasks.translate import Translate


def build(task: Translate, model: Translator) -> dict[str, Graph]:
    """encoder: source ids to memory and the decoder's first states. decoder: the last token, the
    memory and the states to the log-probability of each next token and the states after."""
    return {"encoder": _encoder(model), "decoder": _decoder(task, model)}


def _encoder(model: Translator) -> Graph:
    graph, hidden = Graph(), model.project.out_features
    tokens = graph.input("tokens", INTEGER, "batch", "source")
    lengths = graph.input("lengths", INTEGER, "batch")
    x = embed(graph, _vectors(model), tokens, lengths)
    h, last = recur(model.encoder, x)
    project = model.project
    memory = h.with_values(graph("Tanh", graph.linear(h.values, project.weight, project.bias)))
    sum_BH = graph("ReduceSum", graph.where(h.real, memory.values, 0.0), [0], keepdims=0)
    summary = sum_BH / graph("Unsqueeze", graph.cast(lengths, "float32"), [1])
    shape = ("batch", "source", hidden)
    if model.attention is None:
        graph.output("summary", summary, FLOAT, "batch", hidden)
    else:
        values = graph("Transpose", memory.values, perm=[1, 0, 2])
        graph.output("memory", values, FLOAT, *shape)
        if model.attention.kind != "dot":
            graph.output("keys", graph.linear(values, model.attention.key.weight), FLOAT, *shape)
    lower, upper = _start(model, h, summary, last)
    give_states(model.lower, "lower", lower)
    give_states(model.upper, "upper", upper)
    if model.feeding:
        width = model.output.out_features
        graph.output("fed", graph.zeros(h.batch, [width]), FLOAT, "batch", width)
    return graph


def _vectors(model: Translator) -> Tensor:
    """(V, E) those of the source tokens, which may be the target's."""
    own: Any = model.source_embedding
    first: Any = own.first[0] if isinstance(own, Shared) else own
    return first.weight


def _start(
    model: Translator, h: Padded, summary: Value, last: list[State]
) -> tuple[list[State], list[State]]:
    """The states of the lower and the upper decoder layers, as `Translator.start`."""
    graph = h.graph
    lower, upper = first_states(model.lower, h), first_states(model.upper, h)
    cells = [*lower, *upper]
    if model.bridge is not None:
        parts = graph("Tanh", graph.linear(summary, model.bridge.weight, model.bridge.bias))
        count = sum(map(len, cells))
        pieces = iter(graph.several("Split", count, parts, axis=1) if count > 1 else [parts])
        cells = [tuple(next(pieces) for _ in state) for state in cells]
    elif model.copies:
        ways = model.encoder.directions
        tops = [last[at : at + ways] for at in range(0, len(last), ways)]
        means = [tuple(graph("Mean", *parts) for parts in zip(*top, strict=True)) for top in tops]
        cells = [means[min(layer, len(means) - 1)] for layer in range(len(cells))]
    return cells[: len(lower)], cells[len(lower) :]


def _decoder(task: Translate, model: Translator) -> Graph:
    graph, hidden = Graph(), model.project.out_features
    token = graph.input("token", INTEGER, "batch")
    one_R = graph("Expand", [1], graph("Shape", token))
    lower = take_states(graph, model.lower, "lower")
    upper = take_states(graph, model.upper, "upper")
    e_R1E = look_up(graph, model.target_embedding.weight, graph("Unsqueeze", token, [1]))
    e = pad(e_R1E, one_R)  # from here on (1, R, …): one step
    first = [e.values]
    if model.feeding:
        fed = graph.input("fed", FLOAT, "batch", model.output.out_features)
        first.append(graph("Unsqueeze", fed, [0]))
    if model.attention is None:
        summary = graph.input("summary", FLOAT, "batch", hidden)
        context = graph("Unsqueeze", summary, [0])
        first.append(context)
    h, lower = recur(model.lower, e.with_values(graph.concat(first, 2)), lower)
    weights = None
    if model.attention is not None:
        context, weights = _attend(graph, model.attention, h.values, hidden)
    below = h.with_values(graph.concat([h.values, context], 2))
    top, upper = recur(model.upper, below, upper)
    joined = graph.concat([top.values, context, e.values], 2)
    out = graph("Tanh", graph.linear(joined, model.output.weight, model.output.bias))
    scores = graph("Squeeze", graph.linear(out, model.vectors(), model.head.bias), [0])
    vocabulary = len(task.target.vocabulary)
    logs = graph("LogSoftmax", scores, axis=1)
    graph.output("log_probabilities", logs, FLOAT, "batch", vocabulary)
    give_states(model.lower, "lower", lower, prefix="next_")
    give_states(model.upper, "upper", upper, prefix="next_")
    if model.feeding:
        width = model.output.out_features
        graph.output("next_fed", graph("Squeeze", out, [0]), FLOAT, "batch", width)
    if weights is not None:
        graph.output("attention", weights, FLOAT, "batch", "source")
    return graph


def _attend(
    graph: Graph, attention: Attention, query_1RH: Value, hidden: int
) -> tuple[Value, Value]:
    """(1, R, H) the context of each hypothesis, and its weights (R, S)."""
    shape = ("batch", "source", hidden)
    memory = graph.input("memory", FLOAT, *shape)
    keys = memory if attention.kind == "dot" else graph.input("keys", FLOAT, *shape)
    lengths = graph.input("lengths", INTEGER, "batch")
    real_RS = graph.range(graph.size(memory, 1)) < graph("Unsqueeze", lengths, [1])
    query_R1H = graph("Transpose", query_1RH, perm=[1, 0, 2])
    if attention.kind == "additive":
        asked = graph.linear(query_R1H, attention.query.weight, attention.query.bias)
        energy_RS1 = graph.linear(graph("Tanh", asked + keys), attention.energy.weight)
        score_RS = graph("Squeeze", energy_RS1, [2])
    else:
        score_R1S = query_R1H @ graph("Transpose", keys, perm=[0, 2, 1])
        score_RS = graph("Squeeze", score_R1S, [1])
    weight_RS = graph("Softmax", graph.where(real_RS, score_RS, float("-inf")), axis=1)
    context_R1H = graph("Unsqueeze", weight_RS, [1]) @ memory
    return graph("Transpose", context_R1H, perm=[1, 0, 2]), weight_RS
