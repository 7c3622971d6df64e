"""Which tokenizer suits a text, and its training: the unit of text and the vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import cast

import numpy as np

from seqcli.data.tokens import (
    SPECIALS,
    UNK,
    BpeTokenizer,
    CharacterTokenizer,
    Tokenizer,
    WordTokenizer,
    byte_level,
    code_points,
)
from seqcli.data.words import UNSPACED, count_words
from seqcli.errors import UsageError

LEAST_BPE, MOST_BPE = 500, 8_000  # tokens; a byte each already takes 256
WORDS_A_TOKEN = 64  # running words for each token of a byte-pair vocabulary
ONE_WORD = 1.5  # words a line on average, below which lines are single words
SELDOM = 2.5  # times that a word comes on average, below which there is no use in learning words
OFTEN = 30  # times that a word comes on average, from which on words are symbols, such as sounds


def train_tokenizer(
    kind: str,
    rows: Sequence[str] | Sequence[Sequence[str]],
    *,
    vocabulary_size: int | None = None,
    min_count: int = 1,
    lowercase: bool = False,
    joiner: bool = False,
) -> Tokenizer:
    """A tokenizer of `kind` ("word", "character" or "bpe") from texts, or from rows of tokens.

    Tokens seen fewer than `min_count` times, and those after the `vocabulary_size` most frequent
    (None: no limit; bpe: `choose_bpe_size`), are unknown; the special tokens come on top. Equal
    counts are ordered by string. Raises UsageError for a kind that does not fit.
    """
    if any(not isinstance(row, str) for row in rows):
        if kind != "word":
            raise UsageError("text that is split into tokens already needs --tokens word")
        counts = Counter(t.lower() if lowercase else t for row in rows for t in row)
        return WordTokenizer(_most_common(counts, vocabulary_size, min_count), lowercase)
    texts = [text.lower() if lowercase else text for text in cast(Sequence[str], rows)]
    if kind == "word":
        counts = count_words(texts, joiner=joiner)
        return WordTokenizer(_most_common(counts, vocabulary_size, min_count), lowercase, joiner)
    if kind == "character":
        points, times = np.unique(code_points("".join(texts)), return_counts=True)
        counts = Counter(dict(zip(map(chr, points.tolist()), times.tolist(), strict=True)))
        return CharacterTokenizer(_most_common(counts, vocabulary_size, min_count), lowercase)
    if kind == "bpe":
        return _train_bpe(texts, vocabulary_size or choose_bpe_size(texts), min_count, lowercase)
    raise UsageError(f"no tokenizer is called {kind!r}; use word, character or bpe")


def choose_bpe_size(texts: Sequence[str]) -> int:
    """How many byte-pair tokens a text can teach: a 64th of its running words, within bounds."""
    words = sum(text.count(" ") + 1 for text in texts)
    return min(max(words // WORDS_A_TOKEN, LEAST_BPE), MOST_BPE)


def choose_kind(task: str, texts: Sequence[str], written: Sequence[str] = ()) -> tuple[str, str]:
    """The kind of token that suits a task and its text, and the reason as a phrase.

    written: what is written from the texts, for translate.
    """
    if task == "tag":
        return "word", "words: the tokens are given"
    if _is_unspaced(texts):
        return "character", "characters: the script is written without spaces"
    if task != "lm" and _are_single_words(texts):
        return "character", "characters: lines are single words"
    if task == "translate":
        repeats = _count_repeats(texts)
        if repeats < SELDOM:
            return (
                "character",
                f"characters: a word is seen only {repeats:.1f} times on average",
            )
        # To inflect a word is to copy letters, which pairs hide.
        if repeats < OFTEN and _are_single_words(written) and _count_repeats(written) < SELDOM:
            return "character", "characters: single words are spelled from them"
        return "bpe", "byte pairs: any word of either language can be spelled"
    if task == "lm":
        counts = count_words(texts)
        repeats = sum(counts.values()) / max(len(counts), 1)
        if repeats < 30:
            return (
                "character",
                f"characters: each distinct word is seen only {repeats:.0f} times on average",
            )
        return "word", f"words: each distinct word is seen {repeats:.0f} times on average"
    return "word", "words: the script is written with spaces"


def _draw(texts: Sequence[str]) -> Sequence[str]:
    """Some thousand texts, evenly drawn."""
    return texts[:: max(1, len(texts) // 2_000)]


def _is_unspaced(texts: Sequence[str]) -> bool:
    """Whether texts are in a script that has no spaces between words."""
    sample = "".join(text[:500] for text in _draw(texts))
    letters = len(re.findall(r"[^\W\d_]", sample))
    return len(re.findall(f"[{UNSPACED}]", sample)) >= 0.3 * max(letters, 1)


def _are_single_words(texts: Sequence[str]) -> bool:
    """Whether lines hold a word each, in a script that has spaces between words."""
    some = _draw(texts)
    words = sum(len(text.split()) for text in some)
    return 0 < words < ONE_WORD * len(some) and not _is_unspaced(texts)


def _count_repeats(texts: Sequence[str]) -> float:
    """How often a word comes, on average."""
    counts = Counter(word for text in texts for word in text.split())
    return counts.total() / max(len(counts), 1)


def _most_common(counts: Counter[str], size: int | None, min_count: int) -> list[str]:
    del counts[SPECIALS[UNK]]
    kept = [token for token, times in counts.items() if times >= min_count]
    return sorted(kept, key=lambda token: (-counts[token], token))[:size]


def _train_bpe(texts: Sequence[str], size: int, min_count: int, lowercase: bool) -> BpeTokenizer:
    import json

    from tokenizers import Regex, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if size < len(alphabet):
        raise UsageError(
            f"--vocabulary-size is {size}; bpe needs {len(alphabet)} or more, one for each byte"
        )
    trainer = BpeTrainer(
        vocab_size=size,
        # A pair seen once is a memorised word, not a part of words.
        min_frequency=max(min_count, 2),
        initial_alphabet=alphabet,
        special_tokens=[],
        show_progress=False,
    )
    model = byte_level(BPE())
    # No merge joins digits, so that any number can be read and written.
    digit = pre_tokenizers.Split(Regex(r" ?\d"), "isolated")
    model.pre_tokenizer = pre_tokenizers.Sequence([digit, model.pre_tokenizer])
    model.train_from_iterator((" " + text for text in texts), trainer)
    trained = json.loads(model.to_str())["model"]
    tokens = sorted(trained["vocab"], key=trained["vocab"].get)
    merges = [(left, right) for left, right in trained["merges"]]
    return BpeTokenizer(tokens, merges, lowercase)
