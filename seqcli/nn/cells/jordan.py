"""The sequential network of Jordan (1986), "Serial Order: A Parallel Distributed Processing
Approach"."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State, unroll
from seqcli.nn.ragged import Ragged


class Jordan(nn.Module):
    """What is fed back is the output, not the hidden layer.

    Differs from Elman: the memory passes through the output layer, so it holds only what the
    output shows. Here the output layer has H units; its tanh keeps the loop bounded.
    Cost a token: 2·H·(I + 2H) FLOP forward.
    """

    settings: ClassVar[tuple[str, ...]] = ("nonlinearity",)
    recurrent_weights: ClassVar[tuple[str, ...]] = ("weight_yh",)
    equations: ClassVar[str] = (
        "h' = tanh(W_ih x + b_ih + W_yh y + b_yh)    (or relu)\ny' = tanh(W_hy h' + b_hy)"
    )

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: Literal["tanh", "relu"] = "tanh"
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.nonlinearity = nonlinearity
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_yh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.weight_hy = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.zeros(hidden_size))
        self.bias_yh = nn.Parameter(torch.zeros(hidden_size))
        self.bias_hy = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)
        nn.init.orthogonal_(self.weight_yh)
        nn.init.orthogonal_(self.weight_hy)

    def initial(self, batch: int) -> State:
        """The output before the first step: zeros (B, H)."""
        return (self.weight_yh.new_zeros(batch, self.hidden_size),)

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        (y_BH,) = state
        squash = torch.tanh if self.nonlinearity == "tanh" else torch.relu
        h_BH = squash(
            kernels.step_linear(x_BI, self.weight_ih, self.bias_ih)
            + kernels.step_linear(y_BH, self.weight_yh, self.bias_yh)
        )
        y_BH = torch.tanh(kernels.step_linear(h_BH, self.weight_hy, self.bias_hy))
        return y_BH, (y_BH,)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        matrices = self.weight_ih, self.weight_yh, self.weight_hy
        weights = *matrices, self.bias_ih, self.bias_yh, self.bias_hy
        found = kernels.jordan(
            x, weights, state[0], relu=self.nonlinearity == "relu", reverse=reverse
        )
        if found is None:
            return unroll(self, x, state, reverse=reverse)
        return found[0], (found[1],)
