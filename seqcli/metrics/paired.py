"""Whether two systems differ on the same rows, or whether chance would do as much.

    share of right rows   exact test of McNemar (1947) on the rows that only one has right
    any other score       approximate randomisation (Noreen 1989; Riezler and Maxwell 2005): were
                          the systems alike, their answers to each row could change places

The interval of the difference comes from drawing the same rows for both (Koehn 2004).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqcli.metrics.intervals import BOOTSTRAP, join, middle, resamples, swaps
from seqcli.metrics.tally import Tally

TRIALS = 2_000
"""Of the randomisation: a p of 0.05 is then good to ±0.01."""
ALIKE = 0.05
"""Differences that chance brings about more often than this cannot be told."""
LOWER_IS_BETTER = {
    "cross_entropy", "perplexity", "nats_per_character", "bits_per_character", "ece",
    "ece_uncalibrated", "hamming_loss",
}  # fmt: skip


class Difference(NamedTuple):
    """The second system minus the first in one score. p: how often chance alone brings about as
    large a difference, in (0, 1]. better: 1 or 2, or 0 where it cannot be told."""

    first: float
    second: float
    difference: float
    interval: tuple[float, float]
    p: float
    better: int
    test: str


def compare(first: Sequence[Tally], second: Sequence[Tally]) -> dict[str, Difference]:
    """The difference in each score that both systems have, by name. The tallies must be of the
    same rows; empty for fewer than two."""
    found: dict[str, Difference] = {}
    others = {other.names(): other for other in second}
    for one in first:
        other = others.get(one.names())
        if other is None:
            continue
        if one.rows != other.rows:
            raise ValueError(f"tallies of {one.rows} and {other.rows} rows")
        if one.rows > 1:
            kinds = tuple(dict.fromkeys([*one.kinds, *other.kinds]))
            found |= _compare(one.over(kinds), other.over(kinds))
    return found


def _compare(one: Tally, other: Tally) -> dict[str, Difference]:
    whole_1R = np.ones((1, one.rows))
    before, after = one.weigh(whole_1R), other.weigh(whole_1R)
    drawn_one = join([one.weigh(weights_SR) for weights_SR in resamples(one.rows)])
    drawn_other = join([other.weigh(weights_SR) for weights_SR in resamples(one.rows)])
    swapped_one, swapped_other = _swap(one, other)
    found = {}
    for name in before.keys() & after.keys():
        x, y = float(before[name][0]), float(after[name][0])
        if name in one.rights and name in other.rights:
            p, test = mcnemar(one.rights[name], other.rights[name]), "mcnemar:exact"
        else:
            chance_S = np.abs(swapped_other[name] - swapped_one[name])
            # Swapping nothing gives the difference itself, but for the order of the sums.
            as_large = int((chance_S >= abs(y - x) - 1e-12 * max(1, abs(x))).sum())
            p, test = (as_large + 1) / (TRIALS + 1), f"randomisation|trials:{TRIALS}"
        better = 0
        if p < ALIKE and x != y:
            better = 2 if (y > x) != (name in LOWER_IS_BETTER) else 1
        drawn_S = drawn_other[name] - drawn_one[name]
        bounds = middle(2 * (y - x) - drawn_S if one.reflected else drawn_S)
        found[name] = Difference(x, y, y - x, bounds, p, better, f"{test}|{BOOTSTRAP}")
    return {name: found[name] for name in before if name in found}


def _swap(one: Tally, other: Tally) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The scores of both systems after swapping their answers to random rows."""
    whole_1R = np.ones((1, one.rows))
    sum_one, sum_other = whole_1R @ one.counts, whole_1R @ other.counts
    firsts, seconds = [], []
    for swap_SR in swaps(one.rows, TRIALS):
        moved = swap_SR @ other.counts - swap_SR @ one.counts
        firsts.append(one.measure(sum_one + moved))
        seconds.append(other.measure(sum_other - moved))
    return join(firsts), join(seconds)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """The two-sided exact p of two systems being right (R,) equally often: of the rows that only
    one has right, each would be either's with probability one half."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    n, k = only_first + only_second, min(only_first, only_second)
    log_all = math.lgamma(n + 1) - n * math.log(2)
    tail = math.fsum(
        math.exp(log_all - math.lgamma(i + 1) - math.lgamma(n - i + 1)) for i in range(k + 1)
    )
    return min(1.0, 2 * tail)
