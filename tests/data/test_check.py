"""Facts about data, hand-worked."""

from __future__ import annotations

import pytest

from seqcli.config import ClassifyData
from seqcli.data.check import check
from seqcli.errors import UsageError


def test_counts_repeats_leaks_and_unknown_tokens(tmp_path):
    train = "text,label\na b,x\na b,x\nc d e,y\na,y\n"
    test = "text,label\na b,x\nq c,y\n"
    for name, content in (("train", train), ("validation", test), ("test", test)):
        (tmp_path / f"{name}.csv").write_text(content)
    found = check("classify", ClassifyData(data=str(tmp_path)))
    facts = found["splits"]
    assert facts["train"]["rows"] == 4
    assert facts["train"]["tokens"] == 8
    assert facts["train"]["repeated"] == 1
    assert facts["train"]["labels"] == {"x": 2, "y": 2}
    assert facts["test"]["in_train"] == 1
    assert facts["test"]["unknown"] == 1 / 4
    assert facts["test"]["lengths"] == [2, 2, 2, 2]
    assert found["tokens"]["distinct"] == 5  # marks of beginning and end are not in the data


def test_near_repeats_of_training_rows(tmp_path):
    letters = " ".join("abcdefghijklmnopqrstuvw")
    train = f"text,label\nThis film was much too long for me,x\n{letters},y\n"
    test = f"text,label\nthis film was MUCH too long for me,x\n{letters[:-1]}z,y\nnew,x\n"
    (tmp_path / "train.csv").write_text(train + "a,x\nb,y\n" * 9)
    (tmp_path / "test.csv").write_text(test)
    facts = check("classify", ClassifyData(data=str(tmp_path)))["splits"]["test"]
    assert facts["in_train"] == 0
    assert facts["near_train"] == 2


def test_labels_of_other_splits_are_told(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\nc,x\nd,y\n" * 5)
    (tmp_path / "validation.csv").write_text("text,label\na,x\n")
    (tmp_path / "test.csv").write_text("text,label\na,x\nb,z\nc,z\n")
    notes = check("classify", ClassifyData(data=str(tmp_path)))["notes"]
    assert (
        "2 rows of test with a label that train does not have ('z'): they always count as wrong"
        in notes
    )


@pytest.mark.parametrize(
    ("labels", "told"),
    [(["1", "2", "1,2", "1,3", "2,3"], True), (["a", "b, c"], False), (["a;b", "b", "a"], False)],
)
def test_several_labels_in_a_cell_are_told(tmp_path, labels, told):
    rows = "".join(f'"text {i}","{labels[i % len(labels)]}"\n' for i in range(40))
    (tmp_path / "train.csv").write_text("text,label\n" + rows)
    notes = check("classify", ClassifyData(data=str(tmp_path)))["notes"]
    assert any("look like several; --label-separator ','" in note for note in notes) == told


def test_options_that_would_mean_nothing(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\n" * 9)
    for wrong in ({"label_separator": ""}, {"subset": "x"}, {"revision": "y"}):
        with pytest.raises(UsageError):
            check("classify", ClassifyData(data=str(tmp_path), **wrong))


def test_very_many_labels_are_told(tmp_path):
    rows = "".join(f"text {i},label{i % 2000}\n" for i in range(4000))
    (tmp_path / "train.csv").write_text("text,label\n" + rows)
    with pytest.raises(UsageError, match="probably not a label"):
        check("classify", ClassifyData(data=str(tmp_path)))
    asked = ClassifyData(data=str(tmp_path), label_column="label")
    (note,) = [note for note in check("classify", asked)["notes"] if "hardly be learned" in note]
    assert "2,000 labels" in note


@pytest.mark.parametrize(
    ("step", "told"),
    [(0.5, False), (0.04, True), (1, False)],
    ids=["half stars", "scores of similarity", "whole numbers"],
)
def test_labels_that_measure_something_are_told(step, told, tmp_path):
    labels = [round(step * i, 2) for i in range(11 if step == 0.5 else 101)]
    rows = "".join(f"text {i},{labels[i % len(labels)]}\n" for i in range(606))
    (tmp_path / "train.csv").write_text("text,label\n" + rows)
    notes = check("classify", ClassifyData(data=str(tmp_path)))["notes"]
    assert any("each is a class of its own" in note for note in notes) == told
