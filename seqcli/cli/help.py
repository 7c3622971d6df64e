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
    """A command whose help lists its options by panel, and examples below."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line."""
        arguments = [item for item in self.get_params(ctx) if item.param_type_name == "argument"]
        return ["[OPTIONS]", *map(_show_argument, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The sections: arguments, the options of each panel, those of none."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for item in self.get_params(ctx):
            if record := item.get_help_record(ctx):
                if item.param_type_name == "argument":
                    sections["Arguments"].append((_show_argument(item), record[1]))
                else:
                    name = getattr(item, "rich_help_panel", None) or "Options"
                    sections.setdefault(name, []).append((_show_kind(record[0]), record[1]))
        sections["Options"] = sections.pop("Options")  # those of no concern in particular, last
        _write(formatter, sections)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, one per line, as they are."""
        _write_examples(formatter, self.epilog)


class Group(TyperGroup):
    """A group whose help lists its commands by panel."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        options = [item.get_help_record(ctx) for item in self.get_params(ctx)]
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            panel = command.rich_help_panel or "Commands"
            line = (command.help or "").partition("\n")[0]
            sections.setdefault(panel, []).append((name, line))
        _write(formatter, {**sections, "Options": [one for one in options if one]})

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, one per line, as they are."""
        _write_examples(formatter, self.epilog)


def _show_argument(item: Any) -> str:
    """An argument as the usage line shows it, in brackets if it may be left out."""
    if item.metavar:
        return str(item.metavar)
    return item.name.upper() if item.required else f"[{item.name.upper()}]"


def _show_kind(record: str) -> str:
    """An option and its type, without how it is parsed; its bounds follow its help."""
    return record.replace(" range>", ">").replace("<list[str]>", "<str>")


def _write_examples(formatter: Any, examples: str | None) -> None:
    if examples:
        with formatter.section(_heading("Examples")):
            for line in examples.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _heading(name: str) -> str:
    shown = sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return typer.style(name, bold=True) if shown else name


def _write(formatter: Any, sections: dict[str, list[tuple[str, str]]]) -> None:
    for name, records in sections.items():
        if records:
            with formatter.section(_heading(name)):
                formatter.write_dl(records, col_max=NAMES)
