"""What counts of runs say comes next in texts that are written, on the kernels (backoff.h)."""

from __future__ import annotations

import numpy as np
import torch

from seqcli.data.backoff import Backoff
from seqcli.nn.native import library

# Dimensions: R texts, V vocabulary, L lengths of runs.


class Follower:
    """`Backoff.follow`, to the same bits, as one call of a kernel."""

    def __init__(self, counts: Backoff) -> None:
        self.counts = counts  # whose memory the addresses are of
        self.sizes_L = np.array([len(keys) for keys in counts.keys])
        self.addresses = {
            name: np.array([part.ctypes.data for part in parts])
            for name, parts in counts._asdict().items()
        }
        self.call = library.Runs(
            vocabulary=counts.vocabulary,
            longest=counts.longest,
            threads=torch.get_num_threads(),
            sizes=self.sizes_L.ctypes.data,
            **{name: one.ctypes.data for name, one in self.addresses.items()},
        )

    def follow(self, runs_RL: np.ndarray, tokens_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The runs (R, L − 1) at the ends of texts after one more token of each, and the
        probability (R, V) of each token after it. Raises ValueError for a token outside the
        vocabulary."""
        call = self.call
        runs_RL, tokens_R = runs_RL.copy(), np.ascontiguousarray(tokens_R, dtype=np.int64)
        chances_RV = np.empty((len(tokens_R), call.vocabulary), dtype=np.float32)
        call.rows = len(tokens_R)
        call.tokens, call.runs = tokens_R.ctypes.data, runs_RL.ctypes.data
        call.chances = chances_RV.ctypes.data
        if library.load().follow_runs(call):
            raise ValueError("a token is outside the vocabulary")
        return runs_RL, chances_RV
