"""Finding good outputs: beam search over a translator, sampling from a language model.

Dimensions: B sentences, K hypotheses of a sentence (the beam), R = B·K, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from seqcli.nn.language import LanguageModel
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States
from seqcli.nn.translator import Source, Translator


class Hypothesis(NamedTuple):
    """Token ids without the end mark, and the log-probability with it, raw and normalised."""

    tokens: list[int]
    log_probability: float
    score: float


def normalise(log_probability: float, length: int, penalty: float) -> float:
    """A score that does not favour short outputs: log p / ((5 + length) / 6)^penalty (Wu et al.
    2016)."""
    return log_probability / ((5 + length) / 6) ** penalty


@torch.inference_mode()
def beam_search(
    model: Translator,
    source: Source,
    *,
    beam: int,
    begin: int,
    end: int,
    limits: list[int],
    penalty: float = 1.0,
) -> list[list[Hypothesis]]:
    """The best finished hypotheses of each sentence, best first, at most `beam` of them.

    Each step extends every live hypothesis by its `beam` likeliest tokens. Of all extensions of a
    sentence those that end are finished, and the best `beam` others live on. A sentence is done
    when no live hypothesis can still beat its finished ones, or at its limit of tokens. beam 1 is
    greedy search.

        live      a ─┬─ a b          finished     a END
                     └─ a c                       a b END
    """
    device = source.summary_BH.device
    finished: list[list[Hypothesis]] = [[] for _ in limits]
    sentences = list(range(len(limits)))  # which sentence each row block belongs to
    state = model.start(source)
    tokens = torch.full((len(limits), 1), begin, device=device)
    scores = torch.zeros(len(limits), 1, device=device)
    history = torch.empty(len(limits), 1, 0, dtype=torch.int64, device=device)
    for length in range(1, max(limits, default=0) + 1):
        rows, width = tokens.shape
        batch = Ragged(tokens.flatten(), torch.arange(rows * width + 1))
        groups = torch.arange(0, rows * width + 1, width)
        logits_RV, state, _ = model.decode(batch, source, state, hypotheses=groups)
        logits_RV = logits_RV.float()
        # The best beam + 1 of each row hold the best `beam` that do not end, whatever ends.
        top_RK, token_RK = logits_RV.topk(min(beam + 1, logits_RV.shape[1]), dim=1)
        top_RK = top_RK - logits_RV.logsumexp(dim=1, keepdim=True)
        extended = (scores.view(rows * width, 1) + top_RK).view(rows, -1)
        order = extended.argsort(dim=1, descending=True, stable=True)
        values = extended.gather(1, order).tolist()
        chosen = token_RK.view(rows, -1).gather(1, order).tolist()
        parents = (order // top_RK.shape[1]).tolist()
        keep_rows: list[int] = []
        keep: list[tuple[list[int], list[int], list[float]]] = []
        for row, sentence in enumerate(sentences):
            alive: tuple[list[int], list[int], list[float]] = ([], [], [])
            ranked = zip(parents[row], chosen[row], values[row], strict=True)
            for rank, (parent, token, value) in enumerate(ranked):
                if len(alive[0]) == beam:
                    break
                if token == end:
                    if rank < beam:
                        path = history[row, parent].tolist()
                        score = normalise(value, length, penalty)
                        finished[sentence].append(Hypothesis(path, value, score))
                    continue
                alive[0].append(parent)
                alive[1].append(token)
                alive[2].append(value)
            limit = limits[sentence]
            if length < limit and not _done(finished[sentence], alive[2], beam, limit, penalty):
                keep_rows.append(row)
                keep.append(alive)
            elif not finished[sentence]:  # out of room: the live ones are all there is
                for parent, token, value in zip(*alive, strict=True):
                    path = [*history[row, parent].tolist(), token]
                    score = normalise(value, length, penalty)
                    finished[sentence].append(Hypothesis(path, value, score))
        if not keep:
            break
        width_next = min(len(alive[0]) for alive in keep)
        parent_BK = torch.tensor([alive[0][:width_next] for alive in keep], device=device)
        tokens = torch.tensor([alive[1][:width_next] for alive in keep], device=device)
        scores = torch.tensor([alive[2][:width_next] for alive in keep], device=device)
        at_B = torch.tensor(keep_rows, device=device)
        flat = (at_B[:, None] * width + parent_BK).flatten()
        state = state.select(flat)
        paths = history.view(rows * width, -1)[flat].view(len(keep), width_next, -1)
        history = torch.cat([paths, tokens[:, :, None]], dim=2)
        if len(keep) < rows:
            source = source.select(at_B.cpu())
            sentences = [sentences[row] for row in keep_rows]
    return [sorted(found, key=lambda one: -one.score)[:beam] for found in finished]


def _done(
    finished: list[Hypothesis], alive: list[float], beam: int, limit: int, penalty: float
) -> bool:
    """Whether no live hypothesis can still enter the best `beam`: log p only falls, and the
    mildest normalisation is at the limit of length."""
    if not alive:
        return True
    if len(finished) < beam:
        return False
    worst = sorted((one.score for one in finished), reverse=True)[beam - 1]
    return normalise(alive[0], limit, penalty) <= worst


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
) -> Iterator[int]:
    """Tokens after a prompt (not empty), one at a time, without end; the caller stops."""
    device = next(model.parameters()).device
    tokens = torch.tensor(prompt, device=device)
    while True:
        batch = Ragged(tokens, torch.tensor([0, len(tokens)]))
        scores_NV, states = model(batch, states)
        logits_1V = scores_NV[-1:].float()
        logits_1V[:, list(banned)] = float("-inf")
        tokens = draw(logits_1V, sampling, generator)
        yield int(tokens)
