"""Intervals and paired tests against brute force, SciPy, sacreBLEU's own and hand-worked cases."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli import metrics
from seqcli.metrics.intervals import resamples
from seqcli.metrics.paired import mcnemar
from seqcli.metrics.tally import Scores, Tally

DRAW = np.random.default_rng(5)
FRESH = DRAW.bit_generator.state
REFERENCES = [
    "the dog bit the man .",
    "it was not unexpected .",
    "the man bit him first .",
    "a cat sat on the old mat and slept all day",
    "yes",
]
ANSWERS = ["the dog bit a man .", "it was surprising", "the man bit him first .", "a cat", "no"]


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """A test's random numbers do not depend on the tests before it."""
    DRAW.bit_generator.state = FRESH


def make_rows(count: int) -> tuple[list[str], list[str], list[str]]:
    """Labels of three classes, one of them rare, and two systems of which the second is better."""
    gold = DRAW.choice(["a", "b", "c"], count, p=[0.6, 0.35, 0.05]).tolist()
    one = [label if DRAW.random() < 0.6 else "a" for label in gold]
    other = [label if DRAW.random() < 0.85 else "b" for label in gold]
    return gold, one, other


def make_tags(count: int) -> tuple[list[list[str]], list[list[str]]]:
    tags = ["O", "B-A", "I-A", "B-B"]
    gold = [["B-A", *DRAW.choice(tags, DRAW.integers(1, 7))] for _ in range(count)]
    guess = [[t if DRAW.random() < 0.7 else str(DRAW.choice(tags)) for t in row] for row in gold]
    return gold, guess


def weigh(scores: Scores, weights_R: np.ndarray) -> dict[str, float]:
    found: dict[str, float] = {}
    for tally in scores.tallies:
        found |= {k: float(v[0]) for k, v in tally.weigh(weights_R[None].astype(float)).items()}
    return found


def score_drawn(task: str, rows: list[int]) -> tuple[Scores, Scores]:
    """The scores of all rows, and those of the rows that were drawn, computed anew."""
    pick = lambda values: [values[row] for row in rows]  # noqa: E731
    if task == "classify":
        return (
            metrics.classification(GOLD, GUESS, ["a", "b", "c"]),
            metrics.classification(pick(GOLD), pick(GUESS), ["a", "b", "c"]),
        )
    if task == "tag":
        return (
            metrics.tagging(TAGS, TAGGED, scheme="BIO"),
            metrics.tagging(pick(TAGS), pick(TAGGED), scheme="BIO"),
        )
    if task == "translate":
        truths, answers = REFERENCES * 4, ANSWERS * 2 + REFERENCES * 2
        return (
            metrics.translation(answers, truths),
            metrics.translation(pick(answers), pick(truths)),
        )
    return (
        metrics.language(NATS, TOKENS, characters=CHARACTERS, unknown=0),
        metrics.language(NATS[rows], TOKENS[rows], characters=CHARACTERS[rows], unknown=0),
    )


GOLD, GUESS, _ = make_rows(20)
TAGS, TAGGED = make_tags(20)
NATS, TOKENS = DRAW.random(20) * 30, DRAW.integers(1, 9, 20)
CHARACTERS = TOKENS * 4


@pytest.mark.parametrize("task", ["classify", "tag", "translate", "lm"])
@given(st.lists(st.integers(0, 19), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_weights_score_as_drawn_rows_do(task: str, rows: list[int]) -> None:
    """Every metric from the tally is what scoring the drawn rows one by one gives."""
    whole, drawn = score_drawn(task, rows)
    every = weigh(whole, np.ones(20))
    assert every == pytest.approx({name: whole[name] for name in every})
    found = weigh(whole, np.bincount(rows, minlength=20))
    assert set(found) == {name for name in found if isinstance(drawn[name], float)}
    assert found == pytest.approx({name: drawn[name] for name in found}, rel=1e-9, abs=1e-12)


def test_bleu_of_nothing_in_common_or_too_short() -> None:
    for answers, truths in (
        (["a b"], ["c d"]),
        (["a b c"], ["a b c"]),  # no four-gram: 0 by definition
        ([""], ["a b c d"]),
        (["a b c d", ""], ["a b c d", "e"]),
    ):
        scores = metrics.translation(answers, truths)
        found = weigh(scores, np.ones(len(answers)))
        assert found == pytest.approx({name: scores[name] for name in found})


def test_calibration_by_hand() -> None:
    """Two bins: confidence 0.9 with half right, 0.6 with all right."""
    confidence, right = np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, False, True, True])
    scores = metrics.calibration(confidence, right, bins=2)
    assert scores["ece"] == pytest.approx(abs(1.8 + 1.2 - 3) / 4)
    scores = metrics.calibration(confidence, right, bins=10)
    assert scores["ece"] == pytest.approx((abs(1.8 - 1) + abs(1.2 - 2)) / 4)
    assert metrics.calibration(np.ones(3), np.ones(3, bool))["ece"] == 0


