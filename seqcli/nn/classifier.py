"""The network of classify.

Dimensions: N tokens of a batch, B sequences, E embedding, H states, L labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.config import ClassifyNetwork
from seqcli.nn.layers import drop_words, make_dropout, make_embedding, make_recurrent
from seqcli.nn.ngrams import Ngrams
from seqcli.nn.pooling import Pool
from seqcli.nn.ragged import Ragged


class Classifier(nn.Module):
    """Tokens → states → one vector → a score for each label (N → 1).

    Recurrent layers see order and distance, a linear model on n-grams is sure of rare words: with
    `ngrams` each learns for itself, and the scores are the mean of both (a product of experts,
    Hinton 2002; side by side as in Cheng et al. 2016).
    """

    def __init__(
        self,
        vocabulary: int,
        labels: int,
        network: ClassifyNetwork,
        *,
        bptt: int | None = None,
        ngrams: Ngrams | None = None,
    ) -> None:
        super().__init__()
        self.dropout = make_dropout(network)
        self.word_dropout = network.word_dropout
        self.embedding = make_embedding(network, vocabulary)
        self.recurrent = make_recurrent(
            network, network.embedding, bidirectional=network.bidirectional, bptt=bptt
        )
        size = self.recurrent.output_size
        self.pool = Pool(network.pool, size, bidirectional=network.bidirectional)
        self.head = nn.Linear(size, labels)
        self.ngrams = ngrams

    def forward(self, tokens: Ragged) -> Tensor:
        """(N,) token ids to (B, L) scores."""
        return torch.stack(self.opinions(tokens)).mean(0)

    def opinions(self, tokens: Ragged) -> list[Tensor]:
        """(N,) token ids to (B, L) scores: by the recurrent layers, and by the n-grams if any."""
        found = [self.read(tokens).float()]
        return found if self.ngrams is None else [*found, self.ngrams(tokens)]

    def read(self, tokens: Ragged) -> Tensor:
        """(N,) token ids to (B, L) scores by the recurrent layers alone."""
        tokens = drop_words(tokens, self.word_dropout, training=self.training)
        x = self.dropout(tokens.with_values(self.embedding(tokens.values)))
        h, _ = self.recurrent(x, final=False)
        pooled_BH = F.dropout(self.pool(h), self.dropout.fraction, self.training)
        return self.head(pooled_BH)
