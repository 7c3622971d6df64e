"""How alike two sets of units are.

Dimensions: N tokens, H and G units of the two sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from seqcli.inspect.cocluster import need_sklearn


class Matching(NamedTuple):
    """Pairs of units with the highest sum of |correlation|: for each unit of the first side its
    partner, and their correlation. chance: mean |r| when the partners are shuffled."""

    partner: np.ndarray
    correlation: np.ndarray
    mean: float
    chance: float


def linear_cka(one_NH: np.ndarray, other_NG: np.ndarray) -> float:
    """Linear centred kernel alignment (Kornblith et al. 2019), in [0, 1]: 1 where the two are the
    same up to rotation and scale; 0 where one is constant."""
    one = one_NH.astype(np.float64) - one_NH.mean(axis=0, dtype=np.float64)
    other = other_NG.astype(np.float64) - other_NG.mean(axis=0, dtype=np.float64)
    shared = np.linalg.norm(one.T @ other) ** 2
    size = np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other)
    return float(shared / size) if size else 0.0


def map_cka(
    rows: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray]
) -> dict[str, list[Any]]:
    """Linear CKA of each of some states, (N, H) by name, with each of others."""
    values = [[linear_cka(one, other) for other in columns.values()] for one in rows.values()]
    return {"rows": [*rows], "columns": [*columns], "values": values}


def match_units(one_NH: np.ndarray, other_NH: np.ndarray, *, seed: int = 1) -> Matching:
    """Match units one to one by |correlation| of their states (Kuhn 1955; Li et al. 2016)."""
    need_sklearn()
    from scipy.optimize import linear_sum_assignment

    correlation = _correlate(one_NH.astype(np.float64), other_NH.astype(np.float64))
    _, partner = linear_sum_assignment(-np.abs(correlation))
    rows = np.arange(len(partner))
    found = correlation[rows, partner]
    shuffled = np.random.default_rng(seed).permutation(partner)
    chance = float(np.abs(correlation[rows, shuffled]).mean())
    return Matching(partner, found, float(np.abs(found).mean()), chance)


def _correlate(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    sizes = np.linalg.norm(one, axis=0)[:, None] * np.linalg.norm(other, axis=0)[None, :]
    return np.divide(one.T @ other, sizes, out=np.zeros(sizes.shape), where=sizes > 0)


class Difference(NamedTuple):
    """A number of both sides, their difference (second − first) with its 95 % interval, and the
    two-sided p-value of no difference (None where it was not tested)."""

    first: float
    second: float
    difference: float
    interval: tuple[float, float]
    p: float | None


def compare_ratios(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
    draws: int = 2_000,
) -> Difference:
    """Two ratios of sums over the same examples, each (above (E,), below (E,)).

    The interval is a paired bootstrap; p is approximate randomisation (Noreen 1989): the two sides
    of each example are swapped at random.
    """
    both = np.stack([*first, *second]).astype(np.float64)
    examples = both.shape[1]
    random = np.random.default_rng(seed)
    true = _ratio(both.sum(axis=1))
    resampled, swapped = np.empty(draws), np.empty(draws)
    crossed = both[[2, 3, 0, 1]]
    for at in range(draws):
        times = np.bincount(random.integers(0, examples, examples), minlength=examples)
        resampled[at] = _ratio(both @ times)
        swap = random.integers(0, 2, examples)
        swapped[at] = _ratio(both @ (1 - swap) + crossed @ swap)
    low, high = np.percentile(resampled, (2.5, 97.5))
    extreme = int((np.abs(swapped) >= abs(true) - 1e-12).sum())
    return Difference(
        float(both[0].sum() / max(both[1].sum(), 1e-12)),
        float(both[2].sum() / max(both[3].sum(), 1e-12)),
        float(true),
        (float(low), float(high)),
        (1 + extreme) / (1 + draws),
    )


def _ratio(sums: np.ndarray) -> float:
    return float(sums[2] / max(sums[3], 1e-12) - sums[0] / max(sums[1], 1e-12))
