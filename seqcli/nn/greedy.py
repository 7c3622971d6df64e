"""Greedy search: the likeliest token at every step.

Dimensions: R outputs that go on, S sentences of the batch, T tokens of the longest.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from seqcli.nn.writer import Writer


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
        likely = writer.choose(tokens_R, 1, without=end if step < min_length else None)
        logs_R, tokens_R = likely.logs_RT.squeeze(1), likely.tokens_RT.squeeze(1)
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
