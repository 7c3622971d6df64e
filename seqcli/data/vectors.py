"""Pretrained vectors of words: a file read as a stream, of which only the needed words are kept.

    text      word 0.12 -0.5 …       GloVe; with a first line "words width" word2vec, fastText .vec
    binary    "words width", then    word2vec
              word, space, float32 …

Either may be packed by gzip.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from seqcli.data.words import JOINER
from seqcli.errors import SeqcliError, UsageError

CHUNK = 1 << 20  # bytes read at once
FASTTEXT = b"\xba\x16\x4f\x2f"  # what a fastText model begins with
EXACT, AS_LOWER, SAME_FOLDED, NONE = range(4)  # how well a word of the file fits a token


class Vectors(NamedTuple):
    """The vectors found for a vocabulary: ids (K,) int64, rising, and values (K, E) float32."""

    ids: np.ndarray
    values: np.ndarray


class Form(NamedTuple):
    """How a file is written: the width of its vectors, and words where its first line tells."""

    width: int
    words: int | None
    binary: bool


def read_width(path: Path) -> int:
    """The width of a file's vectors. Raises SeqcliError where it is no file of vectors."""
    with _reading(path):
        return _sniff(path).width


def read_vectors(path: Path, vocabulary: Sequence[str]) -> Vectors:
    """The vectors of a file for the tokens of a vocabulary.

    A token takes the vector of the same word, else that of its lower-case form, else that of the
    first word that differs from it in case only; the mark of a token that touched its neighbour is
    not part of the word. Raises SeqcliError where the file cannot be read or a vector is not whole.
    """
    words = [token.strip(JOINER) or token for token in vocabulary]
    exact: dict[str, list[int]] = {}
    folded: dict[str, list[int]] = {}
    for number, word in enumerate(words):
        exact.setdefault(word, []).append(number)
        folded.setdefault(word.lower(), []).append(number)

    fit = np.full(len(words), NONE)
    row_of = np.zeros(len(words), dtype=np.int64)
    rows: list[np.ndarray] = []
    with _reading(path):
        form = _sniff(path)
        entries = _read_binary if form.binary else _read_text
        for where, word, content in entries(path, form):
            alike = folded.get(word.lower())
            if alike is None:
                continue
            same = exact.get(word, ())
            better = []
            for number in alike:
                lower = words[number].lower() == word
                level = EXACT if number in same else AS_LOWER if lower else SAME_FOLDED
                if level < fit[number]:
                    better.append((number, level))
            if not better:
                continue
            vector = _parse(content, form)
            if vector is None:  # a phrase whose first word is this
                continue
            if len(vector) != form.width or not np.isfinite(vector).all():
                raise SeqcliError(
                    f"{path.name} {where}: the vector of {word!r} is not {form.width} finite "
                    "numbers; is the file whole?"
                )
            for number, level in better:
                fit[number], row_of[number] = level, len(rows)
            rows.append(vector)
    ids = np.flatnonzero(fit < NONE)
    values = np.array(rows, dtype=np.float32).reshape(-1, form.width)
    return Vectors(ids, values[row_of[ids]])


def describe_coverage(vectors: Vectors, vocabulary: Sequence[str], tokens_N: np.ndarray) -> str:
    """How much of a vocabulary, and of the running tokens (N ids), has a vector."""
    known = np.zeros(len(vocabulary), dtype=bool)
    known[vectors.ids] = True
    types = len(vocabulary)
    running = known[tokens_N].mean() if len(tokens_N) else 0.0
    return (
        f"{len(vectors.ids):,} of {types:,} types ({len(vectors.ids) / types:.1%}), "
        f"{running:.1%} of the training tokens; width {vectors.values.shape[1]}"
    )


# ------------------------------------------------------------------------------------- formats


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise SeqcliError(f"cannot read the vectors of {path}: {reason}") from None


def _sniff(path: Path) -> Form:
    with _open(path) as file:
        head = file.read(CHUNK)
    if head.startswith(b"PK\x03\x04"):
        raise UsageError(f"{path.name} is a zip archive; unpack it, and name the file within")
    if head.startswith(FASTTEXT):
        raise UsageError(f"{path.name} is a whole fastText model; name its .vec file")
    first, _, rest = head.partition(b"\n")
    fields = first.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields) and int(fields[1]):
        second = rest.partition(b"\n")[0].split()
        binary = len(second) < 2 or any(not _is_number(field) for field in second[1:3])
        return Form(int(fields[1]), int(fields[0]), binary)
    if len(fields) < 2 or not all(map(_is_number, fields[1:])):
        raise UsageError(
            f"{path.name} is no file of vectors: its first line is neither a word and its numbers "
            "nor two counts (GloVe, word2vec, fastText .vec)"
        )
    return Form(len(fields) - 1, None, False)


def _is_number(field: bytes) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


Entry = tuple[str, str, bytes]  # where it stands, the word, what its vector is read from


def _read_text(path: Path, form: Form) -> Iterator[Entry]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            word = line.split(None, 1)[:1]
            if word and not (number == 1 and form.words is not None):
                yield f"line {number}", word[0].decode("utf-8", "replace"), line


def _read_binary(path: Path, form: Form) -> Iterator[Entry]:
    size, rest, at = 4 * form.width, b"", 0
    with _open(path) as file:
        file.readline()
        for number in range(1, (form.words or 0) + 1):
            while (space := rest.find(b" ", at)) < 0 or len(rest) < space + 1 + size:
                more = file.read(CHUNK)
                if not more:
                    raise SeqcliError(
                        f"{path.name} ends after {number - 1:,} of {form.words:,} words; "
                        "is the file whole?"
                    )
                rest, at = rest[at:] + more, 0
            word = rest[at:space].lstrip(b"\n").decode("utf-8", "replace")
            at = space + 1 + size
            yield f"word {number}", word, rest[space + 1 : at]


def _parse(content: bytes, form: Form) -> np.ndarray | None:
    """An entry's vector, empty where it cannot be read; None where a line holds a phrase."""
    if form.binary:
        return np.frombuffer(content, dtype="<f4")
    fields = content.split()
    if len(fields) <= form.width:
        return np.empty(0, dtype=np.float32)
    try:
        values = np.array([float(field) for field in fields[-form.width :]], dtype=np.float32)
    except ValueError:
        values = np.empty(0, dtype=np.float32)
    return None if len(fields) > form.width + 1 and len(values) else values
