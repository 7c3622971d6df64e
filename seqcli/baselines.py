"""What can be had without a network: the figures that a network has to beat.

    classify   the most frequent label; a linear model on words and pairs of words
    tag        the tag that a word had most often
    translate  the source as it is
    lm         counts of tokens and of pairs of tokens, smoothed

Each is fitted on training rows only, and scored by the same functions of `metrics` as the network.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from seqcli import metrics
from seqcli.data.tokens import BOS, UNK, Sequences, Tokenizer, choose_kind, train_tokenizer

Scores = dict[str, dict[str, Any]]  # by the name of the baseline


# ------------------------------------------------------------------------------------ classify


def classify(
    train_texts: Sequence[str],
    train_labels: Sequence[str],
    texts: Sequence[str],
    gold: Sequence[str],
) -> Scores:
    """Scores of "majority" and "bag of words" on `texts`."""
    labels = sorted(set(train_labels))
    majority = [_most_frequent(Counter(train_labels))] * len(gold)
    words = fit_bag_of_words(train_texts, train_labels).predict(texts)
    return {
        "majority": metrics.classification(gold, majority, labels),
        "bag of words": metrics.classification(gold, words, labels),
    }


@dataclass(frozen=True)
class BagOfWords:
    """A linear support vector machine for each label on the words of a text and their pairs.

    tokenizer: splits the text. keys: (F,) int64, the n-grams of training, rising. weights: (F,) how
    much an n-gram tells about the label. vectors: (C, F), one a label. labels: C names.
    """

    tokenizer: Tokenizer
    keys: np.ndarray
    weights: np.ndarray
    vectors: np.ndarray
    labels: list[str]

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The label of each text."""
        rows, keys = _list_ngrams(self.tokenizer, texts)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[places] == keys
        x = _Matrix.weigh(rows[known], places[known], self.weights, len(texts))
        best = np.argmax([x.multiply(vector) for vector in self.vectors], axis=0)
        return [self.labels[i] for i in best]


def fit_bag_of_words(texts: Sequence[str], labels: Sequence[str]) -> BagOfWords:
    """Words and pairs of words that come in a text (characters, where the script has no spaces),
    each weighed by what it tells, the text scaled to length one; then a vector for each label
    against the others that minimises

        |w|² / 2 + 2 Σ max(0, 1 − y w·x)²        (Fan et al. 2008, the loss of LIBLINEAR)

    An n-gram weighs √KL(label given n-gram ‖ label), in the spirit of the naive Bayes features of
    Wang and Manning (2012) for any number of labels; one row of prior is added to its counts.
    """
    names = sorted(set(labels))
    numbers = {name: i for i, name in enumerate(names)}
    y = np.array([numbers[label] for label in labels])
    kind, _ = choose_kind("classify", texts)
    tokenizer = train_tokenizer(kind, texts, lowercase=True)
    rows, ngrams = _list_ngrams(tokenizer, texts)
    keys, columns = np.unique(ngrams, return_inverse=True)

    prior = np.bincount(y) / len(y)
    counts = np.bincount(y[rows] * len(keys) + columns, minlength=len(names) * len(keys)).reshape(
        len(names), -1
    )
    given = (counts + prior[:, None]) / (counts.sum(0) + 1)
    divergence = (given * np.log(given / prior[:, None])).sum(0)
    weights = np.sqrt(np.maximum(divergence, 0))
    weights[-1] = 1.0  # the constant, last because its key is the largest

    x = _Matrix.weigh(rows, columns, weights, len(texts))
    vectors = [_separate(x, np.where(y == label, 1.0, -1.0)) for label in range(len(names))]
    return BagOfWords(tokenizer, keys, weights, np.array(vectors), names)


