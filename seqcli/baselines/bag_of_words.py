"""A linear model on the words of a text and their pairs: what a network without order reaches.

Dimensions: R texts, F n-grams, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqcli.baselines.svm import SparseMatrix, separate
from seqcli.data.tokens import Tokenizer
from seqcli.data.vocabulary import choose_kind, train_tokenizer

MOST_ROWS = 50_000  # of training, evenly spaced: a yardstick takes seconds, whatever the corpus
MOST_NGRAMS = 1 << 19  # the rarest of a large corpus are left out


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
    step = -(-len(texts) // MOST_ROWS)
    texts, labels = texts[::step], labels[::step]
    given = [[one] if isinstance(one, str) else sorted(set(one)) for one in labels]
    names = sorted({label for row in given for label in row})
    numbers = {name: i for i, name in enumerate(names)}
    y = np.array([numbers[label] for row in given for label in row])  # the rows' labels end to end
    many = np.array([len(row) for row in given])
    kind, _ = choose_kind("classify", texts)
    tokenizer = train_tokenizer(kind, texts, lowercase=True)
    rows, ngrams = _list_ngrams(tokenizer, texts)
    keys, columns, counts = np.unique(ngrams, return_inverse=True, return_counts=True)
    if len(keys) > MOST_NGRAMS:
        kept = counts > np.partition(counts, -MOST_NGRAMS)[-MOST_NGRAMS]
        rows, columns = rows[kept[columns]], (np.cumsum(kept) - 1)[columns[kept[columns]]]
        keys = keys[kept]

    weights = _weigh(rows, columns, y, many)
    x = SparseMatrix.weigh(rows, columns, weights, len(texts))
    sides_CR = np.full((len(names), len(texts)), -1.0)
    sides_CR[y, np.repeat(np.arange(len(texts)), many)] = 1.0
    vectors = [separate(x, side_R) for side_R in sides_CR]
    return BagOfWords(tokenizer, keys, weights, np.array(vectors), names)


def _weigh(
    rows: np.ndarray, columns: np.ndarray, labels: np.ndarray, many: np.ndarray
) -> np.ndarray:
    """(F,) what each n-gram tells about the labels; 1 for the last, which is the constant.

    rows, columns: the n-grams that come in each text. labels: the texts' label numbers end to end,
    `many` of each.
    """
    prior = np.bincount(labels) / len(labels)
    size, first = int(columns.max()) + 1, np.cumsum(many) - many
    # Each n-gram of a text counts for each of the text's labels.
    times = many[rows]
    which = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    of = labels[np.repeat(first[rows], times) + which]
    counts = np.bincount(of * size + np.repeat(columns, times), minlength=len(prior) * size)
    counts = counts.reshape(len(prior), -1)
    share = (counts + prior[:, None]) / (counts.sum(0) + 1)
    divergence = (share * np.log(share / prior[:, None])).sum(0)
    weights = np.sqrt(np.maximum(divergence, 0))
    weights[-1] = 1.0
    return weights


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
