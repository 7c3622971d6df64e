"""The echo state network of Jaeger (2001), "The 'echo state' approach to analysing and training
recurrent neural networks", with the leaking units of Jaeger et al. (2007)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State
from seqcli.nn.ragged import Ragged

SQUARINGS = 12  # the power is 2 to this, see `radius`
OPEN = 100.0
"""A sum whose σ is 1 to the last bit."""


class EchoState(nn.Module):
    """A reservoir: random weights that are never trained, only what reads it out is.

    Differs from Elman: W is sparse and scaled to a spectral radius, usually below 1, so that the
    past fades (the echo state property) instead of being learnt; a is the share of a unit that is
    new. Wants many units. Nothing flows back through time unless the token vectors are trained.
    Cost a token: 2·H·(I + H) FLOP forward (three times the recurrent half where a < 1).
    """

    settings: ClassVar[tuple[str, ...]] = ("spectral_radius", "leak", "sparsity")
    recurrent_weights: ClassVar[tuple[str, ...]] = ()
    equations: ClassVar[str] = "h' = (1 − a) h + a tanh(W_in x + W h + b)\ny  = h'"

    weight_ih: Tensor
    weight_hh: Tensor
    bias_hh: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        spectral_radius: float = 0.9,
        leak: float = 0.5,
        sparsity: float = 0.9,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.leak = leak
        weight_HI = torch.empty(hidden_size, input_size).uniform_(-1, 1)
        weight_HH = torch.empty(hidden_size, hidden_size).uniform_(-1, 1)
        weight_HH[torch.rand(hidden_size, hidden_size) < sparsity] = 0.0
        found = radius(weight_HH)
        if found > 0:
            weight_HH *= spectral_radius / found
        self.register_buffer("weight_ih", weight_HI)
        self.register_buffer("weight_hh", weight_HH)
        self.register_buffer("bias_hh", torch.empty(hidden_size).uniform_(-0.1, 0.1))

    def initial(self, batch: int) -> State:
        """Zeros (B, H)."""
        return (self.weight_hh.new_zeros(batch, self.hidden_size),)

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        (h_BH,) = state
        a = self.leak
        new_BH = torch.tanh(
            kernels.step_linear(x_BI, self.weight_ih)
            + kernels.step_linear(h_BH, self.weight_hh)
            + self.bias_hh
        )
        h_BH = (1 - a) * h_BH + a * new_BH
        return h_BH, (h_BH,)

    def as_kernel(self) -> tuple[str, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """The cell that is the same, and its weights: without leak the reservoir is an Elman
        network, with leak a GRU whose gates stand still: r = 1 and z = 1 − a."""
        none_H = torch.zeros_like(self.bias_hh)
        if self.leak == 1:
            return "rnn_tanh", (self.weight_ih, self.weight_hh, self.bias_hh, none_H)
        kept = math.log((1 - self.leak) / self.leak)
        weight_ih, weight_hh = (
            torch.cat([torch.zeros_like(part).repeat(2, 1), part])
            for part in (self.weight_ih, self.weight_hh)
        )
        gates_H = [torch.full_like(none_H, OPEN), torch.full_like(none_H, kept)]
        bias, rest = torch.cat([*gates_H, self.bias_hh]), none_H.repeat(3)
        return "gru", (weight_ih, weight_hh, bias, rest)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        kind, weights = self.as_kernel()
        return kernels.sequence(kind, x, weights, state, reverse=reverse, final=final)


def radius(weight_HH: Tensor) -> float:
    """The largest modulus of the eigenvalues: ‖W^k‖^(1/k) for large k (Gelfand 1941), here 4,096
    by repeated squaring, which is much quicker than to find the eigenvalues of a large matrix."""
    power_HH, log_scale = weight_HH, 0.0
    for doublings in range(SQUARINGS + 1):
        size = float(power_HH.norm())
        if size == 0:
            return 0.0
        if doublings == SQUARINGS:
            break
        power_HH = power_HH / size
        power_HH = power_HH @ power_HH
        log_scale = 2 * (log_scale + math.log(size))
    return math.exp((log_scale + math.log(size)) / 2**SQUARINGS)
