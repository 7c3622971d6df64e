"""Attention of each decoder state over the source of its own sentence.

Dimensions: M queries and N source tokens of a batch, B sentences, T queries and S source tokens of
the longest, P pairs of a query and a source token of the same sentence, H features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqcli.nn.kernels import linear, runs_natively
from seqcli.nn.native.attention import attend
from seqcli.nn.ragged import Padding, Ragged


class Weights(NamedTuple):
    """How much each query takes of each source token of its sentence.

    values: (P,) the (queries, source tokens) weights of each sentence, end to end, constants.
    queries, keys: (B + 1,) offsets of both, on the CPU.
    """

    values: Tensor
    queries: Tensor
    keys: Tensor

    def split(self) -> list[Tensor]:
        """One (queries, source tokens) matrix a sentence (views)."""
        counts_B, lengths_B = self.queries.diff(), self.keys.diff()
        parts = self.values.split((counts_B * lengths_B).tolist())
        shapes = zip(parts, counts_B.tolist(), lengths_B.tolist(), strict=True)
        return [part.view(queries, keys) for part, queries, keys in shapes]

    def rows(self) -> Tensor:
        """(M, S) the weights of each query, zero behind the last token of its source."""
        counts_B, lengths_B = self.queries.diff(), self.keys.diff()
        lengths_M = torch.repeat_interleave(lengths_B, counts_B)
        steps_S = torch.arange(int(lengths_B.max()))
        real_MS = (steps_S < lengths_M[:, None]).to(self.values.device)
        return self.values.new_zeros(real_MS.shape).masked_scatter(real_MS, self.values)


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
        if self.kind == "dot":
            return memory
        return memory.with_values(linear(memory.values, self.key.weight))

    def forward(self, queries: Ragged, keys: Ragged, memory: Ragged) -> tuple[Tensor, Weights]:
        """(M, H) contexts, and the weights.

        A sentence may ask several queries at once, the steps of a known target in training or the
        hypotheses of a beam in decoding, or none, when its search is over.
        """
        q_MH, v_NH = queries.values, memory.values
        energy_H = None
        if self.kind == "additive":
            q_MH = linear(q_MH, self.query.weight, self.query.bias)
            energy_H = self.energy.weight[0]
        if runs_natively(v_NH):
            context_MH, weights_P = attend(
                q_MH, queries.offsets, keys.values, v_NH, keys.offsets, energy_H
            )
        else:
            context_MH, weights_P = self._padded(queries.with_values(q_MH), keys, v_NH)
        return context_MH, Weights(weights_P.detach(), queries.offsets, keys.offsets)

    def _padded(self, queries: Ragged, keys: Ragged, v_NH: Tensor) -> tuple[Tensor, Tensor]:
        """On padded batches; for additive attention queries are W q."""
        device = v_NH.device
        # What a sentence without queries repeats may lie behind the last query: stay within.
        index_BT, real_BT = Padding.of(queries.offsets)
        index_BT = index_BT.clamp(max=max(len(queries.values) - 1, 0))
        index_BS, real_BS = Padding.of(keys.offsets)
        q_BTH = queries.values[index_BT.to(device)]
        k_BSH = keys.values[index_BS.to(device)]
        v_BSH = v_NH[index_BS.to(device)]
        if self.kind == "additive":
            sum_BTSH = q_BTH[:, :, None, :] + k_BSH[:, None, :, :]
            score_BTS = torch.tanh(sum_BTSH) @ self.energy.weight[0]
        else:
            score_BTS = torch.bmm(q_BTH, k_BSH.transpose(1, 2))
        score_BTS = score_BTS.masked_fill(~real_BS.to(device)[:, None, :], float("-inf"))
        score_BTS = score_BTS if score_BTS.dtype == torch.float64 else score_BTS.float()
        weight_BTS = torch.softmax(score_BTS, dim=2)
        context_BTH = torch.bmm(weight_BTS.to(v_BSH.dtype), v_BSH)
        at_M = real_BT.flatten().nonzero().squeeze(1).to(device)
        real_BTS = real_BT[:, :, None] & real_BS[:, None, :]
        at_P = real_BTS.flatten().nonzero().squeeze(1).to(device)
        return context_BTH.flatten(0, 1)[at_M], weight_BTS.flatten()[at_P]
