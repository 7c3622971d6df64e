"""Where else does the network think the same? Search by state pattern (Strobelt et al. 2018).

The units active throughout a span (above the threshold, or below minus the threshold) are its
pattern. Other spans are ranked by how many of these units they keep active with the same sign, then
by how few other units they keep active, then by length.

Dimensions: N tokens, T tokens of a span, H units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Match(NamedTuple):
    """A span [begin, end): units shared with the pattern, and units in either."""

    begin: int
    end: int
    shared: int
    union: int


def signs(h_NH: np.ndarray, threshold: float) -> np.ndarray:
    """(N, H) int8: 1 above the threshold, −1 below minus the threshold, else 0."""
    return (h_NH > threshold).astype(np.int8) - (h_NH < -threshold).astype(np.int8)


def pattern(h_TH: np.ndarray, threshold: float) -> np.ndarray:
    """(H,) the sign that a unit holds throughout a span, 0 where it does not."""
    sign_TH = signs(h_TH, threshold)
    return np.where((sign_TH == sign_TH[0]).all(axis=0), sign_TH[0], 0)


def find_spans(
    h_NH: np.ndarray,
    sequence_N: np.ndarray,
    wanted_H: np.ndarray,
    *,
    threshold: float,
    longest: int,
    count: int,
) -> list[Match]:
    """The best spans that do not overlap, best first, none across a border of `sequence_N`.

    longest: tokens of a span at most.
    """
    sign_NH = signs(h_NH, threshold)
    tokens = len(sign_NH)
    alive_NH = sign_NH.copy()
    begin, end, shared, union = [], [], [], []
    wanted = int((wanted_H != 0).sum())
    for length in range(1, longest + 1):
        starts = np.arange(tokens - length + 1)
        starts = starts[sequence_N[starts] == sequence_N[starts + length - 1]]
        if not len(starts):
            break
        if length > 1:
            grown = np.zeros_like(alive_NH)
            grown[starts] = np.where(
                sign_NH[starts + length - 1] == alive_NH[starts], alive_NH[starts], 0
            )
            alive_NH = grown
        both = ((alive_NH[starts] == wanted_H) & (wanted_H != 0)).sum(axis=1)
        active = (alive_NH[starts] != 0).sum(axis=1)
        begin.append(starts)
        end.append(starts + length)
        shared.append(both)
        union.append(active + wanted - both)
    if not begin:
        return []
    columns = [np.concatenate(parts) for parts in (begin, end, shared, union)]
    begin_M, end_M, shared_M, union_M = columns
    order = np.lexsort((begin_M, begin_M - end_M, union_M, -shared_M))
    taken = np.zeros(tokens, dtype=bool)
    found: list[Match] = []
    for at in order:
        if shared_M[at] == 0 or len(found) == count:
            break
        if not taken[begin_M[at] : end_M[at]].any():
            taken[begin_M[at] : end_M[at]] = True
            found.append(Match(*(int(column[at]) for column in columns)))
    return found


def nearest(h_NH: np.ndarray, query_H: np.ndarray, count: int) -> list[tuple[int, float]]:
    """The tokens with the most similar states by cosine: (position, cosine), best first."""
    size_N = np.linalg.norm(h_NH, axis=1) * np.linalg.norm(query_H)
    cosine_N = h_NH @ query_H / np.maximum(size_N, 1e-12)
    best = np.argsort(-cosine_N, kind="stable")[:count]
    return [(int(at), float(cosine_N[at])) for at in best]
