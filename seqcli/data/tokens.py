"""Text to tokens to ids and back: by word, by character or by byte-pair encoding.

A tokenizer is frozen once trained and depends on its own JSON only. The three special tokens take
the ids 0 to 2 in every vocabulary; the tokens of the text follow by falling frequency (bpe: in the
order of the merges). No text can produce the ids of BOS and EOS, whatever it spells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

import numpy as np

from seqcli.data.sequences import Sequences, bounds_of
from seqcli.data.spelling import Spelling, case_of
from seqcli.data.words import JOINER, split_chunk
from seqcli.errors import SeqcliError, UsageError

UNK, BOS, EOS = 0, 1, 2
SPECIALS = ("<unk>", "<bos>", "<eos>")

CACHED_CHUNKS = 1 << 16  # bounds the memory of a stream without end
CACHED_LENGTH = 48  # longer chunks hardly come again
BATCH = 1 << 13  # texts whose byte pairs are found together: what the library says of each is large


class Tokenizer(Protocol):
    """What the three kinds share. `vocabulary[id]` is the token; ids 0 to 2 are SPECIALS."""

    @property
    def kind(self) -> str: ...

    @property
    def vocabulary(self) -> list[str]: ...

    def split(self, text: str) -> list[str]:
        """The tokens of a text as strings, unknown ones included."""

    def encode(self, texts: Sequence[str], *, bos: bool = False, eos: bool = False) -> Sequences:
        """The ids of each text, never empty: a text without tokens becomes one UNK."""

    def encode_tokens(self, rows: Sequence[Sequence[str]]) -> Sequences:
        """The ids of rows that are split already, one id a token."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; special tokens are dropped."""

    def to_json(self) -> dict[str, Any]:
        """All that `tokenizer_from_json` needs."""


@dataclass(frozen=True)
class WordTokenizer:
    """Words, numbers and single punctuation marks; each Han character or kana is a word.

    English enclitics stand alone as in the Penn Treebank ("do n't", "it 's"), other apostrophes end
    their piece ("l' homme"). A run between two spaces that is itself in the vocabulary stays whole,
    so that text split before training keeps its tokens, and raw text is still understood.

    With `joiner` a token tells where it stood without a space ("Yes ￭, 3 ￭%"), and `decode` gives
    the text back with single spaces. Punctuation carries the mark, so that a word is one token.

    With `spelling` what `encode` gives are numbers that also say how a word is written.
    """

    tokens: Sequence[str]
    lowercase: bool = False
    joiner: bool = False
    spelling: Spelling | None = None
    kind = "word"

    @cached_property
    def vocabulary(self) -> list[str]:
        return [*SPECIALS, *self.tokens]

    @cached_property
    def _ids(self) -> dict[str, int]:
        # Text that was prepared with <unk> means just that.
        return {SPECIALS[UNK]: UNK} | {t: i for i, t in enumerate(self.tokens, len(SPECIALS))}

    @cached_property
    def _chunks(self) -> dict[str, list[int]]:
        return {}

    def split(self, text: str) -> list[str]:
        chunks = (text.lower() if self.lowercase else text).split()
        return list(chain.from_iterable(map(self._split_chunk, chunks)))

    def encode(self, texts: Sequence[str], *, bos: bool = False, eos: bool = False) -> Sequences:
        cache, flat, ends = self._chunks, [], []
        for text in texts:
            for chunk in text.split():
                flat += cache.get(chunk) or self._encode_chunk(chunk)
            ends.append(len(flat))
        kind = np.int64 if self.spelling else np.int32
        return _assemble(np.array(flat, dtype=kind), np.diff(ends, prepend=0), bos, eos)

    def encode_tokens(self, rows: Sequence[Sequence[str]]) -> Sequences:
        get, lower = self._ids.get, self.lowercase
        flat = [get(t.lower() if lower else t, UNK) for row in rows for t in row]
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return _assemble(np.array(flat, dtype=np.int32), lengths, False, False)

    def decode(self, ids: Iterable[int]) -> str:
        text = " ".join([self.tokens[i - len(SPECIALS)] for i in ids if i >= len(SPECIALS)])
        if self.joiner:
            text = text.replace(f"{JOINER} {JOINER}", "").replace(f" {JOINER}", "")
            text = text.replace(f"{JOINER} ", "").strip(JOINER)
        return text

    def to_json(self) -> dict[str, Any]:
        values = {
            "kind": self.kind,
            "lowercase": self.lowercase,
            "joiner": self.joiner,
            "tokens": list(self.tokens),
        }
        return values | ({"spelling": self.spelling.to_json()} if self.spelling else {})

    def _split_chunk(self, chunk: str) -> list[str]:
        if chunk in self._ids:
            return [chunk]
        return split_chunk(chunk, joiner=self.joiner)

    def _encode_chunk(self, chunk: str) -> list[int]:
        pieces = self._split_chunk(chunk.lower() if self.lowercase else chunk)
        ids = [self._find(token) for token in pieces]
        if self.spelling:
            ids = self._spell(chunk, pieces, ids, self.spelling)
        if len(chunk) <= CACHED_LENGTH:
            if len(self._chunks) >= CACHED_CHUNKS:
                self._chunks.clear()
            self._chunks[chunk] = ids
        return ids

    def _spell(
        self, chunk: str, pieces: Sequence[str], ids: Sequence[int], spelling: Spelling
    ) -> list[int]:
        """The numbers of a chunk's words from their ids."""
        numbers, begin, size = [], 0, len(self.vocabulary)
        whole = len("".join(pieces)) == len(chunk)  # a few letters get longer in lower case
        for piece, number in zip(pieces, ids, strict=True):
            case = case_of(chunk[begin : begin + len(piece)] if whole else piece)
            begin += len(piece)
            code = spelling.write(case, piece) if number == UNK else case
            numbers.append(number + size * code)
        return numbers

    def _find(self, token: str) -> int:
        """The id of a token, or of the same token otherwise joined, or UNK."""
        found = self._ids.get(token)
        if found is None and self.joiner:
            bare = token.strip(JOINER)
            for other in (bare, JOINER + bare, bare + JOINER, JOINER + bare + JOINER):
                found = self._ids.get(other, found)
        return UNK if found is None else found


