"""Help as plain text: a heading for each concern, and no import that a page of text doesn't need.

The tables that Typer draws with rich cost more time than all else that a command does to show help.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

WIDTH = 100
"""Columns of text at most."""
NAMES = 34
"""Columns of names; a longer one has its help on the next line."""


class Application(typer.Typer):
    """A Typer whose help is such text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=Group, rich_markup_mode=None, no_args_is_help=True, **options)

    def command(self, name: str | None = None, **options: Any) -> Any:
        return super().command(name, cls=Command, **options)


class Command(TyperCommand):
    """A command whose options stand under the headings of their panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for item in self.get_params(ctx):
            if record := item.get_help_record(ctx):
                usual = "Arguments" if item.param_type_name == "argument" else "Options"
                name = getattr(item, "rich_help_panel", None) or usual
                sections.setdefault(name, []).append(record)
        sections["Options"] = sections.pop("Options")  # those of no concern in particular, last
        _write(formatter, sections)


class Group(TyperGroup):
    """Commands under the headings of their panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        options = [item.get_help_record(ctx) for item in self.get_params(ctx)]
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            panel = command.rich_help_panel or "Commands"
            line = (command.help or "").partition("\n")[0]
            sections.setdefault(panel, []).append((name, line))
        _write(formatter, {**sections, "Options": [one for one in options if one]})


def _write(formatter: Any, sections: dict[str, list[tuple[str, str]]]) -> None:
    shown = sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for name, records in sections.items():
        if records:
            with formatter.section(typer.style(name, bold=True) if shown else name):
                formatter.write_dl(records, col_max=NAMES)
