"""classify as ONNX: token ids to the probability of each label.

Dimensions: B texts, T tokens of the longest, L labels.
"""

from __future__ import annotations

from seqcli.errors import SeqcliError
from seqcli.export.graph import FLOAT, INTEGER, Graph, Value
from seqcli.export.layers import embed, mean, pool, recur, score_ngrams
from seqcli.export.padded import pad
from seqcli.export.spelling import list_parts, look_up_spelled
from seqcli.nn.classifier import Classifier
from seqcli.nn.spelling import Parts, SpelledEmbedding
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
        words, spelled = texts, model.spelled
        if spelled:
            words = [(graph("Mod", one, spelled.table.size), lengths) for one, lengths in texts]
        recalled = score_ngrams(model.ngrams, words)
        if model.forms is not None and spelled:
            each = Parts.EACH
            parts = [(list_parts(graph, spelled.table, one), size * each) for one, size in texts]
            recalled = recalled + score_ngrams(model.forms, parts)
        opinions.append(recalled)
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
