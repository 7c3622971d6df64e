"""tag as ONNX: ids of tokens and of their characters to a tag for each token.

Dimensions: B sentences, T tokens of the longest, C characters of the longest token, L tags, K
labels of sentences.
"""

from __future__ import annotations

import torch

from seqcli.export.graph import FLOAT, INTEGER, Graph, Value
from seqcli.export.layers import embed, look_up, mean, pool, recur
from seqcli.export.padded import Padded, pad
from seqcli.export.spelling import score_linear
from seqcli.nn.crf import CRF
from seqcli.nn.tagger import CharacterConvolution, CharacterRecurrence, Tagger
from seqcli.tasks.tag import Tag


def build(task: Tag, model: Tagger) -> dict[str, Graph]:
    """One graph. Tags are those of the likeliest path where there is a CRF; behind the last token
    of a sentence they mean nothing."""
    graph = Graph()
    tokens = graph.input("tokens", INTEGER, "batch", "time")
    lengths = graph.input("lengths", INTEGER, "batch")
    x_BTE = look_up(graph, model.embedding.weight, tokens)
    if model.spelling is not None:
        letters = graph.input("characters", INTEGER, "batch", "time", "letters")
        counts = graph.input("character_lengths", INTEGER, "batch", "time")
        x_BTE = graph.concat([x_BTE, _spell(graph, model.spelling, tokens, letters, counts)], 2)
    h, _ = recur(model.recurrent, pad(x_BTE, lengths))
    scores = h.with_values(graph.linear(h.values, model.head.weight, model.head.bias))
    if model.crf is None:
        tags_TB = graph("ArgMax", scores.values, axis=2, keepdims=0)
    else:
        tags_TB = decode(model.crf, scores)
    scores_BTL = graph("Transpose", scores.values, perm=[1, 0, 2])
    graph.output("tags", graph("Transpose", tags_TB, perm=[1, 0]), INTEGER, "batch", "time")
    graph.output("scores", scores_BTL, FLOAT, "batch", "time", len(task.tags))
    if model.crf is not None:
        names = ("first", "after", "last")
        for name, weight in zip(names, model.crf.weights(), strict=True):
            graph.output(f"crf_{name}", graph.value(weight), FLOAT, *weight.shape)
    if model.pool is not None and model.label_head is not None:
        head = model.label_head
        opinions = [graph.linear(pool(model.pool, h), head.weight, head.bias)]
        if model.ngrams is not None:
            text = [(tokens, lengths)]
            opinions.append(score_linear(model, model.parts, text, text))
        graph.output("label_scores", mean(opinions), FLOAT, "batch", len(task.labels))
    return {"model": graph}


def _spell(
    graph: Graph,
    spelling: CharacterRecurrence | CharacterConvolution,
    tokens: Value,
    letters: Value,
    counts: Value,
) -> Value:
    """(B, T, F) the vectors of tokens from their characters (B, T, C). What is padding among the
    tokens is read as one character, and means nothing."""
    flat = graph("Reshape", letters, graph.concat([[-1], graph.size(letters, 2)], 0))
    counts = graph("Max", graph("Reshape", counts, [-1]), 1)
    x = embed(graph, spelling.embedding.weight, flat, counts)
    if isinstance(spelling, CharacterRecurrence):
        h, _ = recur(spelling.recurrent, x)
    else:
        inside = x.with_values(graph.where(x.real, x.values, 0.0))
        wide = graph("Pad", inside.values, [1, 0, 0, 1, 0, 0])
        size = graph.size(x.values, 0)
        shifted = [graph.slice(wide, at, size + at, 0) for at in range(3)]
        window = spelling.window
        h = x.with_values(graph.linear(graph.concat(shifted, 2), window.weight, window.bias))
    shape = graph.concat([graph("Shape", tokens), [-1]], 0)
    return graph("Reshape", pool(spelling.pool, h), shape)


def decode(crf: CRF, scores: Padded) -> Value:
    """(T, B) the likeliest path of each sentence (Viterbi 1967).

    Forward, the best sum that leads into each tag, and the tag it comes from; back, from tag to
    tag. Where a sentence has ended, sums stay as they are and a tag comes from itself.
    """
    graph = scores.graph
    first_L, after_LL, last_L = (weight.detach() for weight in crf.weights())
    labels = len(first_L)
    begins_T = graph("Equal", graph.range(graph.size(scores.values, 0)), 0)

    def forward(
        body: Graph, states: list[Value], slices: list[Value]
    ) -> tuple[list[Value], list[Value]]:
        (sum_BL,), (own_BL, real_B1, begins) = states, slices
        into_BLL = body("Unsqueeze", sum_BL, [2]) + after_LL
        best_BL = body("ReduceMax", into_BLL, axes=[1], keepdims=0)
        # Differences decide; sums of a long sentence would lose them to rounding.
        best_BL = best_BL - body("ReduceMax", best_BL, axes=[1], keepdims=1)
        new_BL = own_BL + body.where(begins, first_L, best_BL)
        from_BL = body("ArgMax", into_BLL, axis=1, keepdims=0)
        kept_BL = body.where(real_B1, new_BL, sum_BL)
        return [kept_BL], [body.where(real_B1, from_BL, torch.arange(labels))]

    (sum_BL,), (from_TBL,) = graph.scan(
        [graph.zeros(scores.batch, [labels])], [scores.values, scores.real, begins_T], forward
    )
    end_B1 = graph("ArgMax", sum_BL + last_L, axis=1, keepdims=1)

    def back(
        body: Graph, states: list[Value], slices: list[Value]
    ) -> tuple[list[Value], list[Value]]:
        (tag_B1,), (from_BL,) = states, slices
        return [body("GatherElements", from_BL, tag_B1, axis=1)], [tag_B1]

    _, (tags_TB1,) = graph.scan([end_B1], [from_TBL], back, backward=True)
    return graph("Squeeze", tags_TB1, [2])
