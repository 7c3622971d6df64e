"""Tables with a token a row, whose sentences a column numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from seqcli.data.choice import find_named
from seqcli.data.names import DOCUMENT, SENTENCE, TAGS, TOKENS
from seqcli.data.tables import Columns, Table
from seqcli.data.values import write_cell

ENOUGH = 20
"""Rows of one token, from which on they look like pieces of sentences."""


def join_tokens(table: Table, asked: Mapping[str, str | None]) -> Table:
    """A row a sentence of a table with a token a row; any other table as it is.

    A new sentence begins where the column that numbers them changes (by its name, else by its
    cells), or one that tells documents apart; a blank there is the value above it, as spreadsheets
    write it.
    """
    number, document = (find_number(list(table.columns), known) for known in (SENTENCE, DOCUMENT))
    given = asked.get("tokens")
    rest = [name for name in table.columns if name != number]
    tokens = find_named(rest, [given.lower()] if given else TOKENS)
    if tokens is None or not _are_words(table.columns[tokens]):
        return table
    if number is None and table.header:
        taken = {tokens, find_named(rest, TAGS), *asked.values()}
        number = next(
            (one for one in rest if one not in taken and _counts(table.columns[one])), None
        )
    if number is None:
        return table
    names = [name for name in table.columns if name != number]
    starts = _find_starts([table.columns[name] for name in (number, document) if name])
    if len(starts) == len(table.columns[number]):
        return table
    ends = [*starts[1:], len(table.columns[number])]

    def join(name: str) -> list[list[Any]]:
        cells = [None if (cell := _strip(one)) == "" else cell for one in table.columns[name]]
        return [cells[start:end] for start, end in zip(starts, ends, strict=True)]

    note = f"{ends[-1]:,} rows of a token are {len(starts):,} sentences by {number!r}"
    return replace(table, columns=Columns(names, join), notes=(*table.notes, note))


def find_number(names: Sequence[str], known: Collection[str] = SENTENCE) -> str | None:
    """The column that numbers sentences, if there is one."""
    return next((name for name in names if _letters(name) in known), None)


def _counts(values: Sequence[Any]) -> bool:
    """Whether cells number sentences, whatever their column is called: from 0 or 1, by ones, some
    of them repeated or blank ('1' or 'Satz 1')."""
    cells = [cell for value in values if (cell := write_cell(value).strip())]
    found = [re.fullmatch(r"\D*(\d+)", cell) for cell in cells]
    numbers = [int(one[1]) for one in found if one]
    return (
        len(numbers) == len(cells)
        and numbers[:1] in ([0], [1])
        and write_cell(values[0]).strip() != ""
        and 1 < len(set(numbers)) < len(values)
        and all(after - before in (0, 1) for before, after in pairwise(numbers))
    )


def _find_starts(columns: Sequence[Sequence[Any]]) -> list[int]:
    """The rows where a sentence begins."""
    bounds = Bounds()
    return [row for row, cells in enumerate(zip(*columns, strict=True)) if bounds.begins(cells)]


class Bounds:
    """Tells, row by row, where a sentence begins: at the first row, and where one of the cells that
    number sentences and documents changes, blanks aside."""

    def __init__(self) -> None:
        self.before: dict[int, str] | None = None

    def begins(self, cells: Iterable[Any]) -> bool:
        """Whether the row with these cells begins a sentence."""
        written = enumerate(write_cell(cell).strip() for cell in cells)
        told = {at: cell for at, cell in written if cell}
        begins = self.before is None or not told.items() <= self.before.items()
        self.before = {**(self.before or {}), **told}
        return begins


def note_single_tokens(rows: Sequence[Sequence[str]], origin: str) -> list[str]:
    """A note where rows are probably pieces of sentences."""
    if len(rows) < ENOUGH or any(len(row) > 1 for row in rows):
        return []
    return [
        f"{origin}: every row has one token, so none has a context; if rows make sentences, number "
        "these in a column sentence_id"
    ]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]+", "", name.lower())


def _are_words(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) and " " not in _strip(value) for value in values)


def _strip(cell: Any) -> Any:
    """A cell without spaces around it; a non-breaking one may be a token."""
    return cell.strip(" \t\r\n") if isinstance(cell, str) else cell
