"""What every task can do. One file a task; the training loop and the commands know only this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.config import Request
from seqcli.data.rows import Rows
from seqcli.data.tokens import Tokenizer
from seqcli.metrics import Scores


class Loss(NamedTuple):
    """mean: scalar to differentiate. count: the items it is a mean of. tokens: how many were read
    (translate: written). state: what is carried to the next batch, or None. rate: what the step
    size is multiplied by. apart: a part of the loss, not in `mean`, that no token vector enters."""

    mean: Tensor
    count: int  # type: ignore[assignment]  # hides the method of tuples
    tokens: int
    state: Any = None
    rate: float = 1.0
    apart: Tensor | None = None

    @property
    def whole(self) -> Tensor:
        """The loss with all its parts."""
        return self.mean if self.apart is None else self.mean + self.apart


class Lookup(NamedTuple):
    """What a network reads: the tokenizer, the ids of all tokens (N,) and the table of vectors."""

    tokenizer: Tokenizer
    tokens: np.ndarray
    embedding: nn.Embedding


class Answer(NamedTuple):
    """One prediction: `plain` as `predict` prints it, `record` as its JSON fields."""

    plain: str
    record: dict[str, Any]


class Task(Protocol):
    """A configuration with its codec: everything about a task but the weights."""

    name: ClassVar[str]
    watched: str
    """The validation score that chooses the best epoch, where the task has no `rank`."""
    higher_is_better: ClassVar[bool]
    config: Any
    columns: Mapping[str, str]
    """The column that each role was read from in training, where its table had names."""
    reasons: Sequence[str]
    """Why each tokenizer is of its kind, where training chose."""

    def files(self) -> dict[str, Any]:
        """The codec as JSON files of the model folder, by file name."""
        ...

    def facts(self) -> dict[str, str]:
        """What training prints about the codec: vocabulary, labels."""
        ...

    def build(self) -> nn.Module:
        """A network with fresh weights."""
        ...

    def encode(self, rows: Rows) -> Any:
        """Rows as flat arrays."""
        ...

    def lookup(self, model: nn.Module, encoded: Any) -> Lookup:
        """Where the vectors of what is read stand, and the encoded rows' tokens."""
        ...

    def plan(self, encoded: Any, epoch: int) -> Any:
        """The batches of an epoch, by position: has a length, and `batches` reads it."""
        ...

    def batches(self, encoded: Any, plan: Any, start: int) -> Iterator[Any]:
        """The batches of a plan from a position on."""
        ...

    def prepare(self, model: nn.Module, batch: Any) -> Any:
        """A batch as `loss` takes it: all that does not depend on weights, where the model is."""
        ...

    def loss(self, model: nn.Module, batch: Any, state: Any, *, again: bool = False) -> Loss:
        """The loss of a prepared batch; only lm takes and gives a state. again: without what is
        apart, which the second pass over a batch need not compute."""
        ...

    def tune(self, model: nn.Module, rows: Rows) -> list[str]:
        """Choose on validation rows what the weights leave open; sentences that tell of it.

        A task for which each epoch must be tuned to be judged has `follow` too: `tune`, and the
        scores of `evaluate`. One whose watched score does not tell all has `rank`: the scores by
        which that epoch is compared with others, higher ones being better. The first decides
        which epoch is kept, then the next; while any of them improves, training is not stale.
        """
        ...

    def evaluate(self, model: nn.Module, rows: Rows) -> Scores:
        """The task's metrics on rows with their answers."""
        ...

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        """The metrics of predictors that need no network, by split and name."""
        ...

    def read(self, lines: Sequence[str]) -> Rows:
        """Plain lines of input as rows."""
        ...

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        """JSON records of input as rows. Raises SeqcliError for a missing or wrong field."""
        ...

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        """An answer for each row, in order; independent of the other rows."""
        ...


def count_parameters(model: nn.Module) -> int:
    """Numbers that training may change, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device
