"""One-dimensional convolution over a text, as in "Convolutional Neural Networks for Sentence
Classification" (Kim 2014): what recurrence is to be compared with."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from seqcli.nn import kernels
from seqcli.nn.cells.cell import State
from seqcli.nn.ragged import Ragged, offsets


class Convolution(nn.Module):
    """Each output sees the last k inputs and nothing before them.

    No memory: what is carried from step to step is the k − 1 inputs before. It looks only back, so
    that lm and decoders can use it; from both ends, one half looks back and one ahead, and L layers
    see L·(k − 1) tokens each way. Equal to torch.nn.Conv1d on a text padded with k − 1 zeros.
    Cost a token: 2·k·H·I FLOP forward.
    """

    settings: ClassVar[tuple[str, ...]] = ("width",)
    recurrent_weights: ClassVar[tuple[str, ...]] = ()
    equations: ClassVar[str] = "y_t = relu(W_1 x_{t−k+1} + … + W_k x_t + b)"

    def __init__(self, input_size: int, hidden_size: int, width: int = 3) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.width = width
        self.weight = nn.Parameter(torch.empty(hidden_size, input_size, width))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def initial(self, batch: int) -> State:
        """The inputs before the first: zeros (B, (k − 1)·I), oldest first."""
        return (self.weight.new_zeros(batch, (self.width - 1) * self.input_size),)

    @property
    def _weight_HD(self) -> Tensor:
        """The weight of what an output sees, the k inputs one after the other."""
        return self.weight.transpose(1, 2).flatten(1)

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        seen_BD = torch.cat([*state, x_BI], dim=1)
        y_BH = torch.relu(kernels.linear(seen_BD, self._weight_HD, self.bias))
        return y_BH, (seen_BD[:, self.input_size :],)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        """The sequences laid end to end, each with the inputs carried to it, and of each token the
        k inputs that it sees:

            s s a b c | s s d e        reverse    a b c s s | d e s s        k = 3, s carried
        """
        before, size = self.width - 1, self.input_size
        bounds_B1 = offsets(x.lengths + before)
        device = x.values.device
        shift_N = torch.repeat_interleave(bounds_B1[:-1] - x.offsets[:-1], x.lengths)
        first_N = (torch.arange(len(x.values)) + shift_N).to(device)
        carried_BKI = state[0].view(x.batch, before, size)
        start_B = bounds_B1[1:] - before if reverse else bounds_B1[:-1]
        carried_at = (start_B[:, None] + torch.arange(before)).flatten().to(device)
        if reverse:
            carried_BKI = carried_BKI.flip(1)
        place_N = first_N if reverse else first_N + before
        whole_MI = x.values.new_zeros(int(bounds_B1[-1]), size)
        whole_MI = whole_MI.index_copy(0, carried_at, carried_BKI.flatten(0, 1).to(x.values.dtype))
        whole_MI = whole_MI.index_copy(0, place_N, x.values)
        seen_K = torch.arange(self.width, device=device)
        seen_NK = first_N[:, None] + (seen_K.flip(0) if reverse else seen_K)
        seen_ND = whole_MI[seen_NK].flatten(1)
        y_NH = torch.relu(kernels.linear(seen_ND, self._weight_HD, self.bias))
        y = x.with_values(y_NH.to(self.weight.dtype))
        if not final:
            return y, state
        last_B = bounds_B1[:-1] if reverse else bounds_B1[1:] - before
        last_BK = (last_B[:, None] + torch.arange(before)).to(device)
        last_BKI = whole_MI[last_BK.flip(1) if reverse else last_BK]
        return y, (last_BKI.flatten(1),)
