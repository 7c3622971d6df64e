"""What a training says of itself on a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from seqcli.events import Step
from seqcli.progress import TrainingView


def step(**changed: Any) -> Step:
    made = Step(1, 10, 5, 10, 5, 1.0, 1e-3, 1.0, 100, 0.5, 10.0)
    return made._replace(**changed)


@pytest.mark.parametrize(
    ("event", "time", "left"),
    [
        (step(), None, "3:10"),  # a twentieth took ten seconds
        (step(epoch=6, position=0, elapsed=300.0), None, "5:00"),
        (step(), "60s", "50 s"),
        (step(elapsed=70.0), "60s", "0 s"),
    ],
)
def test_time_left(event: Step, time: str | None, left: str) -> None:
    """By all that the training took so far, also before it was resumed."""
    view = TrainingView(time=time)
    view.event(event)
    assert f"· {left} left" in view.progress.tasks[0].fields["status"]
