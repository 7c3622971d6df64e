"""Attention of each decoder state over the source of its own sentence.

Dimensions: M queries and N source tokens of a batch, B sentences, T queries and S source tokens of
the longest, H features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.nn.ragged import Ragged, pad_index


class Attention(nn.Module):
    """Weights over the source tokens for each query, and the source's weighted mean.

    dot: q·k (Luong et al. 2015); general: q·(W k) (ditto); additive: v·tanh(W q + U k) (Bahdanau
    et al. 2015). Queries and source have H features each.
    """

    def __init__(self, kind: str, size: int) -> None:
        super().__init__()
        self.kind = kind
        if kind != "dot":
            self.key = nn.Linear(size, size, bias=False)
        if kind == "additive":
            self.query = nn.Linear(size, size)
            self.energy = nn.Linear(size, 1, bias=False)

    def keys(self, memory: Ragged) -> Ragged:
        """(N, H) what queries are compared with; computed once a batch."""
        return memory if self.kind == "dot" else memory.with_values(self.key(memory.values))

    def forward(self, queries: Ragged, keys: Ragged, memory: Ragged) -> tuple[Tensor, Tensor]:
        """(M, H) contexts, and the weights (B, T, S) of a padded batch, zero where padding is.

        A sentence may ask several queries at once: the steps of a known target in training, the
        hypotheses of a beam in decoding.
        """
        device = queries.values.device
        index_BT, real_BT = pad_index(queries.offsets)
        index_BS, real_BS = pad_index(keys.offsets)
        q_BTH = queries.values[index_BT.to(device)]
        k_BSH = keys.values[index_BS.to(device)]
        v_BSH = memory.values[index_BS.to(device)]
        if self.kind == "additive":
            sum_BTSH = self.query(q_BTH)[:, :, None, :] + k_BSH[:, None, :, :]
            score_BTS = self.energy(torch.tanh(sum_BTSH)).squeeze(3)
        else:
            score_BTS = torch.bmm(q_BTH, k_BSH.transpose(1, 2))
        score_BTS = score_BTS.float().masked_fill(~real_BS.to(device)[:, None, :], float("-inf"))
        weight_BTS = torch.softmax(score_BTS, dim=2)
        context_BTH = torch.bmm(weight_BTS.to(v_BSH.dtype), v_BSH)
        at_M = real_BT.flatten().nonzero().squeeze(1).to(device)
        return context_BTH.flatten(0, 1)[at_M], weight_BTS
