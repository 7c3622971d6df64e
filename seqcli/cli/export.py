"""The command that writes a model for other programs: export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from seqcli.cli.options import ModelFolder


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Use")(export)


def export(
    model: ModelFolder,
    format: Annotated[
        Literal["onnx"], typer.Option(help="Format to write, for ONNX Runtime and other programs.")
    ] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; default: MODEL/onnx.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Write a model for other programs, with a script that answers lines without seqcli."""
    from seqcli import export as exporting
    from seqcli.console import say
    from seqcli.results import print_table

    found = exporting.export(model, out or model / format)
    sizes = {str(path): path.stat().st_size for path in found.files}
    if json_output:
        print(json.dumps({"files": sizes, "largest_difference": found.difference}))
    else:
        print_table(("file", "bytes"), [(name, f"{size:,}") for name, size in sizes.items()])
    say(
        f"on random batches no score differs by more than {found.difference:.1e} from the model's; "
        f"try: python {(out or model / format) / 'predict.py'} < lines.txt"
    )
