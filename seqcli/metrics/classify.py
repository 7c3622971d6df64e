"""Metrics of a label for each text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqcli.metrics.counts import check, ratios
from seqcli.metrics.signatures import signature
from seqcli.metrics.tally import Measured, Scores, Tally


def classification(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Scores:
    """Accuracy, macro and per-class precision, recall and F1, and the confusion matrix.

    Classes are those that come in `gold` or `predicted`, in the order of `labels` (those of
    training), others after them by name. The macro averages run over these classes; a ratio
    without a denominator is 0. `confusion["matrix"][i][j]` counts rows of class i predicted as j.
    """
    check(gold, predicted)
    found = {*gold, *predicted}
    classes = [label for label in dict.fromkeys(labels) if label in found]
    classes += sorted(found.difference(classes))
    index = {label: i for i, label in enumerate(classes)}
    gold_R = np.array([index[label] for label in gold])
    predicted_R = np.array([index[label] for label in predicted])
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(matrix, (gold_R, predicted_R), 1)
    scores = [
        ratios(int(matrix[i, i]), int(matrix[:, i].sum()), int(matrix[i].sum()))
        for i in range(len(classes))
    ]
    return Scores.of(
        {
            "accuracy": float(np.trace(matrix) / len(gold)),
            **{
                f"macro_{name}": sum(score[name] for score in scores) / len(scores)
                for name in ("precision", "recall", "f1")
            },
            "per_class": dict(zip(classes, scores, strict=True)),
            "confusion": {"labels": classes, "matrix": matrix.tolist()},
            "signature": signature("accuracy", gold, rows=len(gold), classes=len(classes)),
        },
        _tally(gold_R, predicted_R, classes),
    )


def _tally(gold_R: np.ndarray, predicted_R: np.ndarray, classes: Sequence[str]) -> Tally:
    """Support, guesses and hits of each class."""
    every_R, right_R = np.arange(len(gold_R)), gold_R == predicted_R
    return Tally.by_kind(
        [(every_R, gold_R), (every_R, predicted_R), (every_R[right_R], gold_R[right_R])],
        classes,
        _measure,
        {"accuracy": right_R},
        rows=len(gold_R),
    )


def _measure(sums_SC: np.ndarray) -> Measured:
    support_SL, guessed_SL, hits_SL = np.moveaxis(sums_SC.reshape(len(sums_SC), -1, 3), 2, 0)
    each = {
        "precision": hits_SL / np.maximum(guessed_SL, 1),
        "recall": hits_SL / np.maximum(support_SL, 1),
        "f1": 2 * hits_SL / np.maximum(guessed_SL + support_SL, 1),
    }
    # A class that no resampled row has or was predicted as is none of these rows' classes.
    classes_S = (support_SL + guessed_SL > 0).sum(axis=1)
    macro = {f"macro_{name}": value_SL.sum(axis=1) / classes_S for name, value_SL in each.items()}
    return {"accuracy": hits_SL.sum(axis=1) / support_SL.sum(axis=1), **macro}


def calibration(
    confidence: np.ndarray, right: np.ndarray, *, name: str = "ece", bins: int = 15
) -> Scores:
    """The expected calibration error (Guo et al. 2017): how far confidence in [0, 1] and share of
    right answers are apart, over bins of equal width, weighed by their answers.

    confidence, right: of each row's answer (R,), or of several answers a row (R, K).
    """
    rows = len(confidence)
    confidence_RK = np.asarray(confidence, dtype=float).reshape(rows, -1)
    excess_RK = confidence_RK - np.asarray(right).reshape(rows, -1)
    bin_RK = np.minimum((confidence_RK * bins).astype(int), bins - 1)
    rows_RK = np.broadcast_to(np.arange(rows)[:, None], bin_RK.shape)
    counts_RC = np.zeros((rows, bins + 1))
    np.add.at(counts_RC, (rows_RK, bin_RK), excess_RK)
    counts_RC[:, bins] = confidence_RK.shape[1]

    def measure(sums_SC: np.ndarray) -> Measured:
        return {name: np.abs(sums_SC[:, :-1]).sum(axis=1) / sums_SC[:, -1]}

    tally = Tally(rows, counts_RC, measure, reflected=True)
    return Scores.of({name: float(tally.weigh(np.ones((1, rows)))[name][0])}, tally)


def top_accuracy(chance_RL: np.ndarray, gold_R: np.ndarray, *, first: int) -> Scores:
    """How often the true label is among the first few by probability, as top_3_accuracy.

    gold_R: numbers of labels, −1 for one that training did not have. Of equally likely labels the
    one of the smaller number comes first.
    """
    own_R1 = np.take_along_axis(chance_RL, np.maximum(gold_R, 0)[:, None], axis=1)
    equal_RL = (chance_RL == own_R1) & (np.arange(chance_RL.shape[1]) < gold_R[:, None])
    before_R = ((chance_RL > own_R1) | equal_RL).sum(axis=1)
    right_R, name = (gold_R >= 0) & (before_R < first), f"top_{first}_accuracy"

    def measure(sums_SC: np.ndarray) -> Measured:
        return {name: sums_SC[:, 0] / sums_SC[:, 1]}

    counts_RC = np.stack([right_R, np.ones(len(right_R))], axis=1)
    return Scores.of(
        {name: float(right_R.mean())}, Tally(len(right_R), counts_RC, measure, {name: right_R})
    )
