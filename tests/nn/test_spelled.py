"""Vectors of spelled words: against sums by hand, and what is unknown."""

from __future__ import annotations

import torch

from seqcli.data.spelling import CASES, Spelling
from seqcli.data.tokens import UNK, WordTokenizer
from seqcli.nn.adversary import Adversary
from seqcli.nn.dropout import Embedding
from seqcli.nn.spelling import SpelledEmbedding

WORDS = ["actor", "actress", "inventor", "invent", "in", "wait", "waits", ","]
TEXT = "Actor INVENTOR waits , Invented 1990 Editor zzz in actor"


def make() -> tuple[SpelledEmbedding, WordTokenizer, Spelling]:
    torch.manual_seed(2)
    spelling = Spelling.learn(WORDS)
    tokenizer = WordTokenizer(WORDS, lowercase=True, spelling=spelling)
    words = Embedding(len(tokenizer.vocabulary), 6)
    return SpelledEmbedding(words, tokenizer, spelling), tokenizer, spelling


def by_hand(word: str, embedding: SpelledEmbedding, case: int, spelling: Spelling) -> torch.Tensor:
    """The vector of a word from the definition."""
    low = word.lower()
    found = [1 + case]
    for parts, begin, cut in (
        (spelling.beginnings, 1 + CASES, lambda n: low[:n]),
        (spelling.endings, 1 + CASES + len(spelling.beginnings), lambda n: low[-n:]),
    ):
        pieces = [cut(n) for n in (2, 3, 4) if len(low) >= n]
        found += [begin + parts.index(piece) for piece in pieces if piece in parts]
    number = WORDS.index(low) + 3 if low in WORDS else UNK
    own = embedding.words.weight[number]
    return (own + embedding.parts[found].sum(0) / len(found) ** 0.5) / 2**0.5


def test_vectors_are_sums_of_parts_also_of_unknown_words() -> None:
    embedding, tokenizer, spelling = make()
    numbers = torch.from_numpy(tokenizer.encode([TEXT]).values)
    cases = [1, 2, 0, 0, 1, 4, 1, 0, 0, 0]
    expected = [
        by_hand(word, embedding, case, spelling)
        for word, case in zip(TEXT.split(), cases, strict=True)
    ]
    torch.testing.assert_close(embedding(numbers), torch.stack(expected))
    torch.testing.assert_close(embedding(numbers.flip(0)), embedding(numbers).flip(0))
    ids = [tokenizer.vocabulary[number] for number in embedding.ids(numbers)]
    assert ids == [w.lower() if w.lower() in WORDS else "<unk>" for w in TEXT.split()]


def test_a_dropped_word_is_read_as_one_that_training_did_not_know() -> None:
    embedding, tokenizer, spelling = make()
    rest = [word for word in WORDS if word != "inventor"]
    ignorant = WordTokenizer(rest, lowercase=True, spelling=spelling)
    code = int(ignorant.encode(["Inventor"]).values[0]) // len(ignorant.vocabulary)
    known = embedding.read(torch.from_numpy(tokenizer.encode(["Inventor"]).values))
    unknown = torch.tensor([UNK + len(tokenizer.vocabulary) * code])
    dropped = known._replace(ids=torch.tensor([UNK]))
    torch.testing.assert_close(embedding(dropped), embedding(unknown))
    assert not torch.equal(embedding(dropped), embedding(known))


def test_nudges_move_the_whole_vector() -> None:
    embedding, tokenizer, _ = make()
    assert Adversary(embedding, 0.1).embeddings == [embedding]
    numbers = torch.from_numpy(tokenizer.encode([TEXT]).values)
    Adversary(embedding, 0.1).backward(lambda: embedding(numbers).tanh().square().mean())
    assert embedding.parts.grad is not None
    assert embedding.words.weight.grad is not None
    assert (embedding.parts.grad[0] == 0).all()  # what stands where there is no part
