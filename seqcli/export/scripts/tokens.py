"""Text to token ids and back, exactly as the network was trained to read it.

Where model.json has a spelling, the number of a word also says how it is written:

    id + V * (case + 5 * (beginning + (number of beginnings + 1) * ending))

V is the size of the vocabulary. case: 0 plain, 1 Capitalised, 2 UPPER, 3 miXed, 4 with digits. Of
an unknown word (id 0) beginning and ending are the longest known, counted from 1; else 0.

Needs Python and numpy; where tokens are byte pairs also the package `tokenizers`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

UNK, BOS, EOS = 0, 1, 2
HERE = Path(__file__).parent
LINES = 64
"""Lines that are answered together, at most."""
READ = 1 << 16  # bytes asked for at once; a pipe gives what it has


class Tokens:
    """A tokenizer from its facts in model.json. Ids 0 to 2 are <unk>, <bos> and <eos>; those of
    the listed tokens follow."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.kind: str = facts["kind"]
        self.lowercase: bool = facts["lowercase"]
        self.joiner: str = facts.get("joiner", "")
        self.vocabulary: list[str] = ["<unk>", "<bos>", "<eos>", *facts["tokens"]]
        self.ids = {token: number for number, token in enumerate(self.vocabulary) if number > EOS}
        self.ends: list[dict[str, int]] = []
        if self.kind == "word":
            self.ids["<unk>"] = UNK
            spelling = facts.get("spelling") or {}
            for parts in (spelling[name] for name in ("beginnings", "endings") if spelling):
                self.ends.append({part: number for number, part in enumerate(parts, 1)})
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
        low = text.lower() if self.lowercase else text
        if self.kind == "character":
            found = [self.ids.get(character, UNK) for character in low]
        elif self.kind == "bpe":
            ids = self.model.encode(" " + low).ids if low else []
            found = [number + EOS + 1 for number in ids]
        else:
            found = [number for chunk in text.split() for number in self._read(chunk)]
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

    def _read(self, chunk: str) -> list[int]:
        """The numbers of the words in a run without spaces."""
        pieces = self._split(chunk.lower() if self.lowercase else chunk)
        found = [self._find(piece) for piece in pieces]
        if not self.ends:
            return found
        begin, numbers = 0, []
        whole = len("".join(pieces)) == len(chunk)  # a few letters get longer in lower case
        for piece, number in zip(pieces, found, strict=True):
            code = case_of(chunk[begin : begin + len(piece)] if whole else piece)
            begin += len(piece)
            if number == UNK:
                first, last = self.ends
                cuts = [n for n in (4, 3, 2) if n <= len(piece)]
                beginning = next((first[piece[:n]] for n in cuts if piece[:n] in first), 0)
                ending = next((last[piece[-n:]] for n in cuts if piece[-n:] in last), 0)
                code += 5 * (beginning + (len(first) + 1) * ending)
            numbers.append(number + len(self.vocabulary) * code)
        return numbers

    def _find(self, token: str) -> int:
        found = self.ids.get(token)
        if found is None and self.joiner:
            bare, joiner = token.strip(self.joiner), self.joiner
            for other in (bare, joiner + bare, bare + joiner, joiner + bare + joiner):
                found = self.ids.get(other, found)
        return UNK if found is None else found


def case_of(word: str) -> int:
    """How a word is written."""
    if any(map(str.isdigit, word)):
        return 4
    if word == word.lower():
        return 0
    if word[1:] == word[1:].lower():
        return 1
    return 2 if word == word.upper() else 3


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
    """Standard input to standard output, an answer a line, as the lines arrive. A line that cannot
    be answered is told of on standard error, has an empty answer, and makes the exit status 1."""
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    number, bad = 0, False
    try:
        for lines in arriving_lines():
            for at in range(0, len(lines), LINES):
                for one in answer_some(answer, lines[at : at + LINES], number + at + 1):
                    bad |= one is None
                    print((one or "").replace("\n", " ").replace("\r", " "))
            sys.stdout.flush()
            number += len(lines)
    except OSError as error:  # nobody reads on, or the disk is full, also for what is still to come
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            sys.exit(f"cannot read or write: {error.strerror}")
    sys.exit(int(bad))


def arriving_lines() -> Iterator[list[bytes]]:
    """Lines of standard input, as many together as have arrived."""
    rest = b""
    while chunk := sys.stdin.buffer.read1(READ):  # type: ignore[union-attr]
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


def answer_some(
    answer: Callable[[list[str]], list[str]], lines: list[bytes], first: int
) -> Sequence[str | None]:
    """The answers to some lines, None for one that has none; where they cannot be answered
    together, one by one."""
    try:
        return answer([decode(line, first + at) for at, line in enumerate(lines)])
    except (ValueError, KeyError) as error:
        if len(lines) == 1:
            print(f"line {first} cannot be read: {error}", file=sys.stderr)
            return [None]
        return [answer_some(answer, [one], first + at)[0] for at, one in enumerate(lines)]


def decode(line: bytes, number: int) -> str:
    """The text of a line; before the first there may be a byte order mark."""
    text = line.decode().removesuffix("\r")
    return text.removeprefix("\ufeff") if number == 1 else text
