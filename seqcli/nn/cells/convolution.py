"""One-dimensional convolution over a text, as in "Convolutional Neural Networks for Sentence
Classification" (Kim 2014): what recurrence is to be compared with."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        seen_BD = torch.cat([*state, x_BI], dim=1)
        weight_HD = self.weight.transpose(1, 2).flatten(1)
        y_BH = torch.relu(F.linear(seen_BD, weight_HD, self.bias))
        return y_BH, (seen_BD[:, self.input_size :],)

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        """One convolution over all sequences laid end to end, each with the inputs carried to it:

            s s a b c | s s d e        reverse    a b c s s | d e s s        k = 3, s carried

        What sees two sequences at once is dropped.
        """
        before, size = self.width - 1, self.input_size
        bounds_B1 = offsets(x.lengths + before)
        device = x.values.device
        shift_N = torch.repeat_interleave(bounds_B1[:-1] - x.offsets[:-1], x.lengths)
        first_N = (torch.arange(len(x.values)) + shift_N).to(device)
        carried_BKI = state[0].view(x.batch, before, size)
        start_B = bounds_B1[1:] - before if reverse else bounds_B1[:-1]
        carried_at = (start_B[:, None] + torch.arange(before)).flatten().to(device)
        weight_HIK: Tensor = self.weight
        if reverse:
            carried_BKI, weight_HIK = carried_BKI.flip(1), weight_HIK.flip(2)
        place_N = first_N if reverse else first_N + before
        whole_MI = x.values.new_zeros(int(bounds_B1[-1]), size)
        whole_MI = whole_MI.index_copy(0, carried_at, carried_BKI.flatten(0, 1).to(x.values.dtype))
        whole_MI = whole_MI.index_copy(0, place_N, x.values)
        if not len(x.values):
            return x.with_values(x.values.new_zeros(0, self.hidden_size)), state
        y_HM = F.conv1d(whole_MI.t()[None], weight_HIK, self.bias)[0]
        y = x.with_values(torch.relu(y_HM.t()[first_N]).to(self.weight.dtype))
        if not final:
            return y, state
        last_B = bounds_B1[:-1] if reverse else bounds_B1[1:] - before
        last_BK = (last_B[:, None] + torch.arange(before)).to(device)
        last_BKI = whole_MI[last_BK.flip(1) if reverse else last_BK]
        return y, (last_BKI.flatten(1),)
