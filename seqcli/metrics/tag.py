"""Metrics of a tag for each token, and the spans that tags mark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from seqcli.errors import SeqcliError
from seqcli.metrics.counts import check, ratios
from seqcli.metrics.signatures import signature
from seqcli.metrics.tally import Measured, Scores, Tally

# One letter for one place in a span, whichever of IOB, BIOES, BILOU and BMES it comes from.
PLACES = {"B": "B", "I": "I", "O": "O", "E": "E", "S": "S", "L": "E", "U": "S", "M": "I"}
TAG = re.compile(r"O|([BIESLUM])(?:[-_](.+))?")


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


def spans(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The (type, start, end) spans that tags mark; `end` is the first token after the span.

    Reads BIO, IOB1 and BIOES (BILOU, BMES) alike and forgives what no scheme allows, by the rules
    of the CoNLL-2000 scorer (conlleval, Tjong Kim Sang and Buchholz 2000): a span begins at B or S,
    after E, S or O, and where the type changes; it ends before the next one, after E or S, or at O.
    A tag without a type, such as "B", has the type "_".
    """
    found = []
    start, inside, ended = 0, "", True  # type of the open span, "" for none; whether it is complete
    for position, tag in enumerate(tags):
        place, kind = _read(tag)
        begins = place in ("B", "S") or ended or kind != inside
        if inside and (begins or place == "O"):
            found.append((inside, start, position))
            inside = ""
        if place == "O":
            ended = True
            continue
        if begins:
            start, inside = position, kind
        ended = place in ("E", "S")
    if inside:
        found.append((inside, start, len(tags)))
    return found


def detect_scheme(rows: Iterable[Sequence[str]]) -> str | None:
    """How tags mark spans: "BIO", "IOB1", "BIOES" (also BILOU and BMES), or None.

    IOB1 writes I at the start of a span, B only where two of one type touch; whichever is met more
    often decides, so that a slip of the annotators does not.
    """
    starts: Counter[str] = Counter()
    places: set[str] = set()
    known: dict[str, tuple[str, str]] = {}
    for row in rows:
        before = ("O", "")
        for tag in row:
            if tag not in known:
                if not TAG.fullmatch(tag):
                    return None
                known[tag] = _read(tag)
                places.add(known[tag][0])
            place, kind = known[tag]
            if before[1] != kind:
                starts[place] += 1
            before = known[tag]
    if places <= {"O"}:
        return None
    if places & {"E", "S"}:
        return "BIOES"
    return "IOB1" if starts["I"] > starts["B"] else "BIO"


def _read(tag: str) -> tuple[str, str]:
    """(place, type) of a tag; what is no tag of a span stands outside, as ("O", "")."""
    match = TAG.fullmatch(tag)
    if match is None or match[1] is None:
        return "O", ""
    return PLACES[match[1]], match[2] or "_"
