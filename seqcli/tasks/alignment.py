"""What a translation owes to which part of its source, told by attention.

Dimensions: T target and S source tokens of a sentence, the end marks left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from seqcli.data.tokens import SPECIALS, UNK, Tokenizer
from seqcli.data.words import JOINER

BYTE_SPACE = "Ġ"
"""How byte pairs write the space before a word."""


def number_words(tokenizer: Tokenizer, tokens: Sequence[str]) -> list[int]:
    """The word that each token belongs to; words are separated by spaces, or single characters."""
    if tokenizer.kind == "character":
        return list(range(len(tokens)))
    numbers: list[int] = []
    joined = True
    for at, token in enumerate(tokens):
        if tokenizer.kind == "bpe":
            begins = token.startswith(BYTE_SPACE)
        else:
            begins = not (token.startswith(JOINER) or joined)
            joined = token.endswith(JOINER)
        numbers.append((numbers[-1] + begins) if at else 0)
    return numbers


def pharaoh(weights_TS: np.ndarray, target_T: Sequence[int], source_S: Sequence[int]) -> str:
    """For each target word the source word that its tokens attend to most, as "i-j" pairs.

    target_T, source_S: the word that each token is part of.
    """
    if not len(target_T) or not len(source_S):
        return ""
    words = np.zeros((target_T[-1] + 1, source_S[-1] + 1))
    np.add.at(words, (np.asarray(target_T)[:, None], np.asarray(source_S)[None, :]), weights_TS)
    return " ".join(f"{source}-{target}" for target, source in enumerate(words.argmax(axis=1)))


def spell(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """The tokens of ids as strings."""
    return [tokenizer.vocabulary[number] for number in ids]


def copy_unknown(
    tokenizer: Tokenizer, ids: Sequence[int], weights_TS: np.ndarray, source: Sequence[str]
) -> str:
    """The text of ids, each unknown one replaced by the source token it attends to most (Luong et
    al. 2015). source: the source's own tokens (S,), known or not."""
    if UNK not in ids or tokenizer.kind == "bpe" or not source:
        return tokenizer.decode(ids)
    copied: list[str] = []
    numbers: list[int] = []
    for number, row_S in zip(ids, weights_TS, strict=True):
        if number == UNK:
            number = len(SPECIALS) + len(tokenizer.tokens) + len(copied)  # type: ignore[attr-defined]
            copied.append(source[int(row_S.argmax())])
        numbers.append(number)
    larger: Any = dataclasses.replace(tokenizer, tokens=[*tokenizer.tokens, *copied])  # type: ignore
    return larger.decode(numbers)
