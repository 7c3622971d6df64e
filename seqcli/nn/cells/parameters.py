"""The parameters that Elman, LSTM and GRU cells share, named and shaped as in torch.nn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.nn.cells.cell import State


def spread_evenly(cell: nn.Module) -> None:
    """Draw all matrices of a cell anew, uniform between ±1/√H, as torch.nn does; biases stay."""
    bound = int(cell.hidden_size) ** -0.5  # type: ignore[arg-type]
    for parameter in cell.parameters():
        if parameter.dim() > 1:
            nn.init.uniform_(parameter, -bound, bound)


class GatedParameters(nn.Module):
    """weight_ih (G·H, I), weight_hh (G·H, H), bias_ih and bias_hh (G·H): G blocks of H rows.

    Initial values: input weights uniform after Glorot and Bengio (2010), recurrent weights
    orthogonal block by block (Saxe et al. 2014), biases zero.
    """

    settings: tuple[str, ...] = ()
    recurrent_weights: tuple[str, ...] = ("weight_hh",)
    states = 1
    kernel: str | None = None
    """The name by which the native kernels know the cell, if they do."""

    def __init__(self, input_size: int, hidden_size: int, *, gates: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        rows = gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.zeros(rows))
        self.bias_hh = nn.Parameter(torch.zeros(rows))
        for block_HI in self.weight_ih.detach().split(hidden_size):
            nn.init.xavier_uniform_(block_HI)
        for block_HH in self.weight_hh.detach().split(hidden_size):
            nn.init.orthogonal_(block_HH)

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def initial(self, batch: int) -> State:
        """Zeros (B, H) for each part of the state."""
        return tuple(self.weight_hh.new_zeros(batch, self.hidden_size) for _ in range(self.states))
