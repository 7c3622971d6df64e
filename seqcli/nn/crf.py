"""A linear-chain conditional random field over ragged batches (Lafferty et al. 2001).

    p(y | x) = exp(Σ_t s_t(y_t) + Σ_t A(y_{t-1}, y_t) + first(y_1) + last(y_T)) / Z

Sequences walk side by side in the order of time, longest first, so that a step is one product over
those that have not ended:

    sequences    a b c | d e | f | g h i     steps    a g d f | b h e | c i

The forward and the backward sums are kept as probabilities of each step in float64, whose range
holds every difference of scores that can occur, and scaled to sum to one (Rabiner 1989): a product
a step instead of exponentials of L² sums. The gradient of log Z, the marginals, is had directly.

Dimensions: N tokens of a batch, B sequences, T steps of the longest, L labels, K best paths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seqcli.data.schemes import can_follow
from seqcli.nn import kernels
from seqcli.nn.native import chain
from seqcli.nn.ragged import Ragged, TimeOrder

NEVER = -1e4
"""The score of what a scheme forbids: a path through it never wins where another exists."""
CHUNK = 1 << 18
"""Sums of a step that are compared at a time: they stay in a core's memory."""


class CRF(nn.Module):
    """Scores of a first tag, of each tag after each, and of a last tag.

    tags: their names. scheme: how they mark spans, None if they do not; what it forbids has no
    probability. All sequences have at least one token.
    """

    def __init__(self, tags: Sequence[str], scheme: str | None) -> None:
        super().__init__()
        labels = len(tags)
        self.first = nn.Parameter(torch.zeros(labels))
        self.after = nn.Parameter(torch.zeros(labels, labels))
        self.last = nn.Parameter(torch.zeros(labels))
        if scheme is None:
            allowed = torch.ones(labels + 1, labels + 1, dtype=torch.bool)
        else:
            names = [*tags, "O"]
            allowed = torch.tensor([[can_follow(a, b, scheme) for b in names] for a in names])
        self.allowed: Tensor
        self.register_buffer("allowed", allowed, persistent=False)

    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """first (L,), after (L, L) from the row's tag to the column's, last (L,); float32."""
        forbidden = ~self.allowed
        return (
            self.first.masked_fill(forbidden[-1, :-1], NEVER),
            self.after.masked_fill(forbidden[:-1, :-1], NEVER),
            self.last.masked_fill(forbidden[:-1, -1], NEVER),
        )

    def nats(self, scores: Ragged, gold_N: Tensor) -> Tensor:
        """(B,) −log p of each sequence's gold tags, float64."""
        return _compare(scores, self.weights(), gold_N)

    def log_partition(self, scores: Ragged) -> Tensor:
        """(B,) log Z of each sequence, float64."""
        return _compare(scores, self.weights(), None)

    def marginals(self, scores: Ragged) -> Tensor:
        """(N, L) the log-probability of each tag of each token, the other tokens' being open."""
        sums = sum_paths(scores, *self.weights())
        share_NL = sums.before_NL * sums.behind_NL
        return share_NL.clamp_min(torch.finfo(share_NL.dtype).tiny).log().float()

    @torch.no_grad()
    def decode(self, scores: Ragged) -> Tensor:
        """(N,) the tags of the likeliest path of each sequence (Viterbi 1967).

        Only the best sums are kept, not where they come from: on the way back one comparison of L
        numbers finds that again.
        """
        first_L, after_LL, last_L = (weight.contiguous() for weight in self.weights())
        time = TimeOrder.of(scores)
        own = time.arrange(scores.values).split(time.counts)
        into_LL = after_LL.t().contiguous()
        sums = [own[0] + first_L]
        for own_BL in own[1:]:
            best_BL = _best_into(sums[-1][: len(own_BL)], into_LL)
            # Differences decide; sums of a long sequence would lose them to rounding.
            sums.append(own_BL + (best_BL - best_BL.amax(1, keepdim=True)))
        chosen: list[Tensor] = []
        next_B = own[0].new_empty(0, dtype=torch.int64)
        for sum_BL in reversed(sums):
            going = len(next_B)
            ending_B = (sum_BL[going:] + last_L).argmax(1)
            going_B = (sum_BL[:going] + into_LL[next_B]).argmax(1)
            next_B = torch.cat([going_B, ending_B])
            chosen.append(next_B)
        return time.restore(torch.cat(chosen[::-1]))

    @torch.no_grad()
    def decode_best(self, scores: Ragged, count: int) -> list[list[Path]]:
        """The `count` likeliest paths of each sequence, best first; fewer where there are fewer."""
        total_B = self.log_partition(scores)
        weights = tuple(map(Tensor.double, self.weights()))
        rows = max(1, CHUNK // self.after.numel())
        found: list[list[Path]] = []
        for rows_B in torch.arange(scores.batch).split(rows):
            tags_KN, score_BK = _best_paths(scores.select(rows_B), *weights, count=count)
            parts = tags_KN.split(scores.lengths[rows_B].tolist(), dim=1)
            share_BK = (score_BK - total_B[rows_B, None]).tolist()
            for tags_KT, shares, there_K in zip(parts, share_BK, score_BK.isfinite(), strict=True):
                real_K = there_K & _are_allowed(tags_KT, *weights)
                real_K[0] = True
                paths = zip(tags_KT.tolist(), shares, real_K.tolist(), strict=True)
                found.append([Path(tags, share) for tags, share, real in paths if real])
        return found


def _are_allowed(tags_KT: Tensor, first_L: Tensor, after_LL: Tensor, last_L: Tensor) -> Tensor:
    """(K,) whether the scheme allows each of these paths."""
    steps = (
        first_L[tags_KT[:, :1]],
        after_LL[tags_KT[:, :-1], tags_KT[:, 1:]],
        last_L[tags_KT[:, -1:]],
    )
    return torch.cat(steps, dim=1).amin(1) > NEVER / 2


class Path(NamedTuple):
    """The tags of a sequence, and the log-probability of all of them together."""

    tags: list[int]
    log_probability: float


class Sums(NamedTuple):
    """What both passes give.

    before_NL: p(tag | tokens up to here). behind_NL: what the tokens after it make of that; the
    product of both is the marginal. next_NL: the tag's own part of the backward sum of the token
    before it. total_B: log Z of the sequences.
    """

    before_NL: Tensor
    behind_NL: Tensor
    next_NL: Tensor
    total_B: Tensor


def sum_paths(scores: Ragged, first_L: Tensor, after_LL: Tensor, last_L: Tensor) -> Sums:
    """The sums over the paths of each sequence, by token; zero in next_NL for first tokens."""
    parts = scores.values, first_L, after_LL, last_L
    wanted = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
    if kernels.runs_natively(scores.values) and not wanted:
        return Sums(*chain.chains(*parts, scores.offsets)[:4])
    time = TimeOrder.of(scores)
    found = forward_backward(time.arrange(scores.values), first_L, after_LL, last_L, time)
    before_NL, behind_NL, next_NL = map(time.restore, found[:3])
    total_B = torch.empty_like(found.total_B).index_copy(0, time.order_B, found.total_B)
    return Sums(before_NL, behind_NL, next_NL.index_fill(0, scores.first(), 0), total_B)


def forward_backward(
    scores_NL: Tensor, first_L: Tensor, after_LL: Tensor, last_L: Tensor, time: TimeOrder
) -> Sums:
    """The sums in the order of steps, of the sequences longest first; differentiable."""
    top_N1 = scores_NL.detach().max(dim=1, keepdim=True).values
    own = (scores_NL.double() - top_N1).exp().split(time.counts)
    first_L, after_LL, last_L = (part.double().exp() for part in (first_L, after_LL, last_L))

    least = torch.finfo(own[0].dtype).tiny
    before: list[Tensor] = []
    scales: list[Tensor] = []
    for own_BL in own:
        reached_BL = before[-1][: len(own_BL)] @ after_LL if before else first_L
        sum_BL = own_BL * reached_BL
        scales.append(sum_BL.sum(1, keepdim=True).clamp_min(least))
        before.append(sum_BL / scales[-1])

    from_LL = after_LL.t()
    behind: list[Tensor] = []
    following: list[Tensor] = []
    ends: list[Tensor] = []
    for own_BL, before_BL, scale_B1 in zip(own[::-1], before[::-1], scales[::-1], strict=True):
        going = len(following[-1]) if following else 0
        end_B1 = (before_BL[going:] @ last_L)[:, None].clamp_min(least)
        behind_BL = last_L / end_B1
        if going:
            behind_BL = torch.cat([following[-1] @ from_LL, behind_BL])
        ends.append(end_B1)
        behind.append(behind_BL)
        following.append(own_BL * behind_BL / scale_B1)

    size_N1 = torch.cat(scales).log() + top_N1
    total_B = torch.cat(ends).squeeze(1).log()
    place_N = torch.cat([torch.arange(count, device=top_N1.device) for count in time.counts])
    total_B = total_B.index_add(0, place_N, size_N1.squeeze(1))
    return Sums(torch.cat(before), torch.cat(behind[::-1]), torch.cat(following[::-1]), total_B)


def _compare(
    scores: Ragged, weights: tuple[Tensor, Tensor, Tensor], gold_N: Tensor | None
) -> Tensor:
    """(B,) log Z, less the score of a path of gold tags, if there is one; float64."""
    native = kernels.runs_natively(scores.values)
    compare: Callable[..., Tensor] = chain.nats if native else _Nats.apply
    return compare(scores.values, *weights, scores.offsets, gold_N)


class _Nats(torch.autograd.Function):
    """log Z less the scores of the gold path, or log Z alone. The gradient is the marginals less
    the gold tags."""

    @staticmethod
    def forward(
        ctx: Any,
        scores_NL: Tensor,
        first_L: Tensor,
        after_LL: Tensor,
        last_L: Tensor,
        offsets: Tensor,
        gold_N: Tensor | None,
    ) -> Tensor:
        scores = Ragged(scores_NL, offsets)
        sums = sum_paths(scores, first_L, after_LL, last_L)
        ctx.save_for_backward(*sums[:3], after_LL, offsets, gold_N)
        if gold_N is None:
            return sums.total_B
        step_N = after_LL.flatten()[_pairs(gold_N, len(first_L))]
        step_N[scores.first()] = first_L[gold_N[scores.first()]]
        path_N = scores_NL.gather(1, gold_N[:, None]).squeeze(1).double() + step_N.double()
        ends_B = last_L[gold_N[scores.last()]].double()
        return sums.total_B - ends_B.index_add(0, scores.segments(), path_N)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weight_B: Tensor) -> tuple[Tensor | None, ...]:
        before_NL, behind_NL, next_NL, after_LL, offsets, gold_N = ctx.saved_tensors
        scores = Ragged(before_NL, offsets)
        weight_N = weight_B[scores.segments()]
        share_NL = before_NL * behind_NL * weight_N[:, None]
        pairs_LL = before_NL[:-1].t() @ (next_NL * weight_N[:, None])[1:] * after_LL.double().exp()
        if gold_N is not None:
            share_NL.scatter_add_(1, gold_N[:, None], -weight_N[:, None])
            follows_N = -weight_N.index_fill(0, scores.first(), 0)
            pairs_LL.view(-1).index_add_(0, _pairs(gold_N, len(pairs_LL)), follows_N)
        kind = after_LL.dtype
        return (
            share_NL.to(kind),
            share_NL[scores.first()].sum(0).to(kind),
            pairs_LL.to(kind),
            share_NL[scores.last()].sum(0).to(kind),
            None,
            None,
        )


