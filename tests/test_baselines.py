"""Baselines against scikit-learn, brute force and hand-worked cases."""

import numpy as np
import pytest

from seqcli import baselines
from seqcli.baselines import bag_of_words, counts, svm
from seqcli.data import kneser_ney

GOOD = ["good", "great", "fine", "lovely"]
BAD = ["bad", "awful", "poor", "dull"]


def make_reviews(rows: int, seed: int) -> tuple[list[str], list[str]]:
    """Reviews whose word order matters: "not good" is negative."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(rows):
        kind, negated = random.integers(2), random.integers(2)
        word = random.choice(GOOD if kind else BAD)
        texts.append(f"the film was {'not' if negated else 'very'} {word} .")
        labels.append("neg" if kind == negated else "pos")
    return texts, labels


def test_majority_and_bag_of_words() -> None:
    train, test = make_reviews(300, 1), make_reviews(100, 2)
    found = baselines.classify(*train, {"test": test}, ["neg", "pos"])["test"]
    most = max(set(train[1]), key=train[1].count)
    assert found["majority"]["accuracy"] == test[1].count(most) / 100
    assert found["bag of words"]["accuracy"] == 1.0


def test_bag_of_words_reads_chinese_and_knows_nothing_of_empty_text() -> None:
    texts = ["很好吃", "不好吃", "非常好", "太差了", "好", "差"]
    labels = ["pos", "neg", "pos", "neg", "pos", "neg"]
    model = bag_of_words.fit_bag_of_words(texts, labels)
    assert model.predict(texts) == labels
    assert model.predict(["", "unseen words"])[0] in labels
    assert bag_of_words.fit_bag_of_words(["a", "b"], ["one", "one"]).predict(["c"]) == ["one"]


def test_bag_of_words_of_texts_that_tell_nothing() -> None:
    model = baselines.fit_bag_of_words(["a b"] * 8, ["one", "two"] * 4)
    assert model.predict(["a b", "c"])[0] in ("one", "two")


def test_rarest_ngrams_are_left_out_of_a_large_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bag_of_words, "MOST_NGRAMS", 60)
    texts, labels = make_reviews(300, 1)
    rare = [f"{text} w{i}" for i, text in enumerate(texts)]
    model = bag_of_words.fit_bag_of_words(rare, labels)
    assert len(model.keys) < 60
    assert (np.diff(model.keys) > 0).all()
    right = np.mean(np.array(model.predict(texts)) == labels)
    assert right == 1.0


def test_separation_agrees_with_liblinear() -> None:
    """The minimum of the same loss, found by scikit-learn's dual solver."""
    from sklearn.svm import LinearSVC

    random = np.random.default_rng(0)
    dense = (random.random((200, 30)) < 0.2) * random.random((200, 30))
    dense[:, -1] = 1.0
    y = np.where(dense[:, :5].sum(1) + 0.3 * random.normal(size=200) > 0.5, 1.0, -1.0)
    rows, columns = np.nonzero(dense)
    x = svm.SparseMatrix(rows, columns, dense[rows, columns], dense.shape)
    oracle = LinearSVC(C=2.0, fit_intercept=False, tol=1e-8, max_iter=100_000).fit(dense, y)
    ours = svm.separate(x, y, cost=2.0)
    assert x.multiply(ours) == pytest.approx(dense @ oracle.coef_[0], abs=0.05)

    def loss(w: np.ndarray) -> float:
        return w @ w / 2 + 2 * (np.maximum(0, 1 - y * (dense @ w)) ** 2).sum()

    assert loss(ours) <= loss(oracle.coef_[0]) * 1.001


def test_taggers() -> None:
    tokens = [["time", "flies"], ["time", "time", "it"], ["flies"]]
    tags = [["NOUN", "VERB"], ["NOUN", "VERB", "PRON"], ["NOUN"]]
    found = baselines.tag(tokens, tags)
    most_frequent, bigram = found["most frequent tag"], found["tag bigram"]
    # "flies" is both: a tie goes by name, unless the tag before tells.
    asked = [["time", "flies", "new"], ["it", "new"], []]
    assert most_frequent(asked) == [["NOUN", "NOUN", "NOUN"], ["PRON", "NOUN"], []]
    # After VERB comes PRON; after PRON nothing did.
    assert bigram(asked) == [["NOUN", "VERB", "PRON"], ["PRON", "NOUN"], []]


def test_label_of_tokens() -> None:
    rows = [["go", "there"], ["stay", "here"]] * 4
    guess = baselines.label(rows, ["go", "stay"] * 4)
    assert guess([["stay"], ["go"]]) == ["stay", "go"]


def test_copy() -> None:
    found = baselines.translate(["a b c d", "e f g h"], ["a b c d", "e f g h"])
    assert found["copy"]["bleu"] == pytest.approx(1)


def test_unigram_by_hand() -> None:
    train, tokens = np.array([2, 3, 3, 4]), np.array([2, 3, 4, 0])
    assert counts.unigram(train, tokens, 5) == pytest.approx([3 / 8, 2 / 8, 1 / 8])
    nats = baselines.lm(train, tokens, 5, kneser_ney.count(train, 5, 3, line_end=2))
    assert nats["unigram"].sum() == pytest.approx(-np.log(3 * 2 / 8**3))


def test_bigram_by_hand() -> None:
    """Pairs 1 2 (twice), 2 1, 2 3, 3 1: n₁ = 3, n₂ = 1, d = 3/5, five-token vocabulary."""
    train = np.array([1, 2, 1, 2, 3, 1])
    p = counts.bigram(train, np.array([1, 2, 3, 4, 0, 2, 2]), 5)
    q = {w: (n + 1) / 9 for w, n in {0: 0, 1: 2, 2: 1, 3: 1, 4: 0}.items()}
    assert p[0] == pytest.approx(1.4 / 2 + 0.6 * 1 / 2 * q[2])  # 1 2
    assert p[1] == pytest.approx(0.4 / 2 + 0.6 * 2 / 2 * q[3])  # 2 3
    assert p[2] == pytest.approx(0.6 * q[4])  # 3 4
    assert p[3] == pytest.approx(q[0])  # after 4, never seen
    assert p[5] == pytest.approx(0.6 * 2 / 2 * q[2])  # 2 2


def test_every_distribution_sums_to_one() -> None:
    random = np.random.default_rng(3)
    size = 12
    train = random.integers(0, size - 2, 200)
    for before in range(size):
        for model in (counts.unigram, counts.bigram):
            total = sum(model(train, np.array([before, w]), size)[0] for w in range(size))
            assert total == pytest.approx(1)


def test_pairs_of_a_large_corpus_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    train, tokens = random.integers(0, 9, 500), random.integers(0, 9, 50)
    whole = counts.bigram(train, tokens, 9)
    for block in (1, 7, 499, 500):
        monkeypatch.setattr(counts, "BLOCK", block)
        assert np.array_equal(counts.bigram(train, tokens, 9), whole)


def test_longer_runs_know_more() -> None:
    stream = np.tile([3, 4, 5, 3, 6, 5], 100)
    nats = baselines.lm(stream, stream[:41], 7, kneser_ney.count(stream, 7, 4, line_end=2))
    assert nats["n-grams"].mean() < 0.1 < nats["bigram"].mean() < 0.5 < nats["unigram"].mean()
