"""Vectors of spelled words: against sums by hand, and what is unknown."""

from __future__ import annotations

import torch

from seqcli.config import make_config
from seqcli.data.rows import Rows
from seqcli.data.spelling import CASES, Spelling
from seqcli.data.tokens import UNK, WordTokenizer
from seqcli.nn.adversary import Adversary
from seqcli.nn.classifier import Classifier
from seqcli.nn.dropout import Embedding
from seqcli.nn.ragged import to_ragged
from seqcli.nn.spelling import Parts, SpelledEmbedding
from seqcli.tasks.classify import Classify

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


def test_the_parts_of_texts_stand_word_by_word() -> None:
    embedding, tokenizer, spelling = make()
    texts = ["Invented in", "actor"]
    parts = embedding.table.of_texts(to_ragged(tokenizer.encode(texts)))
    assert parts.offsets.tolist() == [0, 2 * Parts.EACH, 3 * Parts.EACH]
    names = ["none", *range(CASES), *(f"{part}-" for part in spelling.beginnings)]
    names += [f"-{part}" for part in spelling.endings]
    assert embedding.table.count == len(names)
    found = [names[place] for place in parts.values.tolist()]
    none = "none"
    assert found[: Parts.EACH] == [1, "in-", "inv-", "inve-", none, none, none]
    assert found[Parts.EACH : 2 * Parts.EACH] == [0, "in-", none, none, none, none, none]
    assert found[2 * Parts.EACH :] == [0, "ac-", "act-", none, "-or", "-tor", none]


def test_the_linear_model_knows_words_by_their_spelling() -> None:
    """An ending tells the label of a word that training did not have."""
    stems = ["walk", "jump", "paint", "climb", "bark", "cook"]
    texts = [f"{stem}{end}" for stem in stems for end in ("ing", "ed")]
    rows = Rows({"text": texts, "label": ["a", "b"] * len(stems)}, "rows")
    task = Classify.learn(make_config("classify", {"tokens": "word", "hidden": 4}), rows)
    model = task.build()
    assert isinstance(model, Classifier)
    gold = torch.tensor([0, 1] * len(stems))
    tables = [one.table for one in model.linear]
    optimizer = torch.optim.Adam(tables, lr=0.1)
    reading = model.prepare(to_ragged(task.encode_rows(rows)))
    for _ in range(40):
        optimizer.zero_grad()
        scores_BL = model.recall(reading)
        assert scores_BL is not None
        torch.nn.functional.cross_entropy(scores_BL, gold).backward()
        optimizer.step()
    new = Rows({"text": ["sorting", "sorted"]}, "rows")
    found = model.recall(model.prepare(to_ragged(task.encode_rows(new))))
    assert found is not None
    assert found.argmax(1).tolist() == [0, 1]
    tokens = to_ragged(task.encode_rows(Rows({"text": ["sorted walking"]}, "rows")))
    whole = model.recall(model.prepare(tokens))
    bias_L = sum(one.bias for one in model.linear)
    torch.testing.assert_close(model.spread(tokens).sum(0) + bias_L, whole[0])
    model.forms = None
    alone = model.recall(model.prepare(to_ragged(task.encode_rows(new))))
    assert alone is not None
    torch.testing.assert_close(alone[0], alone[1])


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