@dataclass(frozen=True)
class CharacterTokenizer:
    """Unicode characters (code points), line ends and spaces included. Lossless."""

    tokens: Sequence[str]
    lowercase: bool = False
    kind = "character"

    @cached_property
    def vocabulary(self) -> list[str]:
        return [*SPECIALS, *self.tokens]

    @cached_property
    def _table(self) -> np.ndarray:
        """(largest code point + 2,) id of every code point; the last entry serves all above."""
        points = code_points("".join(self.tokens))
        table = np.full(int(points.max(initial=0)) + 2, UNK, dtype=np.int32)
        table[points] = np.arange(len(SPECIALS), len(SPECIALS) + len(points))
        return table

    def split(self, text: str) -> list[str]:
        return list(text.lower() if self.lowercase else text)

    def encode(self, texts: Sequence[str], *, bos: bool = False, eos: bool = False) -> Sequences:
        if self.lowercase:
            texts = [text.lower() for text in texts]
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        ids = self._table.take(code_points("".join(texts)), mode="clip")
        return _assemble(ids, lengths, bos, eos)

    def encode_tokens(self, rows: Sequence[Sequence[str]]) -> Sequences:
        raise UsageError("text that is split into tokens already needs --tokens word")

    def decode(self, ids: Iterable[int]) -> str:
        return "".join([self.tokens[i - len(SPECIALS)] for i in ids if i >= len(SPECIALS)])

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "lowercase": self.lowercase, "tokens": list(self.tokens)}


