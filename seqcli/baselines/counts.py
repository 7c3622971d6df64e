"""Language models that are counts of tokens and of pairs of tokens, smoothed.

Dimensions: N tokens of a text.
"""

from __future__ import annotations

import numpy as np

BLOCK = 1 << 22
"""Pairs that are sorted at once: those of a large corpus would fill the memory."""


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
    pairs, counts = _count_pairs(train, vocabulary)
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


def _count_pairs(tokens: np.ndarray, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """The different pairs of neighbours, by rising number, and how often each comes."""
    parts = [
        np.unique(_pair(tokens[begin : begin + BLOCK + 1], vocabulary), return_counts=True)
        for begin in range(0, max(len(tokens) - 1, 1), BLOCK)
    ]
    pairs, places = np.unique(np.concatenate([one for one, _ in parts]), return_inverse=True)
    counts = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(counts, places, np.concatenate([times for _, times in parts]))
    return pairs, counts


def _pair(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """(N − 1,) one number for each token and the one after it."""
    return tokens[:-1].astype(np.int64) * vocabulary + tokens[1:]
