"""From a state to the probability of each token of a vocabulary: what lm spends most time on.

    full      every score at every step: exact; its cost grows with the vocabulary
    adaptive  frequent tokens by themselves, rare ones in clusters of narrower vectors, which are
              only computed where they are due (Grave et al. 2017)
    sampled   trained against a few tokens drawn at random (Jean et al. 2015), used like full

All three have one protocol, `Softmax`. Ids are expected by falling frequency, as vocabularies have
them.

Dimensions: N tokens of a batch, H features of a state, V vocabulary, K tokens drawn, C a cluster.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.config import LanguageNetwork
from seqcli.errors import UsageError
from seqcli.nn import kernels

LEAST_VOCABULARY = 3_000
"""Below this the full softmax costs little."""
NEGATIVES = 1_024
"""Tokens that sampled is trained against, one draw for a whole batch."""
NARROWING = 4.0
"""Each cluster has vectors narrower than the one before by this."""


class Softmax(Protocol):
    """An output layer."""

    def loss(self, h_NH: Tensor, gold_N: Tensor) -> Tensor:
        """The mean −log p of the gold tokens (for sampled an estimate), to be differentiated."""
        ...

    def nats(self, h_NH: Tensor, gold_N: Tensor) -> Tensor:
        """(N,) exact −log p of each gold token, in memory that does not grow with N · V."""
        ...

    def scores(self, h_NH: Tensor) -> Tensor:
        """(N, V) log-probabilities, each row up to a constant."""
        ...

    def log_probabilities(self, h_NH: Tensor) -> Tensor:
        """(N, V) log-probabilities, float32."""
        ...


class FullSoftmax(nn.Module):
    """One vector and one bias a token. With `tied` the vectors are those of an embedding, whose
    width H must be."""

    def __init__(self, width: int, vocabulary: int, *, tied: nn.Embedding | None = None) -> None:
        super().__init__()
        fresh = nn.Linear(width, vocabulary)
        self.weight = None if tied else fresh.weight
        self.bias = fresh.bias
        # In a tuple, which torch does not look into: the vectors are the embedding's to save.
        self.tied: tuple[nn.Embedding, ...] = (tied,) if tied else ()

    def vectors(self) -> Tensor:
        """(V, H) the vectors of the tokens."""
        return self.tied[0].weight if self.weight is None else self.weight

    def scores(self, h_NH: Tensor) -> Tensor:
        return kernels.linear(h_NH, self.vectors(), self.bias)

    def log_probabilities(self, h_NH: Tensor) -> Tensor:
        return self.scores(h_NH).float().log_softmax(1)

    def nats(self, h_NH: Tensor, gold_N: Tensor) -> Tensor:
        return kernels.nats(h_NH, self.vectors(), self.bias, gold_N)

    def loss(self, h_NH: Tensor, gold_N: Tensor) -> Tensor:
        return kernels.cross_entropy(h_NH, self.vectors(), self.bias, gold_N)


class SampledSoftmax(FullSoftmax):
    """Full in use; trained against K tokens drawn for the whole batch.

    The sum of exponentials that normalises a probability is estimated without bias from tokens
    k drawn with replacement from a distribution q (Bengio and Senécal 2008; Jean et al. 2015):

        log p(gold) ≈ s_gold − log(exp(s_gold) + Σ_{k ≠ gold} exp(s_k − log(K q_k)))

    q is log-uniform, close to how often the tokens of a vocabulary sorted by frequency occur:
    q_k = log((k + 2) / (k + 1)) / log(V + 1). The negatives come from torch's global generator.
    """

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """(K,) tokens drawn from q, and log q of each."""
        vocabulary = len(self.bias)
        share_K = torch.rand(count, device=self.bias.device, dtype=torch.float64)
        drawn_K = (share_K * math.log(vocabulary + 1)).exp().long().sub(1).clamp(0, vocabulary - 1)
        p_K = (1 / (drawn_K + 1.0)).log1p() / math.log(vocabulary + 1)
        return drawn_K, p_K.log()

    def loss(self, h_NH: Tensor, gold_N: Tensor, *, negatives: int = NEGATIVES) -> Tensor:
        drawn_K, log_q_K = self.draw(negatives)
        used_M = torch.cat([gold_N, drawn_K])
        # One look-up for both, so that the gradient of all vectors is filled once.
        vectors_MH = F.embedding(used_M, self.vectors())
        bias_M = F.embedding(used_M, self.bias[:, None]).squeeze(1)
        own_NH, other_KH = vectors_MH.split([len(gold_N), negatives])
        own_bias_N, other_bias_K = bias_M.split([len(gold_N), negatives])
        gold_score_N = (h_NH.float() * own_NH).sum(1) + own_bias_N
        correction_K = other_bias_K - log_q_K.float() - math.log(negatives)
        score_NK = F.linear(h_NH, other_KH).float() + correction_K
        score_NK = score_NK.masked_fill(drawn_K == gold_N[:, None], -math.inf)
        return (torch.logaddexp(gold_score_N, score_NK.logsumexp(1)) - gold_score_N).mean()


class AdaptiveSoftmax(nn.Module):
    """The frequent tokens and two clusters of rarer ones (Grave et al. 2017).

        head    token 0 | token 1 | … | token c₁−1 | cluster 1 | cluster 2      vectors of H
        tails                                        c₁ … c₂−1   c₂ … V−1       of H/4, of H/16

    log p(token in a cluster) = log p(cluster) + log p(token | cluster). The weights are those of
    nn.AdaptiveLogSoftmaxWithLoss; unlike it, this also takes bfloat16.
    """

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.weights = nn.AdaptiveLogSoftmaxWithLoss(
            width, vocabulary, cutoffs(vocabulary), div_value=NARROWING, head_bias=True
        )

    def scores(self, h_NH: Tensor) -> Tensor:
        return self.log_probabilities(h_NH)

    def log_probabilities(self, h_NH: Tensor) -> Tensor:
        head, tails = self.weights.head, self.weights.tail
        head_NC = kernels.step_linear(h_NH, head.weight, head.bias).float().log_softmax(1)
        alone_NC, cluster_N2 = head_NC.split([head_NC.shape[1] - len(tails), len(tails)], dim=1)
        rare = []
        for tail, cluster_N1 in zip(tails, cluster_N2.split(1, dim=1), strict=True):
            x_NC = h_NH
            for layer in tail:  # type: ignore[attr-defined]
                x_NC = kernels.step_linear(x_NC, layer.weight)
            rare.append(x_NC.float().log_softmax(1) + cluster_N1)
        return torch.cat([alone_NC, *rare], dim=1)

    def nats(self, h_NH: Tensor, gold_N: Tensor) -> Tensor:
        nats_N = torch.zeros(len(gold_N), device=h_NH.device)
        for rows, *part in self._parts(h_NH, gold_N):
            nats_N = nats_N.index_add(0, rows, kernels.nats(*part))
        return nats_N

    def loss(self, h_NH: Tensor, gold_N: Tensor) -> Tensor:
        count = len(gold_N)
        parts = self._parts(h_NH, gold_N)
        return sum(kernels.cross_entropy(*part, count=count) for _, *part in parts)  # type: ignore

    def _parts(self, h_NH: Tensor, gold_N: Tensor) -> list[tuple[Any, ...]]:
        """The head and each cluster: which of the tokens it is about, and for these the vectors,
        weights, bias and gold numbers of a softmax."""
        first, *ends = self.weights.cutoffs
        parts, head_gold_N = [], gold_N
        for cluster, (begin, end) in enumerate(itertools.pairwise([first, *ends])):
            inside_N = (gold_N >= begin) & (gold_N < end)
            head_gold_N = head_gold_N.masked_fill(inside_N, first + cluster)
            rows_R = inside_N.nonzero().squeeze(1)
            tail: Any = self.weights.tail[cluster]
            narrow, vectors = tail
            x_RC = narrow(h_NH.index_select(0, rows_R))
            parts.append((rows_R, x_RC, vectors.weight, None, gold_N[rows_R] - begin))
        head, every_N = self.weights.head, torch.arange(len(gold_N), device=gold_N.device)
        return [(every_N, h_NH, head.weight, head.bias, head_gold_N), *parts]


def cutoffs(vocabulary: int) -> list[int]:
    """The ids at which the two clusters of rarer tokens begin."""
    return [min(2_000, vocabulary // 5), vocabulary // 3]


def make_softmax(
    network: LanguageNetwork, width: int, vocabulary: int, *, tied: nn.Embedding | None
) -> Softmax:
    """The output layer that a configuration asks for, over states of `width` features."""
    if network.softmax == "adaptive":
        return AdaptiveSoftmax(width, vocabulary)
    kind = FullSoftmax if network.softmax == "full" else SampledSoftmax
    return kind(width, vocabulary, tied=tied)


def check_softmax(network: LanguageNetwork, vocabulary: int) -> None:
    """Raise UsageError where the output layer asked for cannot serve."""
    if network.softmax == "full":
        return
    asked = f"--softmax {network.softmax}"
    if vocabulary < LEAST_VOCABULARY:
        raise UsageError(
            f"{asked} is for vocabularies of at least {LEAST_VOCABULARY:,} tokens, and this one "
            f"has {vocabulary:,}; use --softmax full"
        )
    if network.softmax == "adaptive" and network.tie:
        raise UsageError(f"{asked} has vectors of its own; leave out --tie, or use --softmax full")
    if network.softmax == "adaptive" and network.hidden < NARROWING**2:
        raise UsageError(f"{asked} needs --hidden of at least {NARROWING**2:.0f}")
