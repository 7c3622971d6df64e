"""The kernel that follows counted runs against the equations in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqcli.data import kneser_ney
from seqcli.nn.native import status
from seqcli.nn.native.counts import Follower

pytestmark = pytest.mark.skipif(not status().available, reason=status().reason)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("vocabulary", "longest"), [(5, 1), (5, 2), (40, 4), (40, 7), (9_000, 3)])
def test_the_kernel_gives_the_same_bits(vocabulary: int, longest: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    random = np.random.default_rng(longest)
    train = np.minimum(random.zipf(1.4, 3_000), vocabulary) - 1
    counts = kneser_ney.count(train, vocabulary, longest, line_end=2)
    text_TR = np.stack(
        [train[:40], train[500:540], random.integers(0, vocabulary, 40), *[train[7:47]] * 14]
    ).T
    try:
        follower, runs = Follower(counts), counts.begin(text_TR.shape[1])
        unchanged = runs.copy()
        for tokens_R in text_TR:
            wanted, chances = counts.follow(runs, tokens_R)
            found, same = follower.follow(runs, tokens_R)
            assert np.array_equal(runs, unchanged)
            assert np.array_equal(found, wanted)
            assert np.array_equal(same, chances)
            runs, unchanged = found, found.copy()
    finally:
        torch.set_num_threads(before)
    assert longest == 1 or (runs >= 0).any()


@pytest.mark.parametrize("token", [-1, 5])
def test_a_token_outside_the_vocabulary(token: int) -> None:
    counts = kneser_ney.count(np.array([2, 3, 4, 3, 4]), 5, 3, line_end=2)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        Follower(counts).follow(counts.begin(2), np.array([3, token]))
