"""Beam search: the best outputs of a translator, or of several together.

Dimensions: B sentences whose search goes on, K hypotheses of a sentence (the beam), R = B·K,
C extensions weighed for a sentence, T for a hypothesis, V vocabulary, S source tokens of the
longest, t tokens so far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqcli.nn.attention import Weights
from seqcli.nn.ensemble import Ensemble
from seqcli.nn.greedy import write_greedily
from seqcli.nn.likely import NEVER, Likely, likeliest
from seqcli.nn.translator import Translator
from seqcli.nn.writer import Writer, make_writer

LEAST_COVERAGE = 1e-9
"""Attention that a source token has got at least: its logarithm stays finite."""


class Hypothesis(NamedTuple):
    """Token ids without the end mark, and the log-probability with it, raw and as it is ranked."""

    tokens: list[int]
    log_probability: float
    score: float

    def facts(self) -> dict[str, float]:
        """The numbers, by name."""
        return {"log_probability": self.log_probability, "score": self.score}


@dataclass(frozen=True, kw_only=True)
class Search:
    """How to search. Finished hypotheses are ranked by

        log p / ((5 + length) / 6)^length_penalty + coverage_penalty · Σ_i log min(Σ_j a_ij, 1)

    a_ij the attention of step j to source token i (Wu et al. 2016): long outputs and those that
    leave nothing of the source out are favoured. length counts the end mark. no_repeat: no run of
    so many tokens comes twice (Paulus et al. 2018); 0 allows all. min_length: tokens before the
    end mark, at least. prefix: tokens that every output begins with, whatever their probability.
    """

    beam: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    no_repeat: int = 0
    min_length: int = 0
    prefix: tuple[int, ...] = ()

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token at every step is all that is asked for."""
        plain = not self.no_repeat and not self.coverage_penalty and not self.prefix
        return self.beam == 1 and plain

    def divisor(self, length: Any) -> Any:
        """What log p of an output of so many tokens is divided by."""
        return ((5 + length) / 6) ** self.length_penalty


def normalise(log_probability: float, length: int, penalty: float) -> float:
    """A score that does not favour short outputs: log p / ((5 + length) / 6)^penalty (Wu et al.
    2016)."""
    return log_probability / Search(length_penalty=penalty).divisor(length)


class Extensions(NamedTuple):
    """The extensions weighed for each sentence, (B, C), best first: log p of the whole, which of
    its K hypotheses is extended, the token, whether it ends, and what the source coverage adds to
    its score."""

    values: Tensor
    parents: Tensor
    tokens: Tensor
    ends: Tensor
    covered: Tensor

    def pick(self, order_BK: Tensor) -> Extensions:
        return Extensions(*(part.gather(1, order_BK) for part in self))


Watch = Callable[[Extensions, Tensor], None]
"""Is told at each step of all extensions that were weighed, and where the best `beam` of those that
do not end stand among them, (B, K)."""


@torch.inference_mode()
def beam_search(
    model: Translator | Ensemble,
    source: Any,
    search: Search,
    *,
    begin: int,
    end: int,
    limits: list[int],
    watch: Watch | None = None,
) -> list[list[Hypothesis]]:
    """The best finished hypotheses of each sentence, best first, at most `beam` of them.

    Each step extends every live hypothesis by its `beam` likeliest tokens. Of all extensions of a
    sentence those that end are finished, and the best `beam` others live on. A sentence is done
    when `beam` of its hypotheses are finished, or at its limit of tokens. beam 1 is greedy search
    (greedy.py).

        live      a ─┬─ a b          finished     a END
                     └─ a c                       a b END
    """
    writer = make_writer(model, source, capacity=len(limits) * search.beam)
    if search.greedy and watch is None:
        written = write_greedily(
            writer, begin=begin, end=end, limits=limits, min_length=search.min_length
        )
        return [
            [Hypothesis(tokens, log, log / search.divisor(length))]
            for tokens, log, length in written
        ]
    beam = _Beam(writer, search, begin=begin, end=end, limits=limits, watch=watch)
    for length in range(1, max(limits, default=0) + 1):
        if not beam.step(length):
            break
    return [sorted(found, key=lambda one: -one.score)[: search.beam] for found in beam.finished]


