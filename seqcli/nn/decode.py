"""Sampling from a language model.

Dimensions: B texts, N tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from seqcli.nn.language import LanguageModel
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States


class Sampling(NamedTuple):
    """How the next token is drawn: logits / temperature (0: the likeliest), then only the `top_k`
    likeliest, then only the likeliest that together reach `top_p` (Holtzman et al. 2020)."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def draw(logits_BV: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """(B,) a token for each row of scores."""
    if sampling.temperature < 1e-6:  # also where a division would overflow
        return logits_BV.argmax(dim=1)
    logits_BV = logits_BV.float() / sampling.temperature
    if 0 < sampling.top_k < logits_BV.shape[1]:
        least_B1 = logits_BV.topk(sampling.top_k, dim=1).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < least_B1, float("-inf"))
    chance_BV = torch.softmax(logits_BV, dim=1)
    if sampling.top_p < 1:
        sorted_BV, order_BV = chance_BV.sort(dim=1, descending=True, stable=True)
        before_BV = sorted_BV.cumsum(dim=1) - sorted_BV
        sorted_BV = sorted_BV.masked_fill(before_BV >= sampling.top_p, 0.0)
        chance_BV = torch.zeros_like(chance_BV).scatter(1, order_BV, sorted_BV)
    return (
        torch.multinomial(chance_BV.cpu(), 1, generator=generator).squeeze(1).to(logits_BV.device)
    )


@torch.inference_mode()
def sample(
    model: LanguageModel,
    prompt: list[int],
    sampling: Sampling,
    *,
    generator: torch.Generator,
    banned: tuple[int, ...] = (),
    states: States | None = None,
    condition: Tensor | None = None,
) -> Iterator[tuple[int, States]]:
    """Tokens after a prompt (not empty), one at a time, without end, each with the states before
    it is read; the caller stops. condition: of the one text, (1,) or (1, D)."""
    device = next(model.parameters()).device
    tokens = torch.tensor(prompt, device=device)
    while True:
        batch = Ragged(tokens, torch.tensor([0, len(tokens)]))
        scores_NV, states = model(batch, states, condition)
        logits_1V = scores_NV[-1:].float()
        logits_1V[:, list(banned)] = float("-inf")
        tokens = draw(logits_1V, sampling, generator)
        yield int(tokens), states
