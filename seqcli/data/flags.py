"""Cells that say yes or no: a column for each label, a mark in it, or lists of ones and zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqcli.data.values import write_cell

_YES = {"1", "1.", "1.0", "true", "yes"}
_NO = {"0", "0.", "0.0", "false", "no"}
_UNKNOWN = {"-1", "-1.0"}
NEARLY = 0.9
"""Share of a column's values that say yes or no, from which on the others are taken for errors."""


def is_flag(value: Any) -> bool:
    """Whether a value says yes or no, that nobody knows, or nothing."""
    return _say(value) in _YES | _NO | _UNKNOWN | {""}


def are_flags(values: Sequence[Any]) -> bool:
    """Whether values say yes or no, and not the same everywhere; some may say nothing."""
    said = set(map(_say, values))
    return len(said - {""}) > 1 and said <= _YES | _NO | {""}


def read_flags(cells: Sequence[Any], names: Sequence[str]) -> list[str] | None:
    """The names of a row's columns that say yes; None where nobody knows: all are empty, or one is
    -1."""
    said = [_say(cell) for cell in cells]
    if _UNKNOWN & {*said} or not any(said):
        return None
    return [name for name, word in zip(names, said, strict=True) if word in _YES]


def find_tick(columns: Sequence[Sequence[Any]]) -> str:
    """The one character that every cell holds that is not empty, as an x in a spreadsheet; '' where
    there is none such."""
    said = {_say(value) for values in columns for value in values}
    ticks = said - {""}
    return ticks.pop() if len(said) == 2 and len(ticks) == 1 and len(min(ticks)) == 1 else ""


def read_ticks(cells: Sequence[Any], names: Sequence[str]) -> list[str]:
    """The names of a row's columns that are not empty."""
    return [name for name, cell in zip(names, cells, strict=True) if _say(cell)]


def find_unclear(values: Sequence[Any]) -> int | None:
    """The place of the first value that says neither yes nor no, in a column where nearly all do
    or where all are fractions; else None."""
    said = [_say(value) for value in values if _say(value)]
    flags = sum(word in _YES | _NO | _UNKNOWN for word in said)
    if flags < NEARLY * len(said) and not all(map(_is_share, said)):
        return None
    return next((at for at, value in enumerate(values) if not is_flag(value)), None)


def read_positions(values: Sequence[Any]) -> list[list[str] | None] | None:
    """Of lists of ones and zeros, equally many in each row, the places of the ones, counted from
    zero; None for other values."""
    rows = [value for value in values if value not in (None, "")]
    if not all(isinstance(row, list) and len(row) == len(rows[0]) > 1 for row in rows):
        return None
    if not rows or not {_say(one) for row in rows for one in row} <= _YES | _NO:
        return None
    return [
        [str(at) for at, one in enumerate(row) if _say(one) in _YES] if row else None
        for row in values
    ]


def _is_share(word: str) -> bool:
    try:
        return 0 <= float(word) <= 1
    except ValueError:
        return False


def _say(value: Any) -> str:
    return write_cell(value).strip().lower()
