"""Spans that are marked by the places of their characters, in the forms that people have."""

from typing import Any

import pytest

from seqcli.data.annotations import Mark, are_marks, read_marks, tag_marked
from seqcli.data.columns import choose
from seqcli.data.tables import Table
from seqcli.data.words import Cut, locate_words
from seqcli.errors import SeqcliError

TEXT = "Anna lives in New York."
PLACES = [(0, 4, "PER"), (14, 22, "LOC")]
TAGS = ["B-PER", "O", "O", "B-LOC", "I-LOC", "O"]


@pytest.mark.parametrize(
    "value",
    [
        [[0, 4, "PER"], [14, 22, "LOC"]],  # doccano, spaCy
        "[(0, 4, 'PER'), (14, 22, 'LOC')]",  # the same written by pandas
        '[[0, 4, "PER"], [14, 22, "LOC"]]',
        [{"start": s, "end": e, "label": kind} for s, e, kind in PLACES],  # Prodigy
        [{"id": 7, "start_offset": s, "end_offset": e, "label": kind} for s, e, kind in PLACES],
        [{"start": s, "end": e, "text": TEXT[s:e], "labels": [kind]} for s, e, kind in PLACES],
        [  # Dataturks: the end is the last character
            {"label": [kind], "points": [{"start": s, "end": e - 1, "text": TEXT[s:e]}]}
            for s, e, kind in PLACES
        ],
        {"PER": {"Anna": [[0, 3]]}, "LOC": {"New York": [[14, 21]]}},  # CLUENER
        [  # CMeEE
            {"start_idx": s, "end_idx": e - 1, "type": kind, "entity": TEXT[s:e]}
            for s, e, kind in PLACES
        ],
    ],
)
def test_forms(value: Any) -> None:
    assert are_marks([None, [], value])
    found = tag_marked([TEXT], [value], "t")
    assert found.tokens == [["Anna", "lives", "in", "New", "York", "."]]
    assert found.tags == [TAGS]
    assert found.notes == ["t: marked spans now tags of tokens: 2"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        "[",
        "a text",
        "[1, 2]",
        3,
        [3, 0],
        ["B-PER", "O"],
        [[1, 2]],
        [{"start": 1}],
        {"a": 1},
        [["a", "b", "c"]],
        [{"start": 0, "end": 1, "label": None}],
        "['O', 'B-PER']",
    ],
)
def test_what_marks_no_spans(value: Any) -> None:
    assert not are_marks([value])


def test_an_end_that_is_its_start_says_that_ends_are_inclusive() -> None:
    marks = [[{"start": 0, "end": 0, "type": "A"}, {"start": 1, "end": 2, "type": "B"}]]
    assert tag_marked([["x", "y", "z"]], marks, "t").tags == [["B-A", "B-B", "I-B"]]
    assert tag_marked([["x", "y", "z"]], [marks[0][1:]], "t").tags == [["O", "B-B", "O"]]


def test_what_an_end_means_is_told_by_most_marks() -> None:
    """A mark of nothing in a file of exclusive ends, and inclusive ones without surfaces."""
    marks = [[[0, 4, "PER"], [14, 22, "LOC"], [5, 5, "X"]]]
    assert tag_marked([TEXT], marks, "t").tags == [TAGS]
    inclusive = [[[0, 3, "PER"], [14, 21, "LOC"]]]
    assert tag_marked([TEXT], inclusive, "t").tags == [TAGS]
    chinese = [[[0, 2, "PER"]], [[3, 3, "LOC"], [0, 2, "PER"]]]
    found = tag_marked(["叶老桂去", "叶老桂京"], chinese, "t")
    assert found.tags == [["B-PER", "I-PER", "I-PER", "O"], ["B-PER", "I-PER", "I-PER", "B-LOC"]]


def test_tags_that_are_there_go_before_spans() -> None:
    span = {"start": 0, "end": 4, "label": "PER"}
    columns = {"words": [["Anna", "sleeps"]], "pos_tags": [["NN", "VB"]], "spans": [[span]]}
    rows, choice = choose("tag", Table("t", columns), {})
    assert (choice["tags"], rows["tags"]) == ("pos_tags", [["NN", "VB"]])
    with pytest.raises(SeqcliError, match="t row 1: a span ends behind its 2 tokens"):
        tag_marked([["Anna", "sleeps"]], [[span]], "t")


def test_an_empty_span_among_many_of_chinese_says_nothing() -> None:
    rows = [[[0, 2, "PER"], [3, 5, "LOC"]]] * 19 + [[[0, 2, "PER"], [3, 3, "LOC"]]]
    found = tag_marked(["张三在北京工作"] * 20, rows, "t")
    assert found.tags[0] == ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O", "O"]


