"""The linear model on n-grams: against a dictionary of counts, scikit-learn, and by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from checks import new_tensors_poisoned

from seqcli.config import make_config
from seqcli.data.rows import Rows
from seqcli.data.sequences import Sequences
from seqcli.data.tokens import BOS
from seqcli.nn.native import status
from seqcli.nn.ngrams import Ngrams, estimate_prior, list_keys
from seqcli.nn.ragged import Ragged, to_ragged
from seqcli.tasks.classify import Classify

VOCABULARY = 12


def make_texts(count: int, *, seed: int = 0) -> tuple[Sequences, np.ndarray]:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 9, count)
    values = random.integers(3, VOCABULARY, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Sequences(values, offsets), random.integers(0, 3, count)


def split(texts: Sequences) -> list[list[int]]:
    return [part.tolist() for part in np.split(texts.values, texts.offsets[1:-1])]


def fitted(count: int = 40, *, longest: int = 2) -> tuple[Ngrams, Sequences, np.ndarray]:
    texts, labels = make_texts(count)
    model = Ngrams.fit(texts, labels, vocabulary=VOCABULARY, count=3, longest=longest)
    torch.nn.init.normal_(model.table)
    torch.nn.init.normal_(model.bias)
    return model, texts, labels


@pytest.mark.parametrize("longest", [1, 2, 3, 4])
def test_ngrams_are_those_of_scikit_learn(longest: int) -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    texts, _ = make_texts(30)
    counter = CountVectorizer(ngram_range=(1, longest), token_pattern=r"\S+", analyzer="word")
    lines = [" ".join(map(str, row)) for row in split(texts)]
    matrix = counter.fit_transform(lines)
    runs = list_keys(to_ragged(texts), VOCABULARY, longest)
    names: dict[int, str] = {}
    ours = Counter()
    for size, keys_N in enumerate(runs, 1):
        at = 0
        for row, length in enumerate(texts.lengths.tolist()):
            for place in range(length):
                key = int(keys_N[at + place])
                if place + 1 < size:  # begins before the text
                    continue
                words = texts.row(row)[place + 1 - size : place + 1]
                assert names.setdefault(key, " ".join(map(str, words))) == " ".join(map(str, words))
                ours[row, key] += 1
            at += length
    assert len(set(names.values())) == len(names)
    places = counter.vocabulary_
    assert ours == {
        (row, key): matrix[row, places[name]]
        for key, name in names.items()
        for row in range(30)
        if matrix[row, places[name]]
    }


def test_texts_begin_with_a_token_of_their_own() -> None:
    texts = Sequences(np.array([5, 6, 5]), np.array([0, 2, 3]))
    words, pairs, triples = (keys.tolist() for keys in list_keys(to_ragged(texts), 10, 3))
    assert words == [5, 6, 5]
    assert pairs == [10 + 10 * BOS + 5, 10 + 56, 10 + 10 * BOS + 5]
    assert triples == [110 + 110 * BOS + 5, 110 + 100 * BOS + 56, 110 + 110 * BOS + 5]


def test_weights_tell_how_much_an_ngram_says() -> None:
    model, texts, labels = fitted()
    prior = np.bincount(labels, minlength=3) / len(labels)
    found = [
        [
            int(label)
            for row, label in zip(split(texts), labels, strict=True)
            if (key in row if key < VOCABULARY else key in pairs(row))
        ]
        for key in model.keys_F.tolist()
    ]
    # Pairs of texts that share an n-gram, and 100 that agree as with a strength of 1.
    by_chance = float((prior**2).sum())
    agreed = [float(one[0] == one[1]) for one in found if len(one) == 2]
    agreed += [(1 + by_chance) / 2] * 100
    strength = (1 - by_chance) / (np.mean(agreed) - by_chance) - 1
    assert strength != pytest.approx(1, abs=0.01)
    for place, one in enumerate(found):
        counts = Counter(one)
        given = np.array([counts[i] for i in range(3)]) + strength * prior
        given /= given.sum()
        told = math.sqrt(max(float((given * np.log(given / prior)).sum()), 0.0))
        assert math.isclose(float(model.weight_F[place]), told, abs_tol=1e-3)


@pytest.mark.parametrize("strength", [0.3, 1.0, 5.0])
def test_how_little_a_rare_ngram_is_believed(strength: float) -> None:
    """Two texts for each n-gram, whose labels come from a Dirichlet distribution of its own."""
    random = np.random.default_rng(1)
    usual = np.array([0.6, 0.3, 0.1])
    given = random.dirichlet(strength * usual, 20_000)
    labels = (given.cumsum(1)[:, None] < random.random((20_000, 2, 1))).sum(2).clip(max=2)
    texts = torch.arange(40_000)
    drawn = torch.from_numpy(labels.ravel())
    found = estimate_prior(texts, texts // 2, drawn)
    assert found == pytest.approx(strength, rel=0.1)
    assert estimate_prior(texts, texts // 2, torch.eye(3)[drawn]) == pytest.approx(found)


def test_a_rare_ngram_that_tells_nothing_is_not_believed() -> None:
    labels = torch.arange(10_000) % 2  # two texts never agree
    texts = torch.arange(10_000)
    assert estimate_prior(texts, texts // 2, labels) == 1_000
    alone = estimate_prior(texts, texts, labels)  # no n-gram comes twice
    assert alone == pytest.approx(1)


def pairs(row: list[int]) -> list[int]:
    return [
        VOCABULARY + VOCABULARY * before + word
        for before, word in zip([BOS, *row], row, strict=False)
    ]


def test_scores_are_the_sum_by_hand_and_independent_of_the_batch() -> None:
    model, texts, _ = fitted()
    keys = {key: place for place, key in enumerate(model.keys_F.tolist())}
    found_BL = model(to_ragged(texts))
    for row, found_L in zip(split(texts), found_BL, strict=True):
        places = [keys[key] for key in {*row, *pairs(row)}]
        x_M = model.weight_F[places]
        by_hand_L = (x_M / x_M.norm()) @ model.table[places] + model.bias
        assert torch.allclose(found_L, by_hand_L, atol=1e-5)
        alone = to_ragged(Sequences(np.array(row), np.array([0, len(row)])))
        assert torch.allclose(model(alone)[0], found_L, atol=1e-5)


@pytest.mark.skipif(not status().available, reason=status().reason)
@pytest.mark.parametrize("longest", [1, 2, 4])
def test_the_kernel_finds_what_torch_does(longest: int, monkeypatch) -> None:
    model, _, _ = fitted(longest=longest)
    others, _ = make_texts(300, seed=5)
    tokens = to_ragged(others)
    with new_tensors_poisoned():
        ours = model.find(tokens)
    monkeypatch.setattr("seqcli.nn.kernels.runs_natively", lambda x: False)
    theirs = model.find(tokens)
    assert torch.equal(ours.places, theirs.places)
    assert torch.equal(ours.offsets, theirs.offsets)
    torch.testing.assert_close(ours.weights, theirs.weights)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="offsets"):
        model.find(Ragged(tokens.values, torch.tensor([0, 5, 3])))


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_what_tokens_add_sums_to_the_scores(longest: int) -> None:
    model, texts, _ = fitted(longest=longest)
    for row in [*split(texts)[:10], [3, 3, 3, 4, 3, 3]]:
        one = to_ragged(Sequences(np.array(row), np.array([0, len(row)])))
        parts_TL = model.spread(one)
        assert torch.allclose(parts_TL.sum(0) + model.bias, model(one)[0], atol=1e-5)


def test_unknown_ngrams_say_nothing() -> None:
    texts = Sequences(np.array([3, 4, 3, 5]), np.array([0, 2, 4]))
    model = Ngrams.fit(texts, np.array([0, 1]), vocabulary=VOCABULARY, count=2)
    torch.nn.init.normal_(model.table)
    stranger = to_ragged(Sequences(np.array([9, 10]), np.array([0, 2])))
    assert torch.equal(model(stranger)[0], model.bias)


def test_the_commonest_are_kept(monkeypatch) -> None:
    monkeypatch.setattr("seqcli.nn.ngrams.MOST_WEIGHTS", 30)
    texts, labels = make_texts(200)
    model = Ngrams.fit(texts, labels, vocabulary=VOCABULARY, count=3)
    assert len(model.keys_F) == 10
    counts = Counter(key for row in split(texts) for key in {*row, *pairs(row)})
    least = min(counts[key] for key in model.keys_F.tolist())
    assert sum(count > least for count in counts.values()) <= 10
    assert torch.equal(model.keys_F, model.keys_F.sort().values)


@pytest.mark.parametrize("block", [1, 17])
@pytest.mark.parametrize("several", [False, True])
def test_a_corpus_counted_in_parts_is_the_whole(block: int, several: bool, monkeypatch) -> None:
    texts, labels = make_texts(200)
    texts = texts.take(np.r_[np.arange(200), [3, 3]])
    labels = np.r_[labels, [0, 1]]
    labels = np.eye(3, dtype=np.float32)[labels] if several else labels

    def fit() -> Ngrams:
        return Ngrams.fit(texts, labels, vocabulary=VOCABULARY, count=3)

    whole = fit()
    monkeypatch.setattr("seqcli.nn.ngrams.BLOCK", block)
    parts = fit()
    assert torch.equal(whole.keys_F, parts.keys_F)
    assert torch.equal(whole.weight_F, parts.weight_F)


def test_several_labels_count_each_for_itself(monkeypatch) -> None:
    """As if each text came once with each of its labels; one label a text gives the same."""
    texts, labels = make_texts(30)
    once = Ngrams.fit(texts, labels, vocabulary=VOCABULARY, count=3)
    table = np.eye(3, dtype=np.float32)[labels]
    same = Ngrams.fit(texts, table, vocabulary=VOCABULARY, count=3)
    torch.testing.assert_close(same.weight_F, once.weight_F)
    table[:10, 0] = 1
    monkeypatch.setattr("seqcli.nn.ngrams.estimate_prior", lambda *_: 1.0)  # it pairs texts
    rows, several = table.nonzero()
    repeated = Ngrams.fit(texts.take(rows), several, vocabulary=VOCABULARY, count=3)
    found = Ngrams.fit(texts, table, vocabulary=VOCABULARY, count=3)
    torch.testing.assert_close(found.weight_F, repeated.weight_F)


def test_characters_count_to_three_and_words_to_two() -> None:
    """What a model folder says is followed; one without the length is of runs of two."""
    rows = Rows({"text": ["ab cd", "cd ab", "ef gh"] * 3, "label": ["a", "b", "a"] * 3}, "rows")
    for kind, longest in (("word", 2), ("character", 3)):
        task = Classify.learn(make_config("classify", {"tokens": kind}), rows)
        assert task.linear is not None
        files = task.files()
        facts = {"size": len(task.linear.ngrams.keys_F), "longest": longest}
        if kind == "word":
            assert task.linear.forms is not None
            facts["forms"] = len(task.linear.forms.keys_F)
        assert files["ngrams.json"] == facts
        for written, expected in ((files["ngrams.json"], longest), ({"size": 5}, 2)):
            again = Classify.restore(task.config, {**files, "ngrams.json": written})
            assert again.linear is not None
            assert again.linear.ngrams.longest == expected
            assert (again.linear.forms is not None) == ("forms" in written)
