"""Counted runs of tokens against the equations of the paper, read with dictionaries."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from seqcli.data import kneser_ney
from seqcli.data.backoff import NONE, Backoff

LINE_END = 2
VOCABULARY = 7
Run = tuple[int, ...]


def draw_text(size: int, seed: int = 1) -> np.ndarray:
    """Tokens of which some follow others more often than chance has it."""
    random = np.random.default_rng(seed)
    common = random.integers(2, VOCABULARY - 1, 9)
    parts = [
        common[: random.integers(2, 9)] if random.random() < 0.6 else random.integers(2, 6, 3)
        for _ in range(size)
    ]
    return np.concatenate(parts)


class ByHand:
    """Chen and Goodman (1999), section 4.1.6 with the counts of Kneser and Ney: every sum as
    written, over all tokens."""

    def __init__(self, tokens: list[int], longest: int) -> None:
        self.counts: list[Counter[Run]] = []
        for length in range(1, longest + 1):
            runs = [tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1)]
            if length == longest:
                self.counts.append(Counter(runs))
                continue
            longer = {tuple(tokens[at : at + length + 1]) for at in range(len(tokens) - length)}
            before = Counter(run[1:] for run in longer)
            whole = Counter(runs)
            self.counts.append(
                Counter({run: whole[run] if run[0] == LINE_END else before[run] for run in whole})
            )
        self.discounts = []
        for counts in self.counts:
            n = [0, *(sum(one == times for one in counts.values()) for times in (1, 2, 3, 4))]
            if not (n[1] and n[2] and n[3]):
                self.discounts.append([0, 0.5, 0.5, 0.5])
                continue
            y = n[1] / (n[1] + 2 * n[2])
            found = [times - (times + 1) * y * n[times + 1] / n[times] for times in (1, 2, 3)]
            bounded = [min(max(one, 0), at) for at, one in enumerate(found, 1)]
            self.discounts.append([0, *bounded])

    def chance(self, token: int, before: Run) -> float:
        """p(token | before), of the last `longest` − 1 tokens that are given."""
        before = before[max(len(before) - len(self.counts) + 1, 0) :]
        shorter = self.chance(token, before[1:]) if before else 1 / VOCABULARY
        counts, discounts = self.counts[len(before)], self.discounts[len(before)]
        after = [counts.get((*before, w), 0) for w in range(VOCABULARY)]
        if not sum(after):
            return shorter
        own = counts.get((*before, token), 0)
        left = sum(discounts[min(count, 3)] for count in after)
        return (own - discounts[min(own, 3)]) / sum(after) + left / sum(after) * shorter


@pytest.mark.parametrize("longest", [1, 2, 3, 5])
def test_chances_are_those_of_the_paper(longest: int) -> None:
    train, text = draw_text(60), draw_text(15, seed=2)
    hand = ByHand(train.tolist(), longest)
    found = kneser_ney.count(train, VOCABULARY, longest, line_end=LINE_END)
    starts = np.array([0, 11])
    wanted = [
        hand.chance(int(text[at]), tuple(text[0 if at < 11 else 11 : at].tolist()))
        for at in range(len(text))
    ]
    np.testing.assert_allclose(found.chances(text, starts), wanted, rtol=1e-5)


def test_a_pair_by_hand() -> None:
    """After 3, once 4 and twice 5: with discounts of ½, ½ / 3 of the chance is taken off 4."""
    train = np.array([3, 4, 3, 5, 3, 5])
    found = kneser_ney.count(train, VOCABULARY, 2, line_end=LINE_END)
    # Before 3 stand 4 and 5; before 4 and 5 stands 3.
    single = {3: (2 - 0.5) / 4 + 1.5 / 4 / 7, 4: 0.5 / 4 + 1.5 / 4 / 7, 6: 1.5 / 4 / 7}
    p_V = found.distribution(found.extend(found.begin(1), np.array([3])))[0]
    assert p_V[4] == pytest.approx(0.5 / 3 + 1 / 3 * single[4], rel=1e-6)
    assert p_V[3] == pytest.approx(1 / 3 * single[3], rel=1e-6)
    assert p_V[6] == pytest.approx(1 / 3 * single[6], rel=1e-6)


def follow(counts: Backoff, text: np.ndarray) -> list[np.ndarray]:
    """The distribution before each token of a text."""
    runs, found = counts.begin(1), []
    for token in text:
        found.append(counts.distribution(runs)[0])
        runs = counts.extend(runs, np.array([token]))
    return found


@pytest.mark.parametrize("most", [1_000_000, 40, 0])
def test_distributions_sum_to_one_and_are_the_chances(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kneser_ney, "MOST_RUNS", most)
    text = draw_text(12, seed=5)
    counts = kneser_ney.count(draw_text(50), VOCABULARY, 4, line_end=LINE_END)
    assert sum(len(keys) for keys in counts.keys[2:]) <= most
    distributions = follow(counts, text)
    assert np.sum(distributions, axis=1) == pytest.approx(np.ones(len(text)), abs=1e-5)
    chances = [p_V[token] for p_V, token in zip(distributions, text, strict=True)]
    np.testing.assert_allclose(counts.chances(text, np.array([0])), chances, rtol=1e-5)


def test_runs_that_are_left_out_are_the_rarest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept has the same numbers as before; the rest is what the shorter runs say."""
    train = draw_text(80)
    whole = kneser_ney.count(train, VOCABULARY, 3, line_end=LINE_END)
    monkeypatch.setattr(kneser_ney, "MOST_RUNS", len(whole.keys[2]) // 2)
    part = kneser_ney.count(train, VOCABULARY, 3, line_end=LINE_END)
    for mine, theirs in zip(part[:2], whole[:2], strict=True):
        for length in range(2):
            assert np.array_equal(mine[length], theirs[length])
    assert 0 < len(part.keys[2]) < len(whole.keys[2])
    seen = Counter(zip(train.tolist(), train[1:].tolist(), train[2:].tolist(), strict=False))
    pairs = {number: divmod(int(key), VOCABULARY) for number, key in enumerate(whole.keys[1])}
    least = min(seen[(*pairs[key // VOCABULARY], key % VOCABULARY)] for key in part.keys[2])
    kept = sum(times >= least for times in seen.values())
    assert kept == len(part.keys[2])


def test_several_texts_go_on_by_themselves() -> None:
    counts = kneser_ney.count(draw_text(50), VOCABULARY, 4, line_end=LINE_END)
    random = np.random.default_rng(3)
    text_RT = random.integers(0, VOCABULARY, (5, 9))
    together = counts.begin(5)
    for tokens_R in text_RT.T:
        together = counts.extend(together, tokens_R)
    alone = [counts.begin(1) for _ in range(5)]
    for row, text in enumerate(text_RT):
        for token in text:
            alone[row] = counts.extend(alone[row], np.array([token]))
    assert np.array_equal(together, np.concatenate(alone))
    assert (together[:, 0] == text_RT[:, -1]).all()
    assert (together == NONE).any()


def test_tiny_texts() -> None:
    one = kneser_ney.count(np.array([4]), VOCABULARY, 5, line_end=LINE_END)
    assert one.longest == 1
    assert one.distribution(one.begin(2)).sum(1) == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="no tokens"):
        kneser_ney.count(np.array([], dtype=int), VOCABULARY, 5, line_end=LINE_END)


def test_the_end_of_a_long_text_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    train = draw_text(60)
    monkeypatch.setattr(kneser_ney, "MOST_TOKENS", 90)
    found = kneser_ney.count(train, VOCABULARY, 3, line_end=LINE_END)
    wanted = kneser_ney.count(train[-90:], VOCABULARY, 3, line_end=LINE_END)
    for part, other in zip(found, wanted, strict=True):
        for mine, theirs in zip(part, other, strict=True):
            assert np.array_equal(mine, theirs)
