"""Batches and streams."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.batches import block_bounds, blocks, bucket, choose_budget, stream, tells

lengths_of_rows = st.lists(st.integers(1, 40), min_size=1, max_size=200).map(np.array)


@given(lengths_of_rows, st.integers(1, 100), st.integers(0, 3), st.integers(1, 3))
def test_every_row_comes_once_and_batches_keep_their_budget(lengths, budget, seed, epoch):
    batches = bucket(lengths, budget=budget, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or lengths[batch].sum() <= budget


@given(lengths_of_rows, st.integers(1, 100))
def test_order_depends_on_seed_and_epoch_alone(lengths, budget):
    def flat(seed, epoch):
        return np.concatenate(bucket(lengths, budget=budget, seed=seed, epoch=epoch)).tolist()

    assert flat(1, 1) == flat(1, 1)
    if len(lengths) > 100:
        assert flat(1, 1) != flat(1, 2)
        assert flat(1, 1) != flat(2, 1)


def test_rows_of_like_length_come_together():
    lengths = np.random.default_rng(0).integers(1, 60, size=5_000)
    batches = bucket(lengths, budget=1_000, seed=0)
    spread = np.mean([lengths[batch].max() - lengths[batch].min() for batch in batches])
    assert spread < 3


def test_rows_of_any_length_come_together_where_they_are_mixed():
    lengths = np.repeat([24, 32], 500)
    batches = bucket(lengths, budget=280, seed=0, mixed=True)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1_000))
    both = np.mean([len(set(lengths[batch])) == 2 for batch in batches])
    assert both > 0.95


def test_lengths_that_tell_labels():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, size=1_000)
    noise = random.integers(0, 20, size=1_000)
    assert tells(24 + 8 * labels, labels)
    assert tells(12 * labels + noise, labels)
    assert not tells(noise + labels, labels)
    assert not tells(np.sort(noise), np.sort(labels // 2))  # one label alone
    assert not tells(np.ones(1_000), np.sort(labels))  # one length, rows sorted by label
    assert not tells(noise, random.integers(0, 300, size=1_000))
    assert not tells(np.array([24, 32]), np.array([0, 1]))


def test_streams_are_contiguous_and_blocks_follow_each_other():
    tokens = np.arange(23)
    streams = stream(tokens, 3)
    assert streams.tolist() == [list(range(7)), list(range(7, 14)), list(range(14, 21))]
    bounds = block_bounds(6, 4)
    assert bounds.tolist() == [0, 4, 6]
    walked = list(blocks(streams, bounds))
    assert len(walked) == 2
    assert walked[0][0].tolist() == [[0, 1, 2, 3], [7, 8, 9, 10], [14, 15, 16, 17]]
    assert walked[0][1].tolist() == [[1, 2, 3, 4], [8, 9, 10, 11], [15, 16, 17, 18]]
    assert walked[1][0].tolist() == [[4, 5], [11, 12], [18, 19]]
    assert walked[1][1].tolist() == [[5, 6], [12, 13], [19, 20]]


def test_a_corpus_shorter_than_its_streams_takes_fewer():
    assert stream(np.arange(5), 32).shape == (2, 2)
    assert stream(np.arange(2), 32).shape == (1, 2)


def test_blocks_of_random_length_cover_the_streams():
    bounds = block_bounds(70_000, 70, seed=1, epoch=2)
    assert (bounds[0], bounds[-1]) == (0, 70_000)
    lengths = np.diff(bounds)[:-1]
    assert lengths.min() >= 5
    short = lengths < 52
    assert 0.02 < short.mean() < 0.09
    assert abs(lengths[short].mean() - 35) < 3
    assert abs(lengths[~short].mean() - 70) < 1
    assert 4 < lengths[~short].std() < 6
    assert np.array_equal(bounds, block_bounds(70_000, 70, seed=1, epoch=2))
    for seed, epoch in ((1, 3), (2, 2)):
        assert not np.array_equal(bounds, block_bounds(70_000, 70, seed=seed, epoch=epoch))
    for bptt in (1, 2, 13, 14, 200):  # short ones end with the text too
        assert block_bounds(30, bptt, seed=1)[-1] == 30
        assert (np.diff(block_bounds(30, bptt, seed=1)) > 0).all()


def test_a_budget_for_any_number_of_tokens() -> None:
    tokens = [1, 12_799, 20_000, 400_000, 500_000, 1_024_000, 1_500_000, 5_000_000]
    budgets = [64, 64, 100, 2_000, 2_048, 2_048, 3_000, 4_096]
    assert [choose_budget(count) for count in tokens] == budgets
