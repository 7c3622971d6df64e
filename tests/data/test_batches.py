"""Batches and streams."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqcli.data.batches import blocks, bucket, count_blocks, stream

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


def test_streams_are_contiguous_and_blocks_follow_each_other():
    tokens = np.arange(23)
    streams = stream(tokens, 3)
    assert streams.tolist() == [list(range(7)), list(range(7, 14)), list(range(14, 21))]
    walked = list(blocks(streams, 4))
    assert len(walked) == count_blocks(streams, 4) == 2
    assert walked[0][0].tolist() == [[0, 1, 2, 3], [7, 8, 9, 10], [14, 15, 16, 17]]
    assert walked[0][1].tolist() == [[1, 2, 3, 4], [8, 9, 10, 11], [15, 16, 17, 18]]
    assert walked[1][0].tolist() == [[4, 5], [11, 12], [18, 19]]
    assert walked[1][1].tolist() == [[5, 6], [12, 13], [19, 20]]


def test_a_corpus_shorter_than_its_streams_takes_fewer():
    assert stream(np.arange(5), 32).shape == (2, 2)
    assert stream(np.arange(2), 32).shape == (1, 2)
