"""Several trainings that differ in their seed alone: the mean of their scores, and how far apart.

FOLDER/seeds.json   what is trained, then the mean and deviation of each score
FOLDER/seed-1 …     a model folder for each seed
FOLDER              the best of them on validation, copied, so that it is a model folder itself
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from seqcli import __version__, bundle, run, storage
from seqcli.config import Config, drop_useless, flatten, make_config
from seqcli.errors import SeqcliError
from seqcli.events import Observer
from seqcli.report import Report, model_card
from seqcli.tasks import TASKS

PLAN = "seeds.json"
Observe = Callable[[str], AbstractContextManager[Observer]]
"""An observer for one training, from its title."""


class Spread(NamedTuple):
    """Of a score over several seeds. deviation: of the sample, with n − 1."""

    mean: float
    deviation: float


class Repeated(NamedTuple):
    """reports: of each seed's training. spreads: by split and score. best: place in `reports`."""

    task: str
    folder: Path
    seeds: list[int]
    reports: list[Report]
    spreads: dict[str, dict[str, Spread]]
    best: int


def train(
    config: Config,
    folder: Path,
    observe: Observe,
    *,
    count: int,
    stop: Callable[[], int] = lambda: 0,
) -> Repeated:
    """Train with `count` seeds from the configured one on, into `folder` (new or empty). Raises
    `run.Interrupted` as a single training does; `resume` goes on with the seed that was
    interrupted. Where the first cannot begin, as without data, the folder stays empty."""
    first = config.training.seed
    plan = {
        "task": config.task,
        "version": __version__,
        "seeds": list(range(first, first + count)),
        "settings": flatten(config),
    }
    with storage.claimed(folder):
        storage.write_json(folder / PLAN, plan)
        try:
            return _train(folder, plan, observe, stop)
        finally:
            if not any(folder.glob("seed-*")):  # nothing began that could be gone on with
                (folder / PLAN).unlink()


def resume(
    folder: Path, observe: Observe, *, task_name: str, stop: Callable[[], int] = lambda: 0
) -> Repeated:
    """Go on with interrupted trainings; what is finished stays. Raises SeqcliError where all are
    finished, are of another task or at work."""
    with storage.locked(folder):
        plan = read_plan(folder, task_name)
        if "scores" in plan:
            raise SeqcliError(f"nothing to resume in {folder}: all its trainings are finished")
        return _train(folder, plan, observe, stop)


def read_plan(folder: Path, task_name: str) -> dict[str, Any]:
    """The seeds and settings of several trainings. Raises SeqcliError for another task."""
    plan = bundle.read_json(folder / PLAN)
    if not isinstance(plan, dict) or not {"task", "seeds", "settings"} <= plan.keys():
        raise SeqcliError(f"{folder / PLAN} is not the plan of several trainings; start anew")
    if plan["task"] != task_name:
        raise SeqcliError(f"{folder} holds trainings of {plan['task']}, not of {task_name}")
    return plan


def _train(
    folder: Path, plan: dict[str, Any], observe: Observe, stop: Callable[[], int]
) -> Repeated:
    config = make_config(plan["task"], drop_useless(plan["task"], plan["settings"]))
    reports = []
    for number, seed in enumerate(plan["seeds"], 1):
        title = f"seed {seed}, training {number} of {len(plan['seeds'])}"
        try:
            reports.append(_train_one(config, folder / f"seed-{seed}", seed, title, observe, stop))
        except run.Interrupted as interruption:
            raise run.Interrupted(folder, interruption.signal) from None
    return _finish(folder, plan, reports)


def _train_one(
    config: Config,
    folder: Path,
    seed: int,
    title: str,
    observe: Observe,
    stop: Callable[[], int],
) -> Report:
    """Train one seed, continue it, or read its scores if it is finished."""
    if (folder / bundle.METRICS).is_file():
        return run.recall(folder)
    with observe(title) as observer:
        if (folder / bundle.CHECKPOINT).is_file():
            return run.resume(folder, observer, stop=stop)
        if folder.exists():  # it ended before its first checkpoint
            shutil.rmtree(folder)
        training = dataclasses.replace(config.training, seed=seed)
        return run.train(
            dataclasses.replace(config, training=training),  # type: ignore[arg-type]
            folder,
            observer,
            stop=stop,
        )


def _finish(folder: Path, plan: dict[str, Any], reports: list[Report]) -> Repeated:
    """Summarise the trainings, and copy the model that is best on validation into the folder."""
    spreads = spread([report.scores for report in reports])
    best = _best(reports)
    chosen = reports[best]._replace(folder=folder)
    bundle.copy(reports[best].folder, folder)
    storage.write_text(folder / "README.md", model_card(bundle.load_task(folder), chosen))
    scores = {
        split: {name: value._asdict() for name, value in found.items()}
        for split, found in spreads.items()
    }
    storage.write_json(folder / PLAN, {**plan, "scores": scores, "best": plan["seeds"][best]})
    return Repeated(plan["task"], folder, plan["seeds"], reports, spreads, best)


def _best(reports: Sequence[Report]) -> int:
    """The place of the best on validation by the watched score; the first of equal ones."""
    task = bundle.load_task(reports[0].folder)
    sign = 1 if TASKS[task.name].higher_is_better else -1
    values = [
        sign * report.scores.get("validation", {}).get(task.watched, 0.0) for report in reports
    ]
    return values.index(max(values))


def spread(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Spread]]:
    """Mean and deviation of each plain score that all runs have, by split."""
    found: dict[str, dict[str, Spread]] = {}
    for split in runs[0]:
        plain = {
            name
            for name, value in runs[0][split].items()
            if isinstance(value, float) and all(name in one[split] for one in runs)
        }
        found[split] = {
            name: _spread([one[split][name] for one in runs])
            for name in runs[0][split]
            if name in plain
        }
    return found


def _spread(values: Sequence[float]) -> Spread:
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return Spread(mean, 0.0)
    return Spread(
        mean, math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (len(values) - 1))
    )
