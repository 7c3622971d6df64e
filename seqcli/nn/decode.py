"""Sampling from a language model.

Dimensions: B texts, V vocabulary, K of its tokens, likeliest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seqcli.nn.language import LanguageModel
from seqcli.nn.likely import NEVER, likeliest
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States
from seqcli.nn.texts import make_texts, select_states

NUCLEUS = (256, 2_048)
"""Tokens that are looked at first for those that together reach `top_p`, before all are."""


class Sampling(NamedTuple):
    """How the next token is drawn: logits / temperature (0: the likeliest), then only the `top_k`
    likeliest, then only the likeliest that together reach `top_p` (Holtzman et al. 2020)."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def draw(logits_BV: Tensor, sampling: Sampling, luck_B: Tensor) -> Tensor:
    """(B,) a token for each row of scores: where their running sum of chances passes luck, a
    number in [0, 1), float64.

        chances    0.5          0.2    0.3
        luck       0 ────────── 0.5 ── 0.7 ── 1
    """
    if sampling.temperature < 1e-6:  # also where a division would overflow
        return likeliest(logits_BV, 1).tokens_RT.squeeze(1)
    logits_BV = logits_BV.float() / sampling.temperature
    tokens_BK: Tensor | None = None  # the tokens that the columns stand for, where not all
    if 0 < sampling.top_k < logits_BV.shape[1]:
        logits_BV, tokens_BK = logits_BV.topk(sampling.top_k, dim=1)
    chance_BK = torch.softmax(logits_BV, dim=1)
    if sampling.top_p < 1:
        chance_BK, place_BK = _nucleus(chance_BK, sampling.top_p)
        tokens_BK = place_BK if tokens_BK is None else tokens_BK.gather(1, place_BK)
    sum_BK = chance_BK.cumsum(dim=1, dtype=torch.float64)
    all_B1 = sum_BK[:, -1:].contiguous()
    # Rounded up to the whole sum, luck would point behind the last token that has a chance.
    last_B1 = torch.searchsorted(sum_BK, all_B1)
    place_B1 = torch.searchsorted(sum_BK, luck_B[:, None] * all_B1, right=True).minimum(last_B1)
    return (place_B1 if tokens_BK is None else tokens_BK.gather(1, place_B1)).squeeze(1)


def _nucleus(chance_BV: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """(B, K) the highest chances that together reach top_p, zeros behind them, and where they
    stand. To sort all of a large vocabulary would take longer than all else."""
    for count in (*NUCLEUS, chance_BV.shape[1]):
        best_BK, place_BK = chance_BV.topk(min(count, chance_BV.shape[1]), dim=1)
        before_BK = best_BK.cumsum(dim=1) - best_BK
        if bool((before_BK[:, -1] >= top_p).all()):
            break
    return best_BK.masked_fill(before_BK >= top_p, 0.0), place_BK


class Drawing:
    """Texts that go on from one prompt, each with luck of its own.

    prompt: token ids, not empty, read after `states` (of one text; None: none were read), to which
    the `recent` tokens led.
    generators: on the CPU, one a text. banned: tokens that are never drawn. condition: what the
    texts are written from, (1,) or (1, D).
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: LanguageModel,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        generators: Sequence[torch.Generator],
        banned: Sequence[int] = (),
        states: States | None = None,
        recent: Sequence[int] = (),
        condition: Tensor | None = None,
    ) -> None:
        self.device = next(model.parameters()).device
        self.sampling, self.generators = sampling, list(generators)
        self.banned = torch.tensor(banned, dtype=torch.int64, device=self.device)
        *before, last = prompt
        if before:
            read = Ragged(torch.tensor(before, device=self.device), torch.tensor([0, len(before)]))
            _, states = model.recur(read, states, condition)
        states = model.recurrent.initial(1) if states is None else states
        self.tokens_B = torch.full((len(self.generators),), last, device=self.device)
        same_B = torch.zeros_like(self.tokens_B)
        given = None if condition is None else condition.index_select(0, same_B)
        recent = [*recent, *before]
        self.texts = make_texts(model, select_states(states, same_B), given, recent)

    @property
    def states(self) -> States:
        """The states before the tokens that were drawn last, until the next ones are."""
        return self.texts.states

    @torch.inference_mode()
    def draw(self) -> list[int]:
        """The next token of each text."""
        scores_BV = self.texts.read(self.tokens_B).index_fill_(1, self.banned, NEVER)
        rand = [torch.rand((), generator=one, dtype=torch.float64) for one in self.generators]
        self.tokens_B = draw(scores_BV, self.sampling, torch.stack(rand).to(self.device))
        return self.tokens_B.tolist()

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        """Go on with the texts at these places among the present ones, rising."""
        rows_B = torch.tensor(rows, device=self.device)
        self.generators = [self.generators[row] for row in rows]
        self.tokens_B = self.tokens_B[rows_B]
        self.texts.select(rows_B)
