"""Numbers about states and gates, each a ratio of sums over examples.

Because sums are kept for each example, any number comes with an interval: draw examples again and
divide anew (the bootstrap of Efron 1979).

    saturation       share of |h| > 0.9
    update           mean |Δ| of a unit and step; update density: share of |Δ| > 0.1
    update sparsity  Hoyer of |Δ_t| over the units, mean over steps
    kept rate        Σ min(|s_t|, |s_{t−1}|) over units that keep their sign / Σ |s_{t−1}|: the
                     overlap of two states, whether a unit was kept or rewritten with the same
    memory scale     1 / (1 − mean share kept), in steps (cells with a gate that keeps)

Dimensions: N tokens of a batch, E examples, H units, M numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqcli.inspect.trace import SQUASHED, Steps

SATURATED = 0.9
MOVED = 0.1
SHUT, OPEN = 0.1, 0.9
RESAMPLES = 1_000  # of the bootstrap

EXPLAIN = {
    "saturation": "share of |h| above 0.9",
    "update": "mean |Δ| of a unit and step",
    "update_density": "share of |Δ| above 0.1",
    "update_sparsity": "Hoyer sparsity of one step's |Δ|: 0 all units move alike, 1 one unit moves",
    "kept_rate": "overlap of a state with the one before, unit by unit; "
    "a unit rewritten with the same value counts as kept",
    "share_kept": "share of the old state that the gates keep",
    "memory_scale": "1 / (1 − mean share that the gates keep), in steps",
    "response_hoyer": "Hoyer sparsity of a word's expected response",
    "response_gini": "Gini sparsity of a word's expected response",
    "factor": "share of the gradient kept a step: geometric mean from lag 0 to the horizon, "
    "or to the last lag where 1 % is not reached",
    "horizon": "the first lag at which less than 1 % of the gradient is left",
}


class Numbers:
    """Sums of one site. Gates and memory scale belong to the layer and are kept with its h."""

    def __init__(self, examples: int, units: int, state: str) -> None:
        self.examples = examples
        self.units = units
        self.state = state
        self.tokens = 0
        self.of_example: dict[str, np.ndarray] = {}
        self.of_unit: dict[str, np.ndarray] = {}

    def add(self, steps: Steps, example_N: np.ndarray) -> None:
        """A batch's states at this site."""
        now, before = steps.states[self.state], steps.before[self.state]
        self.tokens += len(example_N)
        change = (now - before).abs()
        # min(|s|, |s before|) where the signs agree, 0 where they differ
        kept = torch.minimum(now, before).relu() + torch.maximum(now, before).neg().relu()
        moved_N = self._add("update", change, None, example_N)
        self._add("update_density", (change > MOVED).float(), None, example_N)
        self._add("kept_rate", kept, before.abs(), example_N)
        self._sum("update_sparsity", _hoyer(moved_N, change), None, example_N)
        if self.state != "h":
            return
        self._add("saturation", (now.abs() > SATURATED).float(), None, example_N)
        for letter, gate in steps.gates.items():
            if letter in SQUASHED:
                self._add(f"candidate_{letter}", gate, None, example_N)
                continue
            self._add(f"gate_{letter}", gate, None, example_N)
            self._add(f"gate_{letter}_shut", (gate < SHUT).float(), None, example_N)
            self._add(f"gate_{letter}_open", (gate > OPEN).float(), None, example_N)
        if steps.kept is not None:
            self._add("share_kept", steps.kept, None, example_N)

    def _add(
        self, name: str, value_NH: Tensor, of_NH: Tensor | None, example_N: np.ndarray
    ) -> Tensor:
        """Sums over units for each example, over tokens for each unit; returns the former (N,)."""
        sum_N = value_NH.sum(1)
        self._sum(name, sum_N / self.units, None if of_NH is None else of_NH.sum(1), example_N)
        below = np.full(self.units, float(len(value_NH))) if of_NH is None else of_NH.sum(0).numpy()
        both = np.stack([value_NH.sum(0).numpy(), below]).astype(np.float64)
        self.of_unit[name] = self.of_unit.get(name, 0) + both
        return sum_N

    def _sum(
        self, name: str, above_N: Tensor, below_N: Tensor | None, example_N: np.ndarray
    ) -> None:
        sums = self.of_example.setdefault(name, np.zeros((2, self.examples)))
        weights = None if below_N is None else below_N.numpy() / self.units
        sums[0] += np.bincount(example_N, above_N.numpy(), minlength=self.examples)
        sums[1] += np.bincount(example_N, weights, minlength=self.examples)

    def values(self, rows_E: np.ndarray | None = None) -> dict[str, float]:
        """Each number over all examples, or over those at `rows_E` (with repeats)."""
        found = {}
        for name, sums in self.of_example.items():
            above, below = (sums if rows_E is None else sums[:, rows_E]).sum(axis=1)
            found[name] = float(above / below) if below else 0.0
        if "share_kept" in found:
            found["memory_scale"] = memory_scale(found["share_kept"])
        return found

    def unit_values(self) -> dict[str, np.ndarray]:
        """Each number of each unit (H,)."""
        found = {
            name: np.divide(above, below, out=np.zeros_like(above), where=below > 0)
            for name, (above, below) in self.of_unit.items()
        }
        if "share_kept" in found:
            found["memory_scale"] = memory_scale(found["share_kept"])
        return found

    def intervals(self, *, seed: int, resamples: int = RESAMPLES) -> dict[str, list[float]]:
        """The 95 % bootstrap interval of each number over examples."""
        drawn = self.resampled(seed=seed, resamples=resamples)
        return {name: np.percentile(one, (2.5, 97.5)).tolist() for name, one in drawn.items()}

    def resampled(self, *, seed: int, resamples: int = RESAMPLES) -> dict[str, np.ndarray]:
        """Each number over `resamples` draws of examples; the same seed draws the same ones."""
        sums = np.concatenate(list(self.of_example.values()))
        drawn = resample(sums, seed=seed, resamples=resamples)
        found = {
            name: drawn[2 * at] / np.maximum(drawn[2 * at + 1], 1e-12)
            for at, name in enumerate(self.of_example)
        }
        if "share_kept" in found:
            found["memory_scale"] = memory_scale(found["share_kept"])
        return found


