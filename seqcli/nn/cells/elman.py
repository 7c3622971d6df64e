"""The simple recurrent network of Elman (1990), "Finding Structure in Time"."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State
from seqcli.nn.cells.parameters import GatedParameters
from seqcli.nn.ragged import Ragged


class Elman(GatedParameters):
    """The hidden state is a squashed sum of the input and of itself one step before.

    Equal to torch.nn.RNN. Cost a token: 2·H·(I + H) FLOP forward.
    """

    settings = ("nonlinearity",)
    equations = "h' = tanh(W_ih x + b_ih + W_hh h + b_hh)    (or relu)\ny  = h'"

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: Literal["tanh", "relu"] = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size, gates=1)
        self.nonlinearity = nonlinearity
        self.kernel = "rnn_" + nonlinearity

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        (h_BH,) = state
        squash = torch.tanh if self.nonlinearity == "tanh" else torch.relu
        h_BH = squash(
            kernels.step_linear(x_BI, self.weight_ih, self.bias_ih)
            + kernels.step_linear(h_BH, self.weight_hh, self.bias_hh)
        )
        return h_BH, (h_BH,)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        return kernels.sequence(self.kernel, x, self.weights, state, reverse=reverse, final=final)  # type: ignore[arg-type]
