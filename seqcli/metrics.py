"""How good answers are: one function a task, plain numbers in and a plain dict out.

Scores are fractions in [0, 1]. Every result carries a `signature` that says which metric was
computed on which data, so that two numbers can be told comparable or not.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import seqcli
from seqcli.data.words import HAN_KANA, UNSPACED
from seqcli.errors import SeqcliError

# One letter for one place in a span, whichever of IOB, BIOES, BILOU and BMES it comes from.
PLACES = {"B": "B", "I": "I", "O": "O", "E": "E", "S": "S", "L": "E", "U": "S", "M": "I"}
TAG = re.compile(r"O|([BIESLUM])(?:[-_](.+))?")


# ------------------------------------------------------------------------------------ classify


def classification(
    gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, macro and per-class precision, recall and F1, and the confusion matrix.

    Classes are those that come in `gold` or `predicted`, in the order of `labels` (those of
    training), others after them by name. The macro averages run over these classes; a ratio
    without a denominator is 0. `confusion["matrix"][i][j]` counts rows of class i taken for j.
    """
    _check(gold, predicted)
    found = {*gold, *predicted}
    classes = [label for label in dict.fromkeys(labels) if label in found]
    classes += sorted(found.difference(classes))
    index = {label: i for i, label in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(matrix, ([index[g] for g in gold], [index[p] for p in predicted]), 1)
    scores = [
        _ratios(int(matrix[i, i]), int(matrix[:, i].sum()), int(matrix[i].sum()))
        for i in range(len(classes))
    ]
    return {
        "accuracy": float(np.trace(matrix) / len(gold)),
        **{
            f"macro_{name}": sum(score[name] for score in scores) / len(scores)
            for name in ("precision", "recall", "f1")
        },
        "per_class": dict(zip(classes, scores, strict=True)),
        "confusion": {"labels": classes, "matrix": matrix.tolist()},
        "signature": signature("accuracy", gold, rows=len(gold), classes=len(classes)),
    }


# ----------------------------------------------------------------------------------------- tag


def tagging(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, scheme: str | None = None
) -> dict[str, Any]:
    """Token accuracy, and span precision, recall and F1 if the tags mark spans.

    `scheme` is what `detect_scheme` says of the training tags; without it, of `gold`.
    """
    _check(gold, predicted)
    right = total = 0
    for row, (true, guess) in enumerate(zip(gold, predicted, strict=True)):
        if len(true) != len(guess):
            raise SeqcliError(f"row {row + 1} has {len(true)} tags and {len(guess)} predictions")
        right += sum(map(str.__eq__, true, guess))
        total += len(true)
    scheme = scheme or detect_scheme(gold)
    result: dict[str, Any] = {"token_accuracy": right / max(total, 1)}
    if scheme:
        result |= _span_scores(gold, predicted)
    rows = map(" ".join, gold)
    metric = "span-f1" if scheme else "token-accuracy"
    details = {"scheme": scheme, "spans": "conlleval"} if scheme else {}
    result["signature"] = signature(metric, rows, rows=len(gold), tokens=total, **details)
    return result


def _span_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, Any]:
    hits: Counter[str] = Counter()
    guessed: Counter[str] = Counter()
    support: Counter[str] = Counter()
    for true, guess in zip(gold, predicted, strict=True):
        true_spans, guess_spans = set(spans(true)), set(spans(guess))
        support.update(span[0] for span in true_spans)
        guessed.update(span[0] for span in guess_spans)
        hits.update(span[0] for span in true_spans & guess_spans)
    micro = _ratios(hits.total(), guessed.total(), support.total())
    return {
        **{f"span_{name}": micro[name] for name in ("precision", "recall", "f1")},
        "spans": micro["support"],
        "per_type": {
            name: _ratios(hits[name], guessed[name], support[name])
            for name in sorted({*support, *guessed})
        },
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


# ----------------------------------------------------------------------------------- translate


def translation(
    hypotheses: Sequence[str], references: Sequence[str], *, target_language: str | None = None
) -> dict[str, Any]:
    """Corpus BLEU (Papineni et al. 2002) and chrF (Popović 2015) by sacreBLEU, as fractions.

    BLEU splits Chinese by sacreBLEU's rules for it and other unspaced scripts by character, told
    by `target_language` (a code such as "zh") or else by the references.
    """
    from sacrebleu.metrics import BLEU, CHRF

    _check(references, hypotheses)
    split = _bleu_tokenization(references, target_language)
    bleu, chrf = BLEU(tokenize=split, force=True), CHRF()
    answers, truths = list(hypotheses), [list(references)]
    return {
        "bleu": bleu.corpus_score(answers, truths).score / 100,
        "chrf": chrf.corpus_score(answers, truths).score / 100,
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
        "signature": signature("bleu", references, rows=len(references), tokens=split),
    }


def _bleu_tokenization(references: Sequence[str], language: str | None) -> str:
    sample = "".join(references[:1_000])
    letters = max(len(re.findall(r"[^\W\d_]", sample)), 1)
    if language and re.match(r"zh|cmn|yue", language.lower()):
        return "zh"
    if len(re.findall(f"[{UNSPACED}]", sample)) < 0.3 * letters:
        return "13a"
    han = re.findall(rf"(?![\u3040-\u30ff])[{HAN_KANA}]", sample)
    return "zh" if len(han) > 0.9 * letters else "char"


# ------------------------------------------------------------------------------------------ lm


def language(
    nats: float,
    tokens: int,
    *,
    characters: int,
    unknown: int,
    kind: str = "",
    gold: Iterable[str] = (),
) -> dict[str, Any]:
    """What `nats` of surprise in total come to for each token and each character.

    `unknown` of the `tokens` were out of the vocabulary: they cost little and tell nothing, so a
    perplexity holds only beside their rate. A figure a character can be compared across
    vocabularies. `kind` is that of the tokenizer, `gold` the text (for the signature).
    """
    if tokens < 1 or characters < 1:
        raise SeqcliError("there is no text to score")
    entropy = nats / tokens
    return {
        "cross_entropy": entropy,
        "perplexity": math.exp(min(entropy, 700.0)),  # JSON has no infinity
        "nats_per_character": nats / characters,
        "bits_per_character": nats / characters / math.log(2),
        "unknown_rate": unknown / tokens,
        "tokens": tokens,
        "characters": characters,
        "signature": signature("cross-entropy", gold, tokens=tokens, unit=kind or None),
    }


# --------------------------------------------------------------------------------------- parts


def signature(metric: str, gold: Iterable[str], **details: str | int | None) -> str:
    """What was computed, by which version, on which data: `gold:` begins the SHA-1 of the lines."""
    digest = hashlib.sha1(usedforsecurity=False)
    for line in gold:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    facts = [f"{name}:{value}" for name, value in details.items() if value is not None]
    return "|".join(
        [f"seqcli:{seqcli.__version__}", metric, *facts, f"gold:{digest.hexdigest()[:8]}"]
    )


def _ratios(hits: int, guessed: int, support: int) -> dict[str, Any]:
    return {
        "precision": hits / max(guessed, 1),
        "recall": hits / max(support, 1),
        "f1": 2 * hits / max(guessed + support, 1),
        "support": support,
    }


def _check(gold: Sequence[Any], predicted: Sequence[Any]) -> None:
    if not gold:
        raise SeqcliError("there are no rows to score")
    if len(gold) != len(predicted):
        raise SeqcliError(f"{len(gold)} rows to score, but {len(predicted)} predictions")
