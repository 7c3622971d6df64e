"""Words and units that go together: spectral co-clustering, and the two poles of each cluster.

Spectral co-clustering (Dhillon 2001) cuts the bipartite graph of words and units. Its weights must
not be negative, so the graph is |S|; a signed S is shifted by the algorithm, which mixes the signs
and finds other blocks (`raw`, as RNNVis does). Signs come back afterwards: each word cluster is
split into a + and a − cloud.

Dimensions: W words, H units, K clusters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from seqcli.errors import SeqcliError, UsageError

MOST = 20  # clusters
STABLE = 12
"""Numbers of clusters up to this are tried for stability; more are only offered on the page."""
SEEDS = 10
"""Clusterings whose agreement is the stability of a number of clusters."""
ALIKE = 0.02
"""Stabilities, and silhouettes, this close count as equal."""


class Clustering(NamedTuple):
    """K clusters at one site, ordered by units, then words.

    words (W,) and units (H,): the cluster of each, −1 where every response is zero. score (W,):
    pole score of a word, its sign the pole. stability: mean adjusted Rand index between seeds,
    None where it was not asked for. silhouette and contrast: see `judge`.
    """

    words: np.ndarray
    units: np.ndarray
    score: np.ndarray
    stability: float | None
    silhouette: float
    contrast: float

    @property
    def size(self) -> int:
        """K."""
        return int(max(self.words.max(initial=-1), self.units.max(initial=-1))) + 1


def cluster_all(
    mean_WH: np.ndarray,
    *,
    mode: str,
    seed: int,
    wanted: int | None,
    toward: np.ndarray | None = None,
) -> tuple[dict[int, Clustering], int]:
    """Clusterings by number of clusters, and the number chosen: `wanted`, or the most stable over
    seeds (adjusted Rand index), then the best separated (silhouette), then the finest.

    mode: absolute or raw. toward: (H,) a direction of the states that the + poles should have, such
    as the weights of a label. Raises SeqcliError where nothing responds, UsageError for more
    clusters than words or units.
    """
    rows, columns = _active(mean_WH, mode)
    block = mean_WH[rows][:, columns]
    guide_W = mean_WH @ main_direction(mean_WH, toward)
    most = min(MOST, *block.shape)
    if wanted is not None and wanted > min(block.shape):
        raise UsageError(
            f"--clusters {wanted} is more than there are words ({block.shape[0]}) or units "
            f"({block.shape[1]})"
        )
    if most < 1:
        raise SeqcliError("no unit responds to any of the words; there is nothing to look at")
    if most == 1:  # a single word or unit, which no cut divides
        with single_thread():
            whole = _clustering(mean_WH, rows, columns, mode, 1, seed, None, guide_W)
        return {1: whole}, 1
    counts = sorted({*range(2, most + 1), *([wanted] if wanted else [])})
    with single_thread():
        stability = {
            count: _stability(block, mode, count, seed)
            for count in counts
            if count <= STABLE or count == wanted
        }
        found = {
            count: _clustering(
                mean_WH, rows, columns, mode, count, seed, stability.get(count), guide_W
            )
            for count in counts
        }
    if wanted is not None:
        return found, wanted
    most_stable = max(stability.values())
    stable = [count for count in stability if stability[count] >= most_stable - ALIKE]
    best = max(found[count].silhouette for count in stable)
    return found, max(count for count in stable if found[count].silhouette >= best - ALIKE)


def cluster(mean_WH: np.ndarray, count: int, *, mode: str, seed: int) -> Clustering:
    """One clustering, without its stability."""
    rows, columns = _active(mean_WH, mode)
    guide_W = mean_WH @ main_direction(mean_WH, None)
    with single_thread():
        return _clustering(mean_WH, rows, columns, mode, count, seed, None, guide_W)


def _active(mean_WH: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Words and units to cluster: without the all-zero ones, on which the algorithm fails."""
    if mode == "raw":
        return np.arange(mean_WH.shape[0]), np.arange(mean_WH.shape[1])
    moved = np.abs(mean_WH) > 0
    return np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))


def _labels(
    block: np.ndarray, mode: str, count: int, seed: int, starts: int
) -> tuple[np.ndarray, np.ndarray]:
    if count == 1:
        return np.zeros(len(block), dtype=int), np.zeros(block.shape[1], dtype=int)
    from sklearn.cluster import SpectralCoclustering

    model = SpectralCoclustering(n_clusters=count, random_state=seed, n_init=starts)
    model.fit(block if mode == "raw" else np.abs(block))
    return np.asarray(model.row_labels_), np.asarray(model.column_labels_)


def _stability(block: np.ndarray, mode: str, count: int, seed: int) -> float:
    """Mean adjusted Rand index between clusterings of words and units from several seeds, each
    from a single start: a cut that is not there is cut differently every time."""
    from sklearn.metrics import adjusted_rand_score

    found = [np.concatenate(_labels(block, mode, count, seed + at, 1)) for at in range(SEEDS)]
    pairs = [
        adjusted_rand_score(found[one], found[other])
        for one in range(SEEDS)
        for other in range(one)
    ]
    return float(np.mean(pairs))


