"""What is chosen on validation once the weights are: a temperature, and thresholds.

Dimensions: R rows, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqcli.errors import SeqcliError

COLDEST, HOTTEST = 0.01, 100.0  # bounds of the temperature
HALVINGS = 60  # of its logarithm's range: to the last digit


@dataclass(frozen=True)
class Calibration:
    """temperature: what scores are divided by before they become probabilities. thresholds: from
    which probability on a label is said, for the labels that have one."""

    temperature: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "thresholds": dict(self.thresholds)}

    @classmethod
    def from_json(cls, values: Any) -> Calibration:
        """What `to_json` described; of None, which earlier versions leave, no calibration."""
        if values is None:
            return cls()
        try:
            thresholds = {str(name): float(one) for name, one in values["thresholds"].items()}
            found = cls(float(values["temperature"]), thresholds)
        except (AttributeError, KeyError, TypeError, ValueError):
            found = cls(math.nan)
        if not (0 < found.temperature < math.inf):
            raise SeqcliError("calibration.json of the model is corrupt; copy the model again")
        return found


def fit_temperature(scores_RL: np.ndarray, gold_R: np.ndarray) -> float:
    """The temperature of a softmax under which the true labels are likeliest (Guo et al. 2017).

    scores_RL: before the softmax. gold_R: the true labels' numbers. As if one more row had been
    seen that is every label in equal parts, so that a few rows, all of them right, do not make the
    answers certain (in the spirit of Platt 1999). The loss is convex in 1 / temperature, and its
    slope is mean(E_p[score] − E_truth[score]).
    """
    rows = len(scores_RL)
    scores_RL = scores_RL.astype(np.float64)
    scores_RL = scores_RL - scores_RL.max(axis=1, keepdims=True)
    doubt = 1 / (rows + 1)
    truth_R = (1 - doubt) * scores_RL[np.arange(rows), gold_R] + doubt * scores_RL.mean(axis=1)

    def slope(inverse: float) -> float:
        p_RL = np.exp(inverse * scores_RL)
        p_RL /= p_RL.sum(axis=1, keepdims=True)
        return float(((p_RL * scores_RL).sum(axis=1) - truth_R).mean())

    return 1 / _find_root(slope)


def fit_sigmoid_temperature(scores_RL: np.ndarray, gold_RL: np.ndarray) -> float:
    """The same for a sigmoid a label. gold_RL: 1 where a row has the label, else 0."""
    scores_RL = scores_RL.astype(np.float64)
    doubt = 1 / (len(scores_RL) + 1)
    truth_RL = (1 - doubt) * gold_RL + doubt / 2

    def slope(inverse: float) -> float:
        p_RL = 0.5 + 0.5 * np.tanh(0.5 * inverse * scores_RL)  # the sigmoid, never overflowing
        return float(((p_RL - truth_RL) * scores_RL).mean())

    return 1 / _find_root(slope)


def _find_root(rising: Callable[[float], float]) -> float:
    """Where a rising function of an inverse temperature is 0, or the bound it is nearest to."""
    low, high = -math.log(HOTTEST), -math.log(COLDEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(math.exp(middle)) > 0 else (middle, high)
    return math.exp((low + high) / 2)


def fit_threshold(p_R: np.ndarray, gold_R: np.ndarray) -> float:
    """From which probability on a label is said, for its best F1: of equally good ones that
    nearest to a half, which it also is where no row has the label.

    p_R: the label's probability. gold_R: whether a row has it.
    """
    if not gold_R.any():
        return 0.5
    order = np.argsort(-p_R, kind="stable")
    p_R = p_R[order].astype(np.float64)
    hits_R = np.cumsum(gold_R[order])
    guessed_R = np.arange(1, len(order) + 1)
    f1_R = 2 * hits_R / (guessed_R + hits_R[-1])
    # Between a row and the next; rows of equal probability are said together or not at all.
    following_R = np.append(p_R[1:], 0.0)
    f1_R[p_R == following_R] = -1
    best_R = np.flatnonzero(f1_R >= f1_R.max() - 1e-12)
    low_R, high_R = following_R[best_R], p_R[best_R]
    middle_R = (low_R + high_R) / 2
    # A half serves where it lies between the two.
    middle_R[(low_R < 0.5) & (high_R >= 0.5)] = 0.5
    return float(middle_R[np.argmin(np.abs(middle_R - 0.5))])