@dataclass(frozen=True)
class BpeTokenizer:
    """Byte-pair encoding (Sennrich et al. 2016) over bytes (Radford et al. 2019). Lossless.

    A space is put before the text and taken off again, so that a word is the same token at the
    start of a line as within it. The special ids lie below those of the byte pairs, not among them.
    """

    tokens: Sequence[str]
    merges: Sequence[tuple[str, str]]
    lowercase: bool = False
    kind = "bpe"

    @cached_property
    def vocabulary(self) -> list[str]:
        return [*SPECIALS, *self.tokens]

    @cached_property
    def _model(self) -> Any:
        from tokenizers.models import BPE

        ids = {token: i for i, token in enumerate(self.tokens)}
        return byte_level(BPE(vocab=ids, merges=list(self.merges)))

    def split(self, text: str) -> list[str]:
        return self._model.encode(self._prepare(text)).tokens

    def encode(self, texts: Sequence[str], *, bos: bool = False, eos: bool = False) -> Sequences:
        flat, lengths = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int64)]
        for at in range(0, len(texts), BATCH):
            rows = self._encode_batch([self._prepare(text) for text in texts[at : at + BATCH]])
            flat.append(np.fromiter(chain.from_iterable(rows), dtype=np.int32))
            lengths.append(np.fromiter(map(len, rows), dtype=np.int64, count=len(rows)))
        ids = np.concatenate(flat) + np.int32(len(SPECIALS))
        return _assemble(ids, np.concatenate(lengths), bos, eos)

    def _encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        if len(texts) == 1:  # a batch wakes threads
            return [self._model.encode(texts[0]).ids]
        return [row.ids for row in self._model.encode_batch_fast(texts)]

    def encode_tokens(self, rows: Sequence[Sequence[str]]) -> Sequences:
        raise UsageError("text that is split into tokens already needs --tokens word")

    def decode(self, ids: Iterable[int]) -> str:
        kept = [int(i) - len(SPECIALS) for i in ids if i >= len(SPECIALS)]
        return self._model.decode(kept, skip_special_tokens=False).removeprefix(" ")

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "lowercase": self.lowercase,
            "tokens": list(self.tokens),
            "merges": [" ".join(pair) for pair in self.merges],
        }

    def _prepare(self, text: str) -> str:
        text = text.lower() if self.lowercase else text
        return " " + text if text else text


def tokenizer_from_json(values: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that `to_json` described. Raises SeqcliError if it cannot be one."""
    try:
        kind, tokens, lowercase = values["kind"], values["tokens"], values["lowercase"]
        if not all(type(token) is str for token in tokens) or len(set(tokens)) < len(tokens):
            raise ValueError("tokens repeat or are no strings")
        if type(lowercase) is not bool or type(values.get("joiner", False)) is not bool:
            raise ValueError("lowercase and joiner must be true or false")
        if kind == "word":
            spelling = values.get("spelling")
            read = Spelling.from_json(spelling) if spelling else None
            return WordTokenizer(tokens, lowercase, values["joiner"], read)
        if kind == "character":
            if any(len(token) != 1 for token in tokens):
                raise ValueError("a token is not one character")
            return CharacterTokenizer(tokens, lowercase)
        if kind == "bpe":
            merges = [tuple(pair.split(" ")) for pair in values["merges"]]
            known = set(tokens)
            if any(len(pair) != 2 or not {*pair, "".join(pair)} <= known for pair in merges):
                raise ValueError("a merge is not among the tokens")
            return BpeTokenizer(tokens, merges, lowercase)
        raise ValueError(f"no tokenizer is called {kind!r}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SeqcliError(
            f"the model's tokenizer is corrupt ({error}); train or copy the model again"
        ) from None


def byte_level(model: Any) -> Any:
    import tokenizers

    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    return tokenizer


def code_points(text: str) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """(characters,) uint32. Lone surrogates pass, as Python lets them be read."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _assemble(flat: np.ndarray, lengths: np.ndarray, bos: bool, eos: bool) -> Sequences:
    """Sequences from flat ids: BOS before and EOS after each, UNK where nothing would stand."""
    if not bos and not eos and lengths.all():
        return Sequences(flat, bounds_of(lengths))
    offsets = bounds_of(np.maximum(lengths + bos + eos, 1))
    values = np.full(offsets[-1], UNK, dtype=flat.dtype)
    own = np.ones(len(values), dtype=bool)  # and not index arrays, which take eight times as much
    own[offsets[:-1][lengths == 0]] = False
    if bos:
        values[offsets[:-1]], own[offsets[:-1]] = BOS, False
    if eos:
        values[offsets[1:] - 1], own[offsets[1:] - 1] = EOS, False
    values[own] = flat
    return Sequences(values, offsets)
