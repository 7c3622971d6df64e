"""The four verbs that train: classify, tag, translate and lm."""

from __future__ import annotations

import json
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.options import read_config, with_options
from seqcli.config import CONFIGS, Config, LanguageConfig, drop_useless, list_settings, make_config
from seqcli.errors import SeqcliError, UsageError
from seqcli.recipes import find_recipe

if TYPE_CHECKING:
    from seqcli.progress import TrainingView

SOON = 2.0
"""Seconds after a signal within which a training is expected to stop."""
STOPPING = "stopping when this step or evaluation is done; a second signal stops at once"
HELP = {
    "classify": "Train a network that gives each text a label (N → 1).",
    "tag": "Train a network that gives each token a tag (N → N).",
    "translate": "Train a network that turns one sequence into another (N → M).",
    "lm": "Train a network that predicts the next token and writes text (N → N, 1 → N).",
}
EXAMPLES = {
    "classify": """\
seqcli classify reviews.csv --cell bilstm --out runs/reviews
seqcli classify reviews.csv --text-column review --label-column stars
seqcli classify imdb --limit 5000 --time 10m""",
    "tag": """\
seqcli tag train.conll --validation dev.conll --out runs/tags
seqcli tag en_ewt-ud-train.conllu --tags-column xpos
seqcli tag --with-label label""",
    "translate": """\
seqcli translate pairs.tsv --out runs/pairs
seqcli translate --train train.en,train.de --validation val.en,val.de
seqcli translate opus_books --subset de-en --source de --target en""",
    "lm": """\
seqcli lm book.txt --tokens character --hidden 512 --out runs/book
seqcli lm poems.jsonl --condition author
seqcli lm --resume runs/book""",
}
NEXT = {
    "classify": "echo {example} | seqcli predict {folder}",
    "tag": "echo {example} | seqcli predict {folder}",
    "translate": "echo {example} | seqcli predict {folder} --beam 5",
    "lm": "seqcli generate {folder} --prompt {example}",
}


def register(app: typer.Typer) -> None:
    """Add the four verbs."""
    for task in CONFIGS:
        command = with_options(_verb(task), settings=list_settings(task))
        app.command(task, help=HELP[task], epilog=EXAMPLES[task], rich_help_panel="Train")(command)


def _verb(task: str) -> Any:
    def train(
        settings: dict[str, Any],
        typed: set[str],
        out: Annotated[
            Path | None,
            typer.Option(help="Model folder; default: runs/TASK-CELL, numbered if it exists."),
        ] = None,
        config: Annotated[
            Path | None, typer.Option(help="Settings from a TOML, YAML or JSON file.")
        ] = None,
        recipe: Annotated[
            str | None,
            typer.Option(help="Settings of a known network; `seqcli recipes` lists them."),
        ] = None,
        seeds: Annotated[
            int,
            typer.Option(
                help="Train with this many seeds; report mean and standard deviation.", min=1
            ),
        ] = 1,
        resume: Annotated[
            Path | None,
            typer.Option(help="Model folder of an interrupted training to continue."),
        ] = None,
        json_output: Annotated[
            bool, typer.Option("--json", help="Print the scores as JSON.")
        ] = False,
    ) -> None:
        if resume is not None:
            if typed or out or config or recipe or seeds > 1:
                raise UsageError("--resume takes every setting from its folder; give it alone")
            _resume(task, resume, json_output=json_output)
            return
        known = find_recipe(task, recipe).values if recipe else {}
        values = read_config(config, task) if config else {}
        given = {**known, **values, **settings}
        chosen = make_config(task, drop_useless(task, given, keep=typed))
        with new_folder(out, f"{task}-{chosen.network.cell}") as folder:
            if seeds > 1:
                _train_seeds(task, chosen, folder, seeds=seeds, json_output=json_output)
            else:
                _train(task, chosen, folder, json_output=json_output)

    return train


def _resume(task: str, folder: Path, *, json_output: bool) -> None:
    """Continue a training, or those of several seeds."""
    if not folder.is_dir():
        raise SeqcliError(f"no model folder at {folder} to resume")
    if (folder / "seeds.json").is_file():
        _train_seeds(task, None, folder, seeds=0, json_output=json_output)
    else:
        _train(task, None, folder, json_output=json_output)


def _train(task: str, config: Config | None, folder: Path, *, json_output: bool) -> None:
    """Train one model, or continue its training if there is no configuration."""
    from seqcli.console import say, say_loading
    from seqcli.results import print_scores

    say_loading()
    from seqcli import bundle, run

    resumed = config is None
    config = config or bundle.load_task(folder, task_name=task).config
    with interruptible(task) as stop, _view(config) as view:
        if resumed:
            report = run.resume(folder, view, stop=stop)
        else:
            report = run.train(config, folder, view, stop=stop)
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
    say("  " + suggest(config, folder, report.example))


