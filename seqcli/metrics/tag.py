"""Metrics of a tag for each token, and the spans that tags mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from seqcli.data.schemes import detect_scheme, spans
from seqcli.errors import SeqcliError
from seqcli.metrics.classify import classification
from seqcli.metrics.counts import check, ratios
from seqcli.metrics.signatures import signature
from seqcli.metrics.tally import Measured, Scores, Tally


def tagging(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, scheme: str | None = None
) -> Scores:
    """Token accuracy, and span precision, recall and F1 if the tags mark spans.

    `scheme` is what `detect_scheme` says of the training tags; without it, of `gold`.
    """
    check(gold, predicted)
    counts_RC = np.zeros((len(gold), 2))
    for row, (true, guess) in enumerate(zip(gold, predicted, strict=True)):
        if len(true) != len(guess):
            raise SeqcliError(f"row {row + 1} has {len(true)} tags and {len(guess)} predictions")
        counts_RC[row] = sum(map(str.__eq__, true, guess)), len(true)
    scheme = scheme or detect_scheme(gold)
    right, total = map(int, counts_RC.sum(axis=0))
    result = Scores.of(
        {"token_accuracy": right / max(total, 1)}, Tally(len(gold), counts_RC, _measure_tokens)
    )
    if scheme:
        result |= _span_scores(gold, predicted)
    rows = map(" ".join, gold)
    metric = "span-f1" if scheme else "token-accuracy"
    details = {"scheme": scheme, "spans": "conlleval"} if scheme else {}
    signed = signature(metric, rows, rows=len(gold), tokens=total, **details)
    return result | {"signature": signed}


def joint(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    gold_labels: Sequence[str],
    predicted_labels: Sequence[str],
    labels: Sequence[str],
) -> Scores:
    """Of tags and a label for each row: the share of right labels, their macro F1 and the figures
    of each, and the share of rows with all tags and the label right (exact match)."""
    found = classification(gold_labels, predicted_labels, labels)
    label_R = np.array(list(map(str.__eq__, gold_labels, predicted_labels)))
    tags_R = np.array([list(a) == list(b) for a, b in zip(gold, predicted, strict=True)])
    rights = {"label_accuracy": label_R, "exact_match": label_R & tags_R}
    counts_RC = np.stack([*rights.values(), np.ones(len(label_R))], axis=1).astype(float)
    return Scores.of(
        {
            **{name: float(right_R.mean()) for name, right_R in rights.items()},
            "label_macro_f1": found["macro_f1"],
            "per_label": found["per_class"],
        },
        Tally(len(label_R), counts_RC, _measure_joint, rights),
    )


def _measure_joint(sums_SC: np.ndarray) -> Measured:
    label_S, both_S, rows_S = sums_SC.T
    return {"label_accuracy": label_S / rows_S, "exact_match": both_S / rows_S}


def _measure_tokens(sums_SC: np.ndarray) -> Measured:
    return {"token_accuracy": sums_SC[:, 0] / np.maximum(sums_SC[:, 1], 1)}


def _span_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Scores:
    hits: Counter[str] = Counter()
    guessed: Counter[str] = Counter()
    support: Counter[str] = Counter()
    counts_RC = np.zeros((len(gold), 3))
    for row, (true, guess) in enumerate(zip(gold, predicted, strict=True)):
        true_spans, guess_spans = set(spans(true)), set(spans(guess))
        both = true_spans & guess_spans
        support.update(span[0] for span in true_spans)
        guessed.update(span[0] for span in guess_spans)
        hits.update(span[0] for span in both)
        counts_RC[row] = len(both), len(guess_spans), len(true_spans)
    micro = ratios(hits.total(), guessed.total(), support.total())
    values = {
        **{f"span_{name}": micro[name] for name in ("precision", "recall", "f1")},
        "spans": micro["support"],
        "per_type": {
            name: ratios(hits[name], guessed[name], support[name])
            for name in sorted({*support, *guessed})
        },
    }
    return Scores.of(values, Tally(len(gold), counts_RC, _measure_spans))


def _measure_spans(sums_SC: np.ndarray) -> Measured:
    hits_S, guessed_S, support_S = sums_SC.T
    return {
        "span_precision": hits_S / np.maximum(guessed_S, 1),
        "span_recall": hits_S / np.maximum(support_S, 1),
        "span_f1": 2 * hits_S / np.maximum(guessed_S + support_S, 1),
    }
