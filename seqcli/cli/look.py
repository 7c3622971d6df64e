"""The commands that explain: cells."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Look")(cells)


def cells(
    input: Annotated[int, typer.Option(help="Input features to count for.", min=1)] = 128,
    hidden: Annotated[int, typer.Option(help="Units to count for.", min=1)] = 128,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """The recurrent cells: equations, parameters and cost a step."""
    from seqcli.facts import of_cells

    found = of_cells(input, hidden)
    if json_output:
        print(json.dumps(found, ensure_ascii=False))
        return
    for cell in found:
        print(f"{cell['name']}  {cell['summary']}")
        print(f"  source      {cell['source']}")
        print(f"  parameters  {cell['parameters']:,}   (I = {input}, H = {hidden})")
        print(f"  cost        {cell['flop']:,} FLOP a token, forward")
        for line in cell["equations"].splitlines():
            print(f"    {line}")
        print()
