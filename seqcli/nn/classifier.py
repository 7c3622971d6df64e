"""The network of classify.

Dimensions: N tokens of a batch, B sequences, E embedding, H states, L labels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqcli.config import ClassifyNetwork
from seqcli.data.tokens import Tokenizer, WordTokenizer
from seqcli.nn import kernels
from seqcli.nn.dropout import Embedding
from seqcli.nn.layers import drop_words, make_dropout, make_embedding, make_recurrent
from seqcli.nn.native.lookup import Entries
from seqcli.nn.ngrams import Ngrams
from seqcli.nn.pooling import Pool
from seqcli.nn.ragged import Ragged
from seqcli.nn.spelling import Forms, LinearModels, Parts, SpelledEmbedding


class Reading(NamedTuple):
    """A batch of texts: the ids of words, what their spelling adds, and what the linear models find
    in each text."""

    ids: Ragged
    parts: Entries | None
    recalled: tuple[Entries, ...]


class Classifier(nn.Module):
    """Tokens → states → one vector → a score for each label (N → 1).

    Recurrent layers see order and distance, a linear model on n-grams is sure of rare words: with
    `linear` models each learns for itself, and the scores are the mean of both (a product of
    experts, Hinton 2002; side by side as in Cheng et al. 2016).

    Of pairs both texts are read by the same layers, and what is scored is [u; v; |u − v|; u * v] of
    their two vectors (Conneau et al. 2017).

    Where the tokenizer has a spelling, tokens are its numbers, else ids.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        labels: int,
        network: ClassifyNetwork,
        *,
        pairs: bool = False,
        bptt: int | None = None,
        linear: LinearModels | None = None,
    ) -> None:
        super().__init__()
        self.dropout = make_dropout(network)
        self.word_dropout = network.word_dropout or 0.0
        words = make_embedding(network, len(tokenizer.vocabulary))
        self.embedding: Embedding | SpelledEmbedding = words
        if isinstance(tokenizer, WordTokenizer) and tokenizer.spelling:
            self.embedding = SpelledEmbedding(words, tokenizer, tokenizer.spelling)
        self.recurrent = make_recurrent(
            network, network.embedding, bidirectional=network.bidirectional, bptt=bptt
        )
        size = self.recurrent.output_size
        self.pool = Pool(network.pool, size, bidirectional=network.bidirectional)
        self.pairs = pairs
        self.head = nn.Linear(4 * size if pairs else size, labels)
        self.ngrams = linear.ngrams if linear else None
        self.forms = linear.forms if linear else None

    @property
    def spelled(self) -> SpelledEmbedding | None:
        """The embedding of words if it reads their spelling, else None."""
        return self.embedding if isinstance(self.embedding, SpelledEmbedding) else None

    def forward(self, tokens: Ragged) -> Tensor:
        """(N,) token ids of B texts, or of 2B whose neighbours are pairs, to (B, L) scores."""
        reading = self.prepare(tokens)
        found = [self.read(reading), self.recall(reading)]
        return torch.stack([scores_BL for scores_BL in found if scores_BL is not None]).mean(0)

    def prepare(self, tokens: Ragged) -> Reading:
        """What is read from a batch whatever the weights. A pair is one text for the n-grams."""
        ids, parts, recalled = tokens, None, []
        if self.spelled:
            ids_N, parts = self.spelled.read(tokens.values)
            ids = tokens.with_values(ids_N)
        bounds = ids.offsets[::2] if self.pairs else ids.offsets
        if self.ngrams is not None:
            recalled.append(self.ngrams.find(Ragged(ids.values, bounds)))
        if self.forms is not None and parts is not None:
            recalled.append(self.forms.find(Ragged(parts.places, bounds * Parts.EACH)))
        return Reading(ids, parts, tuple(recalled))

    def ids(self, tokens: Ragged) -> Ragged:
        """The tokens without their spelling."""
        return tokens.with_values(self.spelled.ids(tokens.values)) if self.spelled else tokens

    @property
    def linear(self) -> list[Ngrams]:
        """The linear models beside the network, whose scores are summed."""
        return [model for model in (self.ngrams, self.forms) if model is not None]

    def recall(self, reading: Reading) -> Tensor | None:
        """(B, L) scores of the linear models, if any; they do not depend on token vectors."""
        pairs = zip(self.linear, reading.recalled, strict=True)
        scores = [model.score(found) for model, found in pairs]
        return sum(scores[1:], scores[0]) if scores else None

    def spread(self, tokens: Ragged) -> Tensor:
        """(T, L) what each token of one text adds to the scores of `recall`, without biases."""
        parts = [] if self.ngrams is None else [self.ngrams.spread(self.ids(tokens))]
        if self.forms is not None and self.spelled:
            found = self.forms.spread(self.spelled.table.of_texts(tokens))
            parts.append(found.view(len(tokens.values), Parts.EACH, -1).sum(1))
        return sum(parts[1:], parts[0])

    def read(self, reading: Reading) -> Tensor:
        """(B, L) scores of the recurrent layers alone."""
        ids = drop_words(reading.ids, self.word_dropout, training=self.training)
        parts = reading.parts
        x_NE = self.embedding(ids.values if parts is None else Forms(ids.values, parts))
        h, _ = self.recurrent(self.dropout(ids.with_values(x_NE)), final=False)
        pooled_BH = self.pool(h)
        if self.pairs:
            u_BH, v_BH = pooled_BH[0::2], pooled_BH[1::2]
            pooled_BH = torch.cat([u_BH, v_BH, (u_BH - v_BH).abs(), u_BH * v_BH], dim=1)
        if self.training and self.dropout.fraction:
            pooled_BH = kernels.dropout(pooled_BH, self.dropout.fraction)
        return kernels.linear(pooled_BH, self.head.weight, self.head.bias).float()
