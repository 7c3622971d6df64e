"""The network of classify.

Dimensions: N tokens of a batch, B sequences, E embedding, H states, L labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.config import ClassifyNetwork
from seqcli.data.tokens import Tokenizer, WordTokenizer
from seqcli.nn import kernels
from seqcli.nn.dropout import Embedding
from seqcli.nn.layers import drop_words, make_dropout, make_embedding, make_recurrent
from seqcli.nn.ngrams import Ngrams
from seqcli.nn.pooling import Pool
from seqcli.nn.ragged import Ragged
from seqcli.nn.spelling import SpelledEmbedding


class Classifier(nn.Module):
    """Tokens → states → one vector → a score for each label (N → 1).

    Recurrent layers see order and distance, a linear model on n-grams is sure of rare words: with
    `ngrams` each learns for itself, and the scores are the mean of both (a product of experts,
    Hinton 2002; side by side as in Cheng et al. 2016).

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
        ngrams: Ngrams | None = None,
    ) -> None:
        super().__init__()
        self.dropout = make_dropout(network)
        self.word_dropout = network.word_dropout
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
        self.ngrams = ngrams

    @property
    def spelled(self) -> SpelledEmbedding | None:
        """The vectors of words, where they know the spelling."""
        return self.embedding if isinstance(self.embedding, SpelledEmbedding) else None

    def forward(self, tokens: Ragged) -> Tensor:
        """(N,) token ids of B texts, or of 2B whose neighbours are pairs, to (B, L) scores."""
        return torch.stack(self.opinions(tokens)).mean(0)

    def opinions(self, tokens: Ragged) -> list[Tensor]:
        """(N,) token ids to (B, L) scores: by the recurrent layers, and by the n-grams if any, to
        which a pair is one text."""
        found = [self.read(tokens).float()]
        if self.ngrams is None:
            return found
        texts = tokens._replace(offsets=tokens.offsets[::2]) if self.pairs else tokens
        return [*found, self.ngrams(self.ids(texts))]

    def ids(self, tokens: Ragged) -> Ragged:
        """The tokens without their spelling."""
        return tokens.with_values(self.spelled.ids(tokens.values)) if self.spelled else tokens

    def read(self, tokens: Ragged) -> Tensor:
        """(N,) token ids to (B, L) scores by the recurrent layers alone."""
        tokens = drop_words(tokens, self.word_dropout, training=self.training, spelled=self.spelled)
        x = self.dropout(tokens.with_values(self.embedding(tokens.values)))
        h, _ = self.recurrent(x, final=False)
        pooled_BH = self.pool(h)
        if self.pairs:
            u_BH, v_BH = pooled_BH[0::2], pooled_BH[1::2]
            pooled_BH = torch.cat([u_BH, v_BH, (u_BH - v_BH).abs(), u_BH * v_BH], dim=1)
        pooled_BH = F.dropout(pooled_BH, self.dropout.fraction, self.training)
        return kernels.linear(pooled_BH, self.head.weight, self.head.bias)