def test_spans_that_fit_no_token_are_counted() -> None:
    found = tag_marked(["Paris2024 opens  ", ""], [[(0, 5, "L"), (15, 17, "X")], []], "t")
    assert (found.tokens, found.tags) == ([["Paris2024", "opens"], []], [["B-L", "O"], []])
    assert set(found.notes) == {
        "t: marked spans now tags of tokens: 1",
        "t: marked spans ending within a token, so that they take all of it: 1",
        "t: marked spans covering no token, left out: 1",
    }


def test_spaces_at_the_ends_of_a_span_do_no_harm() -> None:
    found = tag_marked([TEXT], [[(0, 5, "PER"), (13, 22, "LOC"), (13, 22, "LOC")]], "t")
    assert (found.tags, len(found.notes)) == ([TAGS], 1)


def test_spans_that_share_a_token_without_overlapping_are_no_error() -> None:
    marks = [(2, 4, "UNIT"), (0, 2, "NUMBER"), (5, 7, "NUMBER"), (7, 14, "SIZE")]
    found = tag_marked(["10kg 12cm long"], [marks], "t")
    assert found.tokens == [["10kg", "12cm", "long"]]
    assert found.tags == [["B-NUMBER", "B-NUMBER", "B-SIZE"]]
    assert set(found.notes) == {
        "t: marked spans now tags of tokens: 3",
        "t: marked spans ending within a token, so that they take all of it: 2",
        "t: marked spans within a token that the span before has taken, left out: 1",
        "t: marked spans beginning within a token that the span before has taken: 1",
    }


def test_overlapping_and_unreadable_spans_are_refused() -> None:
    with pytest.raises(SeqcliError, match="t row 2: spans of 'PER' and 'LOC' overlap"):
        tag_marked([TEXT, TEXT], [[], [(0, 4, "PER"), (0, 10, "LOC")]], "t")
    with pytest.raises(SeqcliError, match="t row 1: its spans are not read; each needs a start"):
        tag_marked([TEXT], [[[0, 4]]], "t")


@pytest.mark.parametrize(
    "text", ["叶老桂 in 浙商银行, 2024年", "กรุงเทพ a", "don't U.S.  x_y-z", " "]
)
def test_words_are_located_where_a_line_is_split(text: str) -> None:
    bounds = locate_words(text)
    assert [text[start:end] for start, end in bounds] == Cut.WORDS.find_tokens(text)
    assert "".join(Cut.WORDS.find_tokens(text)) == "".join(text.split())


def test_chinese_and_thai_are_cut_at_each_character() -> None:
    assert Cut.WORDS.find_tokens("去ABC银行") == ["去", "ABC", "银", "行"]
    assert len(Cut.WORDS.find_tokens("กรุงเทพ")) == 7


def test_columns_are_found() -> None:
    value = [list(place) for place in PLACES]
    columns = {"id": [1, 2], "tokens": [[{"text": "Anna"}]] * 2, "text": [TEXT] * 2}
    for name in ("label", "entities", "spans", "ner"):
        rows, choice = choose("tag", Table("t", columns | {name: [value, []]}), {})
        assert choice == {"tokens": "text", "tags": name}
        assert rows["tags"] == [TAGS, ["O"] * 6]
        assert rows["text"] == [TEXT] * 2
    table = Table("t", {"a": [TEXT], "b": [value]})
    rows, _ = choose("tag", table, {"tokens": "a", "tags": "b"})
    assert rows["tags"] == [TAGS]
    tokens = {"tokens": [["x", "y"]], "entities": [[{"start": 0, "end": 1, "type": "T"}]]}
    rows, _ = choose("tag", Table("t", tokens), {})
    assert rows.columns == {"tokens": [["x", "y"]], "tags": [["B-T", "O"]]}


def test_rows_without_spans_are_left_out_with_a_reason() -> None:
    columns = {"text": [TEXT, TEXT], "label": [[[0, 4, "PER"]], None]}
    rows, _ = choose("tag", Table("t", columns), {})
    assert len(rows) == 1
    assert "t: 1 row without tags, left out" in rows.notes


def test_a_mark_of_several_labels_overlaps() -> None:
    value = [{"start": 0, "end": 4, "labels": ["PER", "ORG"], "text": "Anna"}]
    assert read_marks(value) == [Mark(0, 4, "PER", "Anna"), Mark(0, 4, "ORG", "Anna")]
    with pytest.raises(SeqcliError, match="overlap"):
        tag_marked([TEXT], [value], "t")