def test_calibration_of_several_answers_a_row() -> None:
    """Rows of three decisions: the error is that of all decisions, the rows are what is drawn."""
    chance_RK = DRAW.random((50, 3))
    right_RK = DRAW.random((50, 3)) < 0.5
    whole = metrics.calibration(chance_RK, right_RK)
    assert whole["ece"] == pytest.approx(
        metrics.calibration(chance_RK.ravel(), right_RK.ravel())["ece"]
    )
    rows = DRAW.integers(50, size=50)
    weights = np.bincount(rows, minlength=50)
    drawn = metrics.calibration(chance_RK[rows], right_RK[rows])
    assert weigh(whole, weights)["ece"] == pytest.approx(drawn["ece"])


# ------------------------------------------------------------------------------------ intervals


def test_interval_of_accuracy_agrees_with_scipy() -> None:
    from scipy.stats import bootstrap

    gold, guess, _ = make_rows(300)
    scores = metrics.classification(gold, guess, ["a", "b", "c"])
    low, high = metrics.intervals(scores.tallies)["accuracy"]
    right = np.array(gold) == np.array(guess)
    truth = bootstrap(
        (right.astype(float),), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert (low, high) == pytest.approx((truth.low, truth.high), abs=0.008)
    assert low < scores["accuracy"] < high
    assert metrics.intervals(scores.tallies) == metrics.intervals(scores.tallies)  # the seed


def test_interval_of_bleu_agrees_with_sacrebleu() -> None:
    """sacreBLEU gives the mean of its bootstrap and half the width of its interval."""
    from sacrebleu.metrics import BLEU
    from sacrebleu.significance import PairedTest

    truths = [" ".join(DRAW.choice(list("abcdefgh"), 12)) for _ in range(80)]
    answers = [" ".join(w if DRAW.random() < 0.8 else "z" for w in t.split()) for t in truths]
    scores = metrics.translation(answers, truths)
    low, high = metrics.intervals(scores.tallies)["bleu"]
    test = PairedTest(
        [("one", answers), ("other", truths)], {"BLEU": BLEU()}, [truths], "bs", n_samples=1000
    )
    found = test()[1]["BLEU"][0]
    assert scores["bleu"] == pytest.approx(found.score / 100)
    assert (high + low) / 2 == pytest.approx(found.mean / 100, abs=0.012)
    assert (high - low) / 2 == pytest.approx(found.ci / 100, abs=0.008)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    hits = 0
    for _ in range(200):
        right_R = DRAW.random(120) < 0.7
        tally = Tally(120, right_R[:, None].astype(float), lambda s: {"share": s[:, 0] / 120})
        low, high = metrics.intervals((tally,))["share"]
        hits += low <= 0.7 <= high
    assert 0.89 < hits / 200 < 0.99


def test_interval_of_the_calibration_error_covers_the_truth() -> None:
    """Confidence c is right with p(c) < c, so that the error of all rows is known. The middle of
    the drawn values would hold it in less than half of these cases: chance adds to each of them."""
    every = np.linspace(0.3, 1, 100_001)
    bins = np.minimum((every * 15).astype(int), 14)
    excess = 0.3 * (every - 0.5)
    truth = np.abs(np.bincount(bins, excess)).sum() / len(every)
    covered = 0
    for _ in range(60):
        confidence = DRAW.uniform(0.3, 1, 400)
        right = DRAW.random(400) < confidence - 0.3 * (confidence - 0.5)
        low, high = metrics.intervals(metrics.calibration(confidence, right).tallies)["ece"]
        covered += low <= truth <= high
    assert covered >= 48


def test_interval_of_the_calibration_error_is_not_negative() -> None:
    confidence, right = np.full(100, 0.5), np.arange(100) % 2 > 0
    scores = metrics.calibration(confidence, right)
    low, high = metrics.intervals(scores.tallies)["ece"]
    assert low == 0 <= scores["ece"] <= high + 1e-12


def test_interval_of_the_calibration_error_holds_the_score() -> None:
    """Where confidence is right chance alone makes the error, and is taken off the interval."""
    for rows in (60, 2_000, 60, 2_000, 60, 2_000):
        confidence = DRAW.uniform(0.9, 1, rows) ** 4
        scores = metrics.calibration(confidence, DRAW.random(rows) < confidence)
        low, high = metrics.intervals(scores.tallies)["ece"]
        assert 0 <= low <= scores["ece"] <= high


def test_interval_of_the_first_few_is_that_of_a_share() -> None:
    chance_RL, gold_R = DRAW.random((200, 6)), DRAW.integers(-1, 6, 200)
    scores = metrics.top_accuracy(chance_RL, gold_R, first=3)
    right = [g >= 0 and g in np.argsort(-c)[:3] for c, g in zip(chance_RL, gold_R, strict=True)]
    assert scores == {"top_3_accuracy": pytest.approx(np.mean(right))}
    labels = ["right" if one else "wrong" for one in right]
    as_labels = metrics.classification(["right"] * 200, labels, ["right", "wrong"])
    found = metrics.intervals(scores.tallies)["top_3_accuracy"]
    assert found == pytest.approx(metrics.intervals(as_labels.tallies)["accuracy"])


def test_weights_are_draws_with_replacement() -> None:
    parts = list(resamples(7, 50))
    weights_SR = np.concatenate(parts)
    assert weights_SR.shape == (50, 7)
    assert (weights_SR.sum(axis=1) == 7).all()
    assert weights_SR.mean() == 1
    assert len({tuple(row) for row in weights_SR.tolist()}) > 30
    many = list(resamples(3_000_000, 2))
    assert [part.shape for part in many] == [(1, 3_000_000)] * 2


def test_one_row_has_no_interval() -> None:
    scores = metrics.classification(["a"], ["a"], ["a", "b"])
    assert metrics.intervals(scores.tallies) == {}
    assert metrics.compare(scores.tallies, scores.tallies) == {}


def test_lines_are_drawn_in_blocks() -> None:
    """10,000 lines of an unruly text are 400 blocks, and what holds for all lines stays so."""
    nats = np.repeat(DRAW.random(100) * 9, 100)
    scores = metrics.language(nats, np.full(10_000, 3), characters=np.full(10_000, 12), unknown=5)
    assert scores.tallies[0].rows == 400
    assert weigh(scores, np.ones(400))["cross_entropy"] == pytest.approx(nats.mean() / 3)
    low, high = metrics.intervals(scores.tallies)["cross_entropy"]
    # Lines that say the same a hundred times over are no hundred witnesses.
    assert high - low > 3 * 2 * 1.96 * nats.std() / 3 / math.sqrt(10_000)


# ---------------------------------------------------------------------------------- paired tests


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_mcnemar_agrees_with_the_binomial_test(pairs: list[tuple[bool, bool]]) -> None:
    from scipy.stats import binomtest

    first, second = np.array(pairs).T
    only, both = int((first & ~second).sum()), int((first != second).sum())
    truth = binomtest(only, both).pvalue if both else 1.0
    assert mcnemar(first, second) == pytest.approx(truth, rel=1e-6)


def test_mcnemar_by_hand() -> None:
    """Nine to one: 2 · (1 + 10) / 2¹⁰."""
    first = np.array([True] * 9 + [False])
    assert mcnemar(first, ~first) == pytest.approx(22 / 1024)
    assert mcnemar(first, first) == 1
    many = np.arange(100_000) % 2 == 0
    assert mcnemar(many, ~many) == pytest.approx(1, abs=1e-2)


def test_randomisation_of_accuracy_agrees_with_mcnemar() -> None:
    """The exact test is what infinitely many swaps would give."""
    gold, one, other = make_rows(150)
    first = metrics.classification(gold, one, ["a", "b", "c"]).tallies[0]
    second = metrics.classification(gold, other, ["a", "b", "c"]).tallies[0]
    exact = metrics.compare((first,), (second,))["accuracy"]
    swapped = metrics.compare(
        (Tally(150, first.counts, first.measure, {}, first.kinds),),
        (Tally(150, second.counts, second.measure, {}, second.kinds),),
    )["accuracy"]
    assert exact.p == mcnemar(first.rights["accuracy"], second.rights["accuracy"])
    assert swapped.p == pytest.approx(exact.p, abs=0.02)
    assert exact.test.startswith("mcnemar")
    assert swapped.test.startswith("randomisation")


def test_comparison_agrees_with_sacrebleu() -> None:
    from sacrebleu.metrics import BLEU, CHRF
    from sacrebleu.significance import PairedTest

    truths = [" ".join(DRAW.choice(list("abcdefgh"), 12)) for _ in range(60)]

    def answer(share: float) -> list[str]:
        return [" ".join(w if DRAW.random() < share else "z" for w in t.split()) for t in truths]

    one, other = answer(0.78), answer(0.82)
    first, second = metrics.translation(one, truths), metrics.translation(other, truths)
    found = metrics.compare(first.tallies, second.tallies)
    test = PairedTest(
        [("one", one), ("other", other)],
        {"BLEU": BLEU(), "chrF2": CHRF()},
        [truths],
        "ar",
        n_samples=4000,
    )
    results = test()[1]
    for name, key in (("bleu", "BLEU"), ("chrf", "chrF2")):
        assert found[name].second == pytest.approx(results[key][1].score / 100)
        assert found[name].p == pytest.approx(results[key][1].p_value, abs=0.04)


def test_which_is_better() -> None:
    gold, one, other = make_rows(1_000)
    first = metrics.classification(gold, one, ["a", "b", "c"])
    second = metrics.classification(gold, other, ["a", "b", "c"])
    found = metrics.compare(first.tallies, second.tallies)
    assert list(found) == ["accuracy", "macro_precision", "macro_recall", "macro_f1"]
    better = found["accuracy"]
    assert better.better == 2
    assert better.p < 0.05
    assert better.difference == pytest.approx(second["accuracy"] - first["accuracy"])
    assert better.interval[0] > 0
    assert metrics.compare(second.tallies, first.tallies)["accuracy"].better == 1
    same = metrics.compare(first.tallies, first.tallies)["macro_f1"]
    assert (same.difference, same.p, same.better) == (0, 1, 0)
    nats = DRAW.random(300) * 10
    worse = [
        metrics.language(n, np.ones(300), characters=np.full(300, 5), unknown=0).tallies
        for n in (nats, nats + 0.5)
    ]
    for name, difference in metrics.compare(*worse).items():
        assert (name, difference.better) == (name, 1)  # less surprise is better


def test_systems_that_know_other_labels() -> None:
    """The classes of two models need not be the same, nor in one order."""
    gold = ["a", "b", "c", "a", "b", "c"] * 20
    one, other = ["a", "b", "b"] * 40, ["a", "d", "c"] * 40
    first = metrics.classification(gold, one, ["a", "b"])
    second = metrics.classification(gold, other, ["c", "d", "a"])
    found = metrics.compare(first.tallies, second.tallies)
    for name, difference in found.items():
        assert difference.first == pytest.approx(first[name])
        assert difference.second == pytest.approx(second[name])
    assert found["accuracy"].p == 1


def test_only_what_both_systems_have_is_compared() -> None:
    """A model of few labels has no top-3 accuracy, one without a temperature no raw error."""
    gold = ["a", "b"] * 30
    plain = metrics.classification(gold, ["a"] * 60, ["a", "b"])
    sure, right = np.full(60, 0.9), np.array([True, False] * 30)
    more = plain | metrics.top_accuracy(DRAW.random((60, 2)), np.zeros(60, int), first=3)
    more |= metrics.calibration(sure, right)
    worse = plain | metrics.calibration(sure, right)
    worse |= metrics.calibration(sure, right, name="ece_uncalibrated")
    assert {"ece", "accuracy"} <= set(metrics.compare(more.tallies, worse.tallies))
    assert not {"top_3_accuracy", "ece_uncalibrated"} & set(
        metrics.compare(more.tallies, worse.tallies)
    )
    closer = plain | metrics.calibration(np.full(60, 0.5), right)
    found = metrics.compare(worse.tallies, closer.tallies)["ece"]
    assert (found.better, found.first, found.second) == (2, pytest.approx(0.4), pytest.approx(0))
    low, high = found.interval
    assert low < found.difference <= high + 1e-9 < 0


def test_chance_is_rarely_taken_for_a_difference() -> None:
    """Of systems that are alike, one in twenty pairs at most should be told apart."""
    told = 0
    for _ in range(60):
        counts = [np.c_[DRAW.random((80, 1)) * 5, np.ones(80)] for _ in range(2)]
        one, other = (Tally(80, c, lambda s: {"mean": s[:, 0] / s[:, 1]}) for c in counts)
        told += metrics.compare((one,), (other,))["mean"].p < 0.05
    assert told <= 8


# ----------------------------------------------------------------------------------- many labels


def test_many_labels_cost_little() -> None:
    labels = [f"label {i}" for i in range(10_000)]
    gold = DRAW.choice(labels, 2_000).tolist()
    guess = [label if DRAW.random() < 0.5 else labels[0] for label in gold]
    scores = metrics.classification(gold, guess, labels)
    low, high = metrics.intervals(scores.tallies)["accuracy"]
    assert 0.4 < low < scores["accuracy"] < high < 0.6


def test_scores_join_and_stay_json() -> None:
    scores = metrics.classification(["a", "b"], ["a", "a"], ["a", "b"])
    both: Any = scores | metrics.calibration(np.array([0.5, 0.7]), np.array([True, False]))
    assert set(metrics.intervals(both.tallies)) >= {"accuracy", "ece"}
    assert json.loads(json.dumps(both)) == both
    assert (both | {"more": 1}).tallies == both.tallies
