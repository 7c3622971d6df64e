"""What can be had without a network: the figures that a network has to beat.

    classify   the most frequent label; a linear model on words and pairs of words
    tag        the tag that a word had most often, alone or after the tag before it
    translate  the source as it is
    lm         counts of tokens and of pairs of tokens, smoothed

Each is fitted on training rows only, and scored by the same functions of `metrics` as the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from seqcli import metrics
from seqcli.data.tokens import Tokenizer
from seqcli.data.vocabulary import choose_kind, train_tokenizer
from seqcli.metrics import Scores

MOST_ROWS = 50_000  # the line is a yardstick: seconds, whatever the corpus
MOST_NGRAMS = 1 << 19  # features of the linear model; the rarest of a large corpus are left out


# ------------------------------------------------------------------------------------ classify


def classify(
    train_texts: Sequence[str],
    train_labels: Sequence[str],
    splits: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    labels: Sequence[str],
) -> dict[str, dict[str, Scores]]:
    """Scores of "majority" and "bag of words" on (texts, gold labels) by split; `labels` gives the
    order of classes. The bag of words is fitted to at most MOST_ROWS rows, evenly spaced."""
    step = -(-len(train_texts) // MOST_ROWS)
    words = fit_bag_of_words(train_texts[::step], train_labels[::step])
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
    step = -(-len(train_texts) // MOST_ROWS)
    words = fit_bag_of_words(train_texts[::step], train_labels[::step])
    sets = Counter(tuple(sorted(set(row))) for row in train_labels)
    commonest = min(sets, key=lambda one: (-sets[one], one))
    return {
        split: {
            "majority": metrics.labelling(gold, [commonest] * len(gold), labels),
            "bag of words": metrics.labelling(gold, words.predict_all(texts), labels),
        }
        for split, (texts, gold) in splits.items()
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
        return [self.labels[i] for i in self._score(texts).argmax(axis=0)]

    def predict_all(self, texts: Sequence[str]) -> list[list[str]]:
        """Every label of each text that its machine speaks for."""
        said_RC = self._score(texts).T > 0
        return [[self.labels[i] for i in np.flatnonzero(said_C)] for said_C in said_RC]

    def _score(self, texts: Sequence[str]) -> np.ndarray:
        """(C, R) how far each text is on the side of each label."""
        rows, keys = _list_ngrams(self.tokenizer, texts)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        known = self.keys[places] == keys
        x = SparseMatrix.weigh(rows[known], places[known], self.weights, len(texts))
        return np.array([x.multiply(vector) for vector in self.vectors])


def fit_bag_of_words(
    texts: Sequence[str], labels: Sequence[str] | Sequence[Sequence[str]]
) -> BagOfWords:
    """Words and pairs of words that come in a text (characters, where the script has no spaces),
    each weighed by what it tells, the text scaled to length one; then for each label a support
    vector machine against the others.

    An n-gram weighs √KL(label given n-gram ‖ label), in the spirit of the naive Bayes features of
    Wang and Manning (2012) for any number of labels; one row of prior is added to its counts.
    """
    given = [[one] if isinstance(one, str) else sorted(set(one)) for one in labels]
    names = sorted({label for row in given for label in row})
    numbers = {name: i for i, name in enumerate(names)}
    y = np.array([numbers[label] for row in given for label in row])  # the rows' labels end to end
    many = np.array([len(row) for row in given])
    first = np.cumsum(many) - many
    kind, _ = choose_kind("classify", texts)
    tokenizer = train_tokenizer(kind, texts, lowercase=True)
    rows, ngrams = _list_ngrams(tokenizer, texts)
    keys, columns, counts = np.unique(ngrams, return_inverse=True, return_counts=True)
    if len(keys) > MOST_NGRAMS:
        kept = counts > np.partition(counts, -MOST_NGRAMS)[-MOST_NGRAMS]
        rows, columns = rows[kept[columns]], (np.cumsum(kept) - 1)[columns[kept[columns]]]
        keys = keys[kept]

    prior = np.bincount(y) / len(y)
    # Each n-gram of a text counts for each of the text's labels.
    times = many[rows]
    which = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    of = y[np.repeat(first[rows], times) + which]
    counts = np.bincount(
        of * len(keys) + np.repeat(columns, times), minlength=len(names) * len(keys)
    ).reshape(len(names), -1)
    share = (counts + prior[:, None]) / (counts.sum(0) + 1)
    divergence = (share * np.log(share / prior[:, None])).sum(0)
    weights = np.sqrt(np.maximum(divergence, 0))
    weights[-1] = 1.0  # the constant, last because its key is the largest

    x = SparseMatrix.weigh(rows, columns, weights, len(texts))
    sides_CR = np.full((len(names), len(texts)), -1.0)
    sides_CR[y, np.repeat(np.arange(len(texts)), many)] = 1.0
    vectors = [separate(x, side_R) for side_R in sides_CR]
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
    largest = size + size * size
    keys = np.concatenate([values, pairs, np.full(len(ids), largest)])
    rows = np.concatenate([rows, rows[1:][inside], np.arange(len(ids))])
    both = np.sort(rows * (largest + 1) + keys)  # np.unique would hash, at four times the cost
    return np.divmod(both[np.append(True, both[1:] != both[:-1])], largest + 1)


@dataclass(frozen=True)
class SparseMatrix:
    """A sparse (B, F) matrix as the row, column and value of each entry, sorted by row."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def weigh(
        cls, rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, batch: int
    ) -> SparseMatrix:
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


