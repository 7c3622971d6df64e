"""Sentences as tag reads them: tokens, the characters of words, tags and labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seqcli.data.sequences import Sequences


class Sentences(NamedTuple):
    """Rows as arrays, all of them or those of a batch.

    Ids of the tokens; the characters of each distinct word, which word each token is (N,), each
    token's tag number (N,), and each row's label number (R,); −1 where one is not known, and empty
    where rows have none.
    """

    tokens: Sequences
    words: Sequences
    word_of: np.ndarray
    tags: np.ndarray
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> Sentences:
        """Some rows as a batch, with only the words that occur in it."""
        places = self.tokens.places(rows)
        distinct, word_of = np.unique(self.word_of[places], return_inverse=True)
        tags = self.tags[places] if len(self.tags) else self.tags
        labels = self.labels[rows] if len(self.labels) else self.labels
        words = self.words.take(distinct)
        return Sentences(self.tokens.take(rows), words, word_of, tags, labels)
