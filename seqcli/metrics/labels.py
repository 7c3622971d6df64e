"""Metrics of any number of labels for each text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from seqcli.metrics.counts import check, ratios
from seqcli.metrics.signatures import signature
from seqcli.metrics.tally import Measured, Scores, Tally


def labelling(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]], labels: Sequence[str]
) -> Scores:
    """Micro and macro precision, recall and F1, the share of rows whose labels are all right
    (subset accuracy), and the share of wrong decisions (Hamming loss).

    The labels judged are those of training, in their order, and after them by name those that only
    come in `gold`; a decision is one of them for one row. Macro averages run over those that come
    in `gold` or `predicted`; a ratio without a denominator is 0.
    """
    check(gold, predicted)
    extra = {label for row in gold for label in row}.difference(labels)
    judged = [*labels, *sorted(extra)]
    number = {label: i for i, label in enumerate(judged)}
    support, guessed = (_entries(rows, number) for rows in (gold, predicted))
    both = sorted(set(zip(*support, strict=True)) & set(zip(*guessed, strict=True)))
    hits = tuple(np.array([pair[i] for pair in both], dtype=np.int64) for i in (0, 1))
    counted = [np.bincount(one[1], minlength=len(judged)) for one in (hits, guessed, support)]
    per_class = {
        label: ratios(*map(int, counts))
        for label, *counts in zip(judged, *counted, strict=True)
        if counts[1] or counts[2]
    }
    wrong_R = _count_wrong(gold, predicted)
    each = [support, guessed, (hits[0], hits[1])]
    tally = Tally.by_kind(each, judged, _measure, {}, rows=len(gold))
    counts_RC = np.stack([wrong_R == 0, wrong_R / len(judged), np.ones(len(gold))], axis=1)
    exact = Tally(len(gold), counts_RC, _measure_rows, {"subset_accuracy": wrong_R == 0})
    every = np.ones((1, len(gold)))
    scores = {**tally.weigh(every), **exact.weigh(every)}
    lines = [" ".join(sorted(row)) for row in gold]
    return Scores.of(
        {
            **{name: float(value[0]) for name, value in scores.items()},
            "per_class": per_class,
            "signature": signature("labels-f1", lines, rows=len(gold), classes=len(judged)),
        },
        tally,
        exact,
    )


def _entries(
    rows: Sequence[Collection[str]], number: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The row and the label's number of each label of each row."""
    pairs = [(row, number[label]) for row, labels in enumerate(rows) for label in set(labels)]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _count_wrong(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]]
) -> np.ndarray:
    """(R,) the labels that only one of the two has."""
    pairs = zip(gold, predicted, strict=True)
    return np.array([len(set(one) ^ set(other)) for one, other in pairs], dtype=float)


def _measure(sums_SC: np.ndarray) -> Measured:
    support_SL, guessed_SL, hits_SL = np.moveaxis(sums_SC.reshape(len(sums_SC), -1, 3), 2, 0)
    found: Measured = {}
    for average in ("micro", "macro"):
        support, guessed, hits = (
            one.sum(axis=1, keepdims=True) if average == "micro" else one
            for one in (support_SL, guessed_SL, hits_SL)
        )
        come = np.maximum((support + guessed > 0).sum(axis=1), 1)
        for name, above, below in (
            ("precision", hits, guessed),
            ("recall", hits, support),
            ("f1", 2 * hits, guessed + support),
        ):
            found[f"{average}_{name}"] = (above / np.maximum(below, 1)).sum(axis=1) / come
    return found


def _measure_rows(sums_SC: np.ndarray) -> Measured:
    right_S, wrong_S, rows_S = sums_SC.T
    return {"subset_accuracy": right_S / rows_S, "hamming_loss": wrong_S / rows_S}
