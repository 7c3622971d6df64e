"""A language model of counted runs of tokens beside a network, which no training has to know of.

Source: Mikolov et al. (2010), "Recurrent neural network based language model". A network knows what
is alike, counts know by heart what came before; their errors differ, and of a small text the mean
of both knows more than either:

    p(w) = (1 − λ) p_network(w) + λ p_counts(w)

Dimensions: N tokens, R texts that are being written, V vocabulary, L lengths of runs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.data.backoff import Backoff

SHARE = 0.25
"""λ until it has been chosen on validation rows."""
LIMITS = (0.001, 0.999)
ROUNDS = 100
"""Of expectation and maximisation, at most, in the choice of λ."""


class NgramModel(nn.Module):
    """The counts as buffers, so that they lie with the weights; `share` is λ.

    sizes: how many runs there are of each length. The numbers come from `of`, or from a saved
    model. Raises ValueError without sizes and for a share outside of (0, 1).
    """

    def __init__(self, sizes: list[int], share: float = SHARE) -> None:
        super().__init__()
        if not sizes or not 0 < share < 1:
            raise ValueError("no runs, or a share that is none")
        self.sizes = sizes
        self.share = share
        before = [1, *sizes]
        for length, size in enumerate(sizes, 1):
            if length > 1:  # those of single tokens are their ids
                self.register_buffer(f"keys_{length}", torch.zeros(size, dtype=torch.int64))
            self.register_buffer(f"own_{length}", torch.zeros(size))
            self.register_buffer(f"rest_{length}", torch.zeros(before[length - 1]))

    @classmethod
    def of(cls, counts: Backoff) -> NgramModel:
        """The model with these counts."""
        model = cls([len(keys) for keys in counts.keys])
        for name, buffer in model.named_buffers():
            part, length = name.split("_")
            buffer.copy_(torch.from_numpy(getattr(counts, part)[int(length) - 1]))
        return model

    def counts(self) -> Backoff:
        """The counts, in the memory of the buffers where that is the CPU's."""
        keys, own, rest = (
            [
                self.get_buffer(f"{name}_{length}").cpu().numpy()
                for length in range(first, len(self.sizes) + 1)
            ]
            for name, first in (("keys", 2), ("own", 1), ("rest", 1))
        )
        return Backoff([np.arange(self.sizes[0]), *keys], own, rest)

    def facts(self) -> dict[str, Any]:
        """What `__init__` takes, for a file."""
        return {"sizes": self.sizes, "share": self.share}

    def mix(self, logs: Tensor, chances: np.ndarray) -> Tensor:
        """The logarithm of (1 − λ) exp(logs) + λ · chances, of the same shape."""
        counted = torch.from_numpy(chances).to(logs.device, torch.float64).log()
        mixed = torch.logaddexp(
            logs.double() + math.log1p(-self.share), counted + math.log(self.share)
        )
        return mixed.to(logs.dtype)

    def choose_share(self, logs_N: np.ndarray, chances_N: np.ndarray) -> None:
        """Let λ be what makes a text likeliest whose tokens have these log-probabilities by the
        network and these chances by the counts."""
        odds_N = np.exp(np.clip(logs_N.astype(np.float64) - np.log(chances_N), -500, 500))
        share = SHARE
        for _ in range(ROUNDS):
            # How far each token is owed to the counts, on average.
            found = float((share / (share + (1 - share) * odds_N)).mean())
            done = abs(found - share) < 1e-6
            share = found
            if done:
                break
        self.share = round(min(max(share, LIMITS[0]), LIMITS[1]), 4)
