"""Comma-separated values, whose cells may be quoted (RFC 4180), and what spreadsheets make of them.

Every value stays the string it is: 007, NA and the empty string included.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqcli.data.files import name_columns, read_text
from seqcli.data.tables import Table
from seqcli.errors import SeqcliError

DELIMITERS = ",;\t|"
HEAD = 500  # records that tell the delimiter and the header


class Record(NamedTuple):
    """A row. start, end: its lines, counted from zero, the last one excluded. stray: whether a
    quotation mark in it is a character, although it stands where one opens a quoted cell."""

    start: int
    end: int
    cells: list[str]
    stray: bool = False


def read_csv(path: Path, *, wanted: Collection[str] = ()) -> Table:
    """Comma-separated values (or ; tab | where these divide every record, or what a first line
    such as sep=; names), header or not.

    Raises SeqcliError naming the line of a record that is broken.
    """
    csv.field_size_limit(sys.maxsize)
    lines = list(io.StringIO(read_text(path), newline=""))
    told = read_delimiter(lines[0])
    if told:
        lines[0] = "\n"
    delimiter = told or _sniff(lines)
    records = list(_read_records(lines, delimiter))
    if not records:
        raise SeqcliError(f"{path.name} has no rows")
    _check_records(path, lines, records, delimiter)
    cells = [record.cells for record in records]
    names, header = name_columns(path, cells[:HEAD], wanted=wanted, assume=True)
    columns = map(list, zip(*cells[header:], strict=True))
    strays = [str(record.start + 1) for record in records if record.stray]
    where = ", ".join(strays[:5]) + (", …" if len(strays) > 5 else "")
    note = f"{path.name}: quotation marks that open no quoted cell are read as characters"
    notes = (f"{note} (line {where})",) if strays else ()
    return Table(path.name, dict(zip(names, columns, strict=True)), header, notes=notes)


def read_delimiter(line: str) -> str | None:
    """The delimiter that a first line such as sep=; names, as Excel writes it."""
    told = re.fullmatch(r'"?sep=(.)"?\s*', line)
    return told and told[1]


def _sniff(lines: Sequence[str]) -> str:
    """The delimiter: of , ; tab | the first that divides all of the first records into the same
    number of columns, two or more; else the comma."""
    for delimiter in DELIMITERS:
        records = itertools.islice(_read_records(lines, delimiter), HEAD)
        widths = {len(record.cells) for record in records}
        if len(widths) == 1 and widths != {1}:
            return delimiter
    return ","


def _read_records(lines: Sequence[str], delimiter: str) -> Iterator[Record]:
    """Records that are not blank. Where a quotation mark is a stray one, its line is a record of
    plain characters, and reading goes on below it."""
    start, width = 0, 0
    while start < len(lines):
        first = start
        rest = map(lines.__getitem__, range(start, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter)
        for cells in reader:
            end = first + reader.line_num
            width = width or len(cells)
            if end - start > 1 and _swallows_rows(lines[start:end], delimiter, width):
                plain = _split(lines[start], delimiter, quoting=csv.QUOTE_NONE)
                yield Record(start, start + 1, plain, stray=True)
                start += 1
                break
            if cells:
                yield Record(start, end, cells)
            start = end


def _swallows_rows(lines: Sequence[str], delimiter: str, width: int) -> bool:
    """Whether a quoted cell that goes on over these lines was never meant to be one: most lines
    under the first are rows by themselves, and what closes it is not at the end of a cell."""
    rows = [line for line in lines[1:] if len(_split(line, delimiter)) == width > 1]
    return 2 * len(rows) >= len(lines) and _is_malformed(lines, delimiter)


def _is_malformed(lines: Sequence[str], delimiter: str) -> bool:
    closed = re.compile(rf'"[ ]+(?=[{re.escape(delimiter)}\r\n]|$)')  # blanks do no harm
    try:
        list(
            csv.reader([closed.sub('"', line) for line in lines], delimiter=delimiter, strict=True)
        )
    except csv.Error:
        return True
    return False


def _split(line: str, delimiter: str, **options: Any) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, **options), [])


def _check_records(
    path: Path, lines: Sequence[str], records: Sequence[Record], delimiter: str
) -> None:
    """Raise SeqcliError for the first record of another width than the header's, and for a last
    one whose quoted cell goes on to the end of the file."""
    width = len(records[0].cells)
    for record in records:
        own = lines[record.start : record.end]
        broken = len(record.cells) != width
        if broken or (record is records[-1] and len(own) > 1):
            where = f"{path.name} line {record.start + 1}"
            if _is_malformed(own, delimiter):
                raise SeqcliError(
                    f"{where}: a quotation mark that opens here or below is not closed properly; "
                    'write a quotation mark inside a quoted value twice ("")'
                )
            if broken:
                raise SeqcliError(
                    f"{where} has {len(record.cells)} instead of {width} columns; "
                    f"put values that hold a {delimiter!r} in quotation marks"
                )
