"""Vectors of words that know how the word is spelled.

After fastText (Bojanowski et al. 2017), with less: of the letters only those at both ends of a
word, where languages that write with spaces keep most of its form.

Dimensions: N tokens of a batch, U distinct forms among them, V vocabulary, E embedding.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.data.sequences import Sequences
from seqcli.data.spelling import CASES, LETTERS, Spelling
from seqcli.data.tokens import Tokenizer, WordTokenizer
from seqcli.nn import kernels
from seqcli.nn.dropout import Embedding
from seqcli.nn.native.lookup import Entries, Reader
from seqcli.nn.ngrams import Ngrams
from seqcli.nn.ragged import Ragged


class Forms(NamedTuple):
    """ids: (N,) of words. parts: what their spelling adds."""

    ids: Tensor
    parts: Entries


class Parts(nn.Module):
    """Which parts of its spelling a word has, from its number (see data/spelling.py).

    A part is a case, or a beginning or an ending of two to four letters that the vocabulary has;
    0 stands for none. size: V. numbers: all are below it. count: of parts, with 0.
    """

    EACH = 1 + 2 * len(LETTERS)
    """Of a word: its case, and as many beginnings and endings at most."""

    def __init__(self, tokenizer: WordTokenizer, spelling: Spelling) -> None:
        super().__init__()
        self.size = len(tokenizer.vocabulary)
        self.beginnings = len(spelling.beginnings) + 1
        self.numbers = self.size * CASES * self.beginnings * (len(spelling.endings) + 1)
        self.count = 1 + CASES + len(spelling.beginnings) + len(spelling.endings)
        known = spelling.table(tokenizer.tokens)
        ends_V2 = torch.zeros(self.size, 2, dtype=torch.long)
        ends_V2[self.size - len(known) :] = torch.from_numpy(known)
        first, last = (torch.from_numpy(chain) for chain in spelling.chains())
        self.ends_V2: Tensor
        self.first: Tensor
        self.last: Tensor
        for name, value in {
            "ends_V2": ends_V2,
            "first": torch.where(first > 0, first + CASES, 0),
            "last": torch.where(last > 0, last + CASES + len(spelling.beginnings), 0),
        }.items():
            self.register_buffer(name, value, persistent=False)

    @classmethod
    def learn(cls, tokenizer: Tokenizer) -> Parts:
        """The parts of the words of a vocabulary whose tokenizer tells nothing of spelling: its
        numbers are ids."""
        words = cast(WordTokenizer, tokenizer)
        return cls(words, Spelling.learn(words.tokens))

    def read(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) numbers to (N,) ids of words and (N, EACH) parts."""
        word_N, code_N = numbers % self.size, numbers // self.size
        case_N, both_N = code_N % CASES, code_N // CASES
        own_N2 = torch.stack([both_N % self.beginnings, both_N // self.beginnings], dim=1)
        ends_N2 = torch.where(both_N[:, None] > 0, own_N2, self.ends_V2[word_N])
        first_N3, last_N3 = self.first[ends_N2[:, 0]], self.last[ends_N2[:, 1]]
        return word_N, torch.cat([1 + case_N[:, None], first_N3, last_N3], dim=1)

    def of_texts(self, numbers: Ragged) -> Ragged:
        """(EACH · N,) the parts of all words of each text, one word's after the other's."""
        return Ragged(self.read(numbers.values)[1].flatten(), numbers.offsets * self.EACH)


class LinearModels(NamedTuple):
    """The linear models that stand beside a network, whose scores are summed: `ngrams` on the
    tokens of a text and runs of them, and `forms` on the `parts` of its words' spelling, where
    that is read."""

    ngrams: Ngrams
    forms: Ngrams | None = None
    parts: Parts | None = None

    @classmethod
    def fit(
        cls,
        ids: Sequences,
        labels: np.ndarray,
        *,
        vocabulary: int,
        count: int,
        longest: int = 2,
        parts: Parts | None = None,
        numbers: Sequences | None = None,
    ) -> LinearModels:
        """For training texts and their `count` labels, as `Ngrams.fit` takes them. ids: the tokens.
        numbers: the same with their spelling, from which `parts` reads; None: the ids."""
        ngrams = Ngrams.fit(ids, labels, vocabulary=vocabulary, count=count, longest=longest)
        if parts is None:
            return cls(ngrams)
        shape = {"vocabulary": parts.count, "count": count, "longest": 1}
        spelled = ids if numbers is None else numbers
        return cls(ngrams, Ngrams.fit(spelled, labels, **shape, read=parts.of_texts), parts)

    @classmethod
    def restore(
        cls,
        ngrams: int,
        forms: int | None,
        *,
        vocabulary: int,
        count: int,
        longest: int = 2,
        parts: Parts | None = None,
    ) -> LinearModels:
        """Models of so many features, whose weights are to be loaded. forms: None where a model was
        saved before there were any."""
        first = Ngrams(vocabulary, count, ngrams, longest=longest)
        if parts is None or forms is None:
            return cls(first)
        return cls(first, Ngrams(parts.count, count, forms, longest=1), parts)


class SpelledEmbedding(nn.Module):
    """Numbers of words, or what `read` finds in them, to vectors.

        x = (word + Σ parts / √|parts|) / √2

    A word that is unknown, or dropped in training, has the vector of the unknown word and its own
    parts.

    words: the vectors by id, (V, E). spelling: of `tokenizer`, which has one.
    """

    by_rows = "parts"
    reader: Reader | None = None

    def __init__(self, words: Embedding, tokenizer: WordTokenizer, spelling: Spelling) -> None:
        super().__init__()
        self.words = words
        self.table = Parts(tokenizer, spelling)
        width = words.embedding_dim
        weight = torch.randn(self.table.count, width) * width**-0.5
        self.parts = nn.Parameter(weight, requires_grad=words.weight.requires_grad)

    def forward(self, numbers: Tensor | Forms) -> Tensor:
        """(N,) to (N, E) vectors."""
        ids_N, parts = numbers if isinstance(numbers, Forms) else self.read(numbers)
        reader = self.reader if self.training else None
        spelled_NE = kernels.sums(self.parts, parts, reader)
        return torch.add(spelled_NE, self.words(ids_N), alpha=0.5**0.5)

    def read(self, numbers: Tensor) -> Forms:
        """(N,) numbers taken apart. What stands for no part has no weight."""
        word_N, parts_N7 = self.table.read(numbers)
        real_N7 = (parts_N7 > 0).float()
        weights_N7 = real_N7 * (2 * real_N7.sum(1, keepdim=True)).rsqrt()
        bounds = torch.arange(0, parts_N7.numel() + 1, parts_N7.shape[1])
        return Forms(word_N, Entries(parts_N7.flatten(), weights_N7.flatten(), bounds))

    def ids(self, numbers: Tensor) -> Tensor:
        """(N,) the ids of the words."""
        return numbers % self.table.size
