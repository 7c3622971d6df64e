"""The likeliest of all tokens, which a search goes on with.

Dimensions: R hypotheses, V vocabulary, T tokens that are chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEVER = float("-inf")


class Likely(NamedTuple):
    """The likeliest tokens of each hypothesis, best first, and their log-probabilities."""

    logs_RT: Tensor
    tokens_RT: Tensor


def likeliest(logs_RV: Tensor, count: int, *, without: int | None = None) -> Likely:
    """`count` tokens a row, or as many as there are, by their log-probabilities; that of the token
    `without` becomes −∞ in place."""
    if without is not None:
        logs_RV[:, without] = NEVER
    if count > 1:
        return Likely(*logs_RV.topk(min(count, logs_RV.shape[1]), dim=1))
    if logs_RV.device.type == "cpu":  # where torch takes ten times as long
        tokens_R1 = torch.from_numpy(logs_RV.numpy().argmax(axis=1))[:, None]
    else:
        tokens_R1 = logs_RV.argmax(dim=1, keepdim=True)
    return Likely(logs_RV.gather(1, tokens_R1), tokens_R1)
