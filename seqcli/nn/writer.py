"""What a search writes with: the hypotheses of a batch of sentences, which a translator extends by
a token at each step.

`KernelWriter` runs a step as a few prepared calls of the native kernels, `PlainWriter` any network
on any device, `MeanWriter` several at once. The first two give the same numbers on a CPU.

Dimensions: B sentences of the source, L of them whose search goes on, R hypotheses, those of a
sentence together and as many of each, C that there is room for, H units, E embedding,
V vocabulary, T tokens that are chosen.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.attention import Weights
from seqcli.nn.ensemble import Ensemble, Sources, average
from seqcli.nn.likely import Likely, likeliest
from seqcli.nn.native.step import Attending, Choice, Product
from seqcli.nn.ragged import Ragged, offsets
from seqcli.nn.steps import Steps, can_step
from seqcli.nn.translator import Source, Translator


class Writer(Protocol):
    """One hypothesis a sentence at first."""

    @property
    def weights(self) -> Weights | None:
        """What the hypotheses attended to in the last step, where there is attention."""
        ...

    @property
    def device(self) -> torch.device:
        """Where tokens and scores are."""
        ...

    def read(self, tokens_R: Tensor) -> Tensor:
        """Append a token to each hypothesis: the scores (R, V) of the next, each row up to a
        constant, in memory that the next step writes anew."""
        ...

    def choose(self, tokens_R: Tensor, count: int, *, without: int | None = None) -> Likely:
        """Append a token to each hypothesis: the likeliest next ones, `count` or as many as there
        are. `without` is not among them but with a log-probability of −∞."""
        ...

    def select(self, rows_R: Tensor, going_L: Tensor) -> None:
        """Go on with the hypotheses at `rows_R` (with repeats), which belong to those sentences
        among the present ones that `going_L` numbers, rising; both int64, on the device."""
        ...


class Places:
    """Where the sentences whose search goes on stand in the encoded source, which stays as it is:
    a sentence that is done has no hypotheses."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.at_L = torch.arange(batch)

    def select(self, rows_R: Tensor, going_L: Tensor) -> Tensor:
        """As `Writer.select`; (B + 1,) offsets of the hypotheses of each sentence."""
        self.at_L = self.at_L[going_L.cpu()]
        counts_B = torch.zeros(self.batch, dtype=torch.int64)
        counts_B[self.at_L] = len(rows_R) // max(1, len(going_L))
        return offsets(counts_B)


