"""The network of tag.

Dimensions: N tokens of a batch, W distinct words, E embedding, H states, L labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqcli.config import TagNetwork
from seqcli.nn.layers import drop_words, make_dropout, make_embedding, make_recurrent
from seqcli.nn.pooling import Pool
from seqcli.nn.ragged import Ragged


class Tagger(nn.Module):
    """Tokens, and their characters → states → a score for each tag of each token (N → N).

    A token's characters are read from both ends and the last states joined to its vector (Ling et
    al. 2015; Lample et al. 2016); each distinct word of a batch is read once.
    """

    def __init__(
        self,
        vocabulary: int,
        characters: int,
        labels: int,
        network: TagNetwork,
        *,
        bptt: int | None = None,
    ) -> None:
        super().__init__()
        self.dropout = make_dropout(network)
        self.word_dropout = network.word_dropout
        self.embedding = make_embedding(
            vocabulary, network.embedding, dropout=network.embedding_dropout
        )
        width = network.embedding
        self.spelling: Spelling | None = None
        if network.characters == "rnn":
            self.spelling = Spelling(characters, network)
            width += 2 * network.character_hidden
        self.recurrent = make_recurrent(
            network, width, bidirectional=network.bidirectional, bptt=bptt
        )
        self.head = nn.Linear(self.recurrent.output_size, labels)

    def forward(self, tokens: Ragged, words: Ragged, word_of_N: Tensor) -> Tensor:
        """(N,) token ids; the characters of the W distinct words; which word each token is (N,).
        Gives (N, L) scores."""
        seen = drop_words(tokens, self.word_dropout, training=self.training)
        x_NE = self.embedding(seen.values)
        if self.spelling is not None:
            x_NE = torch.cat([x_NE, self.spelling(words)[word_of_N]], dim=1)
        h, _ = self.recurrent(self.dropout(tokens.with_values(x_NE)), final=False)
        return self.head(self.dropout(h).values)


class Spelling(nn.Module):
    """A word's vector from its characters: the last states of a network read from both ends."""

    WIDTH = 32

    def __init__(self, characters: int, network: TagNetwork) -> None:
        super().__init__()
        self.embedding = make_embedding(characters, self.WIDTH)
        self.recurrent = make_recurrent(
            network, self.WIDTH, bidirectional=True, hidden=network.character_hidden, layers=1
        )
        self.pool = Pool("last", self.recurrent.output_size, bidirectional=True)

    def forward(self, words: Ragged) -> Tensor:
        """Character ids of W words to (W, 2H) vectors."""
        h, _ = self.recurrent(words.with_values(self.embedding(words.values)), final=False)
        return self.pool(h)
