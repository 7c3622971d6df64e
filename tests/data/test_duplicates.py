"""Nearly equal texts: against all pairs compared one by one, and hand-worked."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from seqcli.data.duplicates import find_duplicates
from seqcli.data.vocabulary import train_tokenizer


def shingle(text: str) -> set[tuple[str, str]]:
    words = ["", *text.split(), ""]
    return set(itertools.pairwise(words))


@pytest.mark.parametrize("least", [0.5, 0.8, 1.0])
def test_finds_what_comparing_all_pairs_finds(least: float) -> None:
    draw = random.Random(4)
    words = [f"w{i}" for i in range(60)]
    train = [" ".join(draw.choices(words, k=draw.randint(1, 14))) for _ in range(120)]
    test = []
    for _ in range(120):
        copied = draw.choice(train).split()
        for _ in range(draw.randint(0, 3)):
            copied[draw.randrange(len(copied))] = draw.choice(words)
        test.append(" ".join(copied))
    expected = [
        any(
            len(shingle(one) & shingle(two)) >= least * len(shingle(one) | shingle(two))
            for two in train
        )
        for one in test
    ]
    tokenizer = train_tokenizer("word", train)
    found = find_duplicates(tokenizer.encode(test), tokenizer.encode(train), least=least)
    np.testing.assert_array_equal(found, expected)
    assert 0 < sum(expected) < len(test)


def test_by_hand() -> None:
    train = ["the film was far too long for me and for my friends", "good"]
    tokenizer = train_tokenizer("word", train)
    test = [
        "the film was far too long for me and for my children",  # 11 of 15 shingles
        "the film was far too long for me and my friends",  # 11 of 14: "and my" is new
        "the film was far too long for me and for my friends",
        "good",
        "bad",
        "",
    ]
    found = find_duplicates(tokenizer.encode(test), tokenizer.encode(train), least=0.75)
    assert found.tolist() == [False, True, True, True, False, False]
