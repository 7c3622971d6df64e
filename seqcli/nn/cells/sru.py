"""The simple recurrent unit of Lei et al. (2018), "Simple Recurrent Units for Highly
Parallelizable Recurrence"."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State
from seqcli.nn.ragged import Ragged, TimeOrder


class SRU(nn.Module):
    """A memory whose gates see it unit by unit, and a highway past it for the input.

    Differs from LSTM: no product of matrices along time, so that all of them are one product over
    the whole text and only elementwise work is left to do in order. √3 keeps the scale of the input
    through many layers.
    Cost a token: 6·H·I FLOP forward (8·H·I where I ≠ H), and a scan.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    recurrent_weights: ClassVar[tuple[str, ...]] = ()
    equations: ClassVar[str] = (
        "f  = σ(W_f x + v_f ⊙ c + b_f)\n"
        "r  = σ(W_r x + v_r ⊙ c + b_r)\n"
        "c' = f ⊙ c + (1 − f) ⊙ W x\n"
        "h' = r ⊙ c' + (1 − r) ⊙ √3 x̂    (x̂ = x, or W_x x where I ≠ H)\n"
        "y  = h'"
    )
    scale = math.sqrt(3)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.products = 3 if input_size == hidden_size else 4
        self.weight = nn.Parameter(torch.empty(self.products * hidden_size, input_size))
        self.v = nn.Parameter(torch.zeros(2 * hidden_size))
        self.bias = nn.Parameter(torch.zeros(2 * hidden_size))
        nn.init.uniform_(self.weight, -((3 / input_size) ** 0.5), (3 / input_size) ** 0.5)

    def initial(self, batch: int) -> State:
        """h and c, zeros (B, H); no step reads h, which only shows what came out last."""
        zeros_BH = self.weight.new_zeros(batch, self.hidden_size)
        return zeros_BH, zeros_BH

    def project(self, x_NI: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What depends on the input alone, each (N, H): W x, W_f x + b_f, W_r x + b_r and √3 x̂."""
        b_f, b_r = self.bias.chunk(2)
        all_NG = kernels.step_linear(x_NI, self.weight).to(self.weight.dtype)
        parts = all_NG.chunk(self.products, dim=1)
        wide_NH = x_NI if self.products == 3 else parts[3]
        return parts[0], parts[1] + b_f, parts[2] + b_r, self.scale * wide_NH

    def gates(self, x_BI: Tensor, c_BH: Tensor) -> tuple[Tensor, Tensor]:
        """f and r, each (B, H), from the memory before."""
        v_f, v_r = self.v.chunk(2)
        _, a_f, a_r, _ = self.project(x_BI)
        return kernels.sigmoid(a_f + v_f * c_BH), kernels.sigmoid(a_r + v_r * c_BH)

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        _, c_BH = state
        u_BH, _, _, x_BH = self.project(x_BI)
        f, r = self.gates(x_BI, c_BH)
        c_BH = f * c_BH + (1 - f) * u_BH
        h_BH = r * c_BH + (1 - r) * x_BH
        return h_BH, (h_BH, c_BH)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        weights = self.weight, self.v, self.bias
        found = kernels.sru(x, weights, state[1], scale=self.scale, reverse=reverse)
        if found is not None:
            y, c_BH = found
        else:
            y, c = self._steps(x, state[1], reverse=reverse)
            c_BH = c.ends(state[1], reverse=reverse) if final else state[1]
        return y, (y.ends(state[0], reverse=reverse) if final else state[0], c_BH)

    def _steps(self, x: Ragged, first_BH: Tensor, *, reverse: bool) -> tuple[Ragged, Ragged]:
        """y and the memory after each token, both (N, H), on torch."""
        v_f, v_r = self.v.chunk(2)
        time = TimeOrder.of(x, reverse=reverse)
        u_NH, a_f, a_r, x_NH = (time.arrange(part) for part in self.project(x.values))
        c_NH, before_NH = _Scan.apply(u_NH, a_f, v_f, first_BH[time.order_B], time.counts)
        r = torch.sigmoid(torch.addcmul(a_r, v_r, before_NH))
        h_NH = torch.lerp(x_NH, c_NH, r)
        return x.with_values(time.restore(h_NH)), x.with_values(time.restore(c_NH))


class _Scan(torch.autograd.Function):
    """c' = f ⊙ c + (1 − f) ⊙ u with f = σ(a + v ⊙ c), over tokens in the order of steps.

    Gives c after each token and before it, both (N, H). Three operations a step forward and four
    back; whatever does not depend on time is done for all tokens at once.
    """

    @staticmethod
    def forward(
        ctx: Any, u_NH: Tensor, a_NH: Tensor, v_H: Tensor, first_BH: Tensor, counts: list[int]
    ) -> tuple[Tensor, Tensor]:
        c_NH, before_NH, f_NH = (torch.empty_like(u_NH) for _ in range(3))
        c_BH = first_BH
        parts = (part.split(counts) for part in (u_NH, a_NH, c_NH, before_NH, f_NH))
        for u, a, c, before, f in zip(*parts, strict=True):
            before.copy_(c_BH[: len(u)])
            torch.sigmoid_(torch.addcmul(a, v_H, before, out=f))
            c_BH = torch.lerp(u, before, f, out=c)
        ctx.save_for_backward(u_NH, v_H, before_NH, f_NH)
        ctx.counts, ctx.batch = counts, len(first_BH)
        return c_NH, before_NH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dc_NH: Tensor, dbefore_NH: Tensor) -> tuple[Any, ...]:
        u_NH, v_H, before_NH, f_NH = ctx.saved_tensors
        slope_NH = (before_NH - u_NH) * f_NH * (1 - f_NH)
        total_NH, keep_NH = torch.empty_like(u_NH), torch.addcmul(f_NH, slope_NH, v_H)
        dc_BH = u_NH.new_zeros(ctx.batch, u_NH.shape[1])
        parts = (part.split(ctx.counts) for part in (dc_NH, dbefore_NH, keep_NH, total_NH))
        for dc, dbefore, keep, total in reversed(list(zip(*parts, strict=True))):
            running = dc_BH[: len(dc)]
            torch.add(running, dc, out=total)
            torch.addcmul(dbefore, total, keep, out=running)
        da_NH = total_NH * slope_NH
        dv_H = (da_NH * before_NH).sum(0)
        return total_NH * (1 - f_NH), da_NH, dv_H, dc_BH, None
