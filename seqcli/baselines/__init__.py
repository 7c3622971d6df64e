"""What can be had without a network: the figures that a network has to beat.

    classify   the most frequent label; a linear model on words and pairs of words
    tag        the tag that a word had most often, alone or after the tag before it
    translate  the source as it is
    lm         counts of tokens, of pairs of tokens and of longer runs, smoothed

Each is fitted on training rows only, and scored by the same functions of `metrics` as the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from seqcli import metrics
from seqcli.baselines.bag_of_words import fit_bag_of_words
from seqcli.baselines.counts import bigram, unigram
from seqcli.data.backoff import Backoff
from seqcli.metrics import Scores

# ------------------------------------------------------------------------------------ classify


def classify(
    train_texts: Sequence[str],
    train_labels: Sequence[str],
    splits: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    labels: Sequence[str],
) -> dict[str, dict[str, Scores]]:
    """Scores of "majority" and "bag of words" on (texts, gold labels) by split; `labels` gives the
    order of classes."""
    words = fit_bag_of_words(train_texts, train_labels)
    commonest = _most_frequent(Counter(train_labels))
    return {
        split: {
            "majority": metrics.classification(gold, [commonest] * len(gold), labels),
            "bag of words": metrics.classification(gold, words.predict(texts), labels),
        }
        for split, (texts, gold) in splits.items()
    }


def classify_many(
    train_texts: Sequence[str],
    train_labels: Sequence[Sequence[str]],
    splits: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]],
    labels: Sequence[str],
) -> dict[str, dict[str, Scores]]:
    """The same where a text has any number of labels; the majority is the most frequent set."""
    words = fit_bag_of_words(train_texts, train_labels)
    sets = Counter(tuple(sorted(set(row))) for row in train_labels)
    commonest = min(sets, key=lambda one: (-sets[one], one))
    return {
        split: {
            "majority": metrics.labelling(gold, [commonest] * len(gold), labels),
            "bag of words": metrics.labelling(gold, words.predict_all(texts), labels),
        }
        for split, (texts, gold) in splits.items()
    }


# ----------------------------------------------------------------------------------------- tag


Tags = list[list[str]]


def tag(
    train_tokens: Sequence[Sequence[str]], train_tags: Sequence[Sequence[str]]
) -> dict[str, Callable[[Sequence[Sequence[str]]], Tags]]:
    """Two taggers that need no network, by name.

    most frequent tag: of the word in training, or of all words if it is new. tag bigram: of the
    word after the tag given before it; of what was never seen so, the word's, then the most
    frequent one after that tag.
    """
    words, tags = list(chain(*train_tokens)), list(chain(*train_tags))
    before = [tag for row in train_tags for tag in ["", *row[:-1]]]
    of_word = _find_best(zip(words, tags, strict=True))
    of_both = _find_best(zip(zip(words, before, strict=True), tags, strict=True))
    of_before = _find_best(zip(before, tags, strict=True))
    commonest = _most_frequent(Counter(tags))

    def most_frequent(rows: Sequence[Sequence[str]]) -> Tags:
        return [[of_word.get(word, commonest) for word in row] for row in rows]

    def bigram(rows: Sequence[Sequence[str]]) -> Tags:
        found: Tags = []
        for row in rows:
            found.append([])
            last = ""
            for word in row:
                last = of_both.get((word, last)) or of_word.get(word) or of_before.get(last, "")
                found[-1].append(last or commonest)
        return found

    return {"most frequent tag": most_frequent, "tag bigram": bigram}


def label(
    train_tokens: Sequence[Sequence[str]], train_labels: Sequence[str]
) -> Callable[[Sequence[Sequence[str]]], list[str]]:
    """A linear model on words and pairs of words, as that of `classify`."""
    words = fit_bag_of_words(list(map(" ".join, train_tokens)), train_labels)
    return lambda rows: words.predict(list(map(" ".join, rows)))


def _find_best(pairs: Iterable[tuple[Any, str]]) -> dict[Any, str]:
    """The second of each pair that comes with its first most often; of equals the first by name."""
    return {key: value for (key, value), _ in reversed(_by_frequency(Counter(pairs)))}


# ----------------------------------------------------------------------------------- translate


def translate(sources: Sequence[str], references: Sequence[str]) -> dict[str, Scores]:
    """Scores of "copy": the source as its own translation."""
    return {"copy": metrics.translation(sources, references)}


# ------------------------------------------------------------------------------------------ lm


def lm(
    train: np.ndarray, tokens: np.ndarray, vocabulary: int, counts: Backoff
) -> dict[str, np.ndarray]:
    """(N − 1,) the nats of "unigram", "bigram" and "n-grams" on each id of the stream `tokens` but
    the first.

    train, tokens: (N,) ids below `vocabulary`. counts: the n-grams of `train`.
    """
    return {
        "unigram": -np.log(unigram(train, tokens, vocabulary)),
        "bigram": -np.log(bigram(train, tokens, vocabulary)),
        "n-grams": -np.log(counts.chances(tokens, np.array([0]))[1:].astype(np.float64)),
    }


# --------------------------------------------------------------------------------------- parts


def _by_frequency(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """Most frequent first; equal counts by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _most_frequent(counts: Counter[Any]) -> Any:
    return _by_frequency(counts)[0][0]
