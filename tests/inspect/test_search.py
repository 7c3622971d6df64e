"""State-pattern search against trying every span."""

from __future__ import annotations

import numpy as np
import pytest

from seqcli.errors import UsageError
from seqcli.inspect.checks import parse_span
from seqcli.inspect.search import Match, find_spans, nearest, pattern


def every_span(
    h: np.ndarray, texts: np.ndarray, wanted: np.ndarray, threshold: float, longest: int
) -> list[Match]:
    """All spans, ranked as the definition says."""
    found = []
    for begin in range(len(h)):
        for end in range(begin + 1, min(begin + longest, len(h)) + 1):
            if texts[end - 1] != texts[begin]:
                break
            active = pattern(h[begin:end], threshold)
            shared = int(((active == wanted) & (wanted != 0)).sum())
            union = int((active != 0).sum() + (wanted != 0).sum()) - shared
            found.append(Match(begin, end, shared, union))
    return sorted(found, key=lambda m: (-m.shared, m.union, m.begin - m.end, m.begin))


def test_spans_are_those_that_trying_all_finds() -> None:
    draw = np.random.default_rng(0)
    h, texts = draw.normal(size=(60, 9)), np.repeat(np.arange(6), 10)
    wanted = pattern(h[12:14], 0.3)
    ranked = every_span(h, texts, wanted, 0.3, 4)
    taken, true = np.zeros(60, dtype=bool), []
    for match in ranked:
        if match.shared and not taken[match.begin : match.end].any():
            taken[match.begin : match.end] = True
            true.append(match)
    found = find_spans(h, texts, wanted, threshold=0.3, longest=4, count=12)
    assert found == true[:12]


def test_a_pattern_has_two_sides() -> None:
    h = np.array([[0.9, -0.9, 0.9, 0.1], [0.8, -0.7, -0.9, 0.2]])
    assert pattern(h, 0.5).tolist() == [1, -1, 0, 0]
    mirrored = find_spans(-h, np.zeros(2), pattern(h, 0.5), threshold=0.5, longest=2, count=3)
    assert mirrored == []  # the same units with the other sign are another pattern


def test_nearest_states_by_cosine() -> None:
    h = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [0.0, 0.0]])
    found = nearest(h, np.array([0.0, 0.5]), 3)
    assert [at for at, _ in found] == [1, 2, 0]
    assert found[0][1] == pytest.approx(1.0)
    assert found[1][1] == pytest.approx(0.5**0.5)


def test_spans_as_they_are_written() -> None:
    assert parse_span(None, 5) == (0, 5)
    assert parse_span("1:3", 5) == (1, 3)
    assert parse_span("-2:", 5) == (3, 5)
    for wrong in ("3:3", "9:12", "2", "a:b"):
        with pytest.raises(UsageError, match="--span"):
            parse_span(wrong, 5)
