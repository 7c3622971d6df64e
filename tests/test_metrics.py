"""Metrics against scikit-learn, seqeval, sacreBLEU's own figures and hand-worked cases."""

import json
import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli import metrics
from seqcli.data.schemes import detect_scheme, spans
from seqcli.errors import SeqcliError

LABELS = ["neg", "pos", "mid"]
label_lists = st.lists(
    st.tuples(st.sampled_from([*LABELS, "new"]), st.sampled_from(LABELS)), min_size=1, max_size=40
)


@given(label_lists)
@settings(max_examples=60, deadline=None)
def test_classification_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn import metrics as oracle

    gold = ["pos", *(g for g, _ in pairs)]
    predicted = ["neg", *(p for _, p in pairs)]
    result = metrics.classification(gold, predicted, LABELS)
    classes = result["confusion"]["labels"]
    assert result["accuracy"] == pytest.approx(oracle.accuracy_score(gold, predicted))
    p, r, f, _ = oracle.precision_recall_fscore_support(
        gold, predicted, average="macro", zero_division=0
    )
    assert (result["macro_precision"], result["macro_recall"], result["macro_f1"]) == pytest.approx(
        (p, r, f)
    )
    matrix = oracle.confusion_matrix(gold, predicted, labels=classes)
    assert result["confusion"]["matrix"] == matrix.tolist()
    each = oracle.precision_recall_fscore_support(gold, predicted, labels=classes, zero_division=0)
    for i, name in enumerate(("precision", "recall", "f1", "support")):
        assert [result["per_class"][c][name] for c in classes] == pytest.approx(list(each[i]))


def test_classes_keep_the_order_of_training() -> None:
    result = metrics.classification(["pos", "zzz", "aaa"], ["pos", "neg", "neg"], LABELS)
    assert result["confusion"]["labels"] == ["neg", "pos", "aaa", "zzz"]
    assert result["confusion"]["matrix"][2] == [1, 0, 0, 0]
    assert json.loads(json.dumps(result)) == result


# ----------------------------------------------------------------------------------------- tag

BIO = ["O", "B-A", "I-A", "B-B", "I-B"]
BIOES = [*BIO, "E-A", "S-A", "E-B", "S-B"]


@pytest.mark.parametrize("alphabet", [BIO, BIOES, ["O", "B", "I"]])
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_spans_agree_with_seqeval(alphabet: list[str], data: st.DataObject) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    tags = data.draw(st.lists(st.sampled_from(alphabet), max_size=12))
    assert spans(tags) == [(kind, a, b + 1) for kind, a, b in get_entities(list(tags))]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_span_scores_agree_with_seqeval(data: st.DataObject) -> None:
    from seqeval.metrics import f1_score, precision_score, recall_score

    tags = st.sampled_from(BIO)
    pairs = data.draw(st.lists(st.lists(st.tuples(tags, tags), min_size=1), min_size=1))
    gold = [["B-A", *(g for g, _ in row)] for row in pairs]
    guess = [["O", *(p for _, p in row)] for row in pairs]
    result = metrics.tagging(gold, guess, scheme="BIO")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert result["span_precision"] == pytest.approx(precision_score(gold, guess))
        assert result["span_recall"] == pytest.approx(recall_score(gold, guess))
        assert result["span_f1"] == pytest.approx(f1_score(gold, guess))


segments = st.lists(st.tuples(st.sampled_from(["O", "A", "B"]), st.integers(1, 3)), max_size=6)


@given(segments)
@settings(max_examples=100, deadline=None)
def test_every_scheme_marks_the_same_spans(pieces: list[tuple[str, int]]) -> None:
    """Spans written out in each scheme, and read back by seqeval's strict readers too."""
    from seqeval.scheme import IOB1, IOB2, IOBES, Entities

    expected: list[tuple[str, int, int]] = []
    bio: list[str] = []
    iob1: list[str] = []
    bioes: list[str] = []
    for kind, length in pieces:
        if kind == "O":
            for tags in (bio, iob1, bioes):
                tags.extend(["O"] * length)
            continue
        touches = bool(expected) and expected[-1][0] == kind and expected[-1][2] == len(bio)
        expected.append((kind, len(bio), len(bio) + length))
        bio += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
        iob1 += [f"B-{kind}" if touches else f"I-{kind}"] + [f"I-{kind}"] * (length - 1)
        middle = [f"I-{kind}"] * (length - 2)
        bioes += [f"S-{kind}"] if length == 1 else [f"B-{kind}", *middle, f"E-{kind}"]
    for tags, scheme in ((bio, IOB2), (iob1, IOB1), (bioes, IOBES)):
        assert spans(tags) == expected
        strict = Entities([tags], scheme).entities[0]
        assert [(e.tag, e.start, e.end) for e in strict] == expected
    bilou = [tag.replace("E-", "L-").replace("S-", "U-") for tag in bioes]
    bmes = [tag.replace("I-", "M-") for tag in bioes]
    assert spans(bilou) == spans(bmes) == expected
    if expected:
        assert detect_scheme([bio]) == "BIO"
        assert detect_scheme([iob1]) == "IOB1"
        assert detect_scheme([bilou]) == detect_scheme([bioes])


