"""The gated recurrent unit (Cho et al. 2014)."""

from __future__ import annotations

import torch
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State
from seqcli.nn.cells.parameters import GatedParameters
from seqcli.nn.ragged import Ragged


class GRU(GatedParameters):
    """Each unit keeps a share z of its old value and takes 1 − z of a new one.

    Differs from LSTM: one gate both forgets and writes, and the whole state is visible. Equal to
    torch.nn.GRU: the reset gate acts after the recurrent product (the paper's acts before it).
    Cost a token: 6·H·(I + H) FLOP forward.
    """

    kernel = "gru"
    equations = (
        "r  = σ(W_ir x + b_ir + W_hr h + b_hr)\n"
        "z  = σ(W_iz x + b_iz + W_hz h + b_hz)\n"
        "n  = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))\n"
        "h' = (1 − z) ⊙ n + z ⊙ h\n"
        "y  = h'"
    )

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, gates=3)

    def gates(self, x_BI: Tensor, h_BH: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """r, z and n, each (B, H)."""
        x_r, x_z, x_n = kernels.step_linear(x_BI, self.weight_ih, self.bias_ih).chunk(3, dim=1)
        h_r, h_z, h_n = kernels.step_linear(h_BH, self.weight_hh, self.bias_hh).chunk(3, dim=1)
        r = kernels.sigmoid(x_r + h_r)
        z = kernels.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * h_n)
        return r, z, n

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        (h_BH,) = state
        _, z, n = self.gates(x_BI, h_BH)
        h_BH = (1 - z) * n + z * h_BH
        return h_BH, (h_BH,)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        return kernels.sequence("gru", x, self.weights, state, reverse=reverse, final=final)
