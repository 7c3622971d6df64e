"""Greedy search: the likeliest token at every step.

Dimensions: R outputs that go on, V vocabulary, S sentences of the batch, T tokens of the longest.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqcli.nn.writer import Writer

NEVER = float("-inf")


class Written(NamedTuple):
    """Token ids without the end mark, log p, and how many tokens that counts: with the mark unless
    the output was cut off at its limit."""

    tokens: list[int]
    log_probability: float
    length: int


def write_greedily(
    writer: Writer, *, begin: int, end: int, limits: list[int], min_length: int = 0
) -> list[Written]:
    """An output for each sentence of a writer, of at most as many tokens as its limit, and before
    the end mark of `min_length` unless the limit is lower.

    Sentences that are done leave the batch at once: a step costs what its rows cost.
    """
    device, sentences = writer.device, len(limits)
    limits_R = torch.tensor(limits, device=device)
    tokens_R = torch.full((sentences,), begin, device=device)
    row_R = torch.arange(sentences, device=device)
    tokens_ST = torch.full((sentences, max(limits, default=0)), end, device=device)
    logs_S = torch.zeros(sentences, device=device)
    for step in range(tokens_ST.shape[1]):
        logs_RV = writer.read(tokens_R).log_softmax(1)
        if step < min_length:
            logs_RV[:, end] = NEVER
        tokens_R, logs_R = likeliest(logs_RV)
        tokens_ST[row_R, step] = tokens_R
        logs_S[row_R] += logs_R
        going_R = (tokens_R != end) & (limits_R > step + 1)
        if bool(going_R.all()):
            continue
        left_L = going_R.nonzero().squeeze(1)
        if not len(left_L):
            break
        tokens_R, row_R, limits_R = tokens_R[left_L], row_R[left_L], limits_R[left_L]
        writer.select(left_L, left_L)
    return [
        _end(tokens[:limit], log, end)
        for tokens, log, limit in zip(tokens_ST.tolist(), logs_S.tolist(), limits, strict=True)
    ]


def _end(tokens: list[int], log_probability: float, end: int) -> Written:
    if end not in tokens:
        return Written(tokens, log_probability, len(tokens))
    length = tokens.index(end)
    return Written(tokens[:length], log_probability, length + 1)


def likeliest(scores_RV: Tensor) -> tuple[Tensor, Tensor]:
    """(R,) the first of the tokens with the highest score of each row, and that score."""
    if scores_RV.device.type == "cpu":  # where torch takes ten times as long
        token_R = torch.from_numpy(scores_RV.numpy().argmax(axis=1))
    else:
        token_R = scores_RV.argmax(dim=1)
    return token_R, scores_RV.gather(1, token_R[:, None]).squeeze(1)
