"""Long short-term memory (Hochreiter and Schmidhuber 1997), with the forget gate of Gers et al.
(2000)."""

from __future__ import annotations

import torch
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State
from seqcli.nn.cells.parameters import GatedParameters
from seqcli.nn.ragged import Ragged


class LSTM(GatedParameters):
    """A memory c that is only scaled and added to, so that gradients survive many steps.

    Differs from Elman: gates decide what is written (i), kept (f) and shown (o). Equal to
    torch.nn.LSTM. The forget gate's bias begins at `forget_bias`, 1 unless set (Jozefowicz et al.
    2015), so that a new network remembers. Cost a token: 8·H·(I + H) FLOP forward.
    """

    equations = (
        "i  = σ(W_ii x + b_ii + W_hi h + b_hi)\n"
        "f  = σ(W_if x + b_if + W_hf h + b_hf)\n"
        "g  = tanh(W_ig x + b_ig + W_hg h + b_hg)\n"
        "o  = σ(W_io x + b_io + W_ho h + b_ho)\n"
        "c' = f ⊙ c + i ⊙ g\n"
        "h' = o ⊙ tanh(c')\n"
        "y  = h'"
    )
    settings: tuple[str, ...] = ("forget_bias",)
    kernel: str | None = "lstm"
    states = 2

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, gates=4)
        self.bias_ih.detach()[hidden_size : 2 * hidden_size] = forget_bias

    def gates(self, x_BI: Tensor, h_BH: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """i, f, g and o, each (B, H)."""
        a_BG = kernels.step_linear(x_BI, self.weight_ih, self.bias_ih) + kernels.step_linear(
            h_BH, self.weight_hh, self.bias_hh
        )
        i, f, g, o = a_BG.chunk(4, dim=1)
        return kernels.sigmoid(i), kernels.sigmoid(f), torch.tanh(g), kernels.sigmoid(o)

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        h_BH, c_BH = state
        i, f, g, o = self.gates(x_BI, h_BH)
        c_BH = f * c_BH + i * g
        h_BH = o * torch.tanh(c_BH)
        return h_BH, (h_BH, c_BH)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        return kernels.sequence("lstm", x, self.weights, state, reverse=reverse, final=final)
