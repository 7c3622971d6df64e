"""The command that searches for good settings: sweep."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqcli.cli.options import read_config, read_environment
from seqcli.cli.train import interruptible, new_folder, suggest
from seqcli.config import make_config
from seqcli.config.duration import parse_duration
from seqcli.errors import SeqcliError, UsageError
from seqcli.recipes import find_recipe

MOST_SHOWN = 15  # trials in the table


EXAMPLES = """\
seqcli sweep classify reviews.csv --trials 30
seqcli sweep lm book.txt --time 2h --over hidden=256,512 --over dropout=0:0.5"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES, rich_help_panel="Train")(sweep)


def sweep(
    task: Annotated[
        Literal["classify", "tag", "translate", "lm"] | None,
        typer.Argument(help="Task to train for.", show_default=False),
    ] = None,
    data: Annotated[str | None, typer.Argument(help="Data, as for the training commands.")] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            help="Total number of trials; default: 20, or with --time as many as fit.", min=1
        ),
    ] = None,
    time: Annotated[str | None, typer.Option(help="Stop after this time (90s, 10m, 2h).")] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting to search over: name=a,b,c or name=low:high; may be repeated. A single "
            "value fixes it. Default: some that matter to the task."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings of all trials from a TOML, YAML or JSON file.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Settings of all trials; `seqcli recipes` lists them.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the sweep; default: runs/sweep-TASK, numbered if it exists."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Folder of a sweep to continue, up to --trials.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the trials as JSON.")] = False,
) -> None:
    """Search for good settings by trials, chosen on validation; keep the best model."""
    seconds = math.inf if time is None else parse_duration(time, "--time")
    if (resume is None) == (task is None):
        raise UsageError("name a task (classify, tag, translate or lm), or a folder to --resume")
    if resume is not None and (data or over or config or recipe or out):
        raise UsageError("--resume takes its settings from its folder; give --trials and --time")
    if resume is not None and not resume.is_dir():
        raise SeqcliError(f"no folder at {resume} to resume")
    from seqcli.console import say, say_loading

    say_loading()
    from seqcli import sweep as search

    with interruptible("sweep") as stop:
        if resume is not None:
            found = search.resume(resume, trials=trials, seconds=seconds, tell=_tell, stop=stop)
        else:
            assert task is not None
            values = find_recipe(task, recipe).values if recipe else {}
            values |= read_config(config, task) if config else {}
            values |= read_environment(task)
            with new_folder(out, f"sweep-{task}") as place:
                found = search.search(
                    task,
                    {**values, **({"data": data} if data else {})},
                    place,
                    over or [],
                    trials=trials or (20 if time is None else 10_000),
                    seconds=seconds,
                    tell=_tell,
                    stop=stop,
                )
    _print(found, json_output=json_output)
    folder = shlex.quote(str(found.folder))
    say(f"{found.folder} is the model of trial {found.best}; --config {folder}/best.toml trains it")
    best = make_config(found.task, read_config(found.folder / "best.toml", found.task))
    say("  " + suggest(best, found.folder, found.report.example))


def _tell(trial: Any) -> None:
    from seqcli.console import duration, say

    value = "" if trial.value is None else f"{trial.value:.4f}"
    say(
        f"trial {trial.number:>3}  {trial.state:<8}  {value:<8}  {_show(trial.settings)}  "
        f"({duration(trial.seconds)})" + (f"  {trial.reason}" if trial.reason else "")
    )


def _show(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in settings.items()
    )


def _print(found: Any, *, json_output: bool) -> None:
    from seqcli.console import show_score
    from seqcli.results import print_scores, print_table

    if json_output:
        content = {
            "task": found.task,
            "folder": str(found.folder),
            "watched": found.watched,
            "best": found.best,
            "trials": [trial._asdict() for trial in found.trials],
            "importance": found.importance,
            "scores": found.report.scores,
            "baselines": found.report.baselines,
        }
        print(json.dumps(content, ensure_ascii=False))
        return
    ended = sorted(
        (trial for trial in found.trials if trial.state == "complete"),
        key=lambda trial: trial.value,
        reverse=found.higher_is_better,
    )
    print_table(
        ("trial", f"validation {found.watched.replace('_', ' ')}", "settings"),
        [
            (str(trial.number), show_score(found.watched, trial.value), _show(trial.settings))
            for trial in ended[:MOST_SHOWN]
        ],
    )
    if found.importance:
        print_table(
            ("setting", "share of what decides"),
            [(name, f"{100 * value:.0f} %") for name, value in found.importance.items()],
        )
    print_scores(found.task, found.report.scores, found.report.baselines)
