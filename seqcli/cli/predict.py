"""The command that answers lines: predict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqcli.cli.options import ModelFolder, Threads, with_options
from seqcli.config import Request, list_fields

EXAMPLES = """\
echo 'the food was cold' | seqcli predict runs/reviews
seqcli predict runs/reviews reviews.jsonl --top-k 3 > answers.jsonl
seqcli predict runs/tags --format conll < lines.txt
seqcli predict runs/pairs --beam 5 --n-best 3 < lines.txt"""
With = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="MODEL",
        help="Another model to decode with, averaging both; may be repeated.",
        rich_help_panel="For models of translate",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    settings = list_fields(Request(), "request")
    by_task = sorted(settings, key=lambda item: item.metadata["tasks"])
    command = with_options(predict, request=by_task)
    app.command(epilog=EXAMPLES, rich_help_panel="Use")(command)


def predict(
    model: ModelFolder,
    request: dict[str, Any],
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="Lines to read; - is standard input.")
    ] = "-",
    format: Annotated[
        Literal["plain", "jsonl", "conll"] | None,
        typer.Option(
            help="Write answers as plain lines, JSON Lines or (tag) CoNLL columns; default: as the "
            "input."
        ),
    ] = None,
    input: Annotated[
        Literal["auto", "text", "jsonl", "csv", "tsv", "conll", "conllu"],
        typer.Option(help="How to read lines; auto decides by the file's name and the first line."),
    ] = "auto",
    others: With = None,
    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        typer.Option(
            help="Operands of matrix products. bf16 is faster where the processor has it, with "
            "slightly different answers; auto uses it there."
        ),
    ] = "fp32",
    threads: Threads = None,
) -> None:
    """Answer each line: N lines in, N lines out, in order, as they arrive."""
    wanted = Request(**request)
    from seqcli.console import fail, say
    from seqcli.stream import answer_lines

    if file == "-" and sys.stdin is not None and sys.stdin.isatty():
        say("reading lines from the terminal; Ctrl-D ends the input")
    bad = answer_lines(
        model,
        file,
        format=format,
        reading=input,
        request=wanted,
        precision=precision,
        threads=threads,
        report=fail,
        remark=say,
        others=others or (),
    )
    if bad:
        raise typer.Exit(1)
