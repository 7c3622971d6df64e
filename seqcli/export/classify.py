"""classify as ONNX: token ids to the probability of each label.

Dimensions: B texts, T tokens of the longest, L labels.
"""

from __future__ import annotations

from seqcli.errors import SeqcliError
from seqcli.export.graph import FLOAT, INTEGER, Graph, Value
from seqcli.export.layers import embed, mean, pool, recur
from seqcli.export.padded import pad
from seqcli.export.spelling import look_up_spelled, score_linear
from seqcli.nn.classifier import Classifier
from seqcli.nn.spelling import SpelledEmbedding
from seqcli.nn.tree import TreeClassifier
from seqcli.tasks.classify import Classify


def build(task: Classify, model: Classifier | TreeClassifier) -> dict[str, Graph]:
    """One graph: the ids of a text, or of both texts of a pair, to scores and probabilities."""
    if isinstance(model, TreeClassifier):
        raise SeqcliError(
            "--cell tree has no ONNX form: what is computed depends on each tree; train another "
            "cell to export it"
        )
    graph = Graph()
    texts = []
    for prefix in ("", "pair_") if task.pairs else ("",):
        tokens = graph.input(f"{prefix}tokens", INTEGER, "batch", f"{prefix}time")
        texts.append((tokens, graph.input(f"{prefix}lengths", INTEGER, "batch")))
    vectors = [_read(graph, model, *text) for text in texts]
    pooled = vectors[0]
    if task.pairs:
        u, v = vectors
        pooled = graph.concat([u, v, graph("Abs", u - v), u * v], 1)
    opinions = [graph.linear(pooled, model.head.weight, model.head.bias)]
    if model.ngrams is not None:
        words, parts = texts, model.spelled.table if model.spelled else None
        if parts is not None:
            words = [(graph("Mod", one, parts.size), lengths) for one, lengths in texts]
        opinions.append(score_linear(model, parts, words, texts))
    scores = mean(opinions)
    cooled = scores / task.decision.calibration.temperature
    if task.decision.several:
        probabilities = graph("Sigmoid", cooled)
    else:
        probabilities = graph("Softmax", cooled, axis=1)
    shape = ("batch", len(task.labels))
    graph.output("scores", scores, FLOAT, *shape)
    graph.output("probabilities", probabilities, FLOAT, *shape)
    return {"model": graph}


def _read(graph: Graph, model: Classifier, tokens: Value, lengths: Value) -> Value:
    """(B, H) the vectors of texts."""
    if isinstance(model.embedding, SpelledEmbedding):
        x = pad(look_up_spelled(graph, model.embedding, tokens), lengths)
    else:
        x = embed(graph, model.embedding.weight, tokens, lengths)
    h, _ = recur(model.recurrent, x)
    return pool(model.pool, h)
