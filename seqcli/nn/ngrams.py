"""A linear model on a text's tokens and on runs of them, to stand beside recurrent layers.

Dimensions: N tokens of a batch, B sequences, M n-grams of a batch, F features, L labels,
V vocabulary.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.data.sequences import Sequences
from seqcli.data.tokens import BOS
from seqcli.nn import kernels
from seqcli.nn.native.lookup import Entries, Reader
from seqcli.nn.native.ngrams import find
from seqcli.nn.ragged import Ragged, offsets, to_ragged

MOST_WEIGHTS = 1 << 22
"""Weights of the model at most; of more n-grams the commonest are kept."""
BLOCK = 1 << 18
"""Tokens that `fit` looks at together, about."""
PRIOR_PAIRS = 100
"""Texts that are imagined to share an n-gram: enough that chance settles little."""


class Ngrams(nn.Module):
    """Scores of the labels from which runs of one, two … `longest` tokens come in a text.

        score_BL = Σ_f  x_Bf W_fL / ‖x_B‖ + b_L        x_Bf = w_f where n-gram f comes in text B

    w weighs an n-gram by what it tells about the label in training, √KL(label given f ‖ label), in
    the spirit of the naive Bayes features of Wang and Manning (2012); how little to believe a rare
    one is estimated from the data. An n-gram that training did not have says nothing.

    size: F. Keys and w come from `fit`, or from a saved model.
    """

    pace = 15.0
    """Step size, in that of other layers: the weights of rare features have to grow large."""
    by_rows = "table"
    reader: Reader | None = None

    def __init__(self, vocabulary: int, labels: int, size: int, *, longest: int = 2) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.longest = longest
        self.keys_F: Tensor
        self.weight_F: Tensor
        self.register_buffer("keys_F", torch.zeros(size, dtype=torch.long))
        self.register_buffer("weight_F", torch.zeros(size))
        self.table = nn.Parameter(torch.zeros(size, labels))
        self.bias = nn.Parameter(torch.zeros(labels))

    @classmethod
    def fit(
        cls,
        tokens: Sequences,
        labels: np.ndarray,
        *,
        vocabulary: int,
        count: int,
        longest: int = 2,
        read: Callable[[Ragged], Ragged] = lambda texts: texts,
    ) -> Ngrams:
        """For training texts and their labels (R,), numbers below `count`; or (R, count), 1 where a
        text has one of several labels. read: what n-grams are taken of, by the texts' tokens."""
        shape = {"vocabulary": vocabulary, "longest": longest}
        found = [count_keys(read(texts), **shape) for _, texts in cut(tokens)]
        keys_F, place = torch.unique(torch.cat([one for one, _ in found]), return_inverse=True)
        seen_F = torch.zeros_like(keys_F)
        seen_F.index_add_(0, place, torch.cat([times for _, times in found]))
        most = max(MOST_WEIGHTS // count, 1)
        if len(keys_F) > most:
            kept = seen_F.argsort(descending=True, stable=True)[:most].sort().values
            keys_F, seen_F = keys_F[kept], seen_F[kept]
        label = torch.from_numpy(labels)
        counts_FL = torch.zeros(len(keys_F), count, dtype=torch.long)
        shared_texts, shared_places = [], []  # of n-grams that come in two texts
        for first, texts in cut(tokens):
            text, place = find_keys(read(texts), keys_F, **shape)
            text += first
            shared = seen_F[place] == 2
            shared_texts.append(text[shared])
            shared_places.append(place[shared])
            if label.dim() == 1:
                both = place * count + label[text]
                counts_FL.view(-1).index_add_(0, both, torch.ones_like(both))
                continue
            for number, label_R in enumerate(label.unbind(1)):  # a text counts for each it has
                own = place[label_R[text] > 0]
                counts_FL[:, number] += torch.bincount(own, minlength=len(keys_F))
        strength = estimate_prior(torch.cat(shared_texts), torch.cat(shared_places), label)
        if label.dim() == 1:
            prior_L = torch.bincount(label, minlength=count) / len(labels)
        else:
            prior_L = label.sum(0) / label.sum().clamp_min(1)
        given_FL = counts_FL + strength * prior_L
        given_FL = given_FL / given_FL.sum(1, keepdim=True)
        told_F = (given_FL * (given_FL / prior_L.clamp_min(1e-9)).clamp_min(1e-9).log()).sum(1)
        model = cls(vocabulary, count, len(keys_F), longest=longest)
        model.keys_F.copy_(keys_F)
        model.weight_F.copy_(told_F.clamp_min(0).sqrt())
        return model

    def facts(self) -> dict[str, int]:
        """The sizes of a model into which these weights can be loaded."""
        return {"size": len(self.keys_F), "longest": self.longest}

    def forward(self, tokens: Ragged) -> Tensor:
        """(N,) token ids to (B, L) scores."""
        return self.score(self.find(tokens))

    def score(self, found: Entries) -> Tensor:
        """(B, L) from what `find` gives."""
        reader = self.reader if self.training else None
        return kernels.sums(self.table, found, reader) + self.bias

    def spread(self, tokens: Ragged) -> Tensor:
        """(T, L) what each token of one text adds to its scores, bias aside.

        A run counts alike for all its tokens, and what comes several times is shared by all places.
        """
        place_M, x_M, _ = self.find(tokens)
        assert x_M is not None
        values_ML = x_M[:, None] * self.table[place_M]
        found_TL = values_ML.new_zeros(len(tokens.values), values_ML.shape[1])
        here_T = torch.arange(len(tokens.values), device=place_M.device)
        runs = list_keys(tokens, self.vocabulary, self.longest)
        for key, value_L in zip(self.keys_F[place_M], values_ML, strict=True):
            for size, keys_T in enumerate(runs, 1):
                at = keys_T == key
                share_L = value_L / (size * at.sum().clamp_min(1))
                for back in range(size):
                    owner_T = (here_T[at] - back).clamp_min(0)
                    found_TL.index_add_(0, owner_T, share_L.expand(len(owner_T), -1))
        return found_TL

    def find(self, tokens: Ragged) -> Entries:
        """The places in the table and the values x of each text's known n-grams."""
        if kernels.runs_natively(self.weight_F):
            sizes = {"vocabulary": self.vocabulary, "longest": self.longest, "before": BOS}
            return find(tokens.values, tokens.offsets, self.keys_F, self.weight_F, **sizes)
        shape = {"vocabulary": self.vocabulary, "longest": self.longest}
        text_M, place_M = find_keys(tokens, self.keys_F, **shape)
        x_M = self.weight_F[place_M]
        square_B = x_M.new_zeros(tokens.batch).index_add_(0, text_M, x_M * x_M)
        counts_B = torch.bincount(text_M, minlength=tokens.batch)
        x_M = x_M / square_B.sqrt()[text_M].clamp_min(1e-9)
        return Entries(place_M, x_M, offsets(counts_B))


def list_keys(tokens: Ragged, vocabulary: int, longest: int) -> list[Tensor]:
    """The keys of the runs of one, two … tokens that end at each token, (N,) each.

    The key of n tokens is the number whose digits they are, in base V, and V + V² + … + Vⁿ⁻¹ more,
    so that no two runs share one. Before the first token stand begin-of-text tokens.
    """
    digits_N = tokens.values
    found, first, begin, base = [digits_N], tokens.first(), BOS, 0
    for _ in range(longest - 1):
        digits_N = digits_N.roll(1).index_fill(0, first, begin) * vocabulary + tokens.values
        begin, base = begin * vocabulary + BOS, (base + 1) * vocabulary
        found.append(base + digits_N)
    return found


def cut(tokens: Sequences) -> Iterator[tuple[int, Ragged]]:
    """The texts in parts of about BLOCK tokens, each with the number of its first text: sorting the
    n-grams of a large corpus at once would fill the memory."""
    texts = to_ragged(tokens)
    marks = torch.arange(0, len(texts.values), BLOCK)
    starts = torch.searchsorted(texts.offsets[:-1].contiguous(), marks).unique().tolist()
    for first, last in itertools.pairwise([*starts, texts.batch]):
        bounds = texts.offsets[first : last + 1]
        yield first, Ragged(texts.values[bounds[0] : bounds[-1]], bounds - bounds[0])


def count_keys(texts: Ragged, *, vocabulary: int, longest: int) -> tuple[Tensor, Tensor]:
    """The n-grams of some texts, by rising key, and in how many texts each comes."""
    runs_M = torch.cat(list_keys(texts, vocabulary, longest))
    keys, place_M = torch.unique(runs_M, return_inverse=True)
    _, place_M = distinct(texts.segments().repeat(longest), place_M, len(keys))
    return keys, torch.bincount(place_M, minlength=len(keys))


def find_keys(
    texts: Ragged, keys_F: Tensor, *, vocabulary: int, longest: int
) -> tuple[Tensor, Tensor]:
    """The texts that have one of these n-grams, and its place, each pair once."""
    key_M = torch.cat(list_keys(texts, vocabulary, longest))
    place_M = torch.searchsorted(keys_F, key_M).clamp_max(len(keys_F) - 1)
    known_M = keys_F[place_M] == key_M
    text_M = texts.segments().repeat(longest)
    return distinct(text_M[known_M], place_M[known_M], len(keys_F))


def estimate_prior(text_M: Tensor, place_M: Tensor, labels: Tensor) -> float:
    """How many texts of the usual labels outweigh one text that has an n-gram, in [0.1, 1,000].

    Labels given an n-gram are taken to be drawn from a Dirichlet distribution of this strength
    around the shares p of all texts. Two texts that share an n-gram then agree in their label with
    the probability P + (1 − P) / (strength + 1), P = Σ p²; how often they do is counted over the
    n-grams that come in just two. Where texts are long, hardly more often than by chance: there a
    rare n-gram tells nothing. PRIOR_PAIRS of strength 1 are added, for when there are few.

    text_M, place_M: the n-grams of each text, once. labels: (R,) numbers; or (R, L), 1 for each
    label that a text has, which then share its vote.
    """
    twice_M = torch.bincount(place_M)[place_M] == 2
    order_M = place_M[twice_M].argsort(stable=True)
    one_P, other_P = text_M[twice_M][order_M].view(-1, 2).unbind(1)
    if labels.dim() == 1:
        usual_L = torch.bincount(labels).double() / len(labels)
        agreed_P = labels[one_P] == labels[other_P]
    else:
        shares_RL = labels.double() / labels.sum(1, keepdim=True).clamp_min(1)
        usual_L = shares_RL.mean(0)
        agreed_P = (shares_RL[one_P] * shares_RL[other_P]).sum(1)
    by_chance = float(usual_L.square().sum())
    prior = PRIOR_PAIRS * (by_chance + 1) / 2
    agreed = (float(agreed_P.sum()) + prior) / (len(agreed_P) + PRIOR_PAIRS)
    above, room = agreed - by_chance, 1 - by_chance
    return min(max(room / above - 1, 0.1), 1_000.0) if above > 0 else 1_000.0


def distinct(text_M: Tensor, place_M: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Each pair of a text and a place below `size` once, by texts and places."""
    both_M = torch.unique(text_M * size + place_M)
    return both_M // size, both_M % size
