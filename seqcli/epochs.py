"""How many epochs to train where nobody says.

An epoch of large data makes 200 updates or more, one of small data a few: as many epochs would
leave the network half trained. So small data get more epochs, for as many updates in all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seqcli.config import Training
from seqcli.config.training import MOST_TIMES, UPDATES
from seqcli.tasks.task import Task


class Epochs(NamedTuple):
    """How many epochs there are, and how many updates in each."""

    epochs: int
    updates: int


def choose_epochs(task: Task, encoded: Any) -> Epochs:
    """The number of epochs that a training on these rows should have at most."""
    training: Training = task.config.training
    fewest = training.fewest_epochs
    updates = max(len(task.plan(encoded, 1)), 1)
    enough = round(fewest * UPDATES / updates)
    return Epochs(min(max(enough, fewest), MOST_TIMES * fewest), updates)
