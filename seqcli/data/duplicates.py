"""Rows that are nearly those of another split: found by the pieces they share.

The likeness of two texts is the share of their shingles, here pairs of neighbouring tokens, that
both have (Broder 1997; the Jaccard index). Two that are alike by t or more share one of the few
rarest shingles of each, as long as a share 1 − t of its shingles are looked at (Chaudhuri et al.
2006; Bayardo et al. 2007): only texts that share one of these are compared.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np

from seqcli.data.sequences import Sequences

ALIKE = 0.8
"""The share of common shingles that makes near-duplicates, usual in deduplication."""
MOST_SHARING = 200
"""Texts that share a shingle and are compared, at most: what more share is no trace of a copy."""


def find_duplicates(texts: Sequences, others: Sequences, *, least: float = ALIKE) -> np.ndarray:
    """(R,) bool: which of the texts are alike to one of the others by `least` or more, equal ones
    included. Empty texts are alike to none."""
    shingles = [_shingle(texts.row(at)) for at in range(len(texts))]
    theirs = [_shingle(others.row(at)) for at in range(len(others))]
    counts = Counter(piece for row in theirs for piece in row)
    by_piece: dict[int, list[int]] = defaultdict(list)
    for at, row in enumerate(theirs):
        for piece in _rarest(row, counts, least):
            if len(by_piece[piece]) < MOST_SHARING:
                by_piece[piece].append(at)
    found = np.zeros(len(texts), dtype=bool)
    for at, row in enumerate(shingles):
        near = {one for piece in _rarest(row, counts, least) for one in by_piece.get(piece, ())}
        found[at] = any(
            len(row & theirs[one]) >= least * len(row | theirs[one]) for one in near if row
        )
    return found


def _shingle(ids: np.ndarray) -> set[int]:
    """Each pair of neighbouring tokens as a number, the edges of the text counted as tokens."""
    padded = np.concatenate([[-1], ids, [-1]]).astype(np.int64) + 1
    return set(((padded[:-1] << 32) | padded[1:]).tolist())


def _rarest(row: set[int], counts: Counter[int], least: float) -> list[int]:
    """The shingles of which two texts that are alike must share one."""
    kept = len(row) - math.ceil(least * len(row)) + 1
    return sorted(row, key=lambda piece: (counts[piece], piece))[:kept]
