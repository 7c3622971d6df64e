"""A linear model on a text's tokens and on runs of them, to stand beside recurrent layers.

Dimensions: N tokens of a batch, B sequences, M n-grams of a batch, F features, L labels,
V vocabulary.
"""

from __future__ import annotations

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
        cls, tokens: Sequences, labels: np.ndarray, *, vocabulary: int, count: int, longest: int = 2
    ) -> Ngrams:
        """For training texts and their labels (R,), numbers below `count`; or (R, count), 1 where a
        text has one of several labels."""
        texts = to_ragged(tokens)
        keys, place = torch.unique(
            torch.cat(list_keys(texts, vocabulary, longest)), return_inverse=True
        )
        text, place = distinct(texts.segments().repeat(longest), place, len(keys))
        seen = torch.bincount(place, minlength=len(keys))
        most = max(MOST_WEIGHTS // count, 1)
        if len(keys) > most:
            kept = torch.zeros(len(keys), dtype=torch.bool)
            kept[seen.argsort(descending=True, stable=True)[:most]] = True
            held = kept[place]
            text, place = text[held], (kept.cumsum(0) - 1)[place[held]]
            keys = keys[kept]
        label = torch.from_numpy(labels)
        strength = estimate_prior(text, place, label)
        if label.dim() == 1:
            prior_L = torch.bincount(label, minlength=count) / len(labels)
            counts = torch.bincount(place * count + label[text], minlength=len(keys) * count)
            counts_FL = counts.view(-1, count)
        else:  # a text counts for each label it has
            prior_L = label.sum(0) / label.sum().clamp_min(1)
            places = [place[label_R[text] > 0] for label_R in label.unbind(1)]
            columns = [torch.bincount(one, minlength=len(keys)) for one in places]
            counts_FL = torch.stack(columns, dim=1)
        counts_FL = counts_FL + strength * prior_L
        given_FL = counts_FL / counts_FL.sum(1, keepdim=True)
        told_F = (given_FL * (given_FL / prior_L.clamp_min(1e-9)).clamp_min(1e-9).log()).sum(1)
        model = cls(vocabulary, count, len(keys), longest=longest)
        model.keys_F.copy_(keys)
        model.weight_F.copy_(told_F.clamp_min(0).sqrt())
        return model

    def facts(self) -> dict[str, int]:
        """What it takes to build one that its weights can be loaded into."""
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
        key_M = torch.cat(list_keys(tokens, self.vocabulary, self.longest))
        place_M = torch.searchsorted(self.keys_F, key_M).clamp_max(len(self.keys_F) - 1)
        known_M = self.keys_F[place_M] == key_M
        text_M = tokens.segments().repeat(self.longest)
        text_M, place_M = distinct(text_M[known_M], place_M[known_M], len(self.keys_F))
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
