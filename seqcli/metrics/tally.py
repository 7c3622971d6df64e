"""What each row adds to a score, so that the scores of any other choice of rows cost one product.

A resample of the rows is a vector of weights, how often each row was drawn, and every metric of
seqcli is a function of sums over rows:

    weights_SR @ counts_RC = sums_SC ──measure──► a score for each of S resamples

Dimensions: R rows, S resamples, C counts, E entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Measured = dict[str, np.ndarray]


class Sparse:
    """(R, C) counts of which few are not 0: the row, column and value of each of E entries."""

    __array_ufunc__ = None  # so that numpy leaves `weights @ counts` to us

    def __init__(
        self, rows_E: np.ndarray, columns_E: np.ndarray, values_E: np.ndarray, width: int
    ) -> None:
        self.rows_E = rows_E
        self.columns_E = columns_E
        self.values_E = values_E
        self.width = width

    def __rmatmul__(self, weights_SR: np.ndarray) -> np.ndarray:
        sums_SC = np.empty((len(weights_SR), self.width))
        for sums_C, weights_R in zip(sums_SC, weights_SR, strict=True):
            values_E = weights_R[self.rows_E] * self.values_E
            sums_C[:] = np.bincount(self.columns_E, values_E, self.width)
        return sums_SC


@dataclass(frozen=True)
class Tally:
    """What R rows add to some scores.

    rows: R. counts: (R, C). measure: scores by name (S,) from sums (S, C). rights: for a score
    that is the share of rows that are right, which ones are (R,); it allows an exact test.
    kinds: where the columns are some for each kind, such as a label, the kinds in their order;
    `measure` must then do with any number of them. reflected: chance alone makes the scores larger,
    once more so on rows that are drawn from these; an interval takes off as much (Efron 1979).
    """

    rows: int
    counts: np.ndarray | Sparse
    measure: Callable[[np.ndarray], Measured]
    rights: Mapping[str, np.ndarray] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    reflected: bool = False

    @classmethod
    def by_kind(
        cls,
        counts: Sequence[tuple[np.ndarray, np.ndarray]],
        kinds: Sequence[str],
        measure: Callable[[np.ndarray], Measured],
        rights: Mapping[str, np.ndarray],
        *,
        rows: int,
    ) -> Tally:
        """A tally of counts of one each: by count, the rows (E,) and kinds (E,) that add to it.
        `measure` finds them in sums (S, kinds × counts), those of a kind side by side."""
        rows_E = np.concatenate([where for where, _ in counts])
        columns_E = np.concatenate([k * len(counts) + i for i, (_, k) in enumerate(counts)])
        entries = Sparse(rows_E, columns_E, np.ones(len(rows_E)), len(kinds) * len(counts))
        return cls(rows, entries, measure, rights, tuple(kinds))

    def over(self, kinds: Sequence[str]) -> Tally:
        """The same tally with columns for these kinds, which hold its own."""
        if self.kinds == tuple(kinds):
            return self
        assert isinstance(self.counts, Sparse)
        each = self.counts.width // len(self.kinds)
        place = np.array([list(kinds).index(kind) for kind in self.kinds])
        kind_E, which_E = np.divmod(self.counts.columns_E, each)
        columns_E = place[kind_E] * each + which_E
        entries = Sparse(self.counts.rows_E, columns_E, self.counts.values_E, len(kinds) * each)
        return replace(self, counts=entries, kinds=tuple(kinds))

    def names(self) -> tuple[str, ...]:
        """The scores it is about."""
        return tuple(self.weigh(np.ones((1, self.rows))))

    def weigh(self, weights_SR: np.ndarray) -> Measured:
        """The scores of S resamples."""
        return self.measure(weights_SR @ self.counts)


class Scores(dict[str, Any]):
    """Metrics by name: fractions in [0, 1], nats, or nested tables; JSON-able.

    tallies: what each row added to them. `|` joins metrics of the same rows and their tallies.
    """

    tallies: tuple[Tally, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any], *tallies: Tally) -> Scores:
        """Metrics and what each row added to them."""
        scores = cls(values)
        scores.tallies = tallies
        return scores

    def __or__(self, other: Mapping[str, Any]) -> Scores:  # type: ignore[override]
        return Scores.of({**self, **other}, *self.tallies, *getattr(other, "tallies", ()))

    def __ior__(self, other: Mapping[str, Any]) -> Scores:  # type: ignore[override,misc]
        return self | other
