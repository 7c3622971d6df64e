"""Whether a training has failed although its losses are still finite."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

KEPT = 0.98
"""The level is the mean of about the last fifty losses."""
FIRST = 10
"""Losses that tell what an untrained network has."""
LEAST = 100
"""Updates before which nothing is judged: a training may begin roughly."""
WORSE = 1.25
"""How far above an untrained network's loss the level means divergence."""
LOST, RISE = 0.4, 1.5
"""Which share of what was learned the level has lost again where it means divergence, and how far
above its lowest it is then."""


@dataclass
class Level:
    """The running level of a training loss, and what it is measured by; plain numbers.

    level: exponential mean, corrected for its start. lowest: its least once it is judged.
    first: the losses of the first updates. told: whether a person has been warned.
    """

    total: float = 0.0
    updates: int = 0
    lowest: float | None = None
    first: list[float] = field(default_factory=list)
    told: bool = False

    @property
    def level(self) -> float:
        return self.total / (1 - KEPT**self.updates)

    @property
    def untrained(self) -> float:
        """The loss to begin with, even where it blows up within the first updates."""
        return min(median(self.first), 2 * self.first[0])

    def add(self, loss: float) -> None:
        """Take in the loss of one update."""
        if len(self.first) < FIRST:
            self.first.append(loss)
        self.updates += 1
        self.total = KEPT * self.total + (1 - KEPT) * loss
        if self.updates >= LEAST:
            self.lowest = min(self.lowest or self.level, self.level)

    def diverged(self) -> str | None:
        """What is wrong, as a phrase; None for a training as it should be.

        Either the level is well above an untrained network's, or it has risen to one and a half
        times its lowest, by two fifths of the way back to an untrained network's, and to half of
        that (below it, a rise is noise: a training that has memorised its rows has hardly any
        loss).
        """
        if self.lowest is None:
            return None
        if self.level > WORSE * self.untrained:
            return f"the loss is about {self.level:.4g}, and was {self.untrained:.4g} untrained"
        back = self.lowest + LOST * (self.untrained - self.lowest)
        if self.level > max(back, self.untrained / 2, RISE * self.lowest):
            return f"the loss has risen from about {self.lowest:.4g} to {self.level:.4g}"
        return None
