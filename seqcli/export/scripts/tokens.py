"""Text to token ids and back, exactly as the network was trained to read it.

Needs Python and numpy; where tokens are byte pairs also the package `tokenizers`.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

UNK, BOS, EOS = 0, 1, 2
HERE = Path(__file__).parent
LINES = 64
"""Lines that are answered together."""


class Tokens:
    """A tokenizer from its facts in model.json. Ids 0 to 2 are <unk>, <bos> and <eos>; those of
    the listed tokens follow."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.kind: str = facts["kind"]
        self.lowercase: bool = facts["lowercase"]
        self.joiner: str = facts.get("joiner", "")
        self.vocabulary: list[str] = ["<unk>", "<bos>", "<eos>", *facts["tokens"]]
        self.ids = {token: number for number, token in enumerate(self.vocabulary) if number > EOS}
        if self.kind == "word":
            self.ids["<unk>"] = UNK
            self.piece = re.compile(facts["pattern"], re.VERBOSE | re.IGNORECASE)
        if self.kind == "bpe":
            import tokenizers
            from tokenizers import decoders, models, pre_tokenizers

            pairs = [tuple(pair.split(" ")) for pair in facts["merges"]]
            numbers = {token: number for number, token in enumerate(facts["tokens"])}
            self.model = tokenizers.Tokenizer(models.BPE(vocab=numbers, merges=pairs))
            self.model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            self.model.decoder = decoders.ByteLevel()

    def encode(self, text: str, *, eos: bool = False) -> list[int]:
        """The ids of a text, never empty: without tokens and <eos> it becomes one <unk>."""
        text = text.lower() if self.lowercase else text
        if self.kind == "character":
            found = [self.ids.get(character, UNK) for character in text]
        elif self.kind == "bpe":
            ids = self.model.encode(" " + text).ids if text else []
            found = [number + EOS + 1 for number in ids]
        else:
            pieces = (piece for chunk in text.split() for piece in self._split(chunk))
            found = [self._find(piece) for piece in pieces]
        return [*found, EOS] if eos else found or [UNK]

    def encode_tokens(self, tokens: Iterable[str]) -> list[int]:
        """The ids of words that are split already."""
        return [self.ids.get(one.lower() if self.lowercase else one, UNK) for one in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; special tokens are dropped."""
        kept = [number for number in ids if number > EOS]
        if self.kind == "bpe":
            numbers = [number - EOS - 1 for number in kept]
            return self.model.decode(numbers, skip_special_tokens=False).removeprefix(" ")
        parts = [self.vocabulary[number] for number in kept]
        if self.kind == "character":
            return "".join(parts)
        text = " ".join(parts)
        if self.joiner:
            text = text.replace(f"{self.joiner} {self.joiner}", "")
            text = text.replace(f" {self.joiner}", "").replace(f"{self.joiner} ", "")
            text = text.strip(self.joiner)
        return text

    def _split(self, chunk: str) -> list[str]:
        """The words and marks of a run without spaces; the joiner marks where they touched."""
        if chunk in self.ids:
            return [chunk]
        pieces = self.piece.findall(chunk)
        if not self.joiner or len(pieces) == 1:
            return pieces
        marked = pieces[:1]
        for piece in pieces[1:]:
            if not marked[-1][-1].isalnum() and piece[0].isalnum():
                marked[-1] += self.joiner
                marked.append(piece)
            else:
                marked.append(self.joiner + piece)
        return marked

    def _find(self, token: str) -> int:
        found = self.ids.get(token)
        if found is None and self.joiner:
            bare, joiner = token.strip(self.joiner), self.joiner
            for other in (bare, joiner + bare, bare + joiner, joiner + bare + joiner):
                found = self.ids.get(other, found)
        return UNK if found is None else found


def read_facts() -> dict[str, Any]:
    """model.json."""
    return json.loads((HERE / "model.json").read_text(encoding="utf-8"))


def pad(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(rows, longest) ids with zeros behind, and (rows,) how many are real."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    padded = np.zeros((len(rows), max(lengths, default=0)), dtype=np.int64)
    for at, row in enumerate(rows):
        padded[at, : len(row)] = row
    return padded, lengths


def answer_lines(answer: Callable[[list[str]], list[str]]) -> None:
    """Standard input to standard output, an answer a line, some lines together."""
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    lines = (line.decode().removesuffix("\n").removesuffix("\r") for line in sys.stdin.buffer)
    while some := list(itertools.islice(lines, LINES)):
        for one in answer(some):
            print(one.replace("\n", " ").replace("\r", " "), flush=True)
