"""What stands behind a recurrent layer in deeper stacks: a network of one hidden layer that looks
at each token by itself."""

from __future__ import annotations

import torch
from torch import nn

from seqcli.nn import kernels
from seqcli.nn.dropout import Dropout
from seqcli.nn.ragged import Ragged


class FeedForward(nn.Module):
    """y = x + W_2 relu(W_1 norm(x) + b_1) + b_2 (Vaswani et al. 2017), normalised before and not
    after (Xiong et al. 2020).

    width: hidden units. dropout: of what is added to x, of shape (N, D). Cost a token: 4·D·width
    FLOP forward.
    """

    def __init__(
        self, size: int, width: int, *, dropout: float = 0.0, locked: bool = False
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.wide = nn.Linear(size, width)
        self.narrow = nn.Linear(width, size)
        self.dropout = Dropout(dropout, locked=locked)

    def forward(self, x: Ragged) -> Ragged:
        read_ND = self.norm(x.values)
        wide_NF = torch.relu(kernels.linear(read_ND, self.wide.weight, self.wide.bias))
        y_ND = kernels.linear(wide_NF, self.narrow.weight, self.narrow.bias)
        return x.with_values(x.values + self.dropout(x.with_values(y_ND)).values)
