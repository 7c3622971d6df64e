"""Vectors of words that know how the word is spelled.

After fastText (Bojanowski et al. 2017), with less: of the letters only those at both ends of a
word, where languages that write with spaces keep most of its form.

Dimensions: N tokens of a batch, U distinct forms among them, V vocabulary, E embedding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.data.spelling import CASES, Spelling
from seqcli.data.tokens import UNK, WordTokenizer
from seqcli.nn.dropout import Embedding


class SpelledEmbedding(nn.Module):
    """Numbers of words (see data/spelling.py) to vectors.

        x = (word + Σ parts / √|parts|) / √2

    The parts are the case, and the beginnings and endings of two to four letters that the
    vocabulary has. A word that is unknown, or dropped in training, has the vector of the unknown
    word and its own parts.

    words: the vectors by id, (V, E). spelling: of `tokenizer`, which has one. All numbers are below
    `numbers`.
    """

    def __init__(self, words: Embedding, tokenizer: WordTokenizer, spelling: Spelling) -> None:
        super().__init__()
        self.words = words
        self.size = len(tokenizer.vocabulary)
        self.beginnings = len(spelling.beginnings) + 1
        self.numbers = self.size * CASES * self.beginnings * (len(spelling.endings) + 1)
        parts = 1 + CASES + len(spelling.beginnings) + len(spelling.endings)
        width = words.embedding_dim
        weight = torch.randn(parts, width) * width**-0.5
        self.parts = nn.Parameter(weight, requires_grad=words.weight.requires_grad)
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

    def forward(self, numbers: Tensor) -> Tensor:
        """(N,) numbers to (N, E) vectors."""
        form_U, place_N = torch.unique(numbers, return_inverse=True)
        word_U, case_U, ends_U2 = self._read(form_U)
        first_U3, last_U3 = self.first[ends_U2[:, 0]], self.last[ends_U2[:, 1]]
        parts_U7 = torch.cat([1 + case_U[:, None], first_U3, last_U3], dim=1)
        sum_UE = F.embedding_bag(parts_U7, self.parts, mode="sum", padding_idx=0)
        spelled_UE = sum_UE / (parts_U7 > 0).sum(1, keepdim=True).sqrt()
        return ((self.words(word_U) + spelled_UE) * 0.5**0.5)[place_N]

    def ids(self, numbers: Tensor) -> Tensor:
        """(N,) the ids of the words."""
        return numbers % self.size

    def unknown(self, numbers: Tensor) -> Tensor:
        """(N,) the numbers of the same words, had training not known them."""
        _, case_N, ends_N2 = self._read(numbers)
        code_N = case_N + CASES * (ends_N2[:, 0] + self.beginnings * ends_N2[:, 1])
        return UNK + self.size * code_N

    def _read(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N,) id, (N,) case and (N, 2) ends of each number."""
        word_N, code_N = numbers % self.size, numbers // self.size
        case_N, both_N = code_N % CASES, code_N // CASES
        own_N2 = torch.stack([both_N % self.beginnings, both_N // self.beginnings], dim=1)
        return word_N, case_N, torch.where(both_N[:, None] > 0, own_N2, self.ends_V2[word_N])
