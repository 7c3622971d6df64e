"""How a word is spelled, told by one number together with which word it is.

    number = word + V · (case + CASES · (beginning + (P + 1) · ending))

V is the size of the vocabulary and P the number of beginnings. Of a known word the number says the
case alone, since the word has always the same letters; an unknown word is UNK with the longest
beginning and ending that words of the vocabulary share. `number % V` is the id of the word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

CASES = 5
PLAIN, TITLE, UPPER, MIXED, DIGITS = range(CASES)
LETTERS = (2, 3, 4)
"""Of a beginning or an ending."""
LEAST_WORDS = 2
"""Words of the vocabulary that share one."""


@dataclass(frozen=True)
class Spelling:
    """Beginnings and endings of words, numbered from 1; each shorter one of them is there, too."""

    beginnings: Sequence[str]
    endings: Sequence[str]

    @classmethod
    def learn(cls, words: Iterable[str]) -> Spelling:
        """What the words of a vocabulary begin and end with."""
        kept: list[list[str]] = []
        distinct = sorted(set(words))
        for cut in (lambda word, n: word[:n], lambda word, n: word[-n:]):
            shared = Counter(cut(word, n) for word in distinct for n in LETTERS if len(word) >= n)
            kept.append(sorted(part for part, times in shared.items() if times >= LEAST_WORDS))
        return cls(*kept)

    @cached_property
    def _numbers(self) -> tuple[dict[str, int], dict[str, int]]:
        first, last = ({part: n for n, part in enumerate(parts, 1)} for parts in self._parts)
        return first, last

    @property
    def _parts(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.beginnings, self.endings

    def find(self, word: str) -> tuple[int, int]:
        """The numbers of the longest beginning and ending of a word; 0 where none is known."""
        first, last = self._numbers
        lengths = [n for n in reversed(LETTERS) if n <= len(word)]
        beginning = next((first[word[:n]] for n in lengths if word[:n] in first), 0)
        return beginning, next((last[word[-n:]] for n in lengths if word[-n:] in last), 0)

    def write(self, case: int, word: str) -> int:
        """What an unknown word's number is more than UNK, in sizes of the vocabulary."""
        beginning, ending = self.find(word)
        return case + CASES * (beginning + (len(self.beginnings) + 1) * ending)

    def table(self, words: Sequence[str]) -> np.ndarray:
        """(W, 2) beginning and ending of each word."""
        return np.array([self.find(word) for word in words], dtype=np.int64).reshape(-1, 2)

    def chains(self) -> tuple[np.ndarray, np.ndarray]:
        """(P + 1, 3) and (S + 1, 3) each beginning, and each ending, with the shorter ones in it;
        0 where there is none."""
        found = []
        for parts, numbers, cut in zip(
            self._parts,
            self._numbers,
            (lambda part, n: part[:n], lambda part, n: part[-n:]),
            strict=True,
        ):
            rows = [[0] * len(LETTERS)]
            rows += [[numbers[cut(p, n)] if n <= len(p) else 0 for n in LETTERS] for p in parts]
            found.append(np.array(rows, dtype=np.int64))
        return found[0], found[1]

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs."""
        return {"beginnings": list(self.beginnings), "endings": list(self.endings)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Spelling:
        """Raises KeyError, TypeError or ValueError for what `to_json` did not write."""
        found = cls(values["beginnings"], values["endings"])
        for parts in found._parts:
            whole = set(parts)
            if not all(type(part) is str and len(part) in LETTERS for part in parts):
                raise ValueError("a beginning or ending is no string of 2 to 4 letters")
            if len(whole) < len(parts):
                raise ValueError("beginnings or endings repeat")
        found.chains()
        return found


def case_of(word: str) -> int:
    """How a word is written: PLAIN (also marks and scripts without case), Title, UPPER, miXed, or
    with DIGITS."""
    if any(map(str.isdigit, word)):
        return DIGITS
    if word == word.lower():
        return PLAIN
    if word[1:] == word[1:].lower():
        return TITLE
    return UPPER if word == word.upper() else MIXED
