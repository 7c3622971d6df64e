"""Ragged batches: sequences of unequal length laid end to end, without padding.

    sequences    a b c | d e | f            values_N   a b c d e f
    offsets_B1   0       3     5 6          lengths_B  3 2 1

Every layer takes and gives tokens in this layout. Only the torch path of `Recurrent` and of
attention pads, by itself, and removes the padding before it returns.

Dimensions: N tokens of a batch, B sequences, B1 = B + 1, T steps of the longest, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Ragged(NamedTuple):
    """The tokens of a batch and where each sequence begins.

    values: (N, ...) on any device. offsets: (B + 1,) int64 on the CPU, rising from 0 to N, so that
    the host knows every shape without asking the device.
    """

    values: Tensor
    offsets: Tensor

    @property
    def batch(self) -> int:
        """Number of sequences B."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """(B,) tokens of each sequence, on the CPU."""
        return self.offsets.diff()

    def with_values(self, values: Tensor) -> Ragged:
        """The same sequences with other features."""
        return Ragged(values, self.offsets)

    def segments(self) -> Tensor:
        """(N,) the sequence each token belongs to, on the device of the values."""
        rows = torch.repeat_interleave(torch.arange(self.batch), self.lengths)
        return rows.to(self.values.device)

    def first(self) -> Tensor:
        """(B,) index of each sequence's first token, on the device of the values."""
        return self.offsets[:-1].to(self.values.device)

    def last(self) -> Tensor:
        """(B,) index of each sequence's last token, on the device of the values."""
        return (self.offsets[1:] - 1).to(self.values.device)

    def ends(self, before_BD: Tensor, *, reverse: bool = False) -> Tensor:
        """(B, D) the value at each sequence's last step, in reverse its first token; of an empty
        sequence what was `before`."""
        if not len(self.values):
            return before_BD
        places_B = self.offsets[:-1] if reverse else self.offsets[1:] - 1
        ends_BD = self.values[places_B.clamp(max=len(self.values) - 1).to(self.values.device)]
        return torch.where((self.lengths > 0).to(ends_BD.device)[:, None], ends_BD, before_BD)

    def select(self, rows_R: Tensor) -> Ragged:
        """The sequences at `rows_R` (int64, on the CPU), in that order."""
        lengths_R = self.lengths[rows_R]
        bounds = offsets(lengths_R)
        shift_R = self.offsets[:-1][rows_R] - bounds[:-1]
        place_N = torch.arange(int(bounds[-1])) + torch.repeat_interleave(shift_R, lengths_R)
        return Ragged(self.values[place_N.to(self.values.device)], bounds)

    def split(self) -> list[Tensor]:
        """One tensor a sequence (views)."""
        return list(self.values.split(self.lengths.tolist()))


def ragged(sequences: Sequence[Tensor]) -> Ragged:
    """Lay sequences end to end. Each is (T_b, ...); an empty list is an error of the caller."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return Ragged(torch.cat(list(sequences)), offsets(lengths))


def offsets(lengths: Tensor) -> Tensor:
    """(B + 1,) starts of sequences with the given (B,) lengths, and the total at the end."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]).to(torch.int64).cpu()


def pad_index(offsets_B1: Tensor, *, reverse: bool = False) -> tuple[Tensor, Tensor]:
    """Where each token stands in a padded batch.

    Returns (index_BT, mask_BT), both on the CPU: `values[index_BT]` is the padded batch (padding
    repeats a real token, to be masked), `mask_BT` tells the real places. With `reverse` each
    sequence runs from its own last token to its first, so that the padding stays on the right:

        forward   a b c    reverse   c b a
                  d e .              e d .
    """
    lengths_B = offsets_B1.diff()
    steps_T = torch.arange(int(lengths_B.max()) if len(lengths_B) else 0)
    mask_BT = steps_T[None, :] < lengths_B[:, None]
    if reverse:
        index_BT = offsets_B1[1:, None] - 1 - steps_T[None, :]
    else:
        index_BT = offsets_B1[:-1, None] + steps_T[None, :]
    # An empty sequence at the end begins behind the last token.
    spare_B1 = offsets_B1[:-1, None].clamp(max=int(offsets_B1[-1]) - 1)
    return torch.where(mask_BT, index_BT, spare_B1), mask_BT
