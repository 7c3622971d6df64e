"""The commands that explain: cells, recipes, data check."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from seqcli.cli.help import Application
from seqcli.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Look")(cells)
    app.command(rich_help_panel="Look")(recipes)
    data = Application(help="Look at data before training.")
    data.command()(check)
    app.add_typer(data, name="data", rich_help_panel="Look")


def cells(
    input: Annotated[int, typer.Option(help="Input features to count for.", min=1)] = 128,
    hidden: Annotated[int, typer.Option(help="Units to count for.", min=1)] = 128,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """The recurrent cells: equations, parameters and cost a step."""
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
                print(f"  both ways   --cell {short}, short for --cell {name} --bidirectional")
        fixed = f" and {cell['fixed']:,} never trained" if cell["fixed"] else ""
        print(f"  parameters  {cell['parameters']:,}{fixed}   (I = {input}, H = {hidden})")
        print(f"  cost        {cell['flop']:,} FLOP a token, forward")
        for line in cell["equations"].splitlines():
            print(f"    {line}")
        print()


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="The recipe to print; default: list them all.")
    ] = None,
    task: Annotated[
        Literal["classify", "tag", "translate", "lm"] | None,
        typer.Option(help="Those of one task only."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Settings of known networks, for --recipe NAME of the verbs that train."""
    from seqcli.console import print_table
    from seqcli.recipes import list_recipes

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


def check(
    data: Annotated[str | None, typer.Argument(help="As for the verbs that train.")] = None,
    task: Annotated[
        Literal["classify", "tag", "translate", "lm"], typer.Option(help="What it is meant for.")
    ] = "classify",
    limit: Annotated[int | None, typer.Option(help="Take at most this many rows.", min=1)] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Rows, columns, lengths, labels, repeats and leaks between splits."""
    import dataclasses

    from seqcli.config import make_config
    from seqcli.console import print_table, say
    from seqcli.data.check import MOST_SHOWN
    from seqcli.data.check import check as look

    section = dataclasses.replace(make_config(task, {}).data, data=data, limit=limit)
    found = look(task, section)
    if json_output:
        print(json.dumps(found, ensure_ascii=False))
        return
    for note in found["notes"]:
        say(note)
    if "tokens" in found:
        say(f"{found['tokens']['reason']}; {found['tokens']['distinct']:,} distinct in train")
    columns = ("rows", "tokens", "lengths", "repeated", "unknown", "in_train", "near_train")
    print_table(
        ("split", *columns[:2], "shortest – median – 95 % – longest", *columns[3:]),
        [
            (split, *(_show(name, facts.get(name)) for name in columns))
            for split, facts in found["splits"].items()
        ],
    )
    labels = {name: facts["labels"] for name, facts in found["splits"].items() if "labels" in facts}
    if labels:
        shown = list(dict.fromkeys(label for counts in labels.values() for label in counts))
        print_table(
            ("label", *labels),
            [
                (label, *(f"{counts.get(label, 0):,}" for counts in labels.values()))
                for label in shown[:MOST_SHOWN]
            ],
        )
        if len(shown) > MOST_SHOWN:
            more = len(shown) - MOST_SHOWN
            say(f"and {more} more {'label' if more == 1 else 'labels'}")


def _show(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " – ".join(map(str, value))
    return f"{100 * value:.1f} %" if isinstance(value, float) else f"{value:,}"
