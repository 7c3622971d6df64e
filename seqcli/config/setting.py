"""One setting: a field of a dataclass with its help and bounds, and how a value is checked."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from seqcli.errors import UsageError


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    argument: bool = False,
    option: str | None = None,
    tasks: tuple[str, ...] = (),
    cells: tuple[str, ...] = (),
) -> Any:
    """A dataclass field with what the command line and the checks need to know about it.

    argument: a word of the command line, not an option. option: its name there, without dashes,
    where it is not the field's. tasks, cells: those whose models it is for, where it is not for
    all.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "argument": argument,
        "option": option,
        "tasks": tasks,
        "cells": cells,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Setting:
    """One setting as the command line and the configuration file see it."""

    section: str
    name: str
    kind: Any  # the bare type: int, float, str, bool, a Literal or a tuple of any length
    optional: bool
    default: Any
    metadata: Mapping[str, Any]

    @property
    def option(self) -> str:
        """Its name on the command line, dashes included."""
        return "--" + (self.metadata["option"] or self.name.replace("_", "-"))


def list_fields(section: Any, name: str) -> list[Setting]:
    """The settings of a section, a dataclass instance that holds their defaults, in its order."""
    kinds = get_type_hints(type(section))
    return [
        Setting(
            name,
            item.name,
            *strip_optional(kinds[item.name]),
            getattr(section, item.name),
            item.metadata,
        )
        for item in fields(section)
        if item.metadata
    ]


def strip_optional(kind: Any) -> tuple[Any, bool]:
    """A setting's type without None, and whether it may be None."""
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [one for one in get_args(kind) if one is not type(None)]
        return kinds[0], True
    return kind, False


def find_useless(section: Any, of: str, one: str) -> tuple[str, str] | None:
    """The first option of a section that is set and that `one` has no use for, and who has.

    of: "tasks" or "cells", where a setting says whose it is. None: there is none.
    """
    for item in fields(section):
        users = item.metadata.get(of)
        if users and one not in users and getattr(section, item.name) != item.default:
            *most, last = users
            listed = f"{', '.join(most)} and {last}" if most else last
            return "--" + item.name.replace("_", "-"), listed
    return None


def parse(item: Setting, text: str) -> Any:
    """A value of a setting from its text. Raises ValueError, a phrase, where it is of another type,
    UsageError where it is out of bounds."""
    value: Any = text
    try:
        if item.kind is bool:
            value = {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        elif item.kind in (int, float):
            value = item.kind(text)
    except (KeyError, ValueError):
        expected = "true or false" if item.kind is bool else f"of type {item.kind.__name__}"
        raise ValueError(f"{text!r} is not {expected}") from None
    return check(item, value)


def check(item: Setting, value: Any) -> Any:
    """The value in the setting's type, or UsageError."""
    option = item.option
    if value is None:
        if item.optional:
            return None
        raise UsageError(f"{option} needs a value")
    if get_origin(item.kind) is Literal:
        choices = get_args(item.kind)
        if value not in choices:
            raise UsageError(f"{option} is {value!r}; it can be {', '.join(map(str, choices))}")
        return value
    if item.kind is float and type(value) in (int, str):  # str: YAML reads 1e-3 as text
        with contextlib.suppress(ValueError, OverflowError):
            value = float(value)
    if type(value) is not item.kind:
        raise UsageError(f"{option} is {value!r}; it must be of type {item.kind.__name__}")
    if item.kind in (int, float):
        low, high, above = (item.metadata[k] for k in ("minimum", "maximum", "above"))
        finite = value == value and abs(value) != float("inf")
        if not finite:
            raise UsageError(f"{option} is {value}; it must be finite")
        if low is not None and value < low:
            raise UsageError(f"{option} is {value}; it must be at least {low}")
        if high is not None and value > high:
            raise UsageError(f"{option} is {value}; it must be at most {high}")
        if above is not None and value <= above:
            raise UsageError(f"{option} is {value}; it must be above {above}")
    return value
