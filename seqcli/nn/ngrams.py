"""A linear model on the words of a text and on their pairs, to stand beside recurrent layers.

Dimensions: N tokens of a batch, B sequences, M n-grams of a batch, F features, L labels,
V vocabulary.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.data.tokens import BOS, Sequences
from seqcli.nn.ragged import Ragged

MOST_WEIGHTS = 1 << 22
"""Weights of the model at most; of more n-grams the commonest are kept."""


class Ngrams(nn.Module):
    """Scores of the labels from which words and pairs of words come in a text.

        score_BL = Σ_f  x_Bf W_fL / ‖x_B‖ + b_L        x_Bf = w_f where n-gram f comes in text B

    w weighs an n-gram by what it tells about the label in training, √KL(label given f ‖ label), in
    the spirit of the naive Bayes features of Wang and Manning (2012). An n-gram that training did
    not have says nothing. An n-gram's key is its word's id, or V + V · id of the word before + id;
    before the first word stands the begin-of-text token.

    size: F. Keys and w come from `fit`, or from a saved model.
    """

    pace = 15.0
    """Step size, in that of other layers: the weights of rare features have to grow large."""

    def __init__(self, vocabulary: int, labels: int, size: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.keys_F: Tensor
        self.weight_F: Tensor
        self.register_buffer("keys_F", torch.zeros(size, dtype=torch.long))
        self.register_buffer("weight_F", torch.zeros(size))
        self.table = nn.Parameter(torch.zeros(size, labels))
        self.bias = nn.Parameter(torch.zeros(labels))

    @classmethod
    def fit(cls, tokens: Sequences, labels: np.ndarray, *, vocabulary: int, count: int) -> Ngrams:
        """For training texts and their labels (R,), numbers below `count`; or (R, count), 1 where a
        text has one of several labels."""
        text, key = list_ngrams(tokens_of(tokens), vocabulary)
        keys, place, seen = torch.unique(key, return_inverse=True, return_counts=True)
        most = max(MOST_WEIGHTS // count, 1)
        if len(keys) > most:
            kept = torch.zeros(len(keys), dtype=torch.bool)
            kept[seen.argsort(descending=True, stable=True)[:most]] = True
            held = kept[place]
            text, place = text[held], (kept.cumsum(0) - 1)[place[held]]
            keys = keys[kept]
        label = torch.from_numpy(labels)
        if label.dim() == 1:
            prior_L = torch.bincount(label, minlength=count) / len(labels)
            counts = torch.bincount(place * count + label[text], minlength=len(keys) * count)
            counts_FL = counts.view(-1, count)
        else:  # a text counts for each label it has
            prior_L = label.sum(0) / label.sum().clamp_min(1)
            places = [place[label_R[text] > 0] for label_R in label.unbind(1)]
            columns = [torch.bincount(one, minlength=len(keys)) for one in places]
            counts_FL = torch.stack(columns, dim=1)
        counts_FL = counts_FL + prior_L  # one text of prior to each n-gram
        given_FL = counts_FL / counts_FL.sum(1, keepdim=True)
        told_F = (given_FL * (given_FL / prior_L.clamp_min(1e-9)).clamp_min(1e-9).log()).sum(1)
        model = cls(vocabulary, count, len(keys))
        model.keys_F.copy_(keys)
        model.weight_F.copy_(told_F.clamp_min(0).sqrt())
        return model

    def forward(self, tokens: Ragged) -> Tensor:
        """(N,) token ids to (B, L) scores."""
        text_M, place_M, x_M = self._features(tokens)
        counts_B = torch.bincount(text_M, minlength=tokens.batch)
        starts_B = counts_B.cumsum(0) - counts_B
        sums_BL = F.embedding_bag(place_M, self.table, starts_B, per_sample_weights=x_M, mode="sum")
        return sums_BL + self.bias

    def spread(self, tokens: Ragged) -> Tensor:
        """(T, L) what each token of one text adds to its scores, bias aside.

        A pair counts half for either word, and what comes several times is shared by all places.
        """
        _, place_M, x_M = self._features(tokens)
        values_ML = x_M[:, None] * self.table[place_M]
        found_TL = values_ML.new_zeros(len(tokens.values), values_ML.shape[1])
        words_T, pairs_T = list_keys(tokens, self.vocabulary)
        here_T = torch.arange(len(words_T), device=words_T.device)
        before_T = (here_T - 1).clamp_min(0)
        for key, value_L in zip(self.keys_F[place_M], values_ML, strict=True):
            for keys_T, owners in ((words_T, (here_T, here_T)), (pairs_T, (here_T, before_T))):
                at = keys_T == key
                for owner_T in owners if at.any() else ():
                    share_L = value_L / (2 * at.sum())
                    found_TL.index_add_(0, owner_T[at], share_L.expand(int(at.sum()), -1))
        return found_TL

    def _features(self, tokens: Ragged) -> tuple[Tensor, Tensor, Tensor]:
        """(M,) text, place in the table and value of each known n-gram, by texts."""
        text_M, key_M = list_ngrams(tokens, self.vocabulary)
        place_M = torch.searchsorted(self.keys_F, key_M).clamp_max(len(self.keys_F) - 1)
        known_M = self.keys_F[place_M] == key_M
        text_M, place_M = text_M[known_M], place_M[known_M]
        x_M = self.weight_F[place_M]
        square_B = x_M.new_zeros(tokens.batch).index_add_(0, text_M, x_M * x_M)
        return text_M, place_M, x_M / square_B.sqrt()[text_M].clamp_min(1e-9)


def tokens_of(sequences: Sequences) -> Ragged:
    """Flat numpy arrays as a batch."""
    values = torch.from_numpy(sequences.values.astype("int64", copy=False))
    return Ragged(values, torch.from_numpy(sequences.offsets))


def list_keys(tokens: Ragged, vocabulary: int) -> tuple[Tensor, Tensor]:
    """(N,) the key of each word, and (N,) of each word with the one before it."""
    before_N = tokens.values.roll(1)
    before_N[tokens.first()] = BOS
    return tokens.values, vocabulary + vocabulary * before_N + tokens.values


def list_ngrams(tokens: Ragged, vocabulary: int) -> tuple[Tensor, Tensor]:
    """(M,) the text and (M,) the key of each different n-gram of each text, by texts and keys."""
    span = vocabulary * (vocabulary + 1)
    text_N = tokens.segments() * span
    words_N, pairs_N = list_keys(tokens, vocabulary)
    both_M = torch.unique(torch.cat([text_N + words_N, text_N + pairs_N]))
    return both_M // span, both_M % span
