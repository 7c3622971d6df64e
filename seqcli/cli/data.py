"""The commands about data: data check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from seqcli.cli.help import Application
from seqcli.cli.options import with_options
from seqcli.config import list_data_settings, list_settings, make_config
from seqcli.errors import UsageError

FACTS = {
    "rows": "rows",
    "tokens": "tokens",
    "lengths": "shortest – median – 95 % – longest",
    "repeated": "repeated rows",
    "unknown": "tokens not in train",
    "in_train": "rows also in train",
    "near_train": "near-duplicates of rows in train",
}
"""What the table says of each split, by its name in JSON."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    data = Application(help="Look at data before training.")
    data.command("check")(with_options(check, settings=list_data_settings()))
    app.add_typer(data, name="data", rich_help_panel="Look")


def check(
    settings: dict[str, Any],
    task: Annotated[
        Literal["classify", "tag", "translate", "lm"],
        typer.Option(help="Task that the data are meant for."),
    ] = "classify",
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Report rows, columns, lengths, labels, duplicates and leaks between splits."""
    own = {item.name for item in list_settings(task) if item.section == "data"}
    if wrong := sorted(settings.keys() - own):
        raise UsageError(f"--{wrong[0].replace('_', '-')} has no meaning for {task}")
    from seqcli.console import say
    from seqcli.data.check import check as look
    from seqcli.results import print_table

    found = look(task, make_config(task, settings).data)
    if json_output:
        print(json.dumps(found, ensure_ascii=False))
        return
    for note in found["notes"]:
        say(note)
    if "tokens" in found:
        say(f"{found['tokens']['reason']}; {found['tokens']['distinct']:,} distinct in train")
    splits = found["splits"]
    print_table(
        ("split", *splits),
        [
            (meaning, *(_show(facts.get(name)) for facts in splits.values()))
            for name, meaning in FACTS.items()
            if any(name in facts for facts in splits.values())
        ],
    )
    labels = {name: facts["labels"] for name, facts in splits.items() if "labels" in facts}
    if labels:
        _print_labels(labels)


def _print_labels(labels: Mapping[str, Mapping[str, int]]) -> None:
    """How often each label comes in each split."""
    from seqcli.console import say
    from seqcli.data.check import MOST_SHOWN
    from seqcli.results import print_table

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


def _show(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " – ".join(map(str, value))
    return f"{100 * value:.1f} %" if isinstance(value, float) else f"{value:,}"
