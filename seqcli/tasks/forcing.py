"""Teacher forcing: what a translator reads and what it has to say.

    target   BOS a b EOS        read   BOS a b        gold   a b EOS

Dimensions: M target tokens of a batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqcli.data.sequences import Sequences
from seqcli.nn.ragged import Ragged, to_ragged
from seqcli.nn.translator import Translator


class Pairs(NamedTuple):
    """Source closed by EOS; target between BOS and EOS."""

    source: Sequences
    target: Sequences

    def take(self, rows: np.ndarray) -> Pairs:
        """The pairs at `rows`, in that order."""
        return Pairs(self.source.take(rows), self.target.take(rows))


class Lesson(NamedTuple):
    """A batch of sources, the target tokens that are read and the next ones (M,)."""

    source: Ragged
    read: Ragged
    gold_M: Tensor


def teach(pairs: Pairs, device: torch.device) -> Lesson:
    """The lesson of a batch of pairs."""
    target = to_ragged(pairs.target, device)
    last_N = torch.ones(len(target.values), dtype=torch.bool)
    first_N = last_N.clone()
    last_N[target.offsets[1:] - 1] = False
    first_N[target.offsets[:-1]] = False
    bounds = target.offsets - torch.arange(len(target.offsets))
    read = Ragged(target.values[last_N.to(device)], bounds)
    return Lesson(to_ragged(pairs.source, device), read, target.values[first_N.to(device)])


def mix_guesses(model: Translator, lesson: Lesson, share: float) -> Ragged:
    """What is read, a share of it replaced by the model's likeliest tokens at these places.

    Scheduled sampling (Bengio et al. 2015) in two passes over whole sentences (Mihaylova and
    Martins 2019): guesses are made after the true tokens, not after guesses. BOS stays.
    """
    read = lesson.read
    with torch.no_grad():
        guess_M = model(lesson.source, read).argmax(1)
    torch.clear_autocast_cache()  # it holds weights that the pass above made without gradients
    replaced_M = torch.rand(len(read.values), device=read.values.device) < share
    replaced_M[read.first()] = False
    return read.with_values(torch.where(replaced_M, guess_M.roll(1), read.values))
