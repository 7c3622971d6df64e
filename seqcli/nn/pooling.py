"""From the states of a text to one vector, over ragged batches.

Dimensions: N tokens of a batch, B sequences, H features of a state (both directions).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.nn import kernels
from seqcli.nn.ragged import Ragged


class Pool(nn.Module):
    """last, mean, max or attention. Every sequence has at least one token.

    last: the state each direction ends with: forward at the last token, reverse at the first.
    attention: a learned weight for each token, softmax over its own sequence (Yang et al. 2016).
    """

    def __init__(self, kind: str, size: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.kind = kind
        self.bidirectional = bidirectional
        if kind == "attention":
            self.project = nn.Linear(size, size)
            self.query = nn.Linear(size, 1, bias=False)

    def forward(self, h: Ragged) -> Tensor:
        """(N, H) states to (B, H) vectors."""
        h_NH = h.values.float()
        if self.kind == "last":
            ends_BH = h_NH[h.last()]
            if not self.bidirectional:
                return ends_BH
            half = h_NH.shape[1] // 2
            return torch.cat([ends_BH[:, :half], h_NH[h.first()][:, half:]], dim=1)
        if self.kind in ("mean", "max"):
            return kernels.pool(h.with_values(h_NH), self.kind)
        lengths_B = h.lengths.to(h_NH.device)
        key_NH = torch.tanh(kernels.linear(h_NH, self.project.weight, self.project.bias))
        score_N = kernels.linear(key_NH, self.query.weight).float().squeeze(1)
        weight_N = softmax(score_N, h)
        return torch.segment_reduce(h_NH * weight_N[:, None], "sum", lengths=lengths_B)


def softmax(score_N: Tensor, like: Ragged) -> Tensor:
    """(N,) scores to weights that sum to one within each sequence."""
    segments_N = like.segments()
    lengths_B = like.lengths.to(score_N.device)
    top_B = torch.segment_reduce(score_N.detach(), "max", lengths=lengths_B)
    e_N = torch.exp(score_N - top_B[segments_N])
    return e_N / torch.segment_reduce(e_N, "sum", lengths=lengths_B)[segments_N]
