"""A training as it goes, drawn on stderr."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from seqcli.config.duration import parse_duration
from seqcli.console import duration, say, show_score, stderr
from seqcli.events import Evaluation, Event, Step, Trouble


class Rate(ProgressColumn):
    """Loss, speed and time left, as the training says."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["status"])


class TrainingView:
    """An `Observer` that draws a training on stderr: a live bar where there is a terminal, and a
    line an epoch everywhere."""

    def __init__(self, *, time: str | None = None) -> None:
        self.limit = parse_duration(time, "--time") if time else math.inf
        self.watched = ""  # known with the first evaluation
        self.best: float | None = None
        self.loss = 0.0
        self.speed = 0.0
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),  # what the text leaves of the width
            Rate(table_column=Column(no_wrap=True)),
            console=stderr,
            expand=True,
            transient=True,
            disable=not stderr.is_terminal,
        )
        self.bar = self.progress.add_task("", total=1.0, status="")

    def __enter__(self) -> TrainingView:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def note(self, sentence: str) -> None:
        say(sentence)

    def facts(self, facts: dict[str, str]) -> None:
        width = max(map(len, facts))
        for name, value in facts.items():
            stderr.print(Text.assemble((f"{name:<{width}}  ", "bold"), value))

    def event(self, event: Event) -> None:
        match event:
            case Step():
                self._step(event)
            case Evaluation():
                self._evaluation(event)
            case Trouble():
                say(f"warning: {event.sentence}")

    def _step(self, event: Step) -> None:
        rate = event.tokens / max(event.seconds, 1e-9)
        self.loss = 0.95 * self.loss + 0.05 * event.loss if self.loss else event.loss
        self.speed = 0.95 * self.speed + 0.05 * rate if self.speed else rate
        done = (event.epoch - 1 + event.position / event.batches) / event.epochs
        left = min(event.elapsed / done * (1 - done), max(self.limit - event.elapsed, 0))
        watched = "" if self.best is None else f" · best {show_score(self.watched, self.best)}"
        self.progress.update(
            self.bar,
            completed=event.position / event.batches,
            description=f"epoch {event.epoch}/{event.epochs}",
            status=f"loss {self.loss:.4f} · {self.speed:,.0f} tokens/s · "
            f"{duration(left)} left{watched}",
        )

    def _evaluation(self, event: Evaluation) -> None:
        self.watched = event.watched
        if event.best:
            self.best = event.value
        speed = event.tokens / max(event.seconds, 1e-9)
        stderr.print(
            Text.assemble(
                (f"epoch {event.epoch:>{len(str(event.epochs))}}/{event.epochs}", "bold"),
                f"  loss {event.train_loss:.4f}  valid {_name(self.watched, event.scores)} ",
                (show_score(self.watched, event.value), "green" if event.best else ""),
                _beside(event.scores),
                f"  {speed:,.0f} tokens/s  {duration(event.seconds)}",
                ("  best" if event.best else "", "green"),
            )
        )


def _beside(scores: Mapping[str, Any]) -> str:
    """What a network that does not answer alone has by itself."""
    alone = scores.get("network_alone")
    return "" if alone is None else f" (network alone {show_score('network_alone', alone)})"


def _name(watched: str, scores: Mapping[str, Any]) -> str:
    """The watched score in words; tag watches span F1 where its tags mark spans."""
    if watched == "score":
        watched = "span_f1" if "span_f1" in scores else "token_accuracy"
        watched += " and label accuracy" if "label_accuracy" in scores else ""
    return watched.replace("_", " ")
