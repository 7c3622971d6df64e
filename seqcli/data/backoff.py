"""How likely a token is after those before it, as far as runs of tokens like them were counted.

    p_n(w | v u …) = a(v u … w) + b(v u …) · p_n−1(w | u …)        p_0(w) = 1 / V

A run of n tokens has a number among those of its length. The key of run r followed by token w is
r · V + w, and each length has its keys by rising number, so that a run is found in as many searches
as it has tokens. (data/kneser_ney.py counts and smooths; an export ships this file as it is.)

Dimensions: N tokens, B texts, R contexts, V vocabulary, L lengths of runs, from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NONE = -1
"""The number of a run that was never counted."""


class Backoff(NamedTuple):
    """keys: of the runs of 1, 2 … L tokens, int64; of single tokens simply 0 … V − 1.
    own: a, of each run. rest: b, of each run but the longest, before them that of no tokens at all
    (1,). The shapes of rest are those of own, one length earlier.
    """

    keys: Sequence[np.ndarray]
    own: Sequence[np.ndarray]
    rest: Sequence[np.ndarray]

    @property
    def vocabulary(self) -> int:
        return len(self.keys[0])

    @property
    def longest(self) -> int:
        """L: a token depends on the L − 1 before it."""
        return len(self.keys)

    def chances(self, tokens_N: np.ndarray, starts_B: np.ndarray) -> np.ndarray:
        """(N,) the probability of each token after those before it in its text; of the first,
        which comes after nothing, how likely it is anywhere. starts: places where a text begins."""
        tokens_N = tokens_N.astype(np.int64)
        p_N = self.own[0][tokens_N] + self.rest[0][0] / self.vocabulary
        run_N = tokens_N
        for length in range(2, self.longest + 1):
            before_N = np.concatenate([[NONE], run_N[:-1]])
            before_N[starts_B] = NONE
            run_N = self._find(length, before_N, tokens_N)
            known_N = run_N >= 0
            p_N *= np.where(before_N >= 0, self.rest[length - 1][before_N], 1)
            p_N[known_N] += self.own[length - 1][run_N[known_N]]
        return p_N

    def begin(self, rows: int) -> np.ndarray:
        """(R, L − 1) the runs of 1, 2 … tokens at the ends of texts that have none yet."""
        return np.full((rows, self.longest - 1), NONE)

    def extend(self, runs_RL: np.ndarray, tokens_R: np.ndarray) -> np.ndarray:
        """The runs at the ends of texts after one more token of each."""
        found = np.empty_like(runs_RL)
        for length in range(1, self.longest):
            before_R = runs_RL[:, length - 2] if length > 1 else None
            found[:, length - 1] = (
                tokens_R if before_R is None else self._find(length, before_R, tokens_R)
            )
        return found

    def distribution(self, runs_RL: np.ndarray) -> np.ndarray:
        """(R, V) the probability of each token after texts that end so."""
        size = self.vocabulary
        p_RV = np.tile(self.own[0] + self.rest[0][0] / size, (len(runs_RL), 1))
        for p_V, runs_L in zip(p_RV, runs_RL.tolist(), strict=True):
            for keys, own, rest, run in zip(
                self.keys[1:], self.own[1:], self.rest[1:], runs_L, strict=True
            ):
                if run == NONE:  # and so are all longer ones
                    break
                base = run * size
                first, last = keys.searchsorted((base, base + size))
                p_V *= rest[run]
                p_V[keys[first:last] - base] += own[first:last]
        return p_RV

    def follow(self, runs_RL: np.ndarray, tokens_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`extend`, and the `distribution` after it."""
        runs_RL = self.extend(runs_RL, tokens_R)
        return runs_RL, self.distribution(runs_RL)

    def _find(self, length: int, before_N: np.ndarray, tokens_N: np.ndarray) -> np.ndarray:
        """The number of each run made longer by a token, NONE where there is no such run."""
        keys = self.keys[length - 1]
        wanted_N = before_N * self.vocabulary + tokens_N
        place_N = np.minimum(np.searchsorted(keys, wanted_N), len(keys) - 1)
        return np.where((before_N >= 0) & (keys[place_N] == wanted_N), place_N, NONE)
