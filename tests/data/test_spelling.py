"""Numbers that say which word it is and how it is spelled: by hand, and as properties."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.spelling import CASES, DIGITS, MIXED, PLAIN, TITLE, UPPER, Spelling, case_of
from seqcli.data.tokens import UNK, WordTokenizer, tokenizer_from_json
from seqcli.data.vocabulary import train_tokenizer
from seqcli.errors import SeqcliError

WORDS = ["actor", "actress", "inventor", "invent", "in", "wait", "waits"]


def make_tokenizer(words: list[str], *, lowercase: bool = True) -> WordTokenizer:
    return WordTokenizer(words, lowercase, spelling=Spelling.learn(words))


def explain(number: int, tokenizer: WordTokenizer) -> tuple[str, int, str, str]:
    """Word, case, beginning and ending of a number, as the formula says."""
    assert tokenizer.spelling
    size, spelling = len(tokenizer.vocabulary), tokenizer.spelling
    code, word = divmod(number, size)
    both, case = divmod(code, CASES)
    ending, beginning = divmod(both, len(spelling.beginnings) + 1)
    first = spelling.beginnings[beginning - 1] if beginning else ""
    last = spelling.endings[ending - 1] if ending else ""
    return tokenizer.vocabulary[word], case, first, last


def test_beginnings_and_endings_are_those_that_two_words_share() -> None:
    spelling = Spelling.learn(WORDS)
    for parts, cut in (
        (spelling.beginnings, lambda word, n: word[:n]),
        (spelling.endings, lambda word, n: word[-n:]),
    ):
        counts = Counter(cut(word, n) for word in WORDS for n in (2, 3, 4) if len(word) >= n)
        assert set(parts) == {part for part, times in counts.items() if times > 1}
    assert Spelling.learn(WORDS + WORDS) == spelling


@pytest.mark.parametrize(
    ("word", "case"),
    [
        *(("word", PLAIN), (",", PLAIN), ("我", PLAIN), ("Word", TITLE), ("A", TITLE)),
        *(("USA", UPPER), ("U.S.", UPPER), ("iPhone", MIXED), ("McCoy", MIXED)),
        *(("1956", DIGITS), ("B2", DIGITS)),
    ],
)
def test_case(word: str, case: int) -> None:
    assert case_of(word) == case


def test_numbers_by_hand() -> None:
    tokenizer = make_tokenizer(WORDS)
    numbers = tokenizer.encode(["Actor INVENTOR's waits, Invents 1990 editor x"]).values.tolist()
    assert [explain(number, tokenizer) for number in numbers] == [
        ("actor", TITLE, "", ""),
        ("inventor", UPPER, "", ""),
        ("<unk>", PLAIN, "", ""),  # 's
        ("waits", PLAIN, "", ""),
        ("<unk>", PLAIN, "", ""),  # the comma
        ("<unk>", TITLE, "inve", ""),
        ("<unk>", DIGITS, "", ""),
        ("<unk>", PLAIN, "", "tor"),
        ("<unk>", PLAIN, "", ""),
    ]
    assert tokenizer.encode(["actor in"]).values.tolist() == [3, 7]


@given(st.lists(st.text(max_size=30), max_size=8))
@settings(max_examples=60, deadline=None)
def test_without_spelling_the_ids_are_the_same(texts: list[str]) -> None:
    plain = train_tokenizer("word", ["Straße Café don't U.S. 12,000", *texts[::2]], lowercase=True)
    assert isinstance(plain, WordTokenizer)
    spelled = replace(plain, spelling=Spelling.learn(plain.tokens))
    ids, numbers = plain.encode(texts), spelled.encode(texts)
    assert np.array_equal(numbers.values % len(plain.vocabulary), ids.values)
    assert np.array_equal(numbers.offsets, ids.offsets)
    for number in numbers.values.tolist():
        word, _, first, last = explain(number, spelled)
        assert word == "<unk>" or not first + last


def test_saved_and_read_again() -> None:
    tokenizer = make_tokenizer(WORDS)
    stored = json.loads(json.dumps(tokenizer.to_json()))
    again = tokenizer_from_json(stored)
    assert (
        again.encode(["Inventors"]).values.tolist()
        == tokenizer.encode(["Inventors"]).values.tolist()
    )
    assert "spelling" not in WordTokenizer(WORDS).to_json()
    for broken in (
        {"beginnings": ["ab"]},
        {"beginnings": ["abc"], "endings": []},
        {"beginnings": ["ab", "ab"], "endings": []},
        {"beginnings": [1], "endings": []},
        {"beginnings": ["a"], "endings": []},
    ):
        with pytest.raises(SeqcliError, match="corrupt"):
            tokenizer_from_json({**stored, "spelling": broken})


def test_a_chunk_whose_lower_case_is_longer_is_still_read() -> None:
    tokenizer = make_tokenizer(["i̇stanbul", "is"])
    assert explain(int(tokenizer.encode(["İstanbul"]).values[0]), tokenizer)[0] in (
        "i̇stanbul",
        "<unk>",
    )
    assert UNK == 0