class PlainWriter:
    """`Translator.decode`, a step at a time. Once half of the sentences are done, the source of
    those that are left moves together."""

    weights: Weights | None = None

    def __init__(self, model: Translator, source: Source) -> None:
        self.model, self.source, self.state = model, source, model.start(source)
        self.places = Places(len(source.summary_BH))
        self.hypotheses = torch.arange(self.places.batch + 1)

    @property
    def device(self) -> torch.device:
        return self.source.summary_BH.device

    def read(self, tokens_R: Tensor) -> Tensor:
        steps = Ragged(tokens_R, torch.arange(len(tokens_R) + 1))
        scores_RV, self.state, self.weights = self.model.decode(
            steps, self.source, self.state, hypotheses=self.hypotheses
        )
        return scores_RV.float()

    def choose(self, tokens_R: Tensor, count: int, *, without: int | None = None) -> Likely:
        return likeliest(self.read(tokens_R).log_softmax(1), count, without=without)

    def select(self, rows_R: Tensor, going_L: Tensor) -> None:
        self.state = self.state.select(rows_R)
        self.hypotheses = self.places.select(rows_R, going_L)
        left = len(going_L)
        if 0 < 2 * left <= self.places.batch:
            self.source = self.source.select(self.places.at_L)
            self.places = Places(left)
            self.hypotheses = torch.arange(left + 1) * (len(rows_R) // left)


class KernelWriter:
    """A step of a translator on the native kernels. A row of its memory, whose parts are read and
    written where they lie:

        h, then the upper layers' output | context | embedding | fed output | summary
        └──────── upper layers read ─────┘         └───────── lower layer reads ─────┘
        └────────────────── output reads ──────────┘
    """

    weights: Weights | None = None

    def __init__(self, model: Translator, source: Source, *, capacity: int) -> None:
        hidden, width = model.lower.output_size, model.output.out_features
        self.model, self.source = model, source
        self.places = Places(len(source.summary_BH))
        state = model.start(source)
        fed, summary = width * model.feeding, hidden * (model.attention is None)
        parts = [hidden, hidden, width, fed, summary]
        row_CD = torch.empty(capacity, sum(parts))
        self.h_CH, self.context_CH, self.e_CE, self.fed_CE, self.summary_CH = row_CD.split(parts, 1)
        if state.fed_RE is not None:
            self.fed_CE[: len(state.fed_RE)] = state.fed_RE
        # Of states, too, there is room for more.
        lower, upper = (
            [tuple(self._make_room(part_BH, capacity) for part_BH in cell) for cell in cells]
            for cells in (state.lower, state.upper)
        )
        self.asked_CH = torch.empty(capacity, hidden)
        self.lower = Steps(model.lower, row_CD[:, 2 * hidden :], self.asked_CH, lower)
        self.upper = Steps(model.upper, row_CD[:, : 2 * hidden], self.h_CH, upper)
        self.bf16 = kernels.precision() == "bf16"
        joined_CD = row_CD[:, : 2 * hidden + width]
        self.output = Product(joined_CD, model.output.weight, model.output.bias, bf16=self.bf16)
        # What a hypothesis takes along: parts that select would have to move.
        self.carried = [part for cell in (*lower, *upper) for part in cell]
        if model.feeding:
            self.carried.append(self.fed_CE)
        self.query: Product | None = None
        self.attending: Attending | None = None
        if model.attention is not None:
            asked_CH, energy_H = self.asked_CH, None
            if model.attention.kind == "additive":
                query = model.attention.query
                self.query = Product(asked_CH, query.weight, query.bias, bf16=self.bf16)
                asked_CH, energy_H = self.query.y_CK, model.attention.energy.weight[0]
            keys, values = source.keys, source.memory.values
            self.attending = Attending(asked_CH, keys.values, values, keys.offsets, energy_H)
        self._group(torch.arange(self.places.batch + 1))

    @staticmethod
    def _make_room(part_BH: Tensor, capacity: int) -> Tensor:
        return torch.cat([part_BH, part_BH.new_empty(capacity - len(part_BH), part_BH.shape[1])])

    @property
    def device(self) -> torch.device:
        return self.h_CH.device

    @functools.cached_property
    def head(self) -> Product:
        """The scores of all tokens: memory that few searches need."""
        return Product(self.output.y_CK, self.model.vectors(), self.model.head.bias, bf16=self.bf16)

    @functools.cached_property
    def choice(self) -> Choice:
        return Choice(self.output.y_CK, self.model.vectors(), self.model.head.bias, bf16=self.bf16)

    def read(self, tokens_R: Tensor) -> Tensor:
        self._step(tokens_R)
        return self.head.run(len(tokens_R))

    def choose(self, tokens_R: Tensor, count: int, *, without: int | None = None) -> Likely:
        self._step(tokens_R)
        return Likely(*self.choice.run(len(tokens_R), count, without=without))

    def _step(self, tokens_R: Tensor) -> None:
        rows = len(tokens_R)
        self.e_CE[:rows] = self.model.target_embedding(tokens_R)
        self.lower.run(rows)
        self.h_CH[:rows] = self.asked_CH[:rows]
        if self.query is not None:
            self.query.run(rows)
        if self.attending is not None:
            self.context_CH[:rows] = self.attending.run(rows)
            self.weights = Weights(
                self.attending.weights_P, self.hypotheses, self.source.keys.offsets
            )
        self.upper.run(rows)
        out_RE = self.output.run(rows).tanh_()
        if self.model.feeding:
            self.fed_CE[:rows] = out_RE

    def select(self, rows_R: Tensor, going_L: Tensor) -> None:
        for part in self.carried:
            part[: len(rows_R)] = part.index_select(0, rows_R)
        self._group(self.places.select(rows_R, going_L))

    def _group(self, hypotheses: Tensor) -> None:
        """hypotheses: (B + 1,) offsets of those of each sentence."""
        self.hypotheses = hypotheses
        if self.attending is not None:
            self.attending.group(hypotheses)
        else:
            summary_RH = self.source.summary_BH.repeat_interleave(hypotheses.diff(), dim=0)
            self.context_CH[: len(summary_RH)] = self.summary_CH[: len(summary_RH)] = summary_RH


class MeanWriter:
    """Several writers of the same vocabulary, whose log-probabilities are averaged at each step:
    the geometric mean of their probabilities."""

    def __init__(self, parts: Sequence[Writer]) -> None:
        self.parts = parts

    @property
    def device(self) -> torch.device:
        return self.parts[0].device

    @property
    def weights(self) -> Weights | None:
        """The mean attention of the networks that have attention."""
        return average([part.weights for part in self.parts])

    def read(self, tokens_R: Tensor) -> Tensor:
        return torch.stack([part.read(tokens_R).log_softmax(1) for part in self.parts]).mean(0)

    def choose(self, tokens_R: Tensor, count: int, *, without: int | None = None) -> Likely:
        return likeliest(self.read(tokens_R).log_softmax(1), count, without=without)

    def select(self, rows_R: Tensor, going_L: Tensor) -> None:
        for part in self.parts:
            part.select(rows_R, going_L)


def make_writer(model: Translator | Ensemble, source: Source | Sources, *, capacity: int) -> Writer:
    """The fastest writer for a source encoded by `model.encode`. capacity: most hypotheses."""
    if isinstance(source, Sources):
        models = [cast(Translator, one) for one in cast(Ensemble, model).models]
        pairs = zip(models, source.parts, strict=True)
        return MeanWriter([make_writer(one, part, capacity=capacity) for one, part in pairs])
    model = cast(Translator, model)
    steps = can_step(model.lower) and can_step(model.upper)
    if steps and kernels.runs_natively(source.memory.values):
        return KernelWriter(model, source, capacity=capacity)
    return PlainWriter(model, source)
