"""What a value of a table says: a text, some tokens, the labels of a row."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

LIST = re.compile(r"\[\s*(['\"].*['\"])?\s*\]", re.DOTALL)


def write_cell(value: Any) -> str:
    """A value as the string a person would write: 3 for 3.0, true for True, '' for nothing."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return " ".join(map(write_cell, value))
    return str(value)


def join_cells(cells: Sequence[Any]) -> str:
    """One text from a row's cells, of which some may be missing."""
    return " ".join(text for text in map(write_cell, cells) if text)


def split_cell(value: Any) -> list[Any]:
    """A row's tokens or tags: a list, a list written out (['a', 'b'], as pandas does in csv), or a
    string cut at its spaces (not at non-breaking ones)."""
    if isinstance(value, str) and LIST.fullmatch(value):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            pass
    if isinstance(value, str):
        return [word for word in re.split(r"[ \t\r\n]+", value) if word]
    if isinstance(value, list):
        return [None if item is None else write_cell(item) for item in value]
    return []


def read_labels(value: Any) -> str | list[str] | None:
    """A row's label, or its labels where the value is a list, also one written out (['a', 'b'])."""
    if isinstance(value, str) and not LIST.fullmatch(value.strip()):
        return value.strip()
    if isinstance(value, str | list):
        return [item.strip() for item in split_cell(value) if item and item.strip()]
    return write_cell(value).strip()
