"""Tokenizers against hand-worked cases, and their promises as properties."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.sequences import Sequences
from seqcli.data.tokens import BOS, EOS, SPECIALS, UNK, tokenizer_from_json
from seqcli.data.vocabulary import choose_kind, train_tokenizer
from seqcli.data.words import split_chunk
from seqcli.errors import SeqcliError, UsageError

KINDS = ["word", "character", "bpe"]
ENGLISH = [
    "I don't want to fly on December 12th, do you?",
    "It's $12,000.50 at 10:45 a.m. in the U.S.!",
    "He said \"no\" (twice) -- l'homme aujourd'hui...",
    "state-of-the-art café, 50% off; e.g. foo_bar 3-4",
]
CHINESE = ["我想12月3日从北京去上海，谢谢！", "好吃", "送餐很快 OK"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't, we've Beijing's", "Do n't , we 've Beijing 's"),
        ("l'homme qu’il aujourd'hui", "l' homme qu’ il aujourd' hui"),
        ("12,000 3.5 10:45 12th 5%", "12,000 3.5 10:45 12th 5 %"),
        ("the U.S. at 9 a.m., Mr. X", "the U.S. at 9 a.m. , Mr . X"),
        ("do n't -LRB- <unk> @-@ ... `` ''", "do n't -LRB- <unk> @-@ ... `` ''"),
        ("我想12月3日去OK", "我 想 12 月 3 日 去 OK"),
        ("ひらがなカナ漢字", "ひ ら が な カ ナ 漢 字"),
        ("한국어 텍스트.", "한국어 텍스트 ."),
        ("हिन्दी में, cafe\u0301", "हिन्दी में , cafe\u0301"),
        ("mother-in-law (x)!!", "mother - in - law ( x ) ! !"),
    ],
)
def test_words_of_a_text(text: str, words: str) -> None:
    assert train_tokenizer("word", [], joiner=False).split(text) == words.split()


def test_joiner_marks_punctuation_rather_than_words() -> None:
    assert split_chunk('"Yes,"', joiner=True) == ['"￭', "Yes", "￭,", '￭"']
    assert split_chunk("in-law", joiner=True) == ["in", "￭-￭", "law"]
    assert split_chunk("don't", joiner=True) == ["do", "￭n't"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [ENGLISH, CHINESE])
def test_known_text_comes_back(kind: str, texts: list[str]) -> None:
    tokenizer = train_tokenizer(kind, texts, joiner=True)
    encoded = tokenizer.encode(texts, bos=True, eos=True)
    assert [tokenizer.decode(encoded.row(i)) for i in range(len(texts))] == texts
    assert (encoded.values[encoded.offsets[:-1]] == BOS).all()
    assert (encoded.values[encoded.offsets[1:] - 1] == EOS).all()
    assert encoded.values.dtype == np.int32
    assert encoded.offsets.dtype == np.int64


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    bpe = train_tokenizer("bpe", ENGLISH, vocabulary_size=300)
    assert bpe.decode(bpe.encode([text]).values) == text
    character = train_tokenizer("character", [text])
    assert character.decode(character.encode([text]).values) == text
    if "￭" not in text:
        word = train_tokenizer("word", [text], joiner=True)
        expected = [chunk for chunk in text.split() if chunk != "<unk>"]
        assert word.decode(word.encode([text]).values).split() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_depend_on_their_neighbours(kind: str) -> None:
    tokenizer = train_tokenizer(kind, ENGLISH)
    texts = ["", *ENGLISH, "never seen ☃", "", "<bos> </s> <eos>"]
    for flags in [{}, {"bos": True}, {"eos": True}, {"bos": True, "eos": True}]:
        together = tokenizer.encode(texts, **flags)
        assert len(together) == len(texts)
        for i, text in enumerate(texts):
            assert together.row(i).tolist() == tokenizer.encode([text], **flags).values.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_text_cannot_spell_special_ids_and_is_never_empty(kind: str) -> None:
    tokenizer = train_tokenizer(kind, [*ENGLISH, "<bos> <eos> <unk>"])
    ids = tokenizer.encode(["<bos> a <eos>"]).values
    assert BOS not in ids
    assert EOS not in ids
    assert tokenizer.encode(["", ""]).values.tolist() == [UNK, UNK]
    assert tokenizer.encode([""], eos=True).values.tolist() == [EOS]
    assert len(tokenizer.encode([])) == 0
    assert tokenizer.decode([UNK, BOS, EOS]) == ""
    assert tokenizer.vocabulary[:3] == list(SPECIALS)


@pytest.mark.parametrize("kind", KINDS)
def test_json_keeps_everything(kind: str) -> None:
    tokenizer = train_tokenizer(kind, ENGLISH, lowercase=True, joiner=True)
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again == tokenizer
    assert again.kind == kind
    texts = ["DO YOU want twelve?", ENGLISH[1]]
    assert again.encode(texts).values.tolist() == tokenizer.encode(texts).values.tolist()
    assert again.split(texts[0]) == tokenizer.split(texts[0])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kind": "word", "tokens": ["a", "a"], "lowercase": False, "joiner": False},
        {"kind": "word", "tokens": ["a"], "lowercase": "no", "joiner": False},
        {"kind": "word", "tokens": [1], "lowercase": False, "joiner": False},
        {"kind": "word", "tokens": 7, "lowercase": False, "joiner": False},
        {"kind": "character", "tokens": ["ab"], "lowercase": False},
        {"kind": "bpe", "tokens": ["a", "b"], "merges": ["a b"], "lowercase": False},
        {"kind": "bpe", "tokens": ["a", "b"], "merges": [3], "lowercase": False},
        {"kind": "wordpiece", "tokens": ["a"], "lowercase": False},
        ["word"],
    ],
)
def test_corrupt_json_is_refused(values: dict) -> None:
    with pytest.raises(SeqcliError, match="tokenizer is corrupt"):
        tokenizer_from_json(values)


def test_vocabulary_by_falling_count_then_string() -> None:
    texts = ["b a c c", "a b d"]
    tokenizer = train_tokenizer("word", texts)
    assert tokenizer.vocabulary == [*SPECIALS, "a", "b", "c", "d"]
    assert train_tokenizer("word", texts, min_count=2).vocabulary[3:] == ["a", "b", "c"]
    assert train_tokenizer("word", texts, vocabulary_size=2).vocabulary[3:] == ["a", "b"]
    assert train_tokenizer("character", ["abca"], min_count=2).vocabulary[3:] == ["a"]
    assert tokenizer.encode(["d zebra a"]).values.tolist() == [6, UNK, 3]


def test_split_text_keeps_its_tokens_and_raw_text_is_understood() -> None:
    texts = ["it 's not-so-bad , really .", "the <unk> @-@ film , Mr. Allen ."]
    tokenizer = train_tokenizer("word", texts, joiner=True)
    for text in texts:
        assert tokenizer.split(text) == text.split()
    raw, split = (tokenizer.encode([t]).values.tolist() for t in ("it's bad, really.", texts[0]))
    assert raw == [split[0], split[1], UNK, *split[3:]]
    assert tokenizer.encode(["<unk>"]).values.tolist() == [UNK]


def test_rows_of_tokens() -> None:
    rows = [["New", "York", "U.S.A"], ["new"], []]
    tokenizer = train_tokenizer("word", rows, lowercase=True)
    assert tokenizer.vocabulary[3:] == ["new", "u.s.a", "york"]
    encoded = tokenizer.encode_tokens(rows)
    assert encoded.values.tolist() == [3, 5, 4, 3, UNK]
    assert encoded.offsets.tolist() == [0, 3, 4, 5]
    with pytest.raises(UsageError, match="--tokens word"):
        train_tokenizer("bpe", rows)


def test_bpe_merges_by_frequency() -> None:
    """Sennrich et al. (2016), the example of their algorithm 1: low, lower, newest, widest."""
    texts = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    tokenizer = train_tokenizer("bpe", texts, vocabulary_size=256 + 3)
    assert tokenizer.to_json()["merges"][:3] == ["e s", "es t", "l o"]
    assert tokenizer.split("newest") == ["Ġ", "n", "e", "w", "est"]


def test_bpe_joins_no_digits() -> None:
    texts = ["in 1992 at 12:30", "1992 and 12th"] * 9
    tokenizer = train_tokenizer("bpe", texts, vocabulary_size=300)
    digits = [token for token in tokenizer.vocabulary if re.search(r"\d", token)]
    assert max(map(len, digits)) == 2  # a space and a digit
    assert tokenizer.split("at 2912") == ["Ġat", "Ġ", "2", "9", "1", "2"]
    assert tokenizer.decode(tokenizer.encode(["at 2912"]).values) == "at 2912"


def test_bpe_is_the_same_every_time_and_needs_all_bytes() -> None:
    assert train_tokenizer("bpe", ENGLISH) == train_tokenizer("bpe", ENGLISH)
    with pytest.raises(UsageError, match="256 or more"):
        train_tokenizer("bpe", ENGLISH, vocabulary_size=100)


def test_bpe_of_many_texts_is_that_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_tokenizer("bpe", ENGLISH)
    texts = [*ENGLISH, "", *ENGLISH[::-1]]
    whole = tokenizer.encode(texts, eos=True)
    monkeypatch.setattr("seqcli.data.tokens.BATCH", 2)
    parts = tokenizer.encode(texts, eos=True)
    assert np.array_equal(parts.values, whole.values)
    assert np.array_equal(parts.offsets, whole.offsets)
    alone = [tokenizer.encode([text], eos=True).values for text in texts]
    assert np.array_equal(np.concatenate(alone), whole.values)
    assert len(tokenizer.encode([])) == 0


def test_cache_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqcli.data.tokens.CACHED_CHUNKS", 10)
    tokenizer = train_tokenizer("word", ["a b, c"])
    for i in range(100):
        assert tokenizer.encode([f"a x{i} b, {'y' * 1000}"]).values.tolist().count(UNK) == 2
    assert len(tokenizer._chunks) <= 10  # type: ignore[attr-defined]


@given(st.lists(st.lists(st.integers(0, 9)), min_size=1), st.data())
@settings(deadline=None)
def test_take_gathers_rows(rows: list[list[int]], data: st.DataObject) -> None:
    values = np.array([x for row in rows for x in row], dtype=np.int32)
    sequences = Sequences(values, np.cumsum([0, *map(len, rows)]))
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    taken = sequences.take(indices)
    assert len(taken) == len(indices)
    assert [taken.row(i).tolist() for i in range(len(taken))] == [rows[i] for i in indices]
    assert taken.lengths.tolist() == [len(rows[i]) for i in indices]


@pytest.mark.parametrize(
    ("task", "texts", "kind"),
    [
        ("classify", ENGLISH, "word"),
        ("classify", CHINESE, "character"),
        ("classify", ["สวัสดีครับ ผมชื่อ"], "character"),
        ("classify", ["한국어 텍스트"], "word"),
        ("classify", [""], "word"),
        ("classify", ["Ivanov", "Smith", "Del Piero", "O'Neill"], "character"),
        ("classify", ["(()())", "(()"], "character"),
        ("tag", CHINESE, "word"),
        ("translate", ENGLISH * 3, "bpe"),
        ("translate", ["851+519", "7+12"], "character"),
        ("translate", ["walked VERB", "mice NOUN", "went VERB"], "character"),
        ("translate", ["go left", "go right", "go left and right"] * 3, "bpe"),
        ("translate", CHINESE, "character"),
        ("lm", CHINESE, "character"),
        ("lm", ENGLISH, "character"),
        ("lm", ["Ivanov", "Smith"], "character"),
        ("lm", ENGLISH * 40, "word"),
    ],
)
def test_kind_is_chosen_by_task_and_script(task: str, texts: list[str], kind: str) -> None:
    chosen, reason = choose_kind(task, texts)
    assert chosen == kind
    assert ": " in reason


def test_what_is_inflected_is_read_by_its_letters() -> None:
    """Sounds, of which there are few, stay whole, and so does a text that is given a label."""
    lemmas = [f"{word} V PST" for word in ["walk", "go", "see", "be"]] * 2
    assert choose_kind("translate", lemmas, ["walked", "went", "saw", "was"] * 2)[0] == "character"
    assert choose_kind("translate", lemmas, ["he walked on"] * 8)[0] == "bpe"
    assert choose_kind("translate", lemmas, ["verb"] * 8)[0] == "bpe"
    assert choose_kind("translate", ["W AO K", "K AO W"] * 50, ["walk", "caw"] * 50)[0] == "bpe"


def test_sentences_written_without_spaces_are_no_single_words() -> None:
    english = ["I go to Xi'an today", "we go to Wuhan today", "you go to Xi'an by train"] * 2
    chinese = ["我今天去西安", "我们今天去武汉", "你坐火车去西安"] * 2
    assert choose_kind("translate", english, chinese)[0] == "bpe"
