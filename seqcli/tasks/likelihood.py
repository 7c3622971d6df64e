"""How likely a language model finds the tokens of texts: by its network, and by the counts of runs
that may stand beside it.

Dimensions: N tokens, B texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqcli.data.batches import bucket
from seqcli.data.sequences import Sequences, bounds_of
from seqcli.data.tokens import EOS
from seqcli.nn.language import LanguageModel
from seqcli.nn.ngram_model import NgramModel
from seqcli.nn.ragged import Ragged
from seqcli.tasks.task import device_of

STREAMS = 16
"""Streams that a text is judged in, whatever those of the training: a score must not depend on
them."""
TOKENS = 4_096  # of a batch


class Passage(NamedTuple):
    """A part of a text as the model read it: what `head` takes (N, H), the tokens to predict from
    it (N,), and their places in the text, from 0 for the second token."""

    places: np.ndarray
    h: Ragged
    gold: Tensor


class Judged(NamedTuple):
    """logs: (N,) the log-probability of each token by the network. chances: (N,) its probability by
    the counts; None where the model has none."""

    logs: Tensor
    chances: np.ndarray | None

    def choose_share(self, ngrams: NgramModel | None) -> None:
        """Let the counts have the share that makes these tokens likeliest."""
        if ngrams is not None and self.chances is not None:
            ngrams.choose_share(self.logs.numpy(), self.chances)

    def mixed(self, ngrams: NgramModel | None) -> Tensor:
        """(N,) the log-probability of each token by both."""
        if ngrams is None or self.chances is None:
            return self.logs
        return ngrams.mix(self.logs, self.chances)


def walk(model: LanguageModel, tokens_N: np.ndarray) -> Iterator[Passage]:
    """Read a stream passage by passage, so that every token but the first is predicted once.

    It is read in a fixed number of contiguous streams, each from a zero state.
    """
    device = device_of(model)
    steps = max(1, -(-(len(tokens_N) - 1) // STREAMS))
    states = None
    starts = np.arange(0, len(tokens_N) - 1, steps)
    ends = np.minimum(starts + steps, len(tokens_N) - 1)
    width = max(1, TOKENS // STREAMS)
    for begin in range(0, steps, width):
        parts = [
            np.arange(min(start + begin, end), min(start + begin + width, end))
            for start, end in zip(starts, ends, strict=True)
        ]
        places = np.concatenate(parts)
        bounds = bounds_of([len(part) for part in parts])
        batch = Ragged(torch.from_numpy(tokens_N[places]).to(device), torch.from_numpy(bounds))
        h_NH, states = model.read(batch, states)
        gold_N = torch.from_numpy(tokens_N[places + 1]).to(device)
        yield Passage(places, batch.with_values(h_NH), gold_N)


@torch.inference_mode()
def judge_stream(model: LanguageModel, tokens_N: np.ndarray) -> Judged:
    """Every token of running text but the first."""
    logs_N = np.empty(len(tokens_N) - 1)
    for places, h, gold_N in walk(model, tokens_N):
        logs_N[places] = -model.head.nats(h.values, gold_N).double().cpu().numpy()
    return Judged(torch.from_numpy(logs_N), count_stream(model, tokens_N))


def count_stream(model: LanguageModel, tokens_N: np.ndarray) -> np.ndarray | None:
    """The chances of a stream's tokens but the first, by the counts."""
    if model.ngrams is None:
        return None
    return model.ngrams.counts().chances(tokens_N, np.array([0]))[1:]


@torch.inference_mode()
def judge_texts(model: LanguageModel, lines: Sequences, given_B: np.ndarray | None) -> Judged:
    """Every token of separate texts, each closed by EOS, end to end. given: what each is written
    from."""
    device = device_of(model)
    logs: list[Tensor] = [torch.empty(0)] * len(lines)
    for batch in bucket(lines.lengths, budget=TOKENS):
        part = lines.take(batch)
        tokens, gold_N = shift(part, device)
        given = None if given_B is None else torch.from_numpy(given_B[batch]).to(device)
        states, found = None, []
        # A batch above the budget is one long text: it is read block by block.
        for begin in range(0, len(gold_N), TOKENS):
            end = begin + TOKENS
            bounds = tokens.offsets.clamp(begin, end) - begin
            block = Ragged(tokens.values[begin:end], bounds)
            h_NH, states = model.read(block, states, given)
            found.append(-model.head.nats(h_NH, gold_N[begin:end]).cpu())
        for row, one in zip(batch, torch.cat(found).split(part.lengths.tolist()), strict=True):
            logs[row] = one
    return Judged(torch.cat(logs), _count_texts(model, lines))


def _count_texts(model: LanguageModel, lines: Sequences) -> np.ndarray | None:
    if model.ngrams is None:
        return None
    opened = np.insert(lines.values, lines.offsets[:-1], EOS)  # as the network reads them
    starts_B = lines.offsets[:-1] + np.arange(len(lines))
    return np.delete(model.ngrams.counts().chances(opened, starts_B), starts_B)


def shift(texts: Sequences, device: torch.device) -> tuple[Ragged, Tensor]:
    """What is read of separate texts, EOS first, and what is predicted (N,), EOS last.

    gold    b e EOS  o r EOS          read    EOS b e  EOS o r
    """
    gold_N = texts.values.astype(np.int64)
    read_N = np.roll(gold_N, 1)
    read_N[texts.offsets[:-1]] = EOS
    tokens = Ragged(torch.from_numpy(read_N).to(device), torch.from_numpy(texts.offsets))
    return tokens, torch.from_numpy(gold_N).to(device)
