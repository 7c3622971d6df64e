"""From scores to one label a text: the likeliest, or by a threshold the rarer of two.

Dimensions: R rows of a split, B rows of a batch, L labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from seqcli import baselines, metrics
from seqcli.config import ClassifyTraining, Request
from seqcli.data.labels import as_lists, name_some
from seqcli.data.rows import Rows
from seqcli.errors import SeqcliError, UsageError
from seqcli.tasks.balance import draw, focal_loss, weigh
from seqcli.tasks.calibration import Calibration, fit_temperature, fit_threshold
from seqcli.tasks.task import Answer, Scores

RANKED_LABELS = 5
"""With so many labels it is worth knowing whether the truth is among the first few."""


class OneLabel:
    """labels: their names by number."""

    several: ClassVar[bool] = False

    def __init__(
        self, labels: list[str], training: ClassifyTraining, calibration: Calibration
    ) -> None:
        self.labels = labels
        self.training = training
        self.calibration = calibration
        # Accuracy would choose the epoch that serves the large labels best.
        self.watched = "accuracy" if training.balance == "none" else "macro_f1"

    @classmethod
    def learn(cls, training: ClassifyTraining, gold: Sequence[str]) -> OneLabel:
        """The labels of the training rows."""
        labels = sorted(set(gold))
        if len(labels) < 2:
            raise SeqcliError(
                f"every training row has the label {labels[0]!r}; there is nothing to tell apart"
            )
        if training.threshold and len(labels) != 2:
            raise UsageError(f"--threshold is for two labels, and there are {len(labels):,}")
        return cls(labels, training, Calibration())

    @classmethod
    def restore(cls, training: ClassifyTraining, labels: Any, calibration: Any) -> OneLabel:
        """What `files` of a saved model describe. Raises SeqcliError where they cannot."""
        known = labels if isinstance(labels, list) else []
        if len(known) < 2 or not all(isinstance(one, str) for one in known):
            raise SeqcliError("labels.json of the model is corrupt; train or copy the model again")
        found = Calibration.from_json(calibration)
        if not set(found.thresholds) <= set(known):
            raise SeqcliError("calibration.json of the model is corrupt; copy the model again")
        return cls(known, training, found)

    def files(self) -> dict[str, Any]:
        return {"labels.json": self.labels, "calibration.json": self.calibration.to_json()}

    def facts(self) -> dict[str, str]:
        said = [f"{name} from {value:.3f}" for name, value in self.calibration.thresholds.items()]
        found = {"labels": f"{len(self.labels)}: {name_some(self.labels)}"}
        return found | ({"threshold": ", ".join(said)} if said else {})

    # ------------------------------------------------------------------------------ training

    def read(self, rows: Rows) -> list[str]:
        """Each row's label. Raises SeqcliError where one has several."""
        found = as_lists(rows["label"])
        for number, labels in enumerate(found, start=1):
            if len(labels) != 1:
                raise SeqcliError(
                    f"{rows.origin} row {number} has {len(labels)} labels, and the model gives one"
                )
        return [labels[0] for labels in found]

    def encode(self, gold: Sequence[str]) -> np.ndarray:
        """(R,) the number of each row's label."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        return np.array([numbers[label] for label in gold], dtype=np.int64)

    def weigh(self, gold_R: np.ndarray) -> np.ndarray:
        """(R,) the weight of each row in the loss."""
        if self.training.balance == "weights":
            return weigh(gold_R)
        return np.ones(len(gold_R), dtype=np.float32)

    def draw(self, gold_R: np.ndarray, *, epoch: int) -> np.ndarray | None:
        """The rows of an epoch where labels are balanced by drawing, else None: all of them."""
        training = self.training
        if training.balance not in ("over", "under"):
            return None
        return draw(gold_R, over=training.balance == "over", seed=training.seed, epoch=epoch)

    def loss(self, scores_BL: Tensor, gold_B: Tensor, weights_B: Tensor) -> Tensor:
        """The mean loss of a batch's rows."""
        training = self.training
        loss_B = focal_loss(
            scores_BL, gold_B, gamma=training.focal, smoothing=training.label_smoothing
        )
        # Divided by the rows, not by their weights: in a batch of one label those would cancel.
        return (loss_B * weights_B).mean() if training.balance == "weights" else loss_B.mean()

    # --------------------------------------------------------------------------- probabilities

    def probabilities(self, scores_RL: Tensor) -> Tensor:
        """(R, L) scores to calibrated probabilities."""
        return torch.softmax(scores_RL / self.calibration.temperature, dim=1)

    def tune(self, scores_RL: np.ndarray, gold: Sequence[str]) -> list[str]:
        """Choose the temperature, and a threshold where one is asked for; what to tell of it."""
        known = [row for row, label in enumerate(gold) if label in set(self.labels)]
        scores_RL, gold_R = scores_RL[known], self.encode([gold[row] for row in known])
        if not known:
            return []
        self.calibration = Calibration(fit_temperature(scores_RL, gold_R))
        before, after = (
            self._calibration_error(torch.softmax(one, dim=1).numpy(), gold_R)
            for one in (
                torch.from_numpy(scores_RL),
                torch.from_numpy(scores_RL) / self.calibration.temperature,
            )
        )
        notes = [
            f"temperature {self.calibration.temperature:.3f}, chosen on validation: calibration "
            f"error (ECE) {before:.1%} before, {after:.1%} after"
        ]
        if self.training.threshold:
            rare = int(np.bincount(gold_R, minlength=2).argmin())
            p_R = self.probabilities(torch.from_numpy(scores_RL)).numpy()[:, rare]
            threshold = fit_threshold(p_R, gold_R == rare)
            name = self.labels[rare]
            self.calibration = Calibration(self.calibration.temperature, {name: threshold})
            notes.append(
                f"threshold, chosen on validation for the best F1 of {name!r}: it is the answer "
                f"from a probability of {threshold:.3f} on"
                if (gold_R == rare).any()
                else f"no row of validation is {name!r}, so that its threshold stays at 0.5"
            )
        return notes

    def _calibration_error(self, p_RL: np.ndarray, gold_R: np.ndarray) -> float:
        best_R = p_RL.argmax(axis=1)
        found = metrics.calibration(p_RL.max(axis=1), best_R == gold_R)
        return float(found["ece"])

    def choose(self, p_RL: np.ndarray) -> np.ndarray:
        """(R,) the number of the label said for each row."""
        for name, threshold in self.calibration.thresholds.items():
            rare = self.labels.index(name)
            said_R = p_RL[:, rare].astype(np.float64) >= threshold
            return np.where(said_R, rare, 1 - rare)
        return p_RL.argmax(axis=1)

    # --------------------------------------------------------------------------------- results

    def score(self, scores_RL: np.ndarray, gold: Sequence[str]) -> Scores:
        """The metrics, of calibrated probabilities; with as many labels as make it telling, also
        how often the truth is among the first few."""
        p_RL = self.probabilities(torch.from_numpy(scores_RL)).numpy()
        chosen_R = self.choose(p_RL)
        predicted = [self.labels[number] for number in chosen_R]
        numbers = {label: number for number, label in enumerate(self.labels)}
        gold_R = np.array([numbers.get(label, -1) for label in gold])
        confidence_R = p_RL[np.arange(len(chosen_R)), chosen_R]
        scores = metrics.classification(gold, predicted, self.labels)
        for first in (3, 5):
            if len(self.labels) >= max(RANKED_LABELS, 2 * first - 1):
                scores |= metrics.top_accuracy(p_RL, gold_R, first=first)
        scores |= metrics.calibration(confidence_R, chosen_R == gold_R)
        if self.calibration.temperature != 1:
            raw_RL = torch.softmax(torch.from_numpy(scores_RL), dim=1).numpy()
            raw_R = raw_RL[np.arange(len(chosen_R)), chosen_R]
            scores |= metrics.calibration(raw_R, chosen_R == gold_R, name="ece_uncalibrated")
        return scores

    def mistakes(
        self, scores_RL: np.ndarray, gold: Sequence[str], *, count: int
    ) -> list[tuple[int, dict[str, Any]]]:
        """The rows answered wrongly, those whose true label was least likely first, a label that
        training did not have at the very front. Row numbers and records."""
        p_RL = self.probabilities(torch.from_numpy(scores_RL)).numpy()
        chosen_R = self.choose(p_RL)
        found = []
        numbers = {label: number for number, label in enumerate(self.labels)}
        for row, (label, best) in enumerate(zip(gold, chosen_R.tolist(), strict=True)):
            if self.labels[best] == label:
                continue
            true = float(p_RL[row, numbers[label]]) if label in numbers else 0.0
            record = {
                "gold": label,
                "predicted": self.labels[best],
                "probability": round(float(p_RL[row, best]), 6),
                "gold_probability": round(true, 6),
            }
            found.append((true, -float(p_RL[row, best]), row, record))
        ranked = sorted(found, key=lambda one: one[:3])[:count]
        return [(row, record) for _, _, row, record in ranked]

    def baselines(
        self,
        texts: Sequence[str],
        gold: Sequence[str],
        judged: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    ) -> dict[str, dict[str, Scores]]:
        return baselines.classify(texts, gold, judged, self.labels)

    def answer(self, p_RL: np.ndarray, request: Request) -> list[Answer]:
        shown = request.top_k or (len(self.labels) if request.probabilities else 0)
        answers = []
        for row, best in zip(p_RL.tolist(), self.choose(p_RL).tolist(), strict=True):
            label = self.labels[best]
            record: dict[str, Any] = {"label": label, "probability": round(row[best], 6)}
            plain = label
            if shown:
                ranked = rank(self.labels, row)[:shown]
                record["probabilities"] = {name: round(value, 6) for name, value in ranked}
                plain += "".join(f"\t{name}={value:.6f}" for name, value in ranked)
            answers.append(Answer(plain, record))
        return answers


def rank(labels: Sequence[str], p_L: Sequence[float]) -> list[tuple[str, float]]:
    """Labels with their probabilities, the likeliest first."""
    return sorted(zip(labels, p_L, strict=True), key=lambda pair: -pair[1])
