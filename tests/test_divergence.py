"""Whether losses that stay finite have come to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from seqcli.divergence import Level


def judge(losses: np.ndarray) -> list[int]:
    """The updates, from 1, after which the level says that the training diverged."""
    level, found = Level(), []
    for update, loss in enumerate(losses, 1):
        level.add(float(loss))
        if level.diverged():
            found.append(update)
    return found


def noisy(means: np.ndarray) -> np.ndarray:
    return means * np.random.default_rng(1).lognormal(0, 0.3, len(means))


FALLING = np.linspace(4.2, 1.4, 300)


def test_healthy_trainings_are_left_alone() -> None:
    assert not judge(noisy(FALLING))
    assert not judge(noisy(np.full(300, 4.2)))  # nothing learnt is not worse than untrained
    by_heart = np.concatenate([np.geomspace(2, 0.001, 300), np.full(200, 0.02)])
    assert not judge(noisy(by_heart))
    rough = np.concatenate([np.full(10, 4.2), np.full(30, 9.0), FALLING])  # a wild beginning
    assert not judge(rough)
    spike = np.concatenate([FALLING, [40.0], np.full(100, 1.4)])  # one odd batch
    assert not judge(spike)


@pytest.mark.parametrize("height", [5.0, 6.0, 50.0, 1e30])
def test_a_loss_that_blows_up_is_noticed(height: float) -> None:
    blown = np.concatenate([FALLING, np.full(200, 1.4), np.full(200, height)])
    assert 500 < judge(blown)[0] < 650


def test_much_of_what_was_learned_is_lost() -> None:
    """Losses of a normalised language model whose steps were too long, by epochs."""
    epochs = [2.18, 1.70, 1.64, 1.63, 1.66, 2.09, 2.85, 2.71, 2.71, 2.62]
    losses = np.concatenate([np.linspace(4.2, 2.2, 100), np.repeat(epochs, 491)])
    assert 100 + 6 * 491 < judge(noisy(losses))[0] < 100 + 7 * 491
    assert not judge(noisy(losses[: 100 + 5 * 491]))


def test_a_blow_up_within_the_first_updates_is_noticed() -> None:
    assert judge(np.concatenate([[4.2, 4.2], np.full(150, 12.0)]))


def test_the_running_level_is_the_mean_of_the_weighted_losses() -> None:
    losses = np.random.default_rng(2).random(70)
    level = Level()
    for loss in losses:
        level.add(float(loss))
    weights = 0.98 ** np.arange(70)[::-1]
    assert level.level == pytest.approx((weights * losses).sum() / weights.sum())
