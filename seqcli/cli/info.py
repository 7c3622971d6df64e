"""The commands that print facts: info, cells, recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqcli.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (info, cells, recipes):
        app.command(rich_help_panel="Look")(command)


def info(
    model: Annotated[Path | None, typer.Argument(metavar="[MODEL]", help="A model folder.")] = None,
    system: Annotated[
        bool, typer.Option("--system", help="Show this machine, its kernels and versions.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what a model folder holds, or what this machine can do."""
    if (model is None) == (not system):
        raise UsageError("give a model folder or --system")
    from seqcli import facts
    from seqcli.console import show_value
    from seqcli.results import print_table

    found: dict[str, Any] = facts.of_system() if model is None else facts.of_model(model)
    if json_output:
        print(json.dumps(found, ensure_ascii=False))
    else:
        scores, settings = found.pop("scores", {}), found.pop("settings", {})
        options = {f"--{name.replace('_', '-')}": value for name, value in settings.items()}
        shown = {**found, **scores, **options}
        rows = [(name, show_value(value)) for name, value in shown.items() if value is not None]
        print_table(("what", "value"), rows)


def cells(
    input: Annotated[int, typer.Option(help="Input features to count for.", min=1)] = 128,
    hidden: Annotated[int, typer.Option(help="Units to count for.", min=1)] = 128,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the recurrent cells: equations, parameters and cost per step."""
    from seqcli.config import SHORT_FORMS
    from seqcli.facts import of_cells

    found = of_cells(input, hidden)
    if json_output:
        print(json.dumps(found, ensure_ascii=False))
        return
    for cell in found:
        print(f"{cell['name']}  {cell['summary']}")
        print(f"  source      {cell['source']}")
        for short, name in SHORT_FORMS.items():
            if name == cell["name"]:
                print(f"  both ends   --cell {short}, short for --cell {name} --bidirectional")
        fixed = f" and {cell['fixed']:,} never trained" if cell["fixed"] else ""
        print(f"  parameters  {cell['parameters']:,}{fixed}   (I = {input}, H = {hidden})")
        print(f"  cost        {cell['flop']:,} FLOP per token, forward")
        for line in cell["equations"].splitlines():
            print(f"    {line}")
        print()


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Recipe to print; default: list them all.")
    ] = None,
    task: Annotated[
        Literal["classify", "tag", "translate", "lm"] | None,
        typer.Option(help="List only those of one task."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List settings of known networks, for --recipe NAME in training."""
    from seqcli.recipes import list_recipes
    from seqcli.results import print_table

    found = [one for one in list_recipes(task) if name is None or one.name == name]
    if not found:
        names = ", ".join(one.name for one in list_recipes(task))
        raise UsageError(f"no recipe {name!r}; there are: {names}")
    if json_output:
        print(json.dumps([one._asdict() for one in found], ensure_ascii=False))
    elif name is not None:
        for one in found:
            print(one.text, end="")
    else:
        print_table(
            ("task", "recipe", "what it is", "source"),
            [(one.task, one.name, one.what, one.source) for one in found],
        )
