"""How far a score would move with other rows: bootstrap intervals (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from seqcli.metrics.tally import Measured, Tally

LEVEL = 0.95
RESAMPLES = 1_000
SEED = 1
WEIGHTS_AT_ONCE = 1 << 21  # 16 MB of them
BOOTSTRAP = f"interval:{LEVEL:.0%}|bootstrap:percentile,ece:basic|resamples:{RESAMPLES}|seed:{SEED}"
"""The signature of the intervals."""


def intervals(tallies: Sequence[Tally]) -> dict[str, tuple[float, float]]:
    """The interval of each score that has a tally, by name: the middle 95 % of its values on
    1,000 draws of as many rows with replacement. Scores of fewer than two rows have none.

    Of a reflected tally the middle of 2 · score − value, which is not below 0: where drawn rows
    score higher than these by some bias, these do so than all rows by about the same. Where that
    leaves the score itself outside, the interval reaches to it.
    """
    found = {}
    for tally in tallies:
        if tally.rows > 1:
            whole = tally.weigh(np.ones((1, tally.rows)))
            drawn = [tally.weigh(weights_SR) for weights_SR in resamples(tally.rows)]
            for name, values_S in join(drawn).items():
                if not tally.reflected:
                    found[name] = middle(values_S)
                    continue
                score = float(whole[name][0])
                low, high = middle(np.maximum(2 * score - values_S, 0))
                found[name] = min(low, score), max(high, score)
    return found


def resamples(rows: int, count: int = RESAMPLES) -> Iterator[np.ndarray]:
    """(S, R) how often each row is drawn, in parts that together are `count` resamples; always
    the same for the same number of rows."""
    draw = np.random.default_rng(SEED)
    for size in _parts(rows, count):
        places = draw.integers(rows, size=(size, rows)) + np.arange(size)[:, None] * rows
        weights = np.bincount(places.ravel(), minlength=size * rows)
        yield weights.reshape(size, rows).astype(float)


def swaps(rows: int, count: int) -> Iterator[np.ndarray]:
    """(S, R) whether the answers of two systems to a row change places, in parts."""
    draw = np.random.default_rng(SEED)
    for size in _parts(rows, count):
        yield draw.integers(2, size=(size, rows)).astype(float)


def _parts(rows: int, count: int) -> Iterator[int]:
    most = max(1, WEIGHTS_AT_ONCE // rows)
    for begin in range(0, count, most):
        yield min(most, count - begin)


def join(parts: Sequence[Measured]) -> Measured:
    """The scores of all parts, end to end."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def middle(values_S: np.ndarray) -> tuple[float, float]:
    """The bounds of the middle 95 % of some values."""
    low, high = np.quantile(values_S, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
