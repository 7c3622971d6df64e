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

MOST = 20
STABLE = 12
"""Numbers of clusters up to this are tried for stability; more are only offered on the page."""
SEEDS = 10
ALIKE = 0.02
"""Stabilities this close are equal; the silhouette decides between them."""


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
    def count(self) -> int:
        """K."""
        return int(max(self.words.max(initial=-1), self.units.max(initial=-1))) + 1


def cluster_all(
    mean_WH: np.ndarray, *, mode: str, seed: int, wanted: int | None
) -> tuple[dict[int, Clustering], int]:
    """Clusterings by number of clusters, and the number chosen: `wanted`, or the most stable over
    seeds (adjusted Rand index), then the one with the best silhouette.

    mode: absolute or raw. Raises SeqcliError where nothing responds, UsageError for more clusters
    than words or units.
    """
    rows, columns = _active(mean_WH, mode)
    block = mean_WH[rows][:, columns]
    most = min(MOST, *block.shape)
    if wanted is not None and wanted > min(block.shape):
        raise UsageError(
            f"--clusters {wanted}: there are only {block.shape[0]} words and {block.shape[1]} units"
        )
    if most < 2:
        raise SeqcliError(
            f"only {block.shape[0]} words and {block.shape[1]} units respond; nothing to cluster"
        )
    counts = sorted({*range(2, most + 1), *([wanted] if wanted else [])})
    with single_thread():
        stability = {
            count: _stability(block, mode, count, seed)
            for count in counts
            if count <= STABLE or count == wanted
        }
        found = {
            count: _clustering(mean_WH, rows, columns, mode, count, seed, stability.get(count))
            for count in counts
        }
    if wanted is not None:
        return found, wanted
    best = max(stability.values())
    stable = [count for count in stability if stability[count] >= best - ALIKE]
    return found, max(stable, key=lambda count: found[count].silhouette)


def cluster(mean_WH: np.ndarray, count: int, *, mode: str, seed: int) -> Clustering:
    """One clustering, without its stability."""
    rows, columns = _active(mean_WH, mode)
    with single_thread():
        return _clustering(mean_WH, rows, columns, mode, count, seed, None)


def _active(mean_WH: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Words and units to cluster: without the all-zero ones, on which the algorithm fails."""
    if mode == "raw":
        return np.arange(mean_WH.shape[0]), np.arange(mean_WH.shape[1])
    moved = np.abs(mean_WH) > 0
    return np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))


def _labels(
    block: np.ndarray, mode: str, count: int, seed: int, starts: int
) -> tuple[np.ndarray, np.ndarray]:
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
) -> Clustering:
    row_labels, column_labels = _labels(mean_WH[rows][:, columns], mode, count, seed, 10)
    words, units = np.full(len(mean_WH), -1), np.full(mean_WH.shape[1], -1)
    words[rows], units[columns] = row_labels, column_labels
    sizes = [(-(units == at).sum(), -(words == at).sum()) for at in range(count)]
    place = np.empty(count, dtype=int)
    place[sorted(range(count), key=lambda at: sizes[at])] = np.arange(count)
    words[rows], units[columns] = place[row_labels], place[column_labels]
    score = split_poles(mean_WH, words, units)
    silhouette, contrast = judge(mean_WH, words, units)
    return Clustering(words, units, score, stability, silhouette, contrast)


def split_poles(mean_WH: np.ndarray, words_W: np.ndarray, units_H: np.ndarray) -> np.ndarray:
    """(W,) the mean of σ_i · S[w, i] over the units of a word's own cluster (over all units where
    the cluster has none), with σ the signs of the block's leading right singular vector.

    A singular vector has no sign of its own: the pole with the larger sum is +.
    """
    score_W = np.zeros(len(mean_WH))
    for at in range(int(words_W.max(initial=-1)) + 1):
        chosen = words_W == at
        own = units_H == at
        block = mean_WH[chosen][:, own] if own.any() else mean_WH[chosen]
        if not block.size or not np.abs(block).any():
            continue
        leading = np.linalg.svd(block, full_matrices=False)[2][0]
        found = (block * np.where(leading < 0, -1.0, 1.0)).mean(axis=1)
        score_W[chosen] = found if found.sum() >= 0 else -found
    return score_W


def judge(mean_WH: np.ndarray, words_W: np.ndarray, units_H: np.ndarray) -> tuple[float, float]:
    """Silhouette of the words by their |S| (cosine), and mean |S| within the blocks over mean |S|
    outside them."""
    from sklearn.metrics import silhouette_score

    size = np.abs(mean_WH)
    rows = words_W >= 0
    labels = words_W[rows]
    silhouette = 0.0
    if 1 < len(np.unique(labels)) < rows.sum():
        silhouette = float(silhouette_score(size[rows], labels, metric="cosine"))
    inside = (words_W[:, None] == units_H[None, :]) & rows[:, None] & (units_H >= 0)[None, :]
    within = size[inside].mean() if inside.any() else 0.0
    outside = size[~inside].mean() if (~inside).any() else 0.0
    return silhouette, float(within / max(outside, 1e-12))


def links(mean_WH: np.ndarray, found: Clustering) -> dict[str, np.ndarray]:
    """Mean positive part and mean negative part of S of each pole of each word cluster towards
    each unit cluster, (2, K, K) by pole (+ first), words, units. Apart, because signed means
    cancel."""
    count = found.count
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
