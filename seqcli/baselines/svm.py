"""A linear support vector machine, and the sparse matrices that it is fitted to.

Dimensions: B rows, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SparseMatrix:
    """A sparse (B, F) matrix as the row, column and value of each entry, sorted by row."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def weigh(
        cls, rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, batch: int
    ) -> SparseMatrix:
        """The weights of the columns that come in each row, each row scaled to length one."""
        values = weights[columns]
        lengths = np.sqrt(np.bincount(rows, values * values, batch))
        return cls(rows, columns, values / lengths[rows], (batch, len(weights)))

    def multiply(self, vector: np.ndarray) -> np.ndarray:
        """(B,) X · vector."""
        return np.bincount(self.rows, self.values * vector[self.columns], self.shape[0])

    def multiply_transposed(self, vector: np.ndarray) -> np.ndarray:
        """(F,) Xᵀ · vector."""
        return np.bincount(self.columns, self.values * vector[self.rows], self.shape[1])


def separate(x: SparseMatrix, y: np.ndarray, *, cost: float = 2.0) -> np.ndarray:
    """(F,) the w of least |w|² / 2 + cost · Σ max(0, 1 − y w·x)², for (B,) y of −1 and 1.

    Truncated Newton (Keerthi and DeCoste 2005; Lin et al. 2008): the loss is quadratic as long as
    the same rows have slack, so conjugate gradients find the step with products by X and Xᵀ only.
    """
    w, scores = np.zeros(x.shape[1]), np.zeros(x.shape[0])
    enough = 0.0
    for _ in range(20):
        slack = np.maximum(0, 1 - y * scores)
        gradient = w - 2 * cost * x.multiply_transposed(y * slack)
        norm = float(np.linalg.norm(gradient))
        enough = enough or 0.01 * norm
        if norm <= enough:  # 0 where no feature tells anything
            break

        step, change = np.zeros_like(w), np.zeros_like(scores)
        residual = -gradient
        direction, square = residual, residual @ residual
        for _ in range(10):
            along = x.multiply(direction)
            curved = direction + 2 * cost * x.multiply_transposed((slack > 0) * along)
            size = square / (direction @ curved)
            step = step + size * direction
            change = change + size * along
            residual = residual - size * curved
            before, square = square, residual @ residual
            if square < (0.1 * norm) ** 2:
                break
            direction = residual + square / before * direction

        # Rows that gain or lose slack on the way can make the whole step too long.
        length = 1.0
        loss = _hinge_loss(w, y * scores, cost)
        while _hinge_loss(w + length * step, y * (scores + length * change), cost) > loss:
            length /= 2
        w, scores = w + length * step, scores + length * change
    return w


def _hinge_loss(w: np.ndarray, margins: np.ndarray, cost: float) -> float:
    slack = np.maximum(0, 1 - margins)
    return float(w @ w / 2 + cost * slack @ slack)
