"""How words are spelled, as ONNX: see data/spelling.py and nn/spelling.py.

Dimensions: B texts, T tokens of the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seqcli.data.spelling import CASES
from seqcli.export.graph import Graph, Operand, Value
from seqcli.export.layers import look_up, score_ngrams
from seqcli.nn.classifier import Classifier
from seqcli.nn.spelling import Parts, SpelledEmbedding
from seqcli.nn.tagger import Tagger


class Spelled(NamedTuple):
    """A number taken apart: id of the word, case, and rows of the two tables of ends."""

    word: Value
    case: Value
    ends: tuple[Value, Value]


def take_apart(graph: Graph, table: Parts, numbers: Value) -> Spelled:
    """Numbers of words, of any shape, as `Parts.read` begins."""
    word, code = graph("Mod", numbers, table.size), numbers / table.size
    case, both = graph("Mod", code, CASES), code / CASES
    known = graph("Equal", both, 0)
    own = (graph("Mod", both, table.beginnings), both / table.beginnings)
    first, last = (
        graph.where(known, look_up(graph, table.ends_V2[:, at], word), own[at]) for at in (0, 1)
    )
    return Spelled(word, case, (first, last))


def look_up_spelled(graph: Graph, embedding: SpelledEmbedding, numbers: Value) -> Value:
    """Numbers of words, of any shape, to vectors, as `SpelledEmbedding`."""
    table = embedding.table
    word, case, ends = take_apart(graph, table, numbers)
    total = look_up(graph, embedding.parts[1 : 1 + CASES], case)
    count: Operand = 1.0
    for place, chains in zip(ends, (table.first, table.last), strict=True):
        real = (chains > 0).float()
        sums = (embedding.parts[chains] * real[:, :, None]).sum(1)
        total = total + look_up(graph, sums, place)
        count = look_up(graph, real.sum(1, keepdim=True), place) + count
    return (look_up(graph, embedding.words.weight, word) + total / graph("Sqrt", count)) * 0.5**0.5


def list_parts(graph: Graph, table: Parts, numbers: Value) -> Value:
    """(B, T) numbers to (B, EACH · T) parts, as `Parts.of_texts`."""
    _, case, ends = take_apart(graph, table, numbers)
    parts = [graph("Unsqueeze", case + 1, [2])]
    for place, chains in zip(ends, (table.first, table.last), strict=True):
        parts.append(look_up(graph, chains, place))
    return graph("Flatten", graph.concat(parts, 2), axis=1)


def score_linear(
    model: Classifier | Tagger,
    parts: Parts | None,
    words: Sequence[tuple[Value, Value]],
    numbers: Sequence[tuple[Value, Value]],
) -> Value:
    """(B, L) the scores of the linear models beside a network. words, numbers: for each text the
    ids of its tokens (B, T), without and with their spelling, and their count (B,)."""
    assert model.ngrams is not None
    scores = score_ngrams(model.ngrams, words)
    if model.forms is not None and parts is not None:
        graph = scores.graph
        read = [(list_parts(graph, parts, one), size * Parts.EACH) for one, size in numbers]
        scores = scores + score_ngrams(model.forms, read)
    return scores
