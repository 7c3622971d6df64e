"""minGRU and minLSTM of "Were RNNs All We Needed?" (Feng et al. 2024).

Their gates look at the input alone, so all of them come from one matrix product and only a scan
is left to do in order of time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State
from seqcli.nn.ragged import Ragged


def g(x: Tensor) -> Tensor:
    """The paper's positive activation: x + 0.5 above zero, σ(x) below; keeps states positive."""
    return torch.where(x >= 0, x + 0.5, kernels.sigmoid(x))


class MinimalParameters(nn.Module):
    """weight (G·H, I) and bias (G·H): G blocks of H rows."""

    settings: tuple[str, ...] = ()
    recurrent_weights: tuple[str, ...] = ()

    def __init__(self, input_size: int, hidden_size: int, *, gates: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight = nn.Parameter(torch.empty(gates * hidden_size, input_size))
        self.bias = nn.Parameter(torch.zeros(gates * hidden_size))
        for block_HI in self.weight.detach().split(hidden_size):
            nn.init.xavier_uniform_(block_HI)

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        return self.weight, self.bias

    def initial(self, batch: int) -> State:
        """Zeros (B, H)."""
        return (self.weight.new_zeros(batch, self.hidden_size),)


class MinGRU(MinimalParameters):
    """A GRU without recurrent weights: gate and candidate depend on the input alone.

    Differs from GRU: no reset gate, no W_hh; z is the share that is new. Cost a token: 4·H·I FLOP
    forward, and a scan.
    """

    kernel = "mingru"
    equations = (
        "z  = σ(W_z x + b_z)\n"
        "h~ = g(W_h x + b_h)    with g(a) = a + 0.5 for a ≥ 0, else σ(a)\n"
        "h' = (1 − z) ⊙ h + z ⊙ h~\n"
        "y  = h'"
    )

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, gates=2)

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        (h_BH,) = state
        z, candidate = kernels.step_linear(x_BI, self.weight, self.bias).chunk(2, dim=1)
        z = kernels.sigmoid(z)
        h_BH = (1 - z) * h_BH + z * g(candidate)
        return h_BH, (h_BH,)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        return kernels.sequence("mingru", x, self.weights, state, reverse=reverse, final=final)


class MinLSTM(MinimalParameters):
    """An LSTM without recurrent weights and output gate; its two gates are made to sum to one.

    Differs from LSTM: c and h are one, and what is forgotten is what is written. Cost a token:
    6·H·I FLOP forward, and a scan.
    """

    kernel = "minlstm"
    equations = (
        "f  = σ(W_f x + b_f)\n"
        "i  = σ(W_i x + b_i)\n"
        "h~ = g(W_h x + b_h)    with g(a) = a + 0.5 for a ≥ 0, else σ(a)\n"
        "h' = f / (f + i) ⊙ h + i / (f + i) ⊙ h~\n"
        "y  = h'"
    )

    settings = ("forget_bias",)

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, gates=3)
        self.bias.detach()[:hidden_size] = forget_bias

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        (h_BH,) = state
        f, i, candidate = kernels.step_linear(x_BI, self.weight, self.bias).chunk(3, dim=1)
        # i / (f + i), also where both gates are too small to divide by.
        share = kernels.sigmoid(F.logsigmoid(i) - F.logsigmoid(f))
        h_BH = (1 - share) * h_BH + share * g(candidate)
        return h_BH, (h_BH,)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        return kernels.sequence("minlstm", x, self.weights, state, reverse=reverse, final=final)
