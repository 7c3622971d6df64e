"""The tokenizers that an export carries split and join text as those of the program do."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import seqcli
from seqcli.data.spelling import Spelling
from seqcli.data.tokens import WordTokenizer
from seqcli.data.vocabulary import train_tokenizer
from seqcli.export.facts import describe_tokenizer

TEXTS = [
    "I don't know, it's 12.5% of the U.S. market -- he said.",
    "l'homme a dit: « Bonjour ! »",
    "巴黎在法国。ラーメンを食べた",
    "<unk> is unknown; @-@ was split before -lrb- x -rrb-",
    "Cafe\u0301 naïve ½ ١٢ हिन्दी",
]
KINDS = [
    ("word", {"lowercase": True}),
    ("word", {"joiner": True}),
    ("character", {}),
    ("character", {"lowercase": True}),
    ("bpe", {"vocabulary_size": 300}),
]


def load_script() -> Any:
    path = Path(seqcli.__file__).parent / "export" / "scripts" / "tokens.py"
    spec = importlib.util.spec_from_file_location("exported_tokens", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


script = load_script()
PAIRS = []
for kind, options in KINDS:
    ours = train_tokenizer(kind, TEXTS * 3, **options)
    PAIRS.append((ours, script.Tokens(describe_tokenizer(ours))))
plain = train_tokenizer("word", [text[::2] + " " + text for text in TEXTS], lowercase=True)
assert isinstance(plain, WordTokenizer)
SPELLED = replace(plain, spelling=Spelling.learn(plain.tokens))
words = some.text(max_size=30) | some.sampled_from(TEXTS)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[str(kind) for kind in KINDS])
@settings(max_examples=30, deadline=None)
@given(text=some.lists(words, max_size=4).map(" ".join))
def test_ids_and_texts_are_the_same(ours: Any, theirs: Any, text: str) -> None:
    for eos in (False, True):
        ids = ours.encode([text], eos=eos).values.tolist()
        assert theirs.encode(text, eos=eos) == ids
        assert theirs.decode(ids) == ours.decode(ids)


@settings(max_examples=60, deadline=None)
@given(text=some.lists(words | words.map(str.upper), max_size=4).map(" ".join))
def test_spelled_words_have_the_same_numbers(text: str) -> None:
    theirs = script.Tokens(json.loads(json.dumps(describe_tokenizer(SPELLED))))
    for one in (text, text.title(), f"{text}s"):
        assert theirs.encode(one) == SPELLED.encode([one]).values.tolist()


def test_words_that_are_split_already() -> None:
    ours, theirs = PAIRS[0]
    tokens = ["The", "market", "<unk>", "", "nowhere"]
    assert theirs.encode_tokens(tokens) == ours.encode_tokens([tokens]).values.tolist()