def _pairs(gold_N: Tensor, labels: int) -> Tensor:
    """(N,) each tag and the one before it as a place in (L, L), whatever sequence that is of."""
    return gold_N.roll(1) * labels + gold_N


def _best_into(sum_BL: Tensor, into_LL: Tensor) -> Tensor:
    """(B, L) the best sum that leads into each tag: the maximum over the tag before it."""
    rows = max(1, CHUNK // into_LL.numel())
    parts = [(part[:, None, :] + into_LL).amax(2) for part in sum_BL.split(rows)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _best_paths(
    scores: Ragged, first_L: Tensor, after_LL: Tensor, last_L: Tensor, *, count: int
) -> tuple[Tensor, Tensor]:
    """(K, N) the tags of the K best paths of each sequence, and (B, K) their scores, falling;
    −inf where there are fewer paths.

    Into each tag K sums are kept. They come from at most K tags: those whose best sum leads there
    best.
    """
    time = TimeOrder.of(scores)
    own = time.arrange(scores.values.double()).split(time.counts)
    labels, few = len(first_L), min(count, len(first_L))
    sum_BLK = own[0].new_full((*own[0].shape, count), -torch.inf)
    sum_BLK[:, :, 0] = own[0] + first_L
    tag_L = torch.arange(labels, device=own[0].device)
    sums, came = [sum_BLK], []  # came: (B, L, K) tag before · K + rank there
    for own_BL in own[1:]:
        sum_BLK = sums[-1][: len(own_BL)]
        from_BFL = (sum_BLK[:, :, :1] + after_LL).topk(few, dim=1).indices
        row_B11 = torch.arange(len(own_BL), device=own_BL.device)[:, None, None]
        all_BFLK = sum_BLK[row_B11, from_BFL] + after_LL[from_BFL, tag_L][..., None]
        sum_BLK, at_BLK = all_BFLK.transpose(1, 2).flatten(2).topk(count, dim=2)
        tag_BLK = from_BFL.transpose(1, 2).gather(2, at_BLK // count)
        came.append(tag_BLK * count + at_BLK % count)
        sums.append(sum_BLK + own_BL[:, :, None])

    chosen: list[Tensor] = []
    scores_BK: list[Tensor] = []
    next_BK = torch.empty(0, count, dtype=torch.int64, device=own[0].device)
    for sum_BLK, back_BLK in zip(sums[::-1], [None, *came[::-1]], strict=True):
        going = len(next_BK)
        if back_BLK is not None:
            next_BK = back_BLK.flatten(1).gather(1, next_BK)
        score_BK, end_BK = (sum_BLK[going:] + last_L[:, None]).flatten(1).topk(count)
        next_BK = torch.cat([next_BK, end_BK])
        scores_BK.append(score_BK)
        chosen.append(next_BK // count)
    tags_NK = time.restore(torch.cat(chosen[::-1]))
    score_BK = torch.cat(scores_BK)  # longest first: those that end last came first
    return tags_NK.t(), torch.empty_like(score_BK).index_copy(0, time.order_B, score_BK)


@torch.no_grad()
def list_independent(scores: Ragged, count: int) -> list[list[Path]]:
    """The `count` likeliest paths of each sequence where tags do not depend on each other, best
    first; fewer where there are fewer. scores: (N, L) logits."""
    time = TimeOrder.of(scores)
    share_NL = time.arrange(scores.values.double().log_softmax(1))
    share_NF, tag_NF = share_NL.topk(min(count, share_NL.shape[1]), dim=1)
    few = share_NF.shape[1]
    sum_BK = share_NF.new_full((scores.batch, count), -torch.inf)
    sum_BK[:, 0] = 0
    sums, came = [], []
    for own_BF in share_NF.split(time.counts):
        all_BM = (sum_BK[: len(own_BF), :, None] + own_BF[:, None, :]).flatten(1)
        sum_BK, at_BK = all_BM.topk(count, dim=1)
        sums.append(sum_BK)
        came.append(at_BK)
    rank_BK = torch.arange(count, device=share_NF.device).expand(0, count)
    chosen, totals = [], []
    parts = zip(sums[::-1], came[::-1], tag_NF.split(time.counts)[::-1], strict=True)
    for sum_BK, at_BK, tag_BF in parts:
        ending = len(at_BK) - len(rank_BK)
        totals.append(sum_BK[len(rank_BK) :])
        own_K = torch.arange(count, device=share_NF.device).expand(ending, count)
        at_BK = at_BK.gather(1, torch.cat([rank_BK, own_K]))
        chosen.append(tag_BF.gather(1, at_BK % few))
        rank_BK = at_BK // few
    paths_NK = time.restore(torch.cat(chosen[::-1]))
    total_BK = torch.empty_like(sums[0]).index_copy(0, time.order_B, torch.cat(totals))
    found = []
    for tags_TK, total_K in zip(
        paths_NK.split(scores.lengths.tolist()), total_BK.tolist(), strict=True
    ):
        paths = zip(tags_TK.t().tolist(), total_K, strict=True)
        found.append([Path(tags, total) for tags, total in paths if total > -torch.inf])
    return found
