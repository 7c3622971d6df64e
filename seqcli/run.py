"""A training from its configuration to a finished model folder, as plain functions.

They return a `Report` and tell an `Observer` how it goes; nothing here prints, parses arguments or
exits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from seqcli import bundle, storage
from seqcli.config import Config
from seqcli.data.load import load
from seqcli.data.rows import Rows, Splits
from seqcli.epochs import choose_epochs
from seqcli.errors import SeqcliError
from seqcli.evaluation import judge
from seqcli.events import Evaluation, Observer, Step
from seqcli.fit import Fit, Snapshot
from seqcli.nn.device import (
    available_cores,
    choose_device,
    choose_precision,
    describe,
    set_threads,
)
from seqcli.report import Report, choose_example, find_better, model_card
from seqcli.tasks import TASKS
from seqcli.tasks.pretrained import freeze_vectors, place_vectors, take_width
from seqcli.tasks.task import count_parameters

if TYPE_CHECKING:
    from seqcli.watch import Watch


class Interrupted(Exception):
    """A signal stopped the training; its state is saved in `folder`."""

    def __init__(self, folder: Path, signal: int) -> None:
        super().__init__(f"interrupted by signal {signal}")
        self.folder = folder
        self.signal = signal


def train(
    config: Config,
    folder: Path,
    observer: Observer,
    *,
    stop: Callable[[], int] = lambda: 0,
    score: bool = True,
    splits: Splits | None = None,
) -> Report:
    """Train a new model into `folder` (new or empty).

    score: judge the finished model and the baselines; without, the report has no scores. stop:
    asked after each step; the number of a signal ends the training with `Interrupted` once
    its state is saved. splits: what `prepare` returned, to read the data once for several
    trainings. Raises SeqcliError for data or settings that cannot work.
    """
    began = time.monotonic()
    config = take_width(config)
    splits = splits or prepare(config)
    _tell(splits, observer)
    assert splits.train is not None
    task = TASKS[config.task].learn(config, splits.train)
    task.columns = dict(splits.train.names)
    return _train(task, splits, folder, observer, stop, began=began, scored=score)


def resume(folder: Path, observer: Observer, *, stop: Callable[[], int] = lambda: 0) -> Report:
    """Continue an interrupted training, bit for bit as if it had never stopped."""
    began = time.monotonic()
    task = bundle.load_task(folder)
    tensors, facts = bundle.load_checkpoint(folder)
    splits = prepare(task.config)
    _tell(splits, observer)
    if facts.get("data") != fingerprint(splits):
        raise SeqcliError(
            "the training data changed since the interruption; restore it, or start anew"
        )
    threads, before = task.config.training.threads or available_cores(), facts.get("threads")
    if threads != before:
        observer.note(
            f"resuming with {threads} threads, begun with {before}: weights will differ in the "
            f"last digits"
        )
    snapshot = Snapshot(tensors, facts)
    return _train(task, splits, folder, observer, stop, began=began, snapshot=snapshot)


def recall(folder: Path) -> Report:
    """The report of a finished training. Raises SeqcliError if the folder is not a whole model."""
    task = bundle.load_task(folder)
    scores, baselines = bundle.read_scores(folder)
    best, parameters = bundle.best_epoch(folder), count_parameters(task.build())
    return Report(task.name, folder, best, parameters, scores, baselines)


def prepare(config: Config) -> Splits:
    """The rows of a training. Raises SeqcliError for data or a device that cannot work, before
    anything is written."""
    choose_device(config.training.device)
    splits = load(config.task, config.data)
    if splits.train is None or not len(splits.train):
        raise SeqcliError("no rows to train on; name a file with --train or as DATA")
    return splits


def _tell(splits: Splits, observer: Observer) -> None:
    for note in splits.notes:
        observer.note(note)


def _train(
    task: Any,
    splits: Splits,
    folder: Path,
    observer: Observer,
    stop: Callable[[], int],
    *,
    began: float,
    scored: bool = True,
    snapshot: Snapshot | None = None,
) -> Report:
    training, fresh = task.config.training, snapshot is None
    set_threads(training.threads)
    device = choose_device(training.device)
    precision = choose_precision(training.precision, device)
    torch.manual_seed(training.seed)
    model = task.build().to(device)
    encoded = task.encode(splits.train)
    found = _complete(task, model, encoded, fresh=fresh)
    with storage.claimed(folder) if fresh else storage.locked(folder):
        if fresh:
            bundle.create(folder, task)
        parameters = count_parameters(model)
        rows = {name: getattr(splits, name) for name in ("train", "validation", "test")}
        observer.facts(
            {
                "rows": ", ".join(f"{name} {len(part):,}" for name, part in rows.items() if part),
                **task.facts(),
                **found,
                "parameters": f"{parameters:,}",
                "device": describe(device, precision),
                "folder": str(folder),
            }
        )
        judged, judge = splits.validation or splits.train, task.evaluate
        if splits.validation:
            judge = getattr(task, "follow", judge)
        assert judged is not None
        last = [rows[name] for name in ("validation", "test") if rows[name] and scored]
        fit = Fit(
            task,
            model,
            encoded,
            lambda: judge(model, judged),
            precision=precision,
            snapshot=snapshot,
            prepared=time.monotonic() - began,
            closing=sum(map(len, last)) / len(judged) + (judge != task.evaluate and scored),
        )
        if not fresh:
            storage.cut_lines(folder / bundle.HISTORY, fit.at.epoch)
        watch = None
        if training.watch == "gradients":
            watch = _watch(fit, judged, folder, observer, snapshot)
        _follow(fit, folder, observer, stop, data=fingerprint(splits), watch=watch)
        example = choose_example(task, splits.test or judged)
        report = Report(task.name, folder, fit.at.best_epoch, parameters, {}, {}, example)
        if scored:
            bundle.load_weights(folder, model)
            report = _score(
                task, model.eval().requires_grad_(False), splits, report, say=observer.note
            )
        bundle.remove_checkpoint(folder)
        return report


def _complete(task: Any, model: nn.Module, encoded: Any, *, fresh: bool) -> dict[str, str]:
    """Settle what depends on the training rows: the epochs, if not given, and pretrained vectors.
    Returns what to report of both. fresh: the network has not been trained yet."""
    found = {}
    if task.config.training.epochs is None:
        epochs, updates = choose_epochs(task, encoded)
        found["epochs"] = f"{epochs}, of {updates:,} updates"
        training = replace(task.config.training, epochs=epochs)
        task.config = replace(task.config, training=training)
    if task.config.network.vectors:
        if fresh:
            found["vectors"] = place_vectors(task, model, encoded)
        freeze_vectors(task, model, encoded)
    return found


def _watch(
    fit: Fit, judged: Rows, folder: Path, observer: Observer, snapshot: Snapshot | None
) -> Watch:
    """The recorder of a training's gradients, which has looked once before the first update.
    snapshot: where an interrupted training stood; None for a new one."""
    from seqcli.watch import GRADIENTS, Watch  # and with it the inspection

    watch = Watch(fit.task, fit.model, judged, folder, observer.note)
    if snapshot is None:
        watch.look(0, 0)
    else:
        storage.cut_lines(folder / GRADIENTS, fit.at.epoch)
        if "watch" in snapshot.facts:  # which older checkpoints lack
            watch.restore(snapshot.facts["watch"])
    return watch


def score(folder: Path) -> Report:
    """Judge a finished model and the baselines on the data it was trained with, and write both
    into its folder."""
    task, model, _ = bundle.load(folder)
    set_threads(task.config.training.threads)
    splits = load(task.name, task.config.data)
    best, parameters = bundle.best_epoch(folder), count_parameters(model)
    report = Report(task.name, folder, best, parameters, {}, {})
    return _score(task, model, splits, report, say=lambda sentence: None)


def _score(
    task: Any, model: nn.Module, splits: Splits, report: Report, *, say: Callable[[str], None]
) -> Report:
    """Tune what is chosen on validation after the weights, then score each split and the baselines.
    Returns the report, and writes it into the folder. say: is told what was chosen."""
    if splits.validation:
        for note in task.tune(model, splits.validation):
            say(note)
        bundle.save_codec(report.folder, task)
    rows = {"validation": splits.validation, "test": splits.test}
    found = {name: part for name, part in rows.items() if part}
    scores = {name: judge(task, model, part) for name, part in found.items()}
    baselines = task.baselines(splits.train, found)
    if splits.validation and (
        sentence := find_better(task.name, scores["validation"], baselines["validation"])
    ):
        say(sentence)
    report = report._replace(scores=scores, baselines=baselines)
    storage.write_json(report.folder / bundle.METRICS, {"scores": scores, "baselines": baselines})
    storage.write_text(report.folder / "README.md", model_card(task, report))
    return report


def _follow(
    fit: Fit,
    folder: Path,
    observer: Observer,
    stop: Callable[[], int],
    *,
    data: str,
    watch: Watch | None,
) -> None:
    """Run a training to its end: report events, keep the best weights, save checkpoints."""

    def save() -> None:
        tensors, facts = fit.snapshot()
        watched = {"watch": watch.snapshot()} if watch else {}
        bundle.save_checkpoint(folder, tensors, {**facts, **watched, "data": data})

    every, saved = fit.training.checkpoint_every, time.monotonic()
    for event in fit.events():
        if watch and isinstance(event, Step):
            watch.add(event, fit.optimizer.gradient)
        if isinstance(event, Evaluation):
            if watch:
                watch.look(event.epoch, event.step)
            if event.best:
                with fit.averaged():
                    bundle.save_weights(folder, fit.model)
            bundle.append_history(folder, history_line(event))
            save()
            saved = time.monotonic()
        elif every and time.monotonic() - saved > every:
            save()
            saved = time.monotonic()
        observer.event(event)
        if signal := stop():
            if not isinstance(event, Evaluation):
                save()
            raise Interrupted(folder, signal)
    if watch:
        watch.plot()


def fingerprint(splits: Splits) -> str:
    """Digests of the training and validation rows, which a resumed training must find again."""
    return "".join(rows.digest() for rows in (splits.train, splits.validation) if rows)


def history_line(event: Evaluation) -> dict[str, Any]:
    """An epoch as a line of history.jsonl: plain scores only."""
    plain = {name: value for name, value in event.scores.items() if isinstance(value, int | float)}
    return {
        "epoch": event.epoch,
        "step": event.step,
        "train_loss": event.train_loss,
        **plain,
        "best": event.best,
        "seconds": round(event.seconds, 3),
        "tokens": event.tokens,
    }