def _list_ngrams(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(row, key) of each different n-gram of each text, by rows.

    A word's key is its id, a pair's key follows the V words, and the largest is a constant.
    """
    ids = tokenizer.encode(texts, bos=True)
    size = len(tokenizer.vocabulary)
    values = ids.values.astype(np.int64)
    rows = np.repeat(np.arange(len(ids)), ids.lengths)
    inside = rows[1:] == rows[:-1]
    pairs = (size + values[:-1] * size + values[1:])[inside]
    constant = np.full(len(ids), size + size * size)
    keys = np.concatenate([values, pairs, constant])
    rows = np.concatenate([rows, rows[1:][inside], np.arange(len(ids))])
    order = np.lexsort((keys, rows))
    rows, keys = rows[order], keys[order]
    first = np.append(True, (np.diff(rows) != 0) | (np.diff(keys) != 0))
    return rows[first], keys[first]


@dataclass(frozen=True)
class _Matrix:
    """A sparse (B, F) matrix as the row, column and value of each entry, sorted by row."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def weigh(
        cls, rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, batch: int
    ) -> _Matrix:
        """The weights of the columns that come in each row, each row scaled to length one."""
        values = weights[columns]
        lengths = np.sqrt(np.bincount(rows, values * values, batch))
        return cls(rows, columns, values / lengths[rows], (batch, len(weights)))

    def multiply(self, vector: np.ndarray) -> np.ndarray:
        """(B,) X · vector."""
        return np.bincount(self.rows, self.values * vector[self.columns], self.shape[0])

    def multiply_transposed(self, vector: np.ndarray) -> np.ndarray:
        """(F,) Xᵀ · vector."""
        return np.bincount(self.columns, self.values * vector[self.rows], self.shape[1])


def _separate(x: _Matrix, y: np.ndarray, *, cost: float = 2.0) -> np.ndarray:
    """(F,) the vector of least squared hinge loss, for y of −1 and 1."""

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        slack = np.maximum(0, 1 - y * x.multiply(w))
        gradient = w - 2 * cost * x.multiply_transposed(y * slack)
        return float(w @ w / 2 + cost * slack @ slack), gradient

    return minimise(loss, np.zeros(x.shape[1]))


def minimise(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    *,
    steps: int = 40,
    tolerance: float = 1e-3,
) -> np.ndarray:
    """Where a smooth convex function is least, by L-BFGS (Liu and Nocedal 1989).

    `function` gives value and gradient. Stops after `steps`, or when a step gains less than
    `tolerance` of the value.
    """
    x = start
    value, gradient = function(x)
    pairs: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=8)
    for _ in range(steps):
        direction = gradient.copy()
        steepness = []
        for moved, turned, scale in reversed(pairs):
            steepness.append(scale * (moved @ direction))
            direction -= steepness[-1] * turned
        if pairs:
            moved, turned, scale = pairs[-1]
            direction /= scale * (turned @ turned)
        else:
            direction /= 1 + np.linalg.norm(gradient)
        for (moved, turned, scale), along in zip(pairs, reversed(steepness), strict=True):
            direction += moved * (along - scale * (turned @ direction))

        slope, size = gradient @ direction, 1.0
        while True:
            after = x - size * direction
            value_after, gradient_after = function(after)
            if value_after <= value - 1e-4 * size * slope or size < 1e-6:
                break
            size /= 2
        moved, turned = after - x, gradient_after - gradient
        gain = value - value_after
        x, value, gradient = after, value_after, gradient_after
        if gain <= tolerance * value or moved @ turned <= 0:
            break
        pairs.append((moved, turned, 1 / (moved @ turned)))
    return x


# ----------------------------------------------------------------------------------------- tag


def tag(
    train_tokens: Sequence[Sequence[str]],
    train_tags: Sequence[Sequence[str]],
    tokens: Sequence[Sequence[str]],
    gold: Sequence[Sequence[str]],
    *,
    scheme: str | None = None,
) -> Scores:
    """Scores of "most frequent tag": of the word in training, or of all words if it is new."""
    pairs = Counter(zip(chain(*train_tokens), chain(*train_tags), strict=True))
    best = {word: name for (word, name), _ in reversed(_by_frequency(pairs))}
    other = _most_frequent(Counter(chain(*train_tags)))
    predicted = [[best.get(word, other) for word in row] for row in tokens]
    return {"most frequent tag": metrics.tagging(gold, predicted, scheme=scheme)}


