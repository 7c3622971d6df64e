"""A language model that counts runs of tokens, smoothed.

Interpolated Kneser–Ney smoothing with three discounts (Chen and Goodman 1999): of a token w after
the run h, which is h' without its first token,

    p(w | h) = (c(h w) − d(c)) / c(h ·) + b(h) · p(w | h')

c counts how often the longest runs come, and of the shorter ones how many different tokens stand
before them: what matters of them is how readily they turn up in a new place. b(h) is what the
discounts have left. A run that begins a line has the line's end before it, whatever was there, so
that such runs are counted like the longest ones.
"""

from __future__ import annotations

import numpy as np

from seqcli.data.backoff import Backoff

MOST_TOKENS = 1 << 23
"""Tokens that are counted, the last of the text: this takes some 200 bytes for each."""
MOST_RUNS = 1 << 22
"""Runs that are kept, about; of more the rarest of the longer ones are left out."""


def count(tokens_N: np.ndarray, vocabulary: int, longest: int, *, line_end: int) -> Backoff:
    """The model of runs of up to `longest` tokens of a text. line_end: the token after each line.

    Raises ValueError for a text without tokens.
    """
    tokens_N = tokens_N[-MOST_TOKENS:].astype(np.int64)
    if not len(tokens_N):
        raise ValueError("no tokens to count")
    keys, seen = [np.arange(vocabulary)], [np.bincount(tokens_N, minlength=vocabulary)]
    starts = [tokens_N]  # by length: the number of the run that starts at each place
    opens = [keys[0] == line_end]  # by length: which runs begin with the end of a line
    for length in range(2, min(longest, len(tokens_N)) + 1):
        longer = starts[-1][:-1] * vocabulary + tokens_N[length - 1 :]
        found, run, times = np.unique(longer, return_inverse=True, return_counts=True)
        keys.append(found)
        seen.append(times)
        starts.append(run)
        opens.append(opens[-1][found // vocabulary])
    own, rest = [], []
    for at in range(len(keys)):
        counts = seen[at]
        if at + 1 < len(keys):
            different = _count_before(starts[at], starts[at + 1], len(seen[at]), len(seen[at + 1]))
            counts = np.where(opens[at], counts, different)
        parent, parents = _parents(keys, at)
        total = np.bincount(parent, counts, parents)
        discount = _discounts(counts)[np.minimum(counts, 3)]
        left = np.bincount(parent, discount, parents)
        own.append((counts - discount) / np.maximum(total[parent], 1))
        rest.append(np.where(total > 0, left / np.maximum(total, 1), 1.0))
    return _prune(keys, own, rest, seen)


def _count_before(shorter: np.ndarray, longer: np.ndarray, size: int, sizes: int) -> np.ndarray:
    """Of each run how many different tokens come before it. shorter, longer: the runs that start
    at each place; size, sizes: how many different ones there are."""
    ending = np.empty(sizes, dtype=np.int64)  # the run that a longer one is without its first token
    ending[longer] = shorter[1 : len(longer) + 1]
    return np.bincount(ending, minlength=size)


def _parents(keys: list[np.ndarray], at: int) -> tuple[np.ndarray, int]:
    """The run that each run of a length goes on from, and how many of these there are."""
    if at == 0:
        return np.zeros(len(keys[0]), dtype=np.int64), 1
    return keys[at] // len(keys[0]), len(keys[at - 1])


def _discounts(counts: np.ndarray) -> np.ndarray:
    """(4,) what is taken off a count of 0, 1, 2 and of 3 or more."""
    once, twice, thrice, four = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if not (once and twice and thrice):
        return np.array([0, 0.5, 0.5, 0.5])
    share = once / (once + 2 * twice)
    found = np.array(
        [
            0,
            1 - 2 * share * twice / once,
            2 - 3 * share * thrice / twice,
            3 - 4 * share * four / thrice,
        ]
    )
    return np.clip(found, [0, 0, 0, 0], [0, 1, 2, 3])


def _prune(
    keys: list[np.ndarray], own: list[np.ndarray], rest: list[np.ndarray], seen: list[np.ndarray]
) -> Backoff:
    """The model without the rarest of the runs of three tokens and more, if it has more than
    MOST_RUNS; what they had goes to the shorter runs. Its numbers in single precision."""
    least = 1
    while sum(int((one >= least).sum()) for one in seen[2:]) > MOST_RUNS:
        least += 1
    # A run is never seen more often than what it goes on from, so that none is left behind.
    kept = [one >= (least if at > 1 else 0) for at, one in enumerate(seen)]
    size = len(keys[0])
    for at in range(1, len(seen)):
        parent, parents = _parents(keys, at)
        here, before = kept[at], kept[at - 1]
        rest[at] = (rest[at] + np.bincount(parent[~here], own[at][~here], parents))[before]
        number = np.cumsum(before) - 1
        keys[at] = number[parent[here]] * size + keys[at][here] % size
        own[at] = own[at][here]
    long = next((at for at, one in enumerate(keys) if not len(one)), len(keys))
    single = [one.astype(np.float32) for one in own], [one.astype(np.float32) for one in rest]
    return Backoff(*(one[:long] for one in (keys, *single)))
