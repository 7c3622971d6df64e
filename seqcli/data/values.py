"""What a value of a table says: a text, some tokens, the labels of a row."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_NUMBER = r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_MISSING = "None|null|nan"


def _list_of(item: str) -> re.Pattern[str]:
    """A list written out: of Python or JSON with commas, of numpy without."""
    item = f"(?:{item}|{_MISSING})"
    return re.compile(rf"\s*\[\s*(?:{item}(?:(?:\s*,\s*|\s+){item})*\s*)?\]\s*", re.DOTALL)


_STRINGS, _NUMBERS = _list_of(_STRING), _list_of(_NUMBER)
_ITEM = re.compile(f"{_STRING}|{_NUMBER}|{_MISSING}", re.DOTALL)


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


def reach(record: Mapping[str, Any], name: str) -> Any:
    """A record's field, or of a name such as 'user.name' the field of an object within; None where
    there is none."""
    if name in record:
        return record[name]
    first, dot, rest = name.partition(".")
    inner = record.get(first)
    return reach(inner, rest) if dot and isinstance(inner, Mapping) else None


def has_field(record: Mapping[str, Any], name: str) -> bool:
    """Whether `reach` finds a field, empty or not."""
    return name in record or reach(record, name) is not None


def join_cells(cells: Sequence[Any]) -> str:
    """One text from a row's cells, of which some may be missing."""
    return " ".join(text for text in map(write_cell, cells) if text)


def read_list(value: Any) -> Any:
    """A value, or the list of strings that is written out in it, as pandas does in csv:
    ['a', 'b']."""
    return _read_list(value, _STRINGS)


def read_number_list(value: Any) -> Any:
    """A value, or the list of numbers that is written out in it, [0.5, 3], as strings."""
    return _read_list(value, _NUMBERS)


def read_lists(values: Sequence[Any]) -> list[Any]:
    """`read_list` of a column; where all of it are lists of numbers, [3, 0] or [3 0], of these."""
    texts = (value for value in values if isinstance(value, str) and value.strip())
    written = _NUMBERS if all(map(_NUMBERS.fullmatch, texts)) else _STRINGS
    return [_read_list(value, written) for value in values]


def _read_list(value: Any, written: re.Pattern[str]) -> Any:
    if isinstance(value, str) and written.fullmatch(value):
        return list(map(_read_item, _ITEM.findall(value)))
    return value


def _read_item(item: str) -> str | None:
    if item[0] not in "'\"":
        return None if item in _MISSING.split("|") else item
    if "\\" not in item:
        return item[1:-1]
    try:
        return str(json.loads(item))
    except ValueError:
        pass
    with warnings.catch_warnings(action="ignore"):  # a backslash that means itself
        try:
            return str(ast.literal_eval(item))
        except (ValueError, SyntaxError):
            return item[1:-1]


def split_cell(value: Any) -> list[Any]:
    """A row's tokens or tags: a list, or a string cut at its spaces (not at non-breaking ones)."""
    if isinstance(value, str):
        return [word for word in re.split(r"[ \t\r\n]+", value) if word]
    if isinstance(value, list):
        return [None if item is None else write_cell(item) for item in value]
    return []


def read_choices(value: Any) -> Any:
    """A value, or the list in {"choices": ["a", "b"]}, as Label Studio writes several labels."""
    return value["choices"] if isinstance(value, dict) and [*value] == ["choices"] else value


def read_labels(value: Any) -> str | list[str]:
    """A row's label, or its labels where the value is a list."""
    if isinstance(value, list):
        return [item.strip() for item in split_cell(value) if item and item.strip()]
    return write_cell(value).strip()
