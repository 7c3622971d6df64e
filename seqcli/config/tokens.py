"""Settings of how text becomes tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seqcli.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """How text becomes tokens."""

    tokens: Literal["auto", "word", "character", "bpe"] = setting(
        "auto", "Unit of text; auto chooses by task and script."
    )
    vocabulary_size: int | None = setting(
        None,
        "Keep at most this many tokens; default: all (bpe: a 64th of the words, from 500 to "
        "8,000).",
        minimum=2,
    )
    min_count: int = setting(
        1, "Treat tokens seen less often than this in train as unknown.", minimum=1
    )
    lowercase: bool = setting(False, "Fold case before looking a token up.")


@dataclass(frozen=True, kw_only=True)
class SequenceTokens(Tokens):
    """How text becomes tokens, and how many of them are read."""

    max_length: int | None = setting(
        None, "Cut longer sequences to this many tokens, and say how many were cut.", minimum=1
    )
