"""Classes of unlike size: weights of rows, draws of the training rows of an epoch, focal loss.

Dimensions: R rows of a split, B rows of a batch, L labels.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def weigh(labels_R: np.ndarray) -> np.ndarray:
    """(R,) float32: each row's weight R / (L · rows of its label), so that every label weighs the
    same in sum and the mean weight is 1 (King and Zeng 2001). L counts the labels that come."""
    counts_L = np.bincount(labels_R)
    weights_L = len(labels_R) / (np.count_nonzero(counts_L) * np.maximum(counts_L, 1))
    return weights_L[labels_R].astype(np.float32)


def draw(labels_R: np.ndarray, *, over: bool, seed: int, epoch: int) -> np.ndarray:
    """Rows of an epoch in which every label comes as often as the largest (over) or the smallest.

    A label that is too small has each of its rows whole times, and some of them, drawn without
    replacement, once more; one that is too large has as many of its rows drawn. Depends on the
    labels, seed and epoch alone, so a resumed training sees the same rows. Returns row indices.
    """
    random = np.random.default_rng([seed, epoch, 1])  # 1: not the stream that shuffles batches
    order = np.argsort(labels_R, kind="stable")
    counts_L = np.bincount(labels_R)
    sizes = counts_L[counts_L > 0]
    size = int(sizes.max() if over else sizes.min())
    drawn = []
    for rows in np.split(order, np.cumsum(sizes)[:-1]):
        whole, rest = divmod(size, len(rows))
        drawn.append(np.tile(rows, whole))
        drawn.append(random.choice(rows, rest, replace=False))
    return np.concatenate(drawn)


def focal_loss(
    scores_BL: Tensor, gold_B: Tensor, *, gamma: float, smoothing: float = 0.0
) -> Tensor:
    """(B,) cross-entropy in nats, scaled by (1 − p)^gamma, p the probability of the true label:
    rows that are easy count little (Lin et al. 2017). gamma 0 is the plain cross-entropy."""
    loss_B = F.cross_entropy(scores_BL, gold_B, label_smoothing=smoothing, reduction="none")
    if not gamma:
        return loss_B
    log_B = -F.cross_entropy(scores_BL, gold_B, reduction="none")
    # −expm1 keeps the slope finite where p is 1 to the last digit; the floor does so for gamma < 1.
    return (-torch.expm1(log_B)).clamp_min(1e-6).pow(gamma) * loss_B
