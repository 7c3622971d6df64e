"""The networks of classify, tag and lm; translate has its own file.

Dimensions: N tokens of a batch, B sequences, W distinct words, E embedding, H states, L labels,
V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.config import ClassifyNetwork, LanguageNetwork, Network, TagNetwork
from seqcli.data.tokens import UNK
from seqcli.nn.cells import make_cell
from seqcli.nn.pooling import Pool
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import Recurrent, States
from seqcli.nn.softmax import Softmax, make_softmax


def make_recurrent(
    network: Network,
    input_size: int,
    *,
    bidirectional: bool = False,
    hidden: int | None = None,
    layers: int | None = None,
    bptt: int | None = None,
) -> Recurrent:
    """The recurrent layers that a configuration asks for, over input_size features."""

    def make(size: int) -> nn.Module:
        return make_cell(
            network.cell, size, hidden or network.hidden, nonlinearity=network.nonlinearity
        )

    return Recurrent(
        make,
        input_size,
        layers=layers or network.layers,
        bidirectional=bidirectional,
        dropout=network.dropout,
        bptt=bptt,
    )


def make_embedding(size: int, width: int) -> nn.Embedding:
    """Vectors of unit expected length, so that no token starts out louder than another."""
    embedding = nn.Embedding(size, width)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding


class Classifier(nn.Module):
    """Tokens → states → one vector → a score for each label (N → 1)."""

    def __init__(
        self, vocabulary: int, labels: int, network: ClassifyNetwork, *, bptt: int | None = None
    ) -> None:
        super().__init__()
        self.dropout = network.dropout
        self.word_dropout = network.word_dropout
        self.embedding = make_embedding(vocabulary, network.embedding)
        self.recurrent = make_recurrent(
            network, network.embedding, bidirectional=network.bidirectional, bptt=bptt
        )
        size = self.recurrent.output_size
        self.pool = Pool(network.pool, size, bidirectional=network.bidirectional)
        self.head = nn.Linear(size, labels)

    def forward(self, tokens: Ragged) -> Tensor:
        """(N,) token ids to (B, L) scores."""
        tokens = drop_words(tokens, self.word_dropout, training=self.training)
        x_NE = F.dropout(self.embedding(tokens.values), self.dropout, self.training)
        h, _ = self.recurrent(tokens.with_values(x_NE), final=False)
        pooled_BH = F.dropout(self.pool(h), self.dropout, self.training)
        return self.head(pooled_BH)


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
        self.dropout = network.dropout
        self.word_dropout = network.word_dropout
        self.embedding = make_embedding(vocabulary, network.embedding)
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
        x_NE = F.dropout(x_NE, self.dropout, self.training)
        h, _ = self.recurrent(tokens.with_values(x_NE), final=False)
        return self.head(F.dropout(h.values, self.dropout, self.training))


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


class LanguageModel(nn.Module):
    """Tokens → states → a score for each possible next token (N → N)."""

    def __init__(self, vocabulary: int, network: LanguageNetwork) -> None:
        super().__init__()
        self.dropout = network.dropout
        self.embedding = make_embedding(vocabulary, network.embedding)
        self.recurrent = make_recurrent(network, network.embedding)
        width = self.recurrent.output_size
        # Tied (Press and Wolf 2017): the scores come from the token vectors themselves.
        tied = self.embedding if network.tie else None
        self.narrow = nn.Linear(width, network.embedding) if tied else None
        self.head: Softmax = make_softmax(
            network, network.embedding if tied else width, vocabulary, tied=tied
        )

    def forward(self, tokens: Ragged, states: States | None) -> tuple[Tensor, States]:
        """(N,) token ids and the carried states to (N, V) scores and the states after."""
        h_NH, states = self.read(tokens, states)
        return self.head.scores(h_NH), states

    def read(self, tokens: Ragged, states: States | None) -> tuple[Tensor, States]:
        """(N,) token ids and the carried states to what `head` takes and the states after."""
        x_NE = F.dropout(self.embedding(tokens.values), self.dropout, self.training)
        h, states = self.recurrent(tokens.with_values(x_NE), states)
        h_NH = F.dropout(h.values, self.dropout, self.training)
        return (h_NH if self.narrow is None else self.narrow(h_NH)), states


def drop_words(tokens: Ragged, fraction: float, *, training: bool) -> Ragged:
    """Replace a fraction of token ids by the unknown token (Iyyer et al. 2015), so that its vector
    is trained and no single word is leant on."""
    if not training or fraction == 0:
        return tokens
    dropped_N = torch.rand(len(tokens.values), device=tokens.values.device) < fraction
    return tokens.with_values(tokens.values.masked_fill(dropped_N, UNK))