# ----------------------------------------------------------------------------------- translate


def translate(
    sources: Sequence[str], references: Sequence[str], *, target_language: str | None = None
) -> Scores:
    """Scores of "copy": the source as its own translation."""
    scores = metrics.translation(sources, references, target_language=target_language)
    return {"copy": scores}


# ------------------------------------------------------------------------------------------ lm


def lm(
    train: np.ndarray | Sequences,
    gold: np.ndarray | Sequences,
    *,
    vocabulary: int,
    characters: int,
    kind: str = "",
    text: Iterable[str] = (),
) -> Scores:
    """Scores of "unigram" and "bigram" on the ids of `gold`, read as one stream.

    train, gold: (N,) ids below `vocabulary`, end to end. characters, kind, text: what
    `metrics.language` asks for. Every token of `gold` is predicted, the first one after BOS.
    """
    train, gold = (ids.values if isinstance(ids, Sequences) else ids for ids in (train, gold))
    lines = list(text)
    return {
        name: metrics.language(
            float(-np.log(probabilities).sum()),
            len(gold),
            characters=characters,
            unknown=int((gold == UNK).sum()),
            kind=kind,
            gold=lines,
        )
        for name, probabilities in (
            ("unigram", unigram(train, gold, vocabulary=vocabulary)),
            ("bigram", bigram(train, gold, vocabulary=vocabulary)),
        )
    }


def unigram(train: np.ndarray, gold: np.ndarray, *, vocabulary: int) -> np.ndarray:
    """(N,) the probability of each id of `gold`: its count in `train`, each count one higher."""
    counts = np.bincount(train, minlength=vocabulary) + 1
    return counts[gold] / counts.sum()


def bigram(train: np.ndarray, gold: np.ndarray, *, vocabulary: int) -> np.ndarray:
    """(N,) the probability of each id of `gold` after the one before it.

    Interpolated Kneser–Ney smoothing (Ney et al. 1994), of a pair v w with count c:

        p(w | v) = max(c(v w) − d, 0) / c(v) + d · n(v ·) / c(v) · q(w)
        q(w)     = (n(· w) + 1) / (n(· ·) + V)

    n counts different pairs, d = n₁ / (n₁ + 2 n₂) from the pairs seen once and twice, and the one
    that each w is given keeps q above 0. After a v that was never seen, p is q.
    """

    def pair(ids: np.ndarray) -> np.ndarray:
        before = np.concatenate([[BOS], ids[:-1]]).astype(np.int64)
        return before * vocabulary + ids

    pairs, counts = np.unique(pair(train), return_counts=True)
    before, after = pairs // vocabulary, pairs % vocabulary
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    discount = once / (once + 2 * twice) if once and twice else 0.5
    total = np.bincount(before, counts, vocabulary)
    kinds = np.bincount(before, minlength=vocabulary)
    backoff = (np.bincount(after, minlength=vocabulary) + 1) / (len(pairs) + vocabulary)

    wanted = pair(gold)
    places = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    count = np.where(pairs[places] == wanted, counts[places], 0)
    v, w = wanted // vocabulary, wanted % vocabulary
    seen = np.maximum(total[v], 1)
    share = np.where(total[v] > 0, discount * kinds[v] / seen, 1.0)
    return np.maximum(count - discount, 0) / seen + share * backoff[w]


# --------------------------------------------------------------------------------------- parts


def _by_frequency(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """Most frequent first; equal counts by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _most_frequent(counts: Counter[Any]) -> Any:
    return _by_frequency(counts)[0][0]
