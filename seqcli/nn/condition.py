"""What a whole text is written from: a label, numbers or a small image, felt at every step.

Dimensions: N tokens of a batch, B texts, L labels, D numbers, C width, H states.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.nn.kernels import linear
from seqcli.nn.ragged import Ragged


class Conditioning(nn.Module):
    """A vector c of each text's condition, for the input and the output of every step.

        input of a step     [x_n ; c]
        output of a step    h_n + W c

    labels: how many there are, or None where a condition is `numbers` many numbers. Without a
    given condition (to look at a network with none) c is zero.
    """

    def __init__(self, output: int, *, labels: int | None, numbers: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.vectors: nn.Linear | nn.Embedding
        if labels is None:
            self.vectors = nn.Linear(numbers, width)
        else:
            # One more than there are labels: what was never seen has a vector of zeros.
            self.vectors = nn.Embedding(labels + 1, width, padding_idx=labels)
            with torch.no_grad():
                self.vectors.weight[:labels].normal_(std=width**-0.5)
        self.output = nn.Linear(width, output, bias=False)

    def extend(self, x: Ragged, given: Tensor | None) -> Ragged:
        """(N, D) inputs with c beside each: (N, D + C). given: (B,) labels or (B, D) numbers."""
        if given is None:
            return x.with_values(nn.functional.pad(x.values, (0, self.width)))
        c_NC = self.read(given).index_select(0, x.segments())
        return x.with_values(torch.cat([x.values, c_NC.to(x.values.dtype)], dim=1))

    def add(self, h: Ragged, given: Tensor | None) -> Ragged:
        """(N, H) outputs, each with W c added."""
        if given is None:
            return h
        return h.with_values(h.values + self.shift(given).index_select(0, h.segments()))

    def shift(self, given: Tensor) -> Tensor:
        """(B, H) W c."""
        return linear(self.read(given), self.output.weight)

    def read(self, given: Tensor) -> Tensor:
        """(B, C) the vector of each text."""
        if isinstance(self.vectors, nn.Embedding):
            return self.vectors(given)
        return linear(given, self.vectors.weight, self.vectors.bias)
