"""The Mogrifier LSTM of Melis et al. (2020), "Mogrifier LSTM"."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State, unroll
from seqcli.nn.cells.lstm import LSTM
from seqcli.nn.ragged import Ragged


class Mogrifier(LSTM):
    """An LSTM whose input and state first gate each other, in turn, for some rounds.

    Differs from LSTM: what a word means to it depends on what it has read. The input is scaled in
    the odd rounds, the state in the even ones; none is the LSTM itself.
    Cost a token: 8·H·(I + H) + 2·rounds·H·I FLOP forward.
    """

    equations = (
        "x  = 2 σ(Q_i h) ⊙ x    in rounds i = 1, 3, 5, …\n"
        "h  = 2 σ(R_i x) ⊙ h    in rounds i = 2, 4, …\n" + LSTM.equations
    )
    settings = ("rounds", "forget_bias")
    kernel = None

    def __init__(
        self, input_size: int, hidden_size: int, rounds: int = 5, forget_bias: float = 1.0
    ) -> None:
        super().__init__(input_size, hidden_size, forget_bias)
        shapes = [(input_size, hidden_size), (hidden_size, input_size)]
        self.scales = nn.ParameterList(
            nn.Parameter(torch.empty(shapes[number % 2])) for number in range(rounds)
        )
        for scale in self.scales:
            nn.init.xavier_uniform_(scale)

    def mogrify(self, x_BI: Tensor, h_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Input and state after all rounds."""
        for number, scale in enumerate(self.scales):
            if number % 2 == 0:
                x_BI = 2 * kernels.sigmoid(kernels.step_linear(h_BH, scale)) * x_BI
            else:
                h_BH = 2 * kernels.sigmoid(kernels.step_linear(x_BI, scale)) * h_BH
        return x_BI, h_BH

    def gates(self, x_BI: Tensor, h_BH: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """i, f, g and o, each (B, H)."""
        return super().gates(*self.mogrify(x_BI, h_BH))

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        weights = *self.weights, *self.scales
        found = kernels.mogrifier(x, weights, state, reverse=reverse)
        return unroll(self, x, state, reverse=reverse) if found is None else found
