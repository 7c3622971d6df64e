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

from seqcli.data.sequences import Sequences

CPU = torch.device("cpu")


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


def to_ragged(sequences: Sequences, device: torch.device = CPU) -> Ragged:
    """Flat arrays of ids as a batch on a device."""
    values = torch.from_numpy(sequences.values.astype("int64", copy=False))
    return Ragged(values.to(device), torch.from_numpy(sequences.offsets))


def offsets(lengths: Tensor) -> Tensor:
    """(B + 1,) starts of sequences with the given (B,) lengths, and the total at the end."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]).to(torch.int64).cpu()


class Padding(NamedTuple):
    """Where each token of a ragged batch stands in a right-padded one.

    index_BT: the token at each place; padding repeats a real one, to be masked. real_BT: the places
    of tokens. Both on the CPU. In reverse each sequence runs from its own last token to its first,
    so that the padding stays on the right:

        forward   a b c    reverse   c b a
                  d e .              e d .
    """

    index_BT: Tensor
    real_BT: Tensor

    @classmethod
    def of(cls, offsets_B1: Tensor, *, reverse: bool = False) -> Padding:
        """That of the sequences with these offsets."""
        lengths_B = offsets_B1.diff()
        steps_T = torch.arange(int(lengths_B.max()) if len(lengths_B) else 0)
        real_BT = steps_T[None, :] < lengths_B[:, None]
        if reverse:
            index_BT = offsets_B1[1:, None] - 1 - steps_T[None, :]
        else:
            index_BT = offsets_B1[:-1, None] + steps_T[None, :]
        # An empty sequence at the end begins behind the last token.
        spare_B1 = offsets_B1[:-1, None].clamp(max=int(offsets_B1[-1]) - 1)
        return cls(torch.where(real_BT, index_BT, spare_B1), real_BT)

    def pad(self, values_N: Tensor) -> Tensor:
        """(N, ...) values by token to (B, T, ...)."""
        return values_N[self.index_BT.to(values_N.device)]

    def unpad(self, values_BT: Tensor) -> Tensor:
        """(B, T, ...) values to those of the tokens (N, ...), in the order of the batch."""
        places_N = self.real_BT.flatten().nonzero().squeeze(1)
        ordered_N = torch.empty_like(places_N)
        ordered_N[self.index_BT[self.real_BT]] = places_N
        return values_BT.flatten(0, 1)[ordered_N.to(values_BT.device)]


class TimeOrder(NamedTuple):
    """The tokens of a ragged batch step by step, without padding.

    The sequences are ordered by falling length, so that those still running at a step are the
    first rows:

        t    0 1 2 3
        b0   a b c d      step 0 takes a e g, step 1 takes b f h, step 2 takes c i, step 3 takes d
        b2   g h i
        b1   e f

    place_N: where each token of that order stands in the batch. back_N: where each token of the
    batch stands in that order. counts: the sequences of each step. order_B: the sequences by
    falling length. All on the device of the values.
    """

    place_N: Tensor
    back_N: Tensor
    counts: list[int]
    order_B: Tensor

    @classmethod
    def of(cls, x: Ragged, *, reverse: bool = False) -> TimeOrder:
        """That of a batch; in reverse each sequence begins with its last token."""
        order_B = torch.argsort(x.lengths, descending=True, stable=True)
        padding = Padding.of(x.offsets, reverse=reverse)
        index_TB, real_TB = padding.index_BT[order_B].t(), padding.real_BT[order_B].t()
        place_N = index_TB[real_TB]
        back_N = torch.empty_like(place_N)
        back_N[place_N] = torch.arange(len(place_N))
        device = x.values.device
        counts: list[int] = real_TB.sum(1).tolist()
        return cls(place_N.to(device), back_N.to(device), counts, order_B.to(device))

    def arrange(self, values_N: Tensor) -> Tensor:
        """Values by token of the batch in the order of steps."""
        return values_N[self.place_N]

    def restore(self, values_N: Tensor) -> Tensor:
        """Values in the order of steps by token of the batch."""
        return values_N[self.back_N]
