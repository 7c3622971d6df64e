"""Texts that a language model reads, a token of each at a time, and how likely it finds what may
come next.

`KernelTexts` takes a step as a few prepared calls of the native kernels, `PlainTexts` any network
on any device; on a CPU both give the same numbers.

Dimensions: R texts, C of them at first, E embedding, H units, V vocabulary, D features of a
condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.language import LanguageModel
from seqcli.nn.native.counts import Follower
from seqcli.nn.native.step import Product
from seqcli.nn.ngram_model import NgramModel
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States
from seqcli.nn.softmax import FullSoftmax
from seqcli.nn.steps import Steps, can_step


class Texts(Protocol):
    @property
    def states(self) -> States:
        """The states of the R texts after what was read; the next step may write over them."""
        ...

    def read(self, tokens_R: Tensor) -> Tensor:
        """Append a token to each text: the scores (R, V) of the next, each row up to a constant,
        in memory that the next step writes anew."""
        ...

    def select(self, rows_R: Tensor) -> None:
        """Go on with the texts at `rows_R`, rising."""
        ...


class PlainTexts:
    """`LanguageModel.forward`, a step at a time. given: what each text is written from, (R,) or
    (R, D)."""

    def __init__(self, model: LanguageModel, states: States, given: Tensor | None) -> None:
        self.model, self.states, self.given = model, states, given

    def read(self, tokens_R: Tensor) -> Tensor:
        steps = Ragged(tokens_R, torch.arange(len(tokens_R) + 1))
        scores_RV, self.states = self.model(steps, self.states, self.given)
        return scores_RV.float()

    def select(self, rows_R: Tensor) -> None:
        self.states = select_states(self.states, rows_R)
        if self.given is not None:
            self.given = self.given.index_select(0, rows_R)


class KernelTexts:
    """The same from prepared calls. A row of what the layers read:

    embedding | condition, which stays
    """

    def __init__(self, model: LanguageModel, states: States, given: Tensor | None) -> None:
        self.model, self.rows = model, len(states[0][0])
        e_1E = model.embedding(torch.zeros(1, dtype=torch.int64))
        extra = model.conditioning.width if model.conditioning else 0
        x_CD = torch.zeros(self.rows, e_1E.shape[1] + extra)
        self.e_CE, condition_CD = x_CD.split([e_1E.shape[1], extra], dim=1)
        self.h_CH = torch.empty(self.rows, model.recurrent.output_size)
        self.cells = [tuple(part.clone() for part in cell) for cell in states]
        self.steps = Steps(model.recurrent, x_CD, self.h_CH, self.cells)
        # What a text takes along.
        self.carried = [part for cell in self.cells for part in cell]
        self.shift_CH: Tensor | None = None
        if model.conditioning and given is not None:
            condition_CD.copy_(model.conditioning.read(given))
            self.shift_CH = model.conditioning.shift(given)
            self.carried += [condition_CD, self.shift_CH]
        bf16 = kernels.precision() == "bf16"
        self.features_CE = self.h_CH
        self.narrow: Product | None = None
        if model.narrow is not None:
            self.narrow = Product(self.h_CH, model.narrow.weight, model.narrow.bias, bf16=bf16)
            self.features_CE = self.narrow.y_CK
        self.head: Product | None = None
        if isinstance(model.head, FullSoftmax):
            head = model.head
            self.head = Product(self.features_CE, head.vectors(), head.bias, bf16=bf16)

    @property
    def states(self) -> States:
        return [tuple(part[: self.rows] for part in cell) for cell in self.cells]

    def read(self, tokens_R: Tensor) -> Tensor:
        rows = len(tokens_R)
        self.e_CE[:rows] = self.model.embedding(tokens_R)
        self.steps.run(rows)
        if self.shift_CH is not None:
            self.h_CH[:rows] += self.shift_CH[:rows]
        if self.narrow is not None:
            self.narrow.run(rows)
        if self.head is not None:
            return self.head.run(rows)
        return self.model.head.scores(self.features_CE[:rows])

    def select(self, rows_R: Tensor) -> None:
        self.rows = len(rows_R)
        for part in self.carried:
            part[: self.rows] = part.index_select(0, rows_R)


class CountedTexts:
    """Texts whose next tokens are also foretold by the counts beside the network. recent: the
    tokens that were read before, as far as the counts look back."""

    def __init__(self, texts: Texts, rows: int, ngrams: NgramModel, recent: Sequence[int]) -> None:
        self.texts, self.ngrams = texts, ngrams
        counts = ngrams.counts()
        native = kernels.runs_natively(ngrams.get_buffer("own_1"))
        self.follow = Follower(counts).follow if native else counts.follow
        runs_1L = counts.begin(1)
        for token in recent[-counts.longest :]:
            runs_1L = counts.extend(runs_1L, np.array([token]))
        self.runs_RL = np.repeat(runs_1L, rows, axis=0)

    @property
    def states(self) -> States:
        return self.texts.states

    def read(self, tokens_R: Tensor) -> Tensor:
        logs_RV = self.texts.read(tokens_R).log_softmax(1)
        self.runs_RL, chances_RV = self.follow(self.runs_RL, tokens_R.cpu().numpy())
        return self.ngrams.mix(logs_RV, chances_RV)

    def select(self, rows_R: Tensor) -> None:
        self.texts.select(rows_R)
        self.runs_RL = self.runs_RL[rows_R.cpu().numpy()]


def select_states(states: States, rows_R: Tensor) -> States:
    """The states of the chosen texts (with repeats)."""
    return [tuple(part.index_select(0, rows_R) for part in cell) for cell in states]


def make_texts(
    model: LanguageModel, states: States, given: Tensor | None, recent: Sequence[int] = ()
) -> Texts:
    """The fastest available reader, for as many texts as there are states. recent: the tokens that
    led to the states, the last of them at least."""
    fast = can_step(model.recurrent) and kernels.runs_natively(model.embedding.weight)
    texts = (KernelTexts if fast else PlainTexts)(model, states, given)
    if model.ngrams is None:
        return texts
    return CountedTexts(texts, len(states[0][0]), model.ngrams, recent)