def resample(sums_ME: np.ndarray, *, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """(M, resamples) sums over examples drawn with replacement; the same seed draws the same."""
    examples = sums_ME.shape[1]
    random = np.random.default_rng(seed)
    found = np.empty((len(sums_ME), resamples))
    for at in range(resamples):
        times_E = np.bincount(random.integers(0, examples, examples), minlength=examples)
        found[:, at] = sums_ME @ times_E
    return found


def memory_scale(share: Any) -> Any:
    """Steps until a state kept with this share at each step has faded to 1/e, about."""
    return (
        1 / np.maximum(1 - np.asarray(share), 1e-6) if np.ndim(share) else 1 / max(1 - share, 1e-6)
    )


def hoyer(values_NH: Tensor) -> Tensor:
    """(N,) sparsity after Hoyer (2004): (√H − ‖v‖₁/‖v‖₂) / (√H − 1); 0 where all are zero."""
    return _hoyer(values_NH.abs().sum(1), values_NH)


def _hoyer(sum_N: Tensor, values_NH: Tensor) -> Tensor:
    root = values_NH.shape[1] ** 0.5
    if root == 1:
        return torch.zeros(len(values_NH))
    found_N = (root - sum_N / values_NH.norm(dim=1).clamp(min=1e-12)) / (root - 1)
    return torch.where(sum_N > 0, found_N, 0.0)


def gini(values_NH: np.ndarray) -> np.ndarray:
    """(N,) sparsity after Gini (Hurley and Rickard 2009): 0 all alike, near 1 one unit has all."""
    sorted_NH = np.sort(np.abs(values_NH), axis=1)
    width = sorted_NH.shape[1]
    total_N = sorted_NH.sum(axis=1)
    weights_H = (width - np.arange(1, width + 1) + 0.5) / width
    found = 1 - 2 * (sorted_NH @ weights_H) / np.maximum(total_N, 1e-12)
    return np.where(total_N > 0, found, 0.0)


def response_sparsity(mean_WH: np.ndarray) -> dict[str, float]:
    """Hoyer and Gini of the expected responses, mean over words."""
    return {
        "response_hoyer": float(hoyer(torch.from_numpy(mean_WH)).mean()),
        "response_gini": float(gini(mean_WH).mean()),
    }
