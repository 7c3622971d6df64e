"""Cells that say yes or no: a column for each label, a mark in it, or lists of ones and zeros."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def find_flags(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """The columns that say yes or no, and not the same everywhere; some cells may say nothing. One
    that says -1, too, means that nobody knows where most of them do; alone it is a third value."""
    said = {name: set(map(_say, values)) for name, values in columns.items()}
    able = [
        name
        for name, words in said.items()
        if words <= _YES | _NO | _UNKNOWN | {""} and len(words - {""} - _UNKNOWN) > 1
    ]
    unknown = [name for name in able if said[name] & _UNKNOWN]
    return able if 2 * len(unknown) > len(able) else [one for one in able if one not in unknown]


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


def find_unclear(values: Sequence[Any], *, unknown: bool = True) -> int | None:
    """The place of the first value that says neither yes nor no (nor, if that may be, that nobody
    knows), in a column where nearly all do or where all are fractions; else None."""
    said = [_say(value) for value in values if _say(value)]
    flags = sum(word in _YES | _NO | _UNKNOWN for word in said)
    if flags < NEARLY * len(said) and not all(map(_is_share, said)):
        return None
    known = _YES | _NO | {""} | (_UNKNOWN if unknown else set())
    return next((at for at, value in enumerate(values) if _say(value) not in known), None)


def read_positions(values: Sequence[Any]) -> list[list[str] | None] | None:
    """Of lists of ones and zeros, equally many in each row and more than two, the places of the
    ones, counted from zero; None for other values."""
    rows = [value for value in values if value not in (None, "")]
    if not all(isinstance(row, list) and len(row) == len(rows[0]) > 2 for row in rows):
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
