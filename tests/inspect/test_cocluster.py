"""Clusters and poles: scikit-learn's on the same matrix, and planted blocks."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from seqcli.errors import SeqcliError, UsageError
from seqcli.inspect.cocluster import (
    cluster,
    cluster_all,
    judge,
    leading_vector,
    links,
    main_direction,
    split_poles,
)

SpectralCoclustering = pytest.importorskip("sklearn.cluster").SpectralCoclustering
adjusted_rand_score = pytest.importorskip("sklearn.metrics").adjusted_rand_score


def blocks(seed: int = 0, *, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """36 words × 24 units in three blocks; in each the words have two opposite signs."""
    draw = np.random.default_rng(seed)
    words, units = np.repeat(np.arange(3), 12), np.repeat(np.arange(3), 8)
    sign_W = np.where(np.arange(36) % 2, 1.0, -1.0)
    sign_H = np.where(draw.random(24) < 0.5, 1.0, -1.0)
    mean = (words[:, None] == units[None, :]) * sign_W[:, None] * sign_H[None, :]
    mean = mean * (0.6 + 0.4 * draw.random((36, 24))) + noise * draw.normal(size=(36, 24))
    return mean, words, units


@pytest.mark.parametrize("count", [2, 3, 5])
def test_raw_mode_is_scikit_learn_on_the_signed_matrix(count: int) -> None:
    mean, _, _ = blocks(noise=0.3)
    found = cluster(mean, count, mode="raw", seed=4)
    true = SpectralCoclustering(n_clusters=count, random_state=4).fit(mean)
    assert adjusted_rand_score(found.words, true.row_labels_) == 1.0
    assert adjusted_rand_score(found.units, true.column_labels_) == 1.0


def test_absolute_mode_is_scikit_learn_on_sizes() -> None:
    mean, _, _ = blocks()
    found = cluster(mean, 3, mode="absolute", seed=4)
    true = SpectralCoclustering(n_clusters=3, random_state=4).fit(np.abs(mean))
    assert adjusted_rand_score(found.words, true.row_labels_) == 1.0
    assert adjusted_rand_score(found.units, true.column_labels_) == 1.0


def test_planted_blocks_and_poles_are_found() -> None:
    mean, words, units = blocks()
    clusterings, chosen = cluster_all(mean, mode="absolute", seed=1, wanted=None)
    assert chosen == 3
    found = clusterings[3]
    assert found.stability == 1.0
    assert adjusted_rand_score(found.words, words) == 1.0
    assert adjusted_rand_score(found.units, units) == 1.0
    # Words and units of one block have one label.
    assert all(
        found.words[np.flatnonzero(words == at)[0]] == found.units[np.flatnonzero(units == at)[0]]
        for at in range(3)
    )
    for at in range(3):
        signs = np.sign(found.score[words == at])
        assert abs(signs @ np.where(np.arange(12) % 2, 1, -1)) == 12
    assert found.contrast > 5
    assert found.silhouette > 0.8


def test_signed_clustering_loses_what_sizes_show() -> None:
    """Why the default is not RNNVis's: on signed blocks the shifted matrix finds other groups."""
    mean, words, _ = blocks()
    raw = cluster(mean, 3, mode="raw", seed=1)
    assert adjusted_rand_score(raw.words, words) < 0.5


def test_words_and_units_without_any_response_stay_out() -> None:
    mean, _, _ = blocks()
    mean[5], mean[:, 7] = 0.0, 0.0
    found = cluster(mean, 3, mode="absolute", seed=1)
    assert found.words[5] == -1
    assert found.units[7] == -1
    assert (np.delete(found.words, 5) >= 0).all()
    assert found.score[5] == 0


def test_nothing_to_cluster() -> None:
    with pytest.raises(SeqcliError, match="no unit responds"):
        cluster_all(np.zeros((5, 4)), mode="absolute", seed=1, wanted=None)
    with pytest.raises(UsageError, match=r"9 is more than .* words \(36\) or units \(8\)"):
        cluster_all(blocks()[0][:, :8], mode="absolute", seed=1, wanted=9)


def test_pole_scores_follow_their_definition() -> None:
    mean, words, units = blocks()
    guide = mean @ main_direction(mean, None)
    score = split_poles(mean, words, units, guide)
    for at in range(3):
        block = mean[words == at][:, units == at]
        vector = np.linalg.svd(block)[2][0]
        true = (block * np.sign(vector)).mean(axis=1)
        true = true if true @ guide[words == at] >= 0 else -true
        assert np.allclose(score[words == at], true)


def test_a_cluster_of_words_alone_still_has_poles() -> None:
    mean, words, units = blocks()
    units = np.where(units == 2, 1, units)
    score = split_poles(mean, words, units, mean @ main_direction(mean, None))
    assert np.abs(score[words == 2]).min() > 0


def test_poles_turn_towards_a_direction() -> None:
    mean, _, _ = blocks()
    leading = leading_vector(mean)
    assert np.isclose(abs(leading @ np.linalg.svd(mean)[2][0]), 1.0)
    assert main_direction(mean, leading) @ leading > 0
    assert main_direction(mean, -leading) @ leading < 0


def test_links_keep_signs_apart() -> None:
    mean, _, _ = blocks()
    found = cluster(mean, 3, mode="absolute", seed=1)
    both = links(mean, found)
    chosen = (found.words == 0) & (found.score >= 0)
    block = mean[chosen][:, found.units == 0]
    assert np.isclose(both["positive"][0, 0, 0], np.maximum(block, 0).mean())
    assert np.isclose(both["negative"][0, 0, 0], np.minimum(block, 0).mean())


def test_quality_of_known_blocks() -> None:
    mean = np.array([[1.0, 0.1], [-1.0, 0.1], [0.1, 2.0], [0.1, 2.0]])
    silhouette, contrast = judge(mean, np.array([0, 0, 1, 1]), np.array([0, 1]))
    assert np.isclose(contrast, 1.5 / 0.1)
    assert silhouette > 0.9


def test_without_scikit_learn_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(SeqcliError, match=r"pip install 'seqcli\[inspect\]'"):
        cluster(blocks()[0], 3, mode="absolute", seed=1)


def test_a_single_unit_is_one_cluster_of_two_poles() -> None:
    mean = np.array([[0.5], [-0.3], [0.2], [0.0]])
    found, chosen = cluster_all(mean, mode="absolute", seed=1, wanted=None)
    assert (list(found), chosen) == ([1], 1)
    assert found[1].words.tolist() == [0, 0, 0, -1]
    assert found[1].units.tolist() == [0]
    assert np.sign(found[1].score).tolist() == [1, -1, 1, 0]
    assert (found[1].stability, found[1].silhouette, found[1].contrast) == (None, 0.0, 1.0)
