"""What is left out in training, so that no part of a network is leant on alone.

    Dropout         features of layers' inputs and outputs, anew for each token or, locked, the same
                    ones for all tokens of a sequence (Gal and Ghahramani 2016)
    Embedding       whole word types: every occurrence of a word in the batch (Merity et al. 2018)
    weights_dropped single recurrent weights, the same for all steps (Merity et al. 2018, after the
                    DropConnect of Wan et al. 2013)

What stays is scaled up by 1 / (1 − fraction). All random numbers are torch's own, whose state is
part of a training's snapshot.

Dimensions: N tokens of a batch, B sequences, D features, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.nn import kernels
from seqcli.nn.kernels import dropout
from seqcli.nn.native.lookup import Reader
from seqcli.nn.ragged import Ragged


class Dropout(nn.Module):
    """A fraction of the features of each token or, `locked`, of each sequence."""

    def __init__(self, fraction: float, *, locked: bool = False) -> None:
        super().__init__()
        self.fraction = fraction
        self.locked = locked

    def forward(self, x: Ragged) -> Ragged:
        """(N, D) to (N, D); x itself outside of training."""
        if not self.training or self.fraction == 0:
            return x
        if not self.locked:
            return x.with_values(dropout(x.values, self.fraction))
        mask_BD = F.dropout(x.values.new_ones(x.batch, x.values.shape[1]), self.fraction)
        return x.with_values(x.values * mask_BD[x.segments()])


class Embedding(nn.Embedding):
    """Vectors by token id; in training a fraction of the types is zero wherever it occurs.

    tied: whether the vectors are used elsewhere, too. reader: see Optimizer.
    """

    by_rows = "weight"
    tied = False
    reader: Reader | None = None

    def __init__(self, size: int, width: int, *, dropout: float = 0.0) -> None:
        super().__init__(size, width)
        self.dropout = dropout

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids of any shape to vectors."""
        found = kernels.embed(self.weight, tokens, self.reader if self.training else None)
        if not self.training or self.dropout == 0:
            return found
        mask_V = F.dropout(self.weight.new_ones(self.num_embeddings), self.dropout)
        return found * mask_V[tokens].unsqueeze(-1)


@contextmanager
def weights_dropped(cell: Any, fraction: float) -> Iterator[None]:
    """The cell with a fraction of its recurrent weights at zero, for all steps of a call.

    The masked weight hides the parameter, which gets the gradient, so that every fast path runs as
    it is. Which weights are recurrent, the cell tells in `recurrent_weights`.
    """
    names = cell.recurrent_weights if fraction else ()
    for name in names:
        vars(cell)[name] = F.dropout(getattr(cell, name), fraction)
    try:
        yield
    finally:
        for name in names:
            del vars(cell)[name]  # the parameter shows again
