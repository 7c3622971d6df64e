"""The network of tag.

Dimensions: N tokens of a batch, B sequences, W distinct words, E embedding, F features of a word's
characters, H states, L tags, K labels of sentences.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.config import TagNetwork
from seqcli.nn import kernels
from seqcli.nn.crf import CRF
from seqcli.nn.layers import drop_words, make_dropout, make_embedding, make_recurrent
from seqcli.nn.pooling import Pool
from seqcli.nn.ragged import Ragged
from seqcli.nn.spelling import LinearModels

CHARACTER_WIDTH = 32  # of a character's vector, about as Lample et al. (2016)


class Tagger(nn.Module):
    """Tokens, and their characters → states → a score for each tag of each token (N → N), and with
    `labels` one for each label of each sentence, by the states and, as in classify, by `linear`
    models.

    A token's characters make part of its vector, unless there are `characters` = 0 of them; each
    distinct word of a batch is read once.
    """

    def __init__(
        self,
        vocabulary: int,
        characters: int,
        tags: int,
        network: TagNetwork,
        *,
        labels: int = 0,
        linear: LinearModels | None = None,
        crf: CRF | None = None,
        bptt: int | None = None,
    ) -> None:
        super().__init__()
        self.dropout = make_dropout(network)
        self.word_dropout = network.word_dropout
        self.embedding = make_embedding(network, vocabulary)
        width = network.embedding
        self.spelling: CharacterRecurrence | CharacterConvolution | None = None
        if characters and network.characters != "none":
            kind = CharacterRecurrence if network.characters == "rnn" else CharacterConvolution
            self.spelling = kind(characters, network)
            width += self.spelling.size
        self.recurrent = make_recurrent(
            network, width, bidirectional=network.bidirectional, bptt=bptt
        )
        size = self.recurrent.output_size
        self.head = nn.Linear(size, tags)
        self.crf = crf
        self.pool = Pool("max", size, bidirectional=network.bidirectional) if labels else None
        self.label_head = nn.Linear(size, labels) if labels else None
        self.ngrams = linear.ngrams if linear else None
        self.forms = linear.forms if linear else None
        self.parts = linear.parts if linear else None

    def forward(
        self, tokens: Ragged, words: Ragged, word_of_N: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """(N,) token ids; the characters of the W distinct words; which word each token is (N,).

        Gives (N, L) scores of tags, and what the recurrent layers and the linear models say about
        labels, (B, K) each; nothing where none are learned.
        """
        seen = drop_words(tokens, self.word_dropout, training=self.training)
        x_NE = self.embedding(seen.values)
        if self.spelling is not None:
            x_NE = torch.cat([x_NE, self.spelling(words)[word_of_N]], dim=1)
        h, _ = self.recurrent(self.dropout(tokens.with_values(x_NE)), final=False)
        scores_NL = kernels.linear(self.dropout(h).values, self.head.weight, self.head.bias)
        if self.pool is None or self.label_head is None:
            return scores_NL, []
        pooled_BH = F.dropout(self.pool(h), self.dropout.fraction, self.training)
        head = self.label_head
        opinions = [kernels.linear(pooled_BH, head.weight, head.bias).float()]
        if self.ngrams is not None:
            recalled_BK = self.ngrams(tokens)
            if self.forms is not None and self.parts is not None:
                recalled_BK = recalled_BK + self.forms(self.parts.of_texts(tokens))
            opinions.append(recalled_BK)
        return scores_NL, opinions


def crf_of(model: nn.Module) -> CRF | None:
    """The CRF of a tagger, if it has one."""
    return cast("Tagger", model).crf


class CharacterRecurrence(nn.Module):
    """A word's vector from its characters: the last states of a network read from both ends (Ling
    et al. 2015; Lample et al. 2016)."""

    def __init__(self, characters: int, network: TagNetwork) -> None:
        super().__init__()
        self.embedding = make_embedding(network, characters, width=CHARACTER_WIDTH, dropout=0.0)
        self.recurrent = make_recurrent(
            network, CHARACTER_WIDTH, bidirectional=True, hidden=network.character_hidden, layers=1
        )
        self.size = self.recurrent.output_size
        self.pool = Pool("last", self.size, bidirectional=True)

    def forward(self, words: Ragged) -> Tensor:
        """Character ids of W words to (W, F) vectors."""
        h, _ = self.recurrent(words.with_values(self.embedding(words.values)), final=False)
        return self.pool(h)


class CharacterConvolution(nn.Module):
    """A word's vector from its characters: the maximum over all windows of three, the word's ends
    standing out as zeros (dos Santos and Zadrozny 2014; Ma and Hovy 2016)."""

    def __init__(self, characters: int, network: TagNetwork) -> None:
        super().__init__()
        self.dropout = network.dropout
        self.embedding = make_embedding(network, characters, width=CHARACTER_WIDTH, dropout=0.0)
        self.size = 2 * network.character_hidden
        self.window = nn.Linear(3 * CHARACTER_WIDTH, self.size)
        self.pool = Pool("max", self.size, bidirectional=False)

    def forward(self, words: Ragged) -> Tensor:
        """Character ids of W words to (W, F) vectors."""
        x_CE = F.dropout(self.embedding(words.values), self.dropout, self.training)
        left_CE = F.pad(x_CE, (0, 0, 1, 0))[:-1].index_fill(0, words.first(), 0)
        right_CE = F.pad(x_CE, (0, 0, 0, 1))[1:].index_fill(0, words.last(), 0)
        seen_CE = torch.cat([left_CE, x_CE, right_CE], 1)
        window_CF = kernels.linear(seen_CE, self.window.weight, self.window.bias)
        return self.pool(words.with_values(window_CF))