@pytest.mark.parametrize(
    ("rows", "scheme"),
    [
        ([["NOUN", "O", "B-A"]], None),
        ([["O", "O"]], None),
        ([], None),
        ([["B-A", "I-A", "O"], ["O", "I-A", "B-A"], ["B-B"]], "BIO"),
        ([["I-A", "B-A", "O", "I-B"]], "IOB1"),
        ([["B", "M", "E", "S"]], "BIOES"),
        ([["B-A", "L-A", "U-B", "O"]], "BIOES"),
    ],
)
def test_scheme_is_detected(rows: list[list[str]], scheme: str | None) -> None:
    assert detect_scheme(rows) == scheme


def test_tagging_by_hand() -> None:
    gold = [["B-A", "I-A", "O", "B-B"], ["O"]]
    guess = [["B-A", "I-A", "B-A", "B-B"], ["O"]]
    result = metrics.tagging(gold, guess)
    assert result["token_accuracy"] == 0.8
    assert result["span_precision"] == pytest.approx(2 / 3)
    assert result["span_recall"] == 1.0
    assert result["per_type"]["A"] == {"precision": 0.5, "recall": 1, "f1": 2 / 3, "support": 1}
    assert "span_f1" not in metrics.tagging([["NOUN", "VERB"]], [["NOUN", "ADJ"]])
    with pytest.raises(SeqcliError, match="row 2 has 1 tags and 2"):
        metrics.tagging(gold, [guess[0], ["O", "O"]])


# ----------------------------------------------------------------------------------- translate


def test_translation_has_frozen_figures() -> None:
    """As the sacrebleu command (2.6) prints them for these three lines."""
    references = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."]
    answers = [
        "The dog bit the man.",
        "It wasn't surprising.",
        "The man had just bitten him.",
    ]
    result = metrics.translation(answers, references)
    assert result["bleu"] == pytest.approx(0.4506751, abs=1e-6)
    assert result["chrf"] == pytest.approx(0.5004306, abs=1e-6)
    assert "tok:13a" in result["bleu_signature"]
    assert "nc:6" in result["chrf_signature"]
    perfect = metrics.translation(references, references)
    assert (perfect["bleu"], perfect["chrf"]) == pytest.approx((1, 1))
    assert (result["exact_match"], perfect["exact_match"]) == (pytest.approx(1 / 3), 1)


def test_translations_that_match_exactly_are_counted() -> None:
    result = metrics.translation(["579", " 12", "3 4", "x"], ["579", "12", "34", "X"])
    assert result["exact_match"] == 0.5
    other = metrics.translation(["579", "13", "34", "X"], ["579", "12", "34", "X"])
    found = metrics.compare(result.tallies, other.tallies)["exact_match"]
    assert (found.first, found.second) == (0.5, 0.75)
    assert found.p == 1  # one row is right only before, two only after: 3 of 8 throws, both ways
    assert "mcnemar" in found.test


@pytest.mark.parametrize(
    ("references", "split"),
    [
        (["我想去上海。"], "zh"),
        (["日本語をひらがなで"], "char"),
        (["Ein Mann."], "13a"),
        (["..."], "13a"),
    ],
)
def test_bleu_splits_by_script(references: list[str], split: str) -> None:
    result = metrics.translation(references, references)
    assert f"tok:{split}" in result["bleu_signature"]


# ------------------------------------------------------------------------------------------ lm


def test_language_by_hand() -> None:
    """Four tokens of 1/8 each, of 16 characters: 3 bits a token, 12 bits in all."""
    result = metrics.language(4 * math.log(8), 4, characters=16, unknown=1)
    assert result["perplexity"] == pytest.approx(8)
    assert result["cross_entropy"] == pytest.approx(math.log(8))
    assert result["bits_per_character"] == pytest.approx(0.75)
    assert result["nats_per_character"] == pytest.approx(0.75 * math.log(2))
    assert result["unknown_rate"] == 0.25
    assert math.isfinite(metrics.language(1e9, 1, characters=1, unknown=0)["perplexity"])


def test_signature_follows_the_data() -> None:
    one = metrics.signature("accuracy", ["a", "b"], rows=2, unit=None)
    assert one.startswith("seqcli:")
    assert one.endswith("|accuracy|rows:2|gold:05dec960")
    assert metrics.signature("accuracy", ["ab"], rows=2) != one


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(SeqcliError, match="no rows"):
        metrics.classification([], [], LABELS)
    with pytest.raises(SeqcliError, match="no rows"):
        metrics.translation([], [])
    with pytest.raises(SeqcliError, match="2 rows to score, but 1"):
        metrics.classification(["a", "b"], ["a"], LABELS)
    with pytest.raises(SeqcliError, match="no text"):
        metrics.language(0.0, 0, characters=0, unknown=0)
