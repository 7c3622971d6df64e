"""--time: the schedule and the end follow the clock, with room for the last evaluations."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Quiet, Result, tiny
from test_fit import make_fit

from seqcli import bundle, fit, run
from seqcli.config import make_config
from seqcli.config.duration import parse_duration
from seqcli.errors import UsageError
from seqcli.events import Evaluation, Step


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 2 M ", 120)]
)
def test_spans_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text, "--time") == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-1s", "0s", "1d", "10 minutes", "1e3s"])
def test_spans_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"--time is .* such as 90s, 10m or 1\.5h"):
        make_config("lm", {"time": text})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each update and each evaluation takes a second."""
    ticks = itertools.count()
    monkeypatch.setattr(fit, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))


def steps_of(events: list[Any]) -> list[Step]:
    return [event for event in events if isinstance(event, Step)]


@pytest.mark.usefixtures("clock")
def test_time_ends_within_an_epoch(data: Path) -> None:
    """Seven batches an epoch; of ten seconds one is the first evaluation's, one the last's."""
    made = make_fit(data, [0.5] * 9, epochs=20, time="10s", warmup=0)
    events = list(made.events())
    steps = steps_of(events)
    assert made.at.elapsed <= 10
    assert made.at.elapsed >= 9
    assert isinstance(events[-1], Evaluation)
    assert steps[-1].position < steps[-1].batches
    rates = [step.learning_rate for step in steps]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 2e-3
    assert rates[-1] <= 2e-3 * 0.13
    assert made.at.finished


@pytest.mark.usefixtures("clock")
def test_more_time_than_the_epochs_need_changes_nothing(data: Path) -> None:
    plain, timed = (make_fit(data, [0.5] * 3, epochs=3, time=given) for given in (None, "10h"))
    one, other = list(plain.events()), list(timed.events())
    assert [step.learning_rate for step in steps_of(one)] == [
        step.learning_rate for step in steps_of(other)
    ]
    assert len(one) == len(other)


@pytest.mark.usefixtures("clock")
def test_time_goes_on_after_an_interruption(data: Path) -> None:
    made = make_fit(data, [0.5] * 9, epochs=20, time="10s")
    for event in made.events():
        if isinstance(event, Step) and event.step == 4:
            break
    again = make_fit(data, [0.5] * 9, epochs=20, time="10s")
    again._restore(made.snapshot())
    assert again.at.elapsed == 4
    list(again.events())
    assert 9 <= again.at.elapsed <= 10


def test_time_holds_on_a_real_clock(tmp_path: Path, data: Path, cli: Callable[..., Result]) -> None:
    config = tiny("lm", data, epochs=100_000, patience=0, time="2s")
    observer, began = Quiet(), time.monotonic()
    report = run.train(config, tmp_path / "m", observer)
    assert 1 < time.monotonic() - began < 4
    assert report.scores["test"]["perplexity"] < 30
    assert steps_of(observer.events)[-1].learning_rate < 2e-4
    bundle.load(tmp_path / "m")
    wrong = cli("lm", data, "--time", "soon")
    assert (wrong.status, len(wrong.errors)) == (2, 1)
