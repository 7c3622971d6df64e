"""How well a model did on each example of a corpus.

Dimensions: P predictions of a batch, L classes of a prediction, E examples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.data.schemes import spans
from seqcli.inspect.corpus import Corpus, Pass

COUNTED = ("span_f1", "micro_f1")
"""Scores of what is matched, guessed and true."""


class Outcome(NamedTuple):
    """How well the model did on each example: sums that any set of examples can be scored from.

    loss: (E,) nats, of the `known` (E,) predictions whose truth training had; predictions: (E,) how
    many in all; right: (E,) correct ones; matched, guessed, true: (E,) spans of tag, labels where a
    text has several, else zeros. class_right and class_total:
    (L,) predictions by true class, of classify and tag, else empty.
    """

    loss: np.ndarray
    known: np.ndarray
    predictions: np.ndarray
    right: np.ndarray
    matched: np.ndarray
    guessed: np.ndarray
    true: np.ndarray
    class_right: np.ndarray
    class_total: np.ndarray

    def recall(self) -> np.ndarray:
        """(L,) share of each class that is recognised, NaN for a class that does not occur."""
        whole = np.where(self.class_total > 0, self.class_total, np.nan)
        return self.class_right / whole

    def nats(self) -> float:
        """Mean loss of a prediction whose truth is known."""
        return float(self.loss.sum() / max(self.known.sum(), 1))

    def metric(self, task: Any) -> float:
        """The score that `metric_name` names."""
        if metric_name(task) in COUNTED:
            both = self.guessed.sum() + self.true.sum()
            return float(2 * self.matched.sum() / max(both, 1))
        if metric_name(task) == "cross_entropy":
            return self.nats()
        return float(self.right.sum() / max(self.predictions.sum(), 1))


def metric_name(task: Any) -> str:
    """The score that tells how well a model does: cross_entropy is better when lower."""
    if task.name == "tag":
        return "span_f1" if task.scheme else "token_accuracy"
    if task.name == "classify" and task.decision.several:
        return "micro_f1"
    return "accuracy" if task.name == "classify" else "cross_entropy"


def class_names(task: Any) -> list[str]:
    """The labels of classify, the tags of tag; nothing for the others."""
    if task.name == "classify":
        return list(task.labels)
    return list(task.tags) if task.name == "tag" else []


class Outcomes:
    """Gathers the outcome of each example from passes."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.sums = np.zeros((7, corpus.examples))
        self.classes = np.zeros((2, len(class_names(corpus.task))))

    def add(self, found: Pass) -> None:
        known, loss_P, best_P = found.known(), found.nats().cpu(), found.answers()
        if found.gold.dim() == 2:
            right_P = self._labels(found, best_P)
        else:
            right_P = (best_P == found.gold) & known
            self._count(found.gold[known], found.gold[right_P])
        for at, values in enumerate((loss_P * known, known, torch.ones_like(loss_P), right_P)):
            np.add.at(self.sums[at], found.example, values.double().numpy())
        if self.corpus.task.name == "tag" and self.corpus.task.scheme:
            self._spans(found.example, best_P.numpy())

    def _count(self, gold: Tensor, right: Tensor) -> None:
        """Count the true classes of predictions, and of those that are right."""
        width = self.classes.shape[1]
        if width:
            self.classes += [np.bincount(one.numpy(), minlength=width) for one in (right, gold)]

    def _labels(self, found: Pass, said_PL: Tensor) -> Tensor:
        """(P,) whether all labels of a text are right; those matched, said and due are counted."""
        due_PL = found.gold > 0
        both_PL = said_PL & due_PL
        self._count(due_PL.nonzero()[:, 1], both_PL.nonzero()[:, 1])
        for at, which_PL in enumerate((both_PL, said_PL, due_PL), 4):
            np.add.at(self.sums[at], found.example, which_PL.sum(1).double().numpy())
        return (said_PL == due_PL).all(dim=1)

    def _spans(self, example_P: np.ndarray, best_P: np.ndarray) -> None:
        names = self.corpus.task.tags
        cuts = np.flatnonzero(np.diff(example_P)) + 1
        for rows, chosen in zip(np.split(example_P, cuts), np.split(best_P, cuts), strict=True):
            guessed = set(spans([names[number] for number in chosen]))
            true = set(spans(self.corpus.rows["tags"][rows[0]]))
            self.sums[4:, rows[0]] += len(guessed & true), len(guessed), len(true)

    def result(self) -> Outcome:
        return Outcome(*self.sums, *self.classes)


@torch.inference_mode()
def measure(corpus: Corpus, model: nn.Module) -> Outcome:
    """The outcome of every example."""
    outcomes, state = Outcomes(corpus), None
    for batch in corpus.batches:
        found = batch.run(model, state)
        state = found.state
        outcomes.add(found)
    return outcomes.result()
