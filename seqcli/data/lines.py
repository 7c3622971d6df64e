"""Lines of input as they arrive, and what a line holds: a record, the cells of a table."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from seqcli.errors import SeqcliError

READ = 1 << 18  # bytes asked for at once; a pipe gives what it has
BATCH_LINES = 4_096  # lines answered together, at most
GZIP = b"\x1f\x8b"  # how its files begin, and no text in UTF-8

Read = Callable[[], bytes]
"""What has arrived, at least one byte; nothing at the end."""


class Line(NamedTuple):
    """A line of input: its number from 1, its text or what is wrong with it."""

    number: int
    text: str
    problem: str | None = None


def read_lines(read: Read) -> Iterator[list[Line]]:
    """Lines in the batches in which they arrive.

    Only a newline ends a line (a carriage return before it is dropped, and a byte order mark
    before the first); a last line without one counts. A line that is not UTF-8 comes with its
    problem.
    """
    number, rest = 0, bytearray()
    while chunk := read():
        if b"\n" not in chunk:
            rest += chunk
            continue
        whole, _, tail = chunk.rpartition(b"\n")
        raw = (bytes(rest) + whole).split(b"\n")
        rest = bytearray(tail)
        for begin in range(0, len(raw), BATCH_LINES):
            part = raw[begin : begin + BATCH_LINES]
            yield [_decode(number + 1 + at, one) for at, one in enumerate(part)]
            number += len(part)
    if rest:
        yield [_decode(number + 1, bytes(rest))]


def _decode(number: int, raw: bytes) -> Line:
    try:
        text = raw.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        return Line(number, "", f"not UTF-8 (byte {error.start + 1}); convert it with iconv")
    return Line(number, text.removeprefix("\ufeff") if number == 1 else text)


@contextlib.contextmanager
def open_lines(file: str) -> Iterator[Read]:
    """The bytes of a file ("-": of standard input), unpacked where gzip packed them."""
    name = "standard input" if file == "-" else file
    with contextlib.ExitStack() as stack:
        with _reading(name):
            raw = stack.enter_context(_open(file))
            take = raw.read1
            if raw.peek(len(GZIP)).startswith(GZIP):
                take = stack.enter_context(gzip.GzipFile(fileobj=raw)).read1

        def read() -> bytes:
            with _reading(name):
                return take(READ)

        yield read


def _open(file: str) -> io.BufferedReader:
    if file != "-":
        return open(file, "rb")
    if sys.stdin is None:
        raise SeqcliError("standard input is closed; name a file")
    number = sys.stdin.fileno()
    os.set_blocking(number, True)  # else what has not arrived yet looks like the end
    return open(number, "rb", closefd=False)


@contextlib.contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise SeqcliError(f"cannot read {name}: {reason}") from None


def parse_record(text: str) -> dict[str, Any]:
    """A JSON object. Raises SeqcliError that says what is wrong."""
    try:
        record = json.loads(text)
        if "\\u" in text:  # half of a surrogate pair is legal JSON, and no text
            json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise SeqcliError("holds half of a surrogate pair, which is no character") from None
    except ValueError as error:
        raise SeqcliError(f"not JSON: {str(error).split(': line ')[0]}") from None
    except RecursionError:
        raise SeqcliError("JSON nested too deeply") from None
    if not isinstance(record, dict):
        raise SeqcliError("not a JSON object")
    return record


class OpenCell(SeqcliError):
    """A quoted cell does not end on its line."""

    def __init__(self) -> None:
        super().__init__("a quoted cell goes on beyond the line; write a row on one line")


class Header(NamedTuple):
    """The first line of a table: what divides its cells, and the names of its columns."""

    divider: str
    names: list[str]

    def read(self, line: str) -> dict[str, str]:
        """A row as a record. Raises SeqcliError for a row that is not whole, OpenCell if it may go
        on."""
        cells = split_cells(line, self.divider)
        if len(cells) != len(self.names):
            raise SeqcliError(f"{len(cells)} cells, and the header has {len(self.names)}")
        return dict(zip(self.names, cells, strict=True))


def split_cells(line: str, divider: str) -> list[str]:
    """The cells of a line; in csv they may be quoted, within the line. A quotation mark elsewhere
    is a character, as in training."""
    if divider == "\t":
        return line.split("\t")
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader([line, ""], delimiter=divider)
    try:
        cells = next(reader)
    except csv.Error:
        raise SeqcliError("holds a carriage return; write a row on one line") from None
    if reader.line_num > 1:
        raise OpenCell
    return cells or [""]
