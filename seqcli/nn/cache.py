"""A memory of the recent past beside a language model, which no training has to know of.

Source: Grave, Joulin and Usunier (2017), "Improving neural language models with a continuous
cache". A word that came after a state like the present one is likelier to come again:

    p(w) = (1 − λ) p_network(w) + λ p_cache(w)
    p_cache(w) ∝ Σ_{i in the last N} [x_{i+1} = w] · exp(θ h_t · h_i)

Dimensions: T steps of a block, K states remembered, H features of a state, Q values of θ.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Cache:
    """The last `size` states of one stream, and the token that came after each."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.h_KH = torch.empty(0)
        self.next_K = torch.empty(0, dtype=torch.int64)

    def probabilities(self, h_TH: Tensor, gold_T: Tensor, thetas_Q: Tensor) -> Tensor:
        """(Q, T) p_cache of the gold tokens for each θ, and remember the block. NaN where nothing
        is remembered yet."""
        h_KH = torch.cat([self.h_KH, h_TH]) if len(self.h_KH) else h_TH
        next_K = torch.cat([self.next_K.to(gold_T.device), gold_T])
        steps = torch.arange(len(h_TH), device=h_TH.device) + len(self.h_KH)
        age_TK = steps[:, None] - torch.arange(len(h_KH), device=h_TH.device)
        inside_TK = (age_TK > 0) & (age_TK <= self.size)
        alike_TK = h_TH @ h_KH.T
        same_TK = (next_K == gold_T[:, None]) & inside_TK
        found = []
        for theta in thetas_Q:
            weight_TK = (theta * alike_TK).masked_fill(~inside_TK, -torch.inf).softmax(1)
            found.append((weight_TK * same_TK).sum(1))
        self.h_KH, self.next_K = h_KH[-self.size :], next_K[-self.size :]
        return torch.stack(found)


def mix(nats_T: Tensor, p_T: Tensor, share: Tensor | float) -> Tensor:
    """−log of (1 − share) · p_network + share · p_cache; where the cache is empty (NaN), the
    network's alone. nats: −log p_network."""
    mixed_T = -torch.log((1 - share) * torch.exp(-nats_T) + share * p_T)
    return torch.where(p_T.isnan(), nats_T, mixed_T)