def separate(x: SparseMatrix, y: np.ndarray, *, cost: float = 2.0) -> np.ndarray:
    """(F,) the w of least |w|² / 2 + cost · Σ max(0, 1 − y w·x)², for (B,) y of −1 and 1.

    Truncated Newton (Keerthi and DeCoste 2005; Lin et al. 2008): the loss is quadratic as long as
    the same rows have slack, so conjugate gradients find the step with products by X and Xᵀ only.
    """
    w, scores = np.zeros(x.shape[1]), np.zeros(x.shape[0])
    enough = 0.0
    for _ in range(20):
        slack = np.maximum(0, 1 - y * scores)
        gradient = w - 2 * cost * x.multiply_transposed(y * slack)
        norm = float(np.linalg.norm(gradient))
        enough = enough or 0.01 * norm
        if norm < enough:
            break

        step, change = np.zeros_like(w), np.zeros_like(scores)
        residual = -gradient
        direction, square = residual, residual @ residual
        for _ in range(10):
            along = x.multiply(direction)
            curved = direction + 2 * cost * x.multiply_transposed((slack > 0) * along)
            size = square / (direction @ curved)
            step = step + size * direction
            change = change + size * along
            residual = residual - size * curved
            before, square = square, residual @ residual
            if square < (0.1 * norm) ** 2:
                break
            direction = residual + square / before * direction

        # Rows that gain or lose slack on the way can make the whole step too long.
        length = 1.0
        loss = _hinge_loss(w, y * scores, cost)
        while _hinge_loss(w + length * step, y * (scores + length * change), cost) > loss:
            length /= 2
        w, scores = w + length * step, scores + length * change
    return w


def _hinge_loss(w: np.ndarray, margins: np.ndarray, cost: float) -> float:
    slack = np.maximum(0, 1 - margins)
    return float(w @ w / 2 + cost * slack @ slack)


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
    step = -(-len(train_tokens) // MOST_ROWS)
    words = fit_bag_of_words(list(map(" ".join, train_tokens[::step])), train_labels[::step])
    return lambda rows: words.predict(list(map(" ".join, rows)))


def _find_best(pairs: Iterable[tuple[Any, str]]) -> dict[Any, str]:
    """The second of each pair that comes with its first most often; of equals the first by name."""
    return {key: value for (key, value), _ in reversed(_by_frequency(Counter(pairs)))}


# ----------------------------------------------------------------------------------- translate


def translate(
    sources: Sequence[str], references: Sequence[str], *, target_language: str | None = None
) -> dict[str, Scores]:
    """Scores of "copy": the source as its own translation."""
    scores = metrics.translation(sources, references, target_language=target_language)
    return {"copy": scores}


# ------------------------------------------------------------------------------------------ lm


def lm(train: np.ndarray, tokens: np.ndarray, vocabulary: int) -> dict[str, np.ndarray]:
    """(N − 1,) the nats of "unigram" and "bigram" on each id of the stream `tokens` but the first.

    train, tokens: (N,) ids below `vocabulary`.
    """
    return {
        "unigram": -np.log(unigram(train, tokens, vocabulary)),
        "bigram": -np.log(bigram(train, tokens, vocabulary)),
    }


def unigram(train: np.ndarray, tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N − 1,) the probability of each id but the first: its count in `train`, one added to all."""
    counts = np.bincount(train[1:], minlength=vocabulary) + 1
    return counts[tokens[1:]] / counts.sum()


def bigram(train: np.ndarray, tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N − 1,) the probability of each id after the one before it.

    Interpolated Kneser–Ney smoothing (Ney et al. 1994), of a pair v w with count c:

        p(w | v) = max(c(v w) − d, 0) / c(v) + d · n(v ·) / c(v) · q(w)
        q(w)     = (n(· w) + 1) / (n(· ·) + V)

    n counts different pairs, d = n₁ / (n₁ + 2 n₂) from the pairs seen once and twice, and the one
    that each w is given keeps q above 0. After a v that was never seen, p is q.
    """
    pairs, counts = np.unique(_pair(train, vocabulary), return_counts=True)
    before, after = pairs // vocabulary, pairs % vocabulary
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    discount = once / (once + 2 * twice) if once and twice else 0.5
    total = np.bincount(before, counts, vocabulary)
    kinds = np.bincount(before, minlength=vocabulary)
    backoff = (np.bincount(after, minlength=vocabulary) + 1) / (len(pairs) + vocabulary)

    wanted = _pair(tokens, vocabulary)
    places = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    count = np.where(pairs[places] == wanted, counts[places], 0)
    v, w = tokens[:-1], tokens[1:]
    seen = np.maximum(total[v], 1)
    share = np.where(total[v] > 0, discount * kinds[v] / seen, 1.0)
    return np.maximum(count - discount, 0) / seen + share * backoff[w]


def _pair(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N − 1,) one number for each token and the one after it."""
    return tokens[:-1].astype(np.int64) * vocabulary + tokens[1:]


# --------------------------------------------------------------------------------------- parts


def _by_frequency(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """Most frequent first; equal counts by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _most_frequent(counts: Counter[Any]) -> Any:
    return _by_frequency(counts)[0][0]
