"""How good finished models are on a split, and whether two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import nn

from seqcli import bundle, metrics
from seqcli.config import Request, for_other_rows
from seqcli.data.choice import ROLES
from seqcli.data.labels import note_unknown
from seqcli.data.load import load, load_own_split, load_split
from seqcli.data.rows import Rows
from seqcli.errors import UsageError
from seqcli.metrics import Difference, Scores
from seqcli.nn.device import set_threads
from seqcli.nn.language import LanguageModel
from seqcli.tasks import recency

PLAIN = Request()
PER_TOKEN = {"cross_entropy", "perplexity"}
"""Scores that say nothing across different tokens."""


class Comparison(NamedTuple):
    """Two models on the same rows. notes: what to know before believing it."""

    first: Path
    second: Path
    differences: dict[str, Difference]
    notes: list[str]


class Evaluated(NamedTuple):
    """scores: of each model. comparisons: of the first model with each other one. mistakes: the
    worst of the first model, where they were asked for."""

    task: str
    rows: Rows
    scores: list[Scores]
    comparisons: list[Comparison]
    mistakes: list[dict[str, Any]] | None = None


def judge(task: Any, model: nn.Module, rows: Rows, request: Request | None = None) -> Scores:
    """The task's metrics on rows, signed. request: for translate, how to search."""
    return sign(task.evaluate(model, rows, *([request] if request else [])), rows)


def sign(scores: Scores, rows: Rows) -> Scores:
    """The same scores, each with its interval, and a digest of the rows in their signature."""
    scores |= {"signature": f"{scores['signature']}|split:{rows.digest()}"}
    if found := metrics.intervals(scores.tallies):
        scores |= {"intervals": found, "interval_signature": metrics.BOOTSTRAP}
    return scores


def evaluate(
    folders: Sequence[Path],
    data: str | None,
    columns: Mapping[str, str | None],
    *,
    split: str,
    limit: int | None = None,
    request: Request = PLAIN,
    others: Sequence[Path] = (),
    cache: int = 0,
    dynamic: bool = False,
    mistakes: int = 0,
    threads: int | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Evaluated:
    """The metrics of models of one task on a split of DATA, by default of the data that the first
    was trained with, cut and limited as it was in training.

    columns: settings of the data section that were named; others are as in training. others:
    models of translate that write together with the one. cache, dynamic: for lm, a memory of what
    was just read (tasks/recency.py). mistakes: how many rows answered wrongly to list, for
    classify. threads: None for all cores. say: is told which model is at work, where there are
    several.
    """
    set_threads(threads)
    tasks = _load_tasks(folders)
    first = tasks[0]
    request.check_task(first.name)
    if others and len(folders) > 1:
        raise UsageError("--with makes one model of several; evaluate that one alone")
    _check_extras(first.name, cache=bool(cache), dynamic=dynamic, mistakes=bool(mistakes))
    chosen = for_other_rows(first.config.data, data, columns, task=first.name, limit=limit)
    find = load_own_split if data is None else load_split
    rows = find(first.name, chosen, split, usual=first.columns)
    _check_roles(folders, tasks, rows)
    if data is not None and "label" in rows.columns:
        rows = replace(rows, notes=(*rows.notes, *note_unknown(rows, first.labels)))
    scores, worst = [], None
    for folder in folders:
        if len(folders) > 1:
            say(f"{folder} …")
        task, model, _ = bundle.load_together(folder, others)
        if cache or dynamic:
            scores.append(_judge_with_memory(task, model, rows, cache=cache))
        else:
            scores.append(judge(task, model, rows, None if request == PLAIN else request))
        if mistakes and worst is None:
            worst = task.mistakes(model, rows, count=mistakes)
    models = list(zip(folders, tasks, scores, strict=True))
    comparisons = [_compare(models[0], other) for other in models[1:]]
    return Evaluated(first.name, rows, scores, comparisons, worst)


def _check_extras(task: str, *, cache: bool, dynamic: bool, mistakes: bool) -> None:
    """Raise UsageError for what models of this task have no use for, or not together."""
    if (cache or dynamic) and task != "lm":
        raise UsageError(f"--cache and --dynamic are for models of lm; this is one of {task}")
    if cache and dynamic:
        raise UsageError("--cache and --dynamic are two ways to remember; give one of them")
    if mistakes and task != "classify":
        raise UsageError(f"--mistakes is for models of classify, and this is one of {task}")


def _load_tasks(folders: Sequence[Path]) -> list[Any]:
    """The task of each folder. Raises UsageError where they are not one and the same."""
    tasks = [bundle.load_task(folder) for folder in folders]
    for folder, task in zip(folders, tasks, strict=True):
        if task.name != tasks[0].name:
            raise UsageError(
                f"{folders[0]} holds a model of {tasks[0].name} and {folder} one of {task.name}; "
                f"compare models of one task"
            )
    return tasks


def _check_roles(folders: Sequence[Path], tasks: Sequence[Any], rows: Rows) -> None:
    """Raise UsageError where a model reads what the rows, chosen for the first one, lack."""
    for folder, task in zip(folders, tasks, strict=True):
        for role, name in ROLES[task.name].items():
            if getattr(task.config.data, name) and role not in rows.columns:
                raise UsageError(
                    f"{folder} reads --{name.replace('_', '-')} {getattr(task.config.data, name)} "
                    f"too, and the rows are read for {folders[0]}, which does not; name {folder} "
                    f"first"
                )


def _judge_with_memory(task: Any, model: nn.Module, rows: Rows, *, cache: int) -> Scores:
    """The metrics of a language model with a cache of so many states or, at 0, while it goes on
    learning. What these are to be told is chosen on the validation text of its training."""
    own = load(task.name, task.config.data)
    assert own.train is not None
    validation = own.validation or own.train
    if cache:
        scores = recency.with_cache(
            task, cast(LanguageModel, model), rows, size=cache, validation=validation
        )
    else:
        scores = recency.with_learning(
            task, cast(LanguageModel, model), rows, train=own.train, validation=validation
        )
    return sign(scores, rows)


def _compare(one: tuple[Path, Any, Scores], other: tuple[Path, Any, Scores]) -> Comparison:
    (first, task, scores), (second, other_task, other_scores) = one, other
    differences = metrics.compare(scores.tallies, other_scores.tallies)
    notes = []
    if not differences:
        notes.append("too few rows to tell the models apart")
    if codec_of(task) != codec_of(other_task):
        per_token = sorted(PER_TOKEN & differences.keys())
        if per_token:
            notes.append(
                f"the models split text differently: {', '.join(per_token).replace('_', ' ')} "
                f"a token cannot be compared"
            )
        differences = {name: found for name, found in differences.items() if name not in PER_TOKEN}
        for folder, found in ((first, scores), (second, other_scores)):
            if rate := found.get("unknown_rate"):
                notes.append(
                    f"{100 * rate:.1f} % of the tokens are unknown to {folder} and easy to predict "
                    f"as such, so its cross-entropy looks better than it is"
                )
        if task.name == "lm" and task.tokenizer.lowercase != other_task.tokenizer.lowercase:
            folding = first if task.tokenizer.lowercase else second
            notes.append(f"{folding} folds case and has less to predict, so it looks better")
    return Comparison(first, second, differences, notes)


def codec_of(task: Any) -> dict[str, Any]:
    """What decides a task's tokens on the side that is scored."""
    wanted = "target.json" if task.name == "translate" else "tokenizer.json"
    return {name: content for name, content in task.files().items() if name == wanted}