def _clustering(
    mean_WH: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    mode: str,
    count: int,
    seed: int,
    stability: float | None,
    guide_W: np.ndarray,
) -> Clustering:
    row_labels, column_labels = _labels(mean_WH[rows][:, columns], mode, count, seed, 10)
    words, units = np.full(len(mean_WH), -1), np.full(mean_WH.shape[1], -1)
    words[rows], units[columns] = row_labels, column_labels
    sizes = [(-(units == at).sum(), -(words == at).sum()) for at in range(count)]
    place = np.empty(count, dtype=int)
    place[sorted(range(count), key=lambda at: sizes[at])] = np.arange(count)
    words[rows], units[columns] = place[row_labels], place[column_labels]
    score = split_poles(mean_WH, words, units, guide_W)
    silhouette, contrast = judge(mean_WH, words, units)
    return Clustering(words, units, score, stability, silhouette, contrast)


def main_direction(mean_WH: np.ndarray, toward: np.ndarray | None) -> np.ndarray:
    """(H,) the direction along which the responses differ most: the leading right singular vector,
    turned `toward` a given direction, or else so that the responses along it have a sum above 0."""
    if not np.abs(mean_WH).any():
        return np.zeros(mean_WH.shape[1])
    leading = leading_vector(mean_WH)
    side = leading @ toward if toward is not None else (mean_WH @ leading).sum()
    return -leading if side < 0 else leading


def leading_vector(block: np.ndarray) -> np.ndarray:
    """The leading right singular vector, from the smaller of the two Gram matrices."""
    exact = block.astype(np.float64)
    if exact.shape[0] >= exact.shape[1]:
        return np.linalg.eigh(exact.T @ exact)[1][:, -1]
    found = exact.T @ np.linalg.eigh(exact @ exact.T)[1][:, -1]
    return found / np.linalg.norm(found)


def split_poles(
    mean_WH: np.ndarray, words_W: np.ndarray, units_H: np.ndarray, guide_W: np.ndarray
) -> np.ndarray:
    """(W,) the mean of σ_i · S[w, i] over the units of a word's own cluster (over all units where
    the cluster has none), with σ the signs of the block's leading right singular vector.

    A singular vector has no sign of its own: each cluster is turned to agree with `guide_W` (W,),
    so that + means the same in all of them.
    """
    score_W = np.zeros(len(mean_WH))
    for at in range(int(words_W.max(initial=-1)) + 1):
        chosen = words_W == at
        own = units_H == at
        block = mean_WH[chosen][:, own] if own.any() else mean_WH[chosen]
        if not block.size or not np.abs(block).any():
            continue
        leading = leading_vector(block)
        found = (block * np.where(leading < 0, -1.0, 1.0)).mean(axis=1)
        score_W[chosen] = found if found @ guide_W[chosen] >= 0 else -found
    return score_W


def judge(mean_WH: np.ndarray, words_W: np.ndarray, units_H: np.ndarray) -> tuple[float, float]:
    """Silhouette of the words by their |S| (cosine), and mean |S| within the blocks over mean |S|
    outside them; 0 and 1 where nothing is outside."""
    from sklearn.metrics import silhouette_score

    size = np.abs(mean_WH)
    rows = words_W >= 0
    labels = words_W[rows]
    silhouette = 0.0
    if 1 < len(np.unique(labels)) < rows.sum():
        silhouette = float(silhouette_score(size[rows], labels, metric="cosine"))
    clustered = rows[:, None] & (units_H >= 0)[None, :]
    same = words_W[:, None] == units_H[None, :]
    inside, beside = clustered & same, clustered & ~same
    within = size[inside].mean() if inside.any() else 0.0
    outside = size[beside].mean() if beside.any() else within
    return silhouette, float(within / max(outside, 1e-12))


def links(mean_WH: np.ndarray, found: Clustering) -> dict[str, np.ndarray]:
    """Mean positive part and mean negative part of S of each pole of each word cluster towards
    each unit cluster, (2, K, K) by pole (+ first), words, units. Apart, because signed means
    cancel."""
    count = found.size
    up, down = np.zeros((2, count, count)), np.zeros((2, count, count))
    for pole in range(2):
        for one in range(count):
            chosen = (found.words == one) & ((found.score >= 0) == (pole == 0))
            for other in range(count):
                block = mean_WH[chosen][:, found.units == other]
                if block.size:
                    up[pole, one, other] = np.maximum(block, 0).mean()
                    down[pole, one, other] = np.minimum(block, 0).mean()
    return {"positive": up, "negative": down}


@contextmanager
def single_thread() -> Iterator[None]:
    """The small products of clustering are slower with threads than without."""
    need_sklearn()
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def need_sklearn() -> Any:
    """scikit-learn. Raises SeqcliError where it is not installed."""
    try:
        import sklearn
    except ImportError:
        raise SeqcliError(
            "inspect and compare need scikit-learn; install it with: pip install 'seqcli[inspect]'"
        ) from None
    return sklearn
