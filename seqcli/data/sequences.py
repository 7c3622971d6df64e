"""Token ids of many texts, end to end: what every tokenizer gives and every batch is cut from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np


class Sequences(NamedTuple):
    """Token ids of many sequences, end to end.

    values: (N,) int32, with spelling int64. offsets: (B + 1,) int64, rising from 0 to N.
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | np.ndarray]) -> Sequences:
        """Rows of ids."""
        offsets = bounds_of([len(row) for row in rows])
        return cls(np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1])), offsets)

    def __len__(self) -> int:
        """Number of sequences B."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(B,) int64 tokens of each sequence."""
        return np.diff(self.offsets)

    def row(self, index: int) -> np.ndarray:
        """The ids of one sequence (a view)."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def places(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """(M,) where the tokens of the sequences at `indices` stand, in that order."""
        return _runs(self.offsets[:-1][indices], self.lengths[indices])

    def take(self, indices: Sequence[int] | np.ndarray) -> Sequences:
        """The sequences at `indices`, in that order; an index may come more than once."""
        indices = np.asarray(indices, dtype=np.int64)
        return Sequences(self.values[self.places(indices)], bounds_of(self.lengths[indices]))

    def head(self, limit: int | np.ndarray | None) -> Sequences:
        """The first `limit` tokens of each sequence, or of each its own (B,); None: all."""
        if limit is None or bool((self.lengths <= limit).all()):
            return self
        lengths = np.minimum(self.lengths, limit)
        return Sequences(self.values[_runs(self.offsets[:-1], lengths)], bounds_of(lengths))


def bounds_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """(B + 1,) int64: where sequences of these lengths begin when laid end to end, and the end."""
    bounds = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return bounds


def _runs(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Numbers that count up from each start for its length, end to end."""
    bounds = bounds_of(lengths)
    return np.arange(bounds[-1]) + np.repeat(starts - bounds[:-1], lengths)
