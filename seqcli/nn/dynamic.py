"""A language model that goes on learning from the text it is judged on.

Source: Krause, Kahembwe, Murray and Renals (2018), "Dynamic evaluation of neural sequence models",
the rule with a global prior. A segment is scored first, and then moves the weights:

    w ← w − η g / (√MS + ε)
    w ← w + min(λ √MS / mean(√MS), 1) · (w₀ − w)

g: the gradient of the segment's mean −log p. MS: the mean square gradient of each weight over
segments of the training text. w₀: the weights as trained, to which those decay that change easily.
Differs from the source: ε is the mean of √MS over all weights, so that η has no unit; and the
decay is from where the step has led, not from where it began, which scores a little better.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from seqcli.nn.language import LanguageModel
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import detach


class Rule(NamedTuple):
    """rate: η. decay: λ."""

    rate: float
    decay: float


def measure(model: LanguageModel, tokens_N: Tensor, segment: int) -> list[Tensor]:
    """√MS of each weight over the segments of a text."""
    weights: list[Tensor] = list(model.parameters())
    squares = [torch.zeros_like(weight) for weight in weights]
    count = 0
    for nats_T in _segments(model, tokens_N, segment):
        gradients = torch.autograd.grad(nats_T.mean(), weights)
        torch._foreach_addcmul_(squares, gradients, gradients)
        count += 1
    torch._foreach_div_(squares, max(count, 1))
    torch._foreach_sqrt_(squares)
    return squares


def evaluate(
    model: LanguageModel, tokens_N: Tensor, roots: list[Tensor], rule: Rule, segment: int
) -> Tensor:
    """(N − 1,) −log p of every token but the first, while the model adapts to the text.

    roots: √MS, as `measure` gives it. The model is left as it was.
    """
    weights: list[Tensor] = list(model.parameters())
    trained = [weight.detach().clone() for weight in weights]
    mean = sum(float(root.sum()) for root in roots) / sum(root.numel() for root in roots)
    scale = [1 / (root + mean) for root in roots]
    back = [(rule.decay / mean * root).clamp_(max=1) for root in roots]
    found = []
    try:
        for nats_T in _segments(model, tokens_N, segment):
            found.append(nats_T.detach())
            gradients = torch.autograd.grad(nats_T.mean(), weights)
            with torch.no_grad():
                torch._foreach_mul_(gradients, scale)
                torch._foreach_add_(weights, gradients, alpha=-rule.rate)
                torch._foreach_lerp_(weights, trained, back)  # type: ignore[arg-type]
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, trained)
    return torch.cat(found)


def _segments(model: LanguageModel, tokens_N: Tensor, segment: int) -> Iterator[Tensor]:
    """−log p of the tokens of each segment, to be differentiated; the states go on."""
    states = None
    for begin in range(0, len(tokens_N) - 1, segment):
        read_T = tokens_N[begin : begin + segment][: len(tokens_N) - 1 - begin]
        gold_T = tokens_N[begin + 1 : begin + 1 + len(read_T)]
        h_TH, states = model.read(Ragged(read_T, torch.tensor([0, len(read_T)])), states)
        yield model.head.nats(h_TH, gold_T)
        states = detach(states)
