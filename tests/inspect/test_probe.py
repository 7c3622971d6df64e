"""Probes: a property that is in the states, one that is not, and their control tasks."""

from __future__ import annotations

import numpy as np
import pytest

from seqcli.errors import SeqcliError, UsageError
from seqcli.inspect.probe import control_words, probe, property_values


def states(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """600 tokens of 60 texts: a state that knows a hidden bit and nothing of the word."""
    draw = np.random.default_rng(seed)
    bit = draw.integers(0, 2, 600)
    h = draw.normal(size=(600, 6)) + np.outer(2 * bit - 1, [3, 0, 0, 1, 0, 0])
    return h, bit, np.repeat(np.arange(60), 10)


def test_a_property_in_the_state_is_found_and_the_control_is_not() -> None:
    h, bit, texts = states()
    words = np.random.default_rng(1).integers(0, 50, 600)
    found = probe(h, [str(b) for b in bit], words, texts, name="bit", site="x", seed=1)
    assert found.accuracy > 0.95
    assert found.control < 0.7
    assert found.selectivity == pytest.approx(found.accuracy - found.control)
    nothing = np.random.default_rng(2).integers(0, 2, 600)
    missed = probe(h, [str(b) for b in nothing], words, texts, name="x", site="x", seed=1)
    assert missed.accuracy < 0.65


def test_words_learned_by_heart_show_no_selectivity() -> None:
    words = np.random.default_rng(1).integers(0, 12, 600)
    h = np.eye(12)[words]
    values = ["odd" if word % 2 else "even" for word in words]
    found = probe(h, values, words, np.repeat(np.arange(60), 10), name="x", site="x", seed=1)
    assert found.accuracy == 1.0
    assert found.control == 1.0


def test_a_property_of_one_value_is_no_property() -> None:
    h, _, texts = states()
    with pytest.raises(SeqcliError, match="'a' for every token"):
        probe(h, ["a"] * 600, texts, texts, name="x", site="x", seed=1)
    with pytest.raises(SeqcliError, match="two texts"):
        probe(h, ["a", "b"] * 300, texts, np.zeros(600, int), name="x", site="x", seed=1)


def test_properties_of_tokens() -> None:
    texts = np.array([0, 0, 0, 1, 1])
    strings = ["Not", "so", "wonderful", "so", "not"]
    assert property_values("capital", strings, texts, {}) == ["yes", "no", "no", "no", "no"]
    assert property_values("long", strings, texts, {})[2] == "yes"
    assert property_values("previous", strings, texts, {}) == ["^", "Not", "so", "^", "so"]
    seen = property_values("seen=not,never", strings, texts, {})
    assert seen == ["seen", "seen", "seen", "not yet", "seen"]
    assert property_values("tag", strings, texts, {"tag": list("abcab")}) == list("abcab")
    with pytest.raises(UsageError, match="--probe mood is not known"):
        property_values("mood", strings, texts, {})
    with pytest.raises(UsageError, match="--probe label is not known here; use tag, capital"):
        property_values("label", strings, texts, {"tag": list("abcab")})
    assert control_words("previous", np.array([5, 6, 7, 8, 9]), texts).tolist() == [0, 5, 6, 0, 8]
