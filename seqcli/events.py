"""What a training tells of itself; who listens needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from seqcli.metrics import Scores


class Step(NamedTuple):
    """After one update, of `epochs` epochs at most. position: its number among the `batches` of the
    epoch. step: its number in the training. loss: its batch's mean. gradient_norm: before clipping.
    tokens and seconds: of this update alone. elapsed: seconds of the training so far, before it was
    resumed, too."""

    epoch: int
    epochs: int
    position: int
    batches: int
    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    seconds: float
    elapsed: float


class Evaluation(NamedTuple):
    """After one of `epochs` epochs at most. watched: the score that is followed. value: what it
    is. best: whether none before was better. tokens and seconds: of the epoch's updates."""

    epoch: int
    epochs: int
    step: int
    train_loss: float
    scores: Scores
    watched: str
    value: float
    best: bool
    seconds: float
    tokens: int


class Trouble(NamedTuple):
    """The training diverges, though its losses are numbers. sentence: how, and what to do."""

    epoch: int
    step: int
    sentence: str


Event = Step | Evaluation | Trouble


class Observer(Protocol):
    """Who wants to know how a training goes."""

    def note(self, sentence: str) -> None:
        """A fact worth a line."""

    def facts(self, facts: dict[str, str]) -> None:
        """What was found: rows, vocabulary, parameters, device."""

    def event(self, event: Event) -> None:
        """A step, an evaluation or a trouble."""