def _train_seeds(
    task: str, config: Config | None, folder: Path, *, seeds: int, json_output: bool
) -> None:
    """Train with several seeds, or continue those trainings if there is no configuration."""
    from seqcli.console import say, say_loading
    from seqcli.results import print_seeds

    say_loading()
    from seqcli import seeds as several

    plan = {} if config else several.read_plan(folder, task)["settings"]
    chosen = config or make_config(task, drop_useless(task, plan))

    @contextmanager
    def observe(title: str) -> Iterator[TrainingView]:
        say(title)
        with _view(chosen) as view:
            yield view

    with interruptible(task) as stop:
        if config is None:
            found = several.resume(folder, observe, task_name=task, stop=stop)
        else:
            found = several.train(config, folder, observe, count=seeds, stop=stop)
    if json_output:
        content = {
            "task": task,
            "folder": str(folder),
            "best_seed": found.seeds[found.best],
            "scores": {
                split: {name: value._asdict() for name, value in spreads.items()}
                for split, spreads in found.spreads.items()
            },
            "seeds": [
                {
                    "seed": seed,
                    "folder": str(report.folder),
                    "best_epoch": report.best_epoch,
                    "scores": report.scores,
                }
                for seed, report in zip(found.seeds, found.reports, strict=True)
            ],
            "baselines": found.reports[0].baselines,
        }
        print(json.dumps(content, ensure_ascii=False))
    else:
        print_seeds(found)
    say(f"{folder} is the model of seed {found.seeds[found.best]}, best on validation; try it:")
    say("  " + suggest(chosen, folder, found.reports[found.best].example))


def suggest(config: Config, folder: Path, example: str) -> str:
    """A command to try a model with."""
    command, otherwise = NEXT[config.task], "your text"
    if isinstance(config, LanguageConfig) and config.data.condition:
        command, otherwise = command.replace("--prompt", "--condition"), "picture.png"
    words = {"example": example or otherwise, "folder": str(folder)}
    if "\t" in example:  # of a pair, which a terminal would show as spaces
        command = command.replace("echo", "printf")
        words["example"] = example.replace("%", "%%").replace("\t", "\\t") + "\\n"
    return command.format(**{name: shlex.quote(word) for name, word in words.items()})


def _view(config: Config) -> TrainingView:
    from seqcli.progress import TrainingView

    return TrainingView(time=config.training.time)


@contextmanager
def interruptible(task: str) -> Iterator[Any]:
    """Yields a function that tells whether to stop. An interruption ends the command and tells the
    user how to continue."""
    from seqcli.console import say
    from seqcli.run import Interrupted

    try:
        with _signals() as stop:
            yield stop
    except Interrupted as interruption:
        say(f"saved; go on with: seqcli {task} --resume {shlex.quote(str(interruption.folder))}")
        raise typer.Exit(128 + interruption.signal) from None


@contextmanager
def _signals() -> Iterator[Any]:
    """Yields a function that returns the signal received, SIGINT, SIGTERM or SIGHUP, or 0; the
    training asks after each step. A second signal acts at once, which is said when stopping takes
    long, as during an evaluation. A signal that is ignored, as under nohup, stays ignored."""
    from seqcli.console import say

    caught = [0]
    # Not from the handler: it may have interrupted a print.
    told = threading.Timer(SOON, say, [STOPPING])
    told.daemon = True

    def catch(number: int, _: object) -> None:
        if not caught[0]:
            told.start()
        caught[0] = number
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last not on Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before: dict[int, Any] = {
        number: signal.signal(number, catch)
        for number in numbers
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield lambda: caught[0]
    finally:
        told.cancel()
        restore()


@contextmanager
def new_folder(out: Path | None, name: str) -> Iterator[Path]:
    """The folder of a new model: the one asked for, or the first of runs/NAME, runs/NAME-2 … that
    does not exist, which is made at once, so that each of two commands that start together has its
    own. Raises SeqcliError for one that `check_unused` refuses."""
    if out is not None:
        check_unused(out)
        yield out
        return
    from seqcli.storage import check_folder, remove_empty

    usual = Path("runs") / name
    check_folder(usual)
    folder = _make_free(usual)
    try:
        yield folder
    finally:
        remove_empty(folder, folder.parent)


def check_unused(folder: Path) -> None:
    """Raise SeqcliError for a file or a folder that is not empty, since nothing is overwritten, and
    for a place where no folder can be made: better now than when the data are read."""
    from seqcli.storage import check_folder

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeqcliError(
            f"{folder} exists and is not empty; choose another --out, or go on with --resume"
        )
    check_folder(folder)


def _make_free(path: Path) -> Path:
    """Make the first of path, path-2, path-3 … that does not exist."""
    number, free = 1, path
    while True:
        try:
            free.mkdir(parents=True)
            return free
        except FileExistsError:
            number += 1
            free = path.with_name(f"{path.name}-{number}")
