"""The four verbs that train: classify, tag, translate and lm."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from seqcli.cli.options import read_config, with_settings
from seqcli.config import CONFIGS, Config, make_config
from seqcli.errors import SeqcliError, UsageError

HELP = {
    "classify": "Train a network that gives a text a label (N → 1).",
    "tag": "Train a network that gives each token a tag (N → N).",
    "translate": "Train a network that turns one sequence into another (N → M).",
    "lm": "Train a network that predicts the next token and writes text (N → N, 1 → N).",
}
NEXT = {
    "classify": "echo 'your text' | seqcli predict {folder}",
    "tag": "echo 'your text' | seqcli predict {folder}",
    "translate": "echo 'your text' | seqcli predict {folder} --beam 5",
    "lm": "seqcli generate {folder} --prompt 'your text'",
}


def register(app: typer.Typer) -> None:
    """Add the four verbs."""
    for task in CONFIGS:
        app.command(task, help=HELP[task], rich_help_panel="Train")(
            with_settings(task, _verb(task))
        )


def _verb(task: str) -> Any:
    def train(
        context: typer.Context,
        settings: dict[str, Any],
        out: Annotated[
            Path | None,
            typer.Option(help="Model folder; default runs/TASK-CELL, numbered when it exists."),
        ] = None,
        config: Annotated[
            Path | None, typer.Option(help="Settings from a TOML, YAML or JSON file.")
        ] = None,
        resume: Annotated[
            Path | None,
            typer.Option(help="Model folder of an interrupted training to go on with."),
        ] = None,
        json_output: Annotated[
            bool, typer.Option("--json", help="Print the scores as JSON.")
        ] = False,
    ) -> None:
        if resume is not None:
            if settings or out or config:
                raise UsageError("--resume takes every setting from its folder; give it alone")
            if not resume.is_dir():
                raise SeqcliError(f"no model folder at {resume} to resume")
            _train(task, None, resume, json_output=json_output)
            return
        values = read_config(config, task) if config else {}
        chosen = make_config(task, {**values, **settings})
        folder = out or _free_folder(Path("runs") / f"{task}-{chosen.network.cell}")
        if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise SeqcliError(f"{out} exists and is not empty; choose another --out")
        _train(task, chosen, folder, json_output=json_output)

    return train


def _train(task: str, config: Config | None, folder: Path, *, json_output: bool) -> None:
    from seqcli.console import TrainingView, print_scores, say, stderr

    say("loading torch …") if stderr.is_terminal else None
    from seqcli import bundle, run
    from seqcli.tasks import TASKS

    if config is None:
        config = bundle.load_task(folder, task_name=task).config
        resumed = True
    else:
        resumed = False
    view = TrainingView(
        epochs=config.training.epochs,
        higher_is_better=TASKS[task].higher_is_better,
    )
    try:
        with _signals() as stop, view:
            if resumed:
                report = run.resume(folder, view, stop=stop)
            else:
                report = run.train(config, folder, view, stop=stop)
    except run.Interrupted as interruption:
        say(f"saved; go on with: seqcli {task} --resume {shlex.quote(str(folder))}")
        raise typer.Exit(128 + interruption.signal) from None
    if json_output:
        content = {
            "task": task,
            "folder": str(folder),
            "best_epoch": report.best_epoch,
            "scores": report.scores,
            "baselines": report.baselines,
        }
        print(json.dumps(content, ensure_ascii=False))
    else:
        print_scores(task, report.scores, report.baselines)
    say(f"best epoch {report.best_epoch}, saved in {folder}; try it:")
    say("  " + NEXT[task].format(folder=shlex.quote(str(folder))))


@contextmanager
def _signals() -> Iterator[Any]:
    """Turn SIGINT and SIGTERM into a question that the training asks after each step. A second
    one acts at once."""
    caught = [0]

    def catch(number: int, _: object) -> None:
        caught[0] = number
        signal.signal(number, before[number])

    numbers = (signal.SIGINT, signal.SIGTERM)
    before: dict[int, Any] = {number: signal.signal(number, catch) for number in numbers}
    try:
        yield lambda: caught[0]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_folder(path: Path) -> Path:
    """The path, or the first of path-2, path-3 … that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