class _Beam:
    """The hypotheses of all sentences of a batch, from step to step.

    sentences_B: where the live sentences stand in the batch. tokens_BK, scores_BK: the last token
    and log p of each hypothesis, −inf where there is none. paths_BKt: its tokens. best_BK: scores
    of the finished ones, falling. covered_BKS: attention that each source token has got.
    """

    def __init__(
        self,
        writer: Writer,
        search: Search,
        *,
        begin: int,
        end: int,
        limits: list[int],
        watch: Watch | None,
    ) -> None:
        rows, device = len(limits), writer.device
        self.writer, self.search, self.end, self.watch = writer, search, end, watch
        self.finished: list[list[Hypothesis]] = [[] for _ in limits]
        self.sentences_B = torch.arange(rows)
        self.limits_B = torch.tensor(limits, device=device)
        self.tokens_BK = torch.full((rows, 1), begin, device=device)
        self.scores_BK = torch.zeros(rows, 1, device=device)
        self.paths_BKt = torch.empty(rows, 1, 0, dtype=torch.int64, device=device)
        self.best_BK = torch.full((rows, search.beam), NEVER, device=device)
        self.covered_BKS: Tensor | None = None

    def step(self, length: int) -> bool:
        """Extend all hypotheses to `length` tokens; whether any go on."""
        weighed = self._extend(length)
        # A hypothesis ends in one way, so that so many hold the best `beam` of either kind.
        best = Extensions(*(part[:, : 2 * self.search.beam] for part in weighed))
        self._finish(best, length)
        order_BK = best.ends.to(torch.uint8).argsort(dim=1, stable=True)[:, : self.search.beam]
        if self.watch is not None:
            self.watch(weighed, order_BK)
        alive = best.pick(order_BK)
        alive = alive._replace(values=alive.values.masked_fill(alive.ends, NEVER))
        full_B = self.best_BK[:, -1] > NEVER
        done_B = full_B | (alive.values[:, 0] == NEVER) | (length >= self.limits_B)
        if bool((done_B & (self.best_BK[:, 0] == NEVER)).any()):
            self._cut(alive, done_B, length)
        return self._advance(alive, ~done_B)

    def _extend(self, length: int) -> Extensions:
        search = self.search
        sentences = len(self.tokens_BK)
        top_RT, token_RT = self._choose(length)
        values_BC = (self.scores_BK.view(-1, 1) + top_RT).view(sentences, -1)
        values_BC, order_BC = values_BC.sort(dim=1, descending=True, stable=True)
        tokens_BC = token_RT.view(sentences, -1).gather(1, order_BC)
        parents_BC = order_BC // top_RT.shape[1]
        covered_BC = torch.zeros_like(values_BC)
        if search.coverage_penalty and self.writer.weights is not None:
            covered_BC = self._cover(self.writer.weights).gather(1, parents_BC)
        return Extensions(values_BC, parents_BC, tokens_BC, tokens_BC == self.end, covered_BC)

    def _choose(self, length: int) -> Likely:
        """The likeliest extensions of each hypothesis that are allowed."""
        search, tokens_R = self.search, self.tokens_BK.flatten()
        # The best beam + 1 of each row hold the best `beam` that do not end, whatever ends.
        count, without = search.beam + 1, self.end if length <= search.min_length else None
        forced = search.prefix[length - 1 : length]
        if not search.no_repeat and not forced:
            return self.writer.choose(tokens_R, count, without=without)
        logs_RV = self.writer.read(tokens_R).log_softmax(1)
        if forced:
            tokens_R1 = tokens_R.new_tensor(forced).expand(len(tokens_R), 1)
            return Likely(logs_RV.gather(1, tokens_R1), tokens_R1)
        block(logs_RV, self.paths_BKt.flatten(0, 1), search.no_repeat)
        return likeliest(logs_RV, count, without=without)

    def _cover(self, weights: Weights) -> Tensor:
        """(B, K) coverage_penalty · Σ_i log min(Σ_j a_ij, 1) of each hypothesis so far."""
        sentences, width = self.tokens_BK.shape
        covered_BKS = weights.rows().view(sentences, width, -1)
        if self.covered_BKS is not None:
            covered_BKS = covered_BKS + self.covered_BKS[:, :, : covered_BKS.shape[2]]
        self.covered_BKS = covered_BKS
        lengths_B = weights.keys.diff()[weights.queries.diff() > 0].to(covered_BKS.device)
        steps_S = torch.arange(covered_BKS.shape[2], device=covered_BKS.device)
        real_BS = steps_S < lengths_B[:, None]
        logs_BKS = covered_BKS.clamp(LEAST_COVERAGE, 1).log() * real_BS[:, None, :]
        return self.search.coverage_penalty * logs_BKS.sum(2)

    def _finish(self, found: Extensions, length: int) -> None:
        """Keep the extensions that end, where they are among the best `beam`."""
        width = min(self.search.beam, found.values.shape[1])
        values_BK = found.values[:, :width]
        ends_BK = found.ends[:, :width] & (values_BK > NEVER)
        if not bool(ends_BK.any()):
            return
        scores_BK = values_BK / self.search.divisor(length) + found.covered[:, :width]
        row_F, at_F = ends_BK.nonzero(as_tuple=True)
        paths_Ft = self.paths_BKt[row_F, found.parents[row_F, at_F]]
        self._keep(row_F, paths_Ft, values_BK[row_F, at_F], scores_BK[row_F, at_F])
        scores_BK = torch.cat([self.best_BK, scores_BK.masked_fill(~ends_BK, NEVER)], dim=1)
        self.best_BK = scores_BK.topk(self.search.beam, dim=1).values

    def _cut(self, alive: Extensions, done_B: Tensor, length: int) -> None:
        """Out of room with nothing finished: the live ones are all there is. Where every token is
        forbidden, what there was before stays."""
        scores_BK = alive.values / self.search.divisor(length) + alive.covered
        lacking_B = done_B & (self.best_BK[:, 0] == NEVER)
        row_F, at_F = (lacking_B[:, None] & (alive.values > NEVER)).nonzero(as_tuple=True)
        before_Ft = self.paths_BKt[row_F, alive.parents[row_F, at_F]]
        paths_Ft = torch.cat([before_Ft, alive.tokens[row_F, at_F][:, None]], dim=1)
        self._keep(row_F, paths_Ft, alive.values[row_F, at_F], scores_BK[row_F, at_F])
        row_F = (lacking_B & (alive.values[:, 0] == NEVER)).nonzero().squeeze(1)
        values_F = self.scores_BK[row_F, 0]
        scores_F = values_F / self.search.divisor(length)
        self._keep(row_F, self.paths_BKt[row_F, 0], values_F, scores_F)

    def _keep(self, row_F: Tensor, paths_Ft: Tensor, values_F: Tensor, scores_F: Tensor) -> None:
        sentences = self.sentences_B[row_F.cpu()].tolist()
        parts = (part.tolist() for part in (paths_Ft, values_F, scores_F))
        for sentence, *hypothesis in zip(sentences, *parts, strict=True):
            self.finished[sentence].append(Hypothesis(*hypothesis))

    def _advance(self, alive: Extensions, going_B: Tensor) -> bool:
        """Go on with the living hypotheses of the sentences that are not done."""
        row_B = going_B.nonzero().squeeze(1)
        sentences, width = self.tokens_BK.shape
        parents_BK = alive.parents[row_B]
        at_R = (row_B[:, None] * width + parents_BK).flatten()
        if width > 1 or len(at_R) != sentences:
            self.writer.select(at_R, row_B)
        self.tokens_BK, self.scores_BK = alive.tokens[row_B], alive.values[row_B]
        before_BKt = self.paths_BKt.flatten(0, 1)[at_R].unflatten(0, parents_BK.shape)
        self.paths_BKt = torch.cat([before_BKt, self.tokens_BK[:, :, None]], dim=2)
        if self.covered_BKS is not None:
            self.covered_BKS = self.covered_BKS.flatten(0, 1)[at_R].unflatten(0, parents_BK.shape)
        if len(row_B) < sentences:
            self.sentences_B = self.sentences_B[row_B.cpu()]
            self.limits_B, self.best_BK = self.limits_B[row_B], self.best_BK[row_B]
        return len(row_B) > 0


def block(logs_RV: Tensor, paths_Rt: Tensor, size: int) -> None:
    """Forbid, in place, the tokens with which a run of `size` tokens would come again.

    size 2, path a b c a      b is forbidden: "a b" was there
    """
    length = paths_Rt.shape[1]
    if length < size:
        return
    runs = paths_Rt.unfold(1, size, 1)
    end_R1n = paths_Rt[:, None, length - size + 1 :]
    again_Rt = (runs[:, :, :-1] == end_R1n).all(dim=2)
    row_F, at_F = again_Rt.nonzero(as_tuple=True)
    logs_RV[row_F, runs[row_F, at_F, size - 1]] = NEVER
