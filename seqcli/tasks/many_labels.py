"""From scores to any number of labels a text: each that its own probability speaks for.

Dimensions: R rows of a split, B rows of a batch, L labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seqcli import baselines, metrics
from seqcli.config import ClassifyTraining, Request
from seqcli.data.labels import as_lists, name_some
from seqcli.data.rows import Rows
from seqcli.errors import SeqcliError, UsageError
from seqcli.tasks.balance import weigh
from seqcli.tasks.calibration import Calibration, fit_sigmoid_temperature, fit_threshold
from seqcli.tasks.one_label import rank
from seqcli.tasks.task import Answer, Scores

Labels = Sequence[str]


class ManyLabels:
    """labels: their names by number. separator: what stands between them in a line."""

    several: ClassVar[bool] = True

    def __init__(
        self,
        labels: list[str],
        training: ClassifyTraining,
        calibration: Calibration,
        *,
        separator: str,
    ) -> None:
        self.labels = labels
        self.training = training
        self.calibration = calibration
        self.separator = separator
        self.watched = "micro_f1" if training.balance == "none" else "macro_f1"

    @classmethod
    def learn(
        cls, training: ClassifyTraining, gold: Sequence[Labels], *, separator: str
    ) -> ManyLabels:
        """The labels of the training rows."""
        if training.balance in ("over", "under"):
            raise UsageError(
                f"--balance {training.balance} is for one label a text, and these have several; "
                "--balance weights serves them"
            )
        labels = sorted({label for row in gold for label in row})
        return cls(labels, training, Calibration(), separator=separator)

    @classmethod
    def restore(cls, training: ClassifyTraining, values: Any, calibration: Any) -> ManyLabels:
        """What `files` of a saved model describe. Raises SeqcliError where they cannot."""
        labels, separator = values.get("labels"), values.get("separator")
        names = isinstance(labels, list) and all(isinstance(one, str) for one in labels)
        if not names or not labels or not isinstance(separator, str):
            raise SeqcliError("labels.json of the model is corrupt; train or copy the model again")
        found = Calibration.from_json(calibration)
        return cls(labels, training, found, separator=separator)

    def files(self) -> dict[str, Any]:
        return {
            "labels.json": {"labels": self.labels, "separator": self.separator},
            "calibration.json": self.calibration.to_json(),
        }

    def facts(self) -> dict[str, str]:
        return {"labels": f"{len(self.labels)}, any number a text: {name_some(self.labels)}"}

    # ------------------------------------------------------------------------------ training

    def read(self, rows: Rows) -> Sequence[Labels]:
        """Each row's labels."""
        return as_lists(rows["label"])

    def encode(self, gold: Sequence[Labels]) -> np.ndarray:
        """(R, L) float32: 1 where a row has a label. Labels that training did not have are left
        out."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        found_RL = np.zeros((len(gold), len(self.labels)), dtype=np.float32)
        for row, labels in enumerate(gold):
            found_RL[row, [numbers[label] for label in labels if label in numbers]] = 1
        return found_RL

    def weigh(self, gold_RL: np.ndarray) -> np.ndarray:
        """(R, L) the weight of each decision in the loss: with balance, the rows that have a label
        weigh as much in sum as those that do not."""
        if self.training.balance != "weights":
            return np.ones_like(gold_RL)
        return np.stack([weigh(column.astype(np.int64)) for column in gold_RL.T], axis=1)

    def draw(self, gold_RL: np.ndarray, *, epoch: int) -> None:
        """All rows are taken in every epoch."""

    def loss(self, scores_BL: Tensor, gold_BL: Tensor, weights_BL: Tensor) -> Tensor:
        """The mean binary cross-entropy of all decisions; focal (Lin et al. 2017) where asked."""
        training = self.training
        smoothed_BL = gold_BL * (1 - training.label_smoothing) + training.label_smoothing / 2
        loss_BL = F.binary_cross_entropy_with_logits(scores_BL, smoothed_BL, reduction="none")
        if training.focal:
            miss_BL = torch.sigmoid(torch.where(gold_BL > 0, -scores_BL, scores_BL))
            loss_BL = miss_BL.clamp_min(1e-6).pow(training.focal) * loss_BL
        return (loss_BL * weights_BL).mean()

    # --------------------------------------------------------------------------- probabilities

    def probabilities(self, scores_RL: Tensor) -> Tensor:
        """(R, L) scores to calibrated probabilities, each label by itself."""
        return torch.sigmoid(scores_RL / self.calibration.temperature)

    def tune(self, scores_RL: np.ndarray, gold: Sequence[Labels]) -> list[str]:
        """Choose the temperature and a threshold for each label; what to tell of it."""
        gold_RL = self.encode(gold)
        temperature = fit_sigmoid_temperature(scores_RL, gold_RL)
        scores = torch.from_numpy(scores_RL)
        p_RL = torch.sigmoid(scores / temperature).numpy()
        thresholds = {
            label: fit_threshold(p_R, gold_R > 0)
            for label, p_R, gold_R in zip(self.labels, p_RL.T, gold_RL.T, strict=True)
        }
        self.calibration = Calibration(temperature, thresholds)
        before, after = (
            metrics.calibration(one.ravel(), gold_RL.ravel() > 0)["ece"]
            for one in (torch.sigmoid(scores).numpy(), p_RL)
        )
        low, high = min(thresholds.values()), max(thresholds.values())
        absent = int((gold_RL.sum(axis=0) == 0).sum())
        return [
            f"temperature {temperature:.3f}, chosen on validation: calibration error (ECE) "
            f"{before:.1%} before, {after:.1%} after",
            f"thresholds, chosen on validation for the best F1 of each label: {low:.3f} to "
            f"{high:.3f}"
            + (f"; 0.5 of {absent:,} labels that no row of validation has" if absent else ""),
        ]

    def choose(self, p_RL: np.ndarray) -> np.ndarray:
        """(R, L) which labels are said for each row."""
        thresholds = [self.calibration.thresholds.get(label, 0.5) for label in self.labels]
        return p_RL.astype(np.float64) >= np.array(thresholds)

    def name(self, said_RL: np.ndarray) -> list[list[str]]:
        """The names of the labels that are said for each row."""
        return [[self.labels[number] for number in np.flatnonzero(said_L)] for said_L in said_RL]

    # --------------------------------------------------------------------------------- results

    def score(self, scores_RL: np.ndarray, gold: Sequence[Labels]) -> Scores:
        """The metrics, of calibrated probabilities and thresholds."""
        p_RL = self.probabilities(torch.from_numpy(scores_RL)).numpy()
        found = metrics.labelling(gold, self.name(self.choose(p_RL)), self.labels)
        gold_RL = self.encode(gold) > 0
        found |= metrics.calibration(p_RL, gold_RL)
        if self.calibration.temperature != 1:
            raw_RL = torch.sigmoid(torch.from_numpy(scores_RL)).numpy()
            found |= metrics.calibration(raw_RL, gold_RL, name="ece_uncalibrated")
        return found

    def mistakes(
        self, scores_RL: np.ndarray, gold: Sequence[Labels], *, count: int
    ) -> list[tuple[int, dict[str, Any]]]:
        """The rows with a wrong decision whose true labels were least likely together, the least
        likely first. Row numbers and records."""
        p_RL = self.probabilities(torch.from_numpy(scores_RL)).numpy().astype(np.float64)
        said_RL, gold_RL = self.choose(p_RL), self.encode(gold) > 0
        predicted = self.name(said_RL)

        def log_R(which_RL: np.ndarray) -> np.ndarray:
            return np.log(np.where(which_RL, p_RL, 1 - p_RL).clip(1e-300)).sum(axis=1)

        true_R, said_R = log_R(gold_RL), log_R(said_RL)
        wrong = [row for row in range(len(gold)) if set(predicted[row]) != set(gold[row])]
        ranked = sorted(wrong, key=lambda row: (true_R[row], row))[:count]
        return [
            (
                row,
                {
                    "gold": list(gold[row]),
                    "predicted": predicted[row],
                    "probability": round(float(np.exp(said_R[row])), 6),
                    "gold_probability": round(float(np.exp(true_R[row])), 6),
                },
            )
            for row in ranked
        ]

    def baselines(
        self,
        texts: Sequence[str],
        gold: Sequence[Labels],
        judged: Mapping[str, tuple[Sequence[str], Sequence[Labels]]],
    ) -> dict[str, dict[str, Scores]]:
        return baselines.classify_many(texts, gold, judged, self.labels)

    def answer(self, p_RL: np.ndarray, request: Request) -> list[Answer]:
        shown = request.top_k or (len(self.labels) if request.probabilities else 0)
        answers = []
        names = self.name(self.choose(p_RL))
        for row, said in zip(p_RL.tolist(), names, strict=True):
            ranked = rank(self.labels, row)
            listed = ranked[:shown] if shown else [pair for pair in ranked if pair[0] in said]
            record = {
                "labels": said,
                "probabilities": {name: round(value, 6) for name, value in listed},
            }
            plain = self.separator.join(said)
            if shown:
                plain += "".join(f"\t{name}={value:.6f}" for name, value in listed)
            answers.append(Answer(plain, record))
        return answers
