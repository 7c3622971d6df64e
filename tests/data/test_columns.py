"""Which columns a task takes, and which rows it keeps."""

import shlex
from typing import Any

import pytest

from seqcli.data.choice import direct
from seqcli.data.columns import choose
from seqcli.data.labels import check_labels, settle_labels
from seqcli.data.rows import Rows
from seqcli.data.tables import Table
from seqcli.errors import SeqcliError, UsageError


def take(task: str, columns: dict[str, list[Any]], **asked: str) -> dict[str, list[Any]]:
    header = asked.pop("header", "yes") == "yes"
    place = asked.pop("place", "")
    rows, _ = choose(task, Table("t.csv", columns, header, place=place), asked)
    return rows.columns


# ------------------------------------------------------------------------------------- classify


@pytest.mark.parametrize(
    ("names", "text", "label"),
    [
        (["text", "label"], "text", "label"),
        (["idx", "Sentence", "Label"], "Sentence", "Label"),
        (["label", "title", "content"], "content", "label"),
        (["id", "review", "sentiment"], "review", "sentiment"),
        (["utterance", "intent", "tokens"], "utterance", "intent"),
        (["text", "label", "label_text"], "text", "label_text"),
    ],
)
def test_well_known_names(names: list[str], text: str, label: str) -> None:
    columns = {name: [f"{name} {i % 2}" for i in range(4)] for name in names}
    taken = take("classify", columns)
    assert taken == {"text": columns[text], "label": columns[label]}


def test_a_column_of_declared_classes_goes_before_names() -> None:
    columns = {"text": ["a", "b"], "label": ["x", "y"], "grade": ["p", "q"]}
    table = Table("t", columns, classes=frozenset(["grade"]))
    assert choose("classify", table, {})[1] == {"text": "text", "label": "grade"}


def test_unknown_names_are_told_by_content() -> None:
    columns = {"foo": ["x", "y"] * 10, "bar": [f"some words {i}" for i in range(20)]}
    assert take("classify", columns) == {"text": columns["bar"], "label": columns["foo"]}
    numbered = {"1": columns["bar"], "2": columns["foo"]}
    taken = take("classify", numbered, header="no")
    assert taken == {"text": columns["bar"], "label": columns["foo"]}


@pytest.mark.parametrize("names", [("sentence1", "sentence2"), ("#1 String", "#2 String")])
def test_a_pair_of_texts_by_name(names: tuple[str, str]) -> None:
    first, second = ([f"{name} {i}" for i in range(20)] for name in names)
    columns = {"Quality": ["1", "0"] * 10, names[0]: first, names[1]: second}
    rows, _ = choose("classify", Table("t", columns), {})
    assert rows.columns == {"text": first, "pair": second, "label": ["1", "0"] * 10}
    assert f"(one text alone: --text-column {shlex.quote(names[0])})" in rows.notes[0]
    assert take("classify", columns, text=names[1]) == {"text": second, "label": ["1", "0"] * 10}


def test_a_text_that_is_often_missing_is_not_the_text() -> None:
    reviews = [f"it does what it should, {i} times" for i in range(20)]
    columns = {
        "Title": ["fine", "", ""] * 6 + ["", ""],
        "Review Text": reviews,
        "Rating": ["1", "5"] * 10,
    }
    assert take("classify", columns)["text"] == reviews
    columns["Title"] = ["fine"] * 20
    assert take("classify", columns)["text"] == ["fine"] * 20


def test_a_text_with_brackets_in_its_name_may_be_missing() -> None:
    columns = {"Text (raw)": ["fine", "", ""] * 6, "label": ["x", "y", "z"] * 6}
    assert take("classify", columns)["text"] == ["fine"] * 6


def test_pairs_are_taken_where_both_are_full_and_no_other_is_the_text() -> None:
    labels = ["x", "y"] * 10
    texts = [f"a text {i}" for i in range(20)]
    pair = {"question1": texts, "question2": texts, "label": labels}
    assert "pair" in take("classify", pair)
    assert "pair" not in take("classify", {**pair, "text": texts})
    assert len(take("classify", {**pair, "question2": ["a"] + [""] * 19})["text"]) == 20


def test_minus_one_is_nobody_knows_where_most_columns_have_it() -> None:
    yes, third = ["1", "0", "-1", "0"], ["1", "0", "-1", "1"]
    texts = [f"t {i}" for i in range(4)]
    rows = take("classify", {"text": texts, "a": yes, "b": third})
    assert rows["label"] == [["a", "b"], [], ["b"]]
    columns = {"text": texts, "a": ["1", "0", "1", "0"], "b": ["0", "1", "1", "0"], "c": third}
    table = Table("t", columns)
    rows = choose("classify", table, {})[0]
    assert len(rows) == 4
    assert any("'c' is left out, since row 3 holds '-1'" in note for note in rows.notes)


def test_a_column_of_empty_lists_is_no_label() -> None:
    columns = {"post": [f"so it goes {i}" for i in range(20)], "pictures": ["[]"] * 19 + ["['a']"]}
    columns["mood"] = ["1", "0", "-1", "1"] * 5
    assert take("classify", columns)["label"] == columns["mood"]


def test_asked_columns_win_and_missing_ones_are_listed() -> None:
    columns = {"text": ["a", "b"], "label": ["x", "y"], "Other": ["1", "2"]}
    assert take("classify", columns, label="other")["label"] == ["1", "2"]
    with pytest.raises(
        UsageError, match=r"no column 'foo' \(--label-column\); its columns are 'text'"
    ):
        take("classify", columns, label="foo")
    with pytest.raises(UsageError, match="'text' cannot be both text and label"):
        take("classify", columns, text="text", label="text")


def test_an_exact_name_goes_before_one_of_another_case() -> None:
    columns = {"Word": [["a"]], "tag": [["N"]], "Tag": [["B"]]}
    assert take("tag", columns, tags="Tag")["tags"] == [["B"]]
    assert take("tag", columns, tags="TAG")["tags"] == [["N"]]


def test_both_sides_in_an_object() -> None:
    pair = {"en": "a dog", "fr": "un chien"}
    meta = {"domain": "news", "split": "train"}
    wanted = {"source": ["a dog"], "target": ["un chien"]}
    for columns in (
        {"meta": [meta], "translation": [pair]},
        {"meta": [meta], "pair": [pair]},
        {"pair": [pair, "broken", None]},
    ):
        assert take("translate", columns) == wanted


def test_columns_that_repeat_are_no_text_to_translate() -> None:
    columns = {"1": ["eng"] * 3, "2": ["a", "b", "c"], "3": ["fra"] * 3, "4": ["x", "y", "z"]}
    found = take("translate", columns, header="no")
    assert found == {"source": ["a", "b", "c"], "target": ["x", "y", "z"]}


def test_several_columns_are_one_text() -> None:
    columns = {"title": ["a b", "c", None], "body": ["d e", None, None], "label": ["x", "y", "x"]}
    taken = take("classify", columns, text="Title,body")
    assert taken == {"text": ["a b d e", "c"], "label": ["x", "y"]}
    named = {"one, two": ["a", "b"], "label": ["x", "y"]}  # a comma may stand in a name
    assert take("classify", named, text="one, two")["text"] == ["a", "b"]
    with pytest.raises(UsageError, match=r"no column 'foot' \(--text-column\)"):
        take("classify", columns, text="title,foot")
    with pytest.raises(UsageError, match="'body' cannot be both text and pair"):
        take("classify", columns, text="title,body", pair="body")
    with pytest.raises(UsageError, match="'title' cannot be both text"):
        take("classify", columns, text="title,title")


def test_columns_of_prose_without_names_are_one_text() -> None:
    """As in AG News: a class, a title and a description."""
    titles = [f"Some title number {i}" for i in range(20)]
    bodies = [f"And a longer description of it, the {i}th of its kind" for i in range(20)]
    dates = [f"2024-01-{i:02}" for i in range(20)]
    columns = {"1": ["3", "4"] * 10, "2": titles, "3": dates, "4": bodies}
    table = Table("t.csv", columns, header=False)
    rows, choice = choose("classify", table, {})
    assert choice == {"text": "2,4", "label": "1"}
    assert rows["text"][0] == f"{titles[0]} {bodies[0]}"
    assert rows.notes == (
        "text from columns 2 + 4 and label from column 1 (to read less: --text-column 4); the "
        "first row is no header",
    )
    assert take("classify", columns, header="no", text="4")["text"] == bodies
    named = {"class": columns["1"], "title": titles, "other": bodies, "text": bodies}
    rows, choice = choose("classify", Table("t.csv", named), {})
    assert choice == {"text": "text", "label": "class"}
    assert rows.notes == (
        "text from 'text' and label from 'class' (to read more: --text-column title,text)",
    )
    rows, _ = choose("classify", Table("t.csv", named), {"text": "title,text"})
    assert rows.notes == ("text from 'title' + 'text' and label from 'class'",)


def test_labels_become_strings_and_broken_rows_are_counted() -> None:
    columns = {
        "text": ["NA", "b", "c", None, " ", "f", "g"],
        "label": [1, 0.0, True, "x", "y", None, " z "],
    }
    rows, _ = choose("classify", Table("t.csv", columns), {})
    assert rows.columns == {"text": ["NA", "b", "c", "g"], "label": ["1", "0", "true", "z"]}
    assert "t.csv: 2 rows without text, left out" in rows.notes
    assert "t.csv: 1 row without a label, left out" in rows.notes


def test_a_dash_is_no_label_of_a_pair() -> None:
    columns = {"sentence1": ["a", "b", "c"], "sentence2": ["d", "e", "f"]}
    columns["gold_label"] = ["x", "-", "y"]
    rows, _ = choose("classify", Table("t", columns), {})
    assert rows["label"] == ["x", "y"]
    assert "t: 1 row with the label '-', left out" in rows.notes
    assert take("classify", {"text": ["a", "b"], "label": ["+", "-"]})["label"] == ["+", "-"]


def test_several_labels_a_row() -> None:
    table = Table("t.csv", {"text": ["a", "b"], "labels": [["x"], ["y"]]})
    single, _ = choose("classify", table, {})
    settled = settle_labels({"train": single}, separator=None)["train"]
    assert settled["label"] == ["x", "y"]
    rows = take("classify", {"text": ["a", "b", "c"], "labels": [["x"], ["x", " y "], []]})
    assert rows["label"] == [["x"], ["x", "y"], []]
    written = take("classify", {"text": ["a", "b"], "labels": ["['x', 'y']", "[]"]})
    assert written["label"] == [["x", "y"], []]


@pytest.mark.parametrize("value", [{"a": 1}, b"\xff", [["a"]], [{"choices": ["x"]}]])
def test_objects_are_neither_texts_nor_labels(value: object) -> None:
    columns = {"text": ["a", "b"], "label": ["x", "y"], "target": ["c", "d"]}
    for task, name in (("classify", "text"), ("classify", "label"), ("translate", "target")):
        spoiled = columns | {name: [columns[name][0], value]}
        asked = {"source": "text", "target": "target"} if task == "translate" else {}
        with pytest.raises(SeqcliError, match=f"t row 2: column '{name}' holds no {name} but"):
            choose(task, Table("t", spoiled), asked)


def test_choices_of_label_studio_are_labels() -> None:
    columns = {"text": ["a", "b", "c"], "topic": [{"choices": ["A", "C"]}, "A", None]}
    assert take("classify", columns, label="topic")["label"] == [["A", "C"], "A"]


def test_marked_spans_are_no_labels() -> None:
    columns = {"text": ["Anna lives", "so"], "label": [[[0, 4, "PER"]], []]}
    with pytest.raises(UsageError, match="'label' marks spans of the text; use seqcli tag"):
        take("classify", columns)


FLAGS = {
    "comment_text": ["a b", "c d", "e f", "g h", "i j"],
    "toxic": ["1", "0", "0", "-1", ""],
    "insult": [1.0, 0.0, None, -1, None],
    "threat": ["yes", "no", "yes", "no", ""],
}


def test_columns_of_yes_and_no_are_labels_together() -> None:
    names = "toxic,insult,threat"
    rows, _ = choose("classify", Table("t", FLAGS), {"label": names})
    assert rows["label"] == [["toxic", "insult", "threat"], [], ["threat"]]
    assert "t: 2 rows without a label, left out" in rows.notes
    known = {name: [*values[:3], *values[4:]] for name, values in FLAGS.items()}
    rows, choice = choose("classify", Table("t", known), {})
    assert choice["label"] == names
    assert rows["label"] == [["toxic", "insult", "threat"], [], ["threat"]]
    assert "(one of these alone: --label-column toxic)" in rows.notes[0]
    some, _ = choose("classify", Table("t", FLAGS), {"label": "threat,toxic"})
    assert some["label"] == [["threat", "toxic"], [], ["threat"]]
    alone = take("classify", FLAGS, label="threat")
    assert alone["label"] == ["yes", "no", "yes", "no"]


def test_a_scale_is_no_yes_and_no_unless_it_is_named() -> None:
    columns = {"tweet": [f"it is {i}" for i in range(9)], "kept": [0, 1, 0] * 3}
    columns |= {"mood": [-1, 0, 1] * 3, "again": [0, 0, 1] * 3}
    assert choose("classify", Table("t", columns), {})[1]["label"] == "kept,again"


def test_a_column_with_a_value_that_is_neither_yes_nor_no() -> None:
    columns = {name: ["1", "0"] * 10 for name in ("toxic", "insult", "threat")}
    columns |= {"comment": [f"so it is {i}" for i in range(20)]}
    columns["threat"][3] = "2"
    rows, choice = choose("classify", Table("t", columns), {})
    assert choice["label"] == "toxic,insult"
    assert "; 'threat' is left out, since row 4 holds '2')" in rows.notes[0]
    with pytest.raises(SeqcliError, match="t row 4: '2' in column 'threat' says neither yes"):
        choose("classify", Table("t", columns), {"label": "toxic,threat"})
    columns["threat"] = [0.0, 0.5, 0.1667, 1.0] * 5
    with pytest.raises(SeqcliError, match=r"row 2: 0\.5 in column .* \(round fractions"):
        choose("classify", Table("t", columns), {"label": "toxic,threat"})


def test_marks_of_a_spreadsheet_say_yes() -> None:
    columns = {"text": ["a", "b", "c"], "good": ["x", "", "X "], "new": ["", "", "x"]}
    rows, _ = choose("classify", Table("t", columns), {"label": "good,new"})
    assert rows["label"] == [["good"], [], ["good", "new"]]
    assert "t: columns of labels hold 'x' for yes and nothing for no" in rows.notes
    named = {"text": ["a", "b"], "topic1": ["sport", "sport"], "topic2": ["", ""]}
    assert take("classify", named, label="topic1,topic2")["label"] == [["sport"], ["sport"]]


def test_ones_and_zeros_in_a_list_are_labels_by_their_places() -> None:
    columns = {"text": ["a", "b", "c"], "labels": [[1.0, 0.0, 1.0], [0, 0, 0], None]}
    rows, _ = choose("classify", Table("t", columns), {})
    assert rows["label"] == [["0", "2"], []]
    assert any("labels are the places of ones" in note for note in rows.notes)
    written = take("classify", {"text": ["a", "b"], "label": ["[0. 1. 0.]", "[1. 0. 0.]"]})
    assert written["label"] == [["1"], ["0"]]
    votes = take("classify", {"text": ["a", "b"], "label": [[0, 1], [1, 0]]})
    assert votes["label"] == [["0", "1"], ["1", "0"]]  # of two nobody can tell
    ids = take("classify", {"text": ["a", "b"], "label": ["[0]", "[1, 0]"]})
    assert ids["label"] == [["0"], ["1", "0"]]


def test_a_column_of_a_label_goes_before_those_of_yes_and_no() -> None:
    columns = {"text": ["a", "b"], "kept": ["1", "0"], "read": ["0", "1"], "label": ["x", "y"]}
    assert take("classify", columns)["label"] == ["x", "y"]


def test_columns_of_other_values_are_labels_by_what_they_hold() -> None:
    columns = {"text": ["a", "b", "c"], "k1": ["x", "y", ""], "k2": ["z", "", None]}
    taken = take("classify", columns, label="k1,k2")
    assert taken == {"text": ["a", "b"], "label": [["x", "z"], ["y"]]}


def test_a_column_of_one_value_is_not_taken_for_a_label() -> None:
    columns = {"1": ["so it goes", "rain"] * 10, "2": ["ham", "spam"] * 10, "3": [""] * 20}
    assert take("classify", columns, header="no")["label"] == ["ham", "spam"] * 10


def test_one_row_with_two_labels_makes_lists_of_all() -> None:
    train, test = (Rows({"label": one}, "t") for one in (["x", "y"], [["x", "x", "z"]]))
    settled = settle_labels({"train": train, "test": test}, separator=None)
    assert [rows["label"] for rows in settled.values()] == [[["x"], ["y"]], [["x", "z"]]]
    divided = settle_labels({"train": Rows({"label": ["x; y", "z", ";"]}, "t")}, separator=";")
    assert divided["train"]["label"] == [["x", "y"], ["z"], []]


@pytest.mark.parametrize(
    ("text", "label", "flag"), [("Beschreibung", "Kategorie", "Dringend"), ("正文", "分类", "置顶")]
)
def test_german_and_chinese_names(text: str, label: str, flag: str) -> None:
    rows = [[f"a b {i}", "xyz"[i % 3], "01"[i % 2]] for i in range(12)]
    columns = dict(zip((text, label, flag), map(list, zip(*rows, strict=True)), strict=True))
    _, choice = choose("classify", Table("t", columns), {})
    assert choice == {"text": text, "label": label}


def test_no_label() -> None:
    for column in (["good;a", "bad;b"], ["good;a", "bad;b", "good;a"]):
        with pytest.raises(UsageError, match=r"a label; it has one column; .* called \.csv"):
            choose("classify", Table("t.tsv", {"1": column}, header=False), {})
    with pytest.raises(UsageError, match=r"like a label; it has one column$"):
        take("classify", {"text": ["good", "bad"]})
    unique = [f"a{i}" for i in range(50)]
    with pytest.raises(UsageError, match="no column that looks like a label"):
        take("classify", {"1": unique, "2": unique[::-1]}, header="no")


@pytest.mark.parametrize(
    ("labels", "asked", "message"),
    [
        (["x"] * 30, True, "every row has the label 'x'"),
        ([str(i) for i in range(30)], True, "30 values in 30 rows"),
        ([str(i % 20) for i in range(30)], False, "20 values in 30 rows"),
        ([str(i % 1001) for i in range(3000)], False, "1,001 values in 3,000 rows"),
        ([str(i % 1001) for i in range(3000)], True, ""),
        ([str(i % 2) for i in range(2)], False, ""),
    ],
)
def test_labels_that_are_none(labels: list[str], asked: bool, message: str) -> None:
    table = Table("t.csv", {"text": ["a"] * len(labels), "label": labels})
    rows, choice = choose("classify", table, {})
    if message:
        with pytest.raises(SeqcliError, match=message):
            check_labels(table, rows, choice, option="--label-column", asked=asked)
    else:
        check_labels(table, rows, choice, option="--label-column", asked=asked)


# ------------------------------------------------------------------------------------------ tag


def test_tags_of_the_hub_prefer_entities() -> None:
    columns = {
        "id": ["0"],
        "tokens": [["EU", "rejects"]],
        "pos_tags": [["NNP", "VBZ"]],
        "ner_tags": [["B-ORG", "O"]],
    }
    assert take("tag", columns) == {"tokens": [["EU", "rejects"]], "tags": [["B-ORG", "O"]]}
    assert take("tag", columns, tags="pos_tags")["tags"] == [["NNP", "VBZ"]]


def test_numbered_columns_are_first_and_last() -> None:
    columns = {"1": [["a"]], "2": [["N"]], "3": [["O"]]}
    assert take("tag", columns, header="no") == {"tokens": [["a"]], "tags": [["O"]]}
    assert take("tag", columns, header="no", tags="2")["tags"] == [["N"]]


def test_strings_are_cut_at_spaces_only() -> None:
    columns = {"text": ["10\u00a0000  euros"], "slots": [" B O "]}
    assert take("tag", columns) == {"tokens": [["10\u00a0000", "euros"]], "tags": [["B", "O"]]}


def test_a_text_without_spaces_has_a_tag_a_character() -> None:
    columns = {"text": ["我爱北京", "A座"], "labels": [["O", "O", "B-L", "I-L"], ["B-L", "I-L"]]}
    assert take("tag", columns)["tokens"] == [["我", "爱", "北", "京"], ["A", "座"]]
    columns = {"text": ["我爱北京", "A 座"], "labels": [["O", "O", "B-L", "I-L"], ["B-L", "I-L"]]}
    with pytest.raises(SeqcliError, match="row 1 has 1 tokens and 4 tags"):
        take("tag", columns)


def test_lists_written_out_are_lists() -> None:
    columns = {"text": ["['10 000', \"it's\"]", "[ a ]"], "slots": ["['B', 'O']", "[ O ]"]}
    assert take("tag", columns) == {
        "tokens": [["10 000", "it's"], ["[", "a", "]"]],
        "tags": [["B", "O"], ["[", "O", "]"]],
    }


def test_lists_of_numpy_and_of_numbers() -> None:
    columns = {
        "tokens": ["['EU' 'rejects'\n 'it\\'s']", '["\\u4e2d", "a\\\\b", "C:\\d"]', None],
        "ner_tags": ["[3 0\n 7]", "[0, -1, 12.5]", ""],
    }
    rows, _ = choose("tag", Table("t", columns), {})
    assert rows["tokens"] == [["EU", "rejects", "it's"], ["中", "a\\b", "C:\\d"]]
    assert rows["tags"] == [["3", "0", "7"], ["0", "-1", "12.5"]]
    assert take("classify", {"text": ["a", "b"], "labels": ["[27]", "[3, 1]"]})["label"] == [
        ["27"],
        ["3", "1"],
    ]


def test_brackets_around_a_number_are_tokens_where_not_all_are_lists() -> None:
    columns = {"text": ["[1]", "see [2]"], "slots": ["N", "O N"]}
    assert take("tag", columns)["tokens"] == [["[1]"], ["see", "[2]"]]


WORDS = ["in", "Rome", "we", "eat", "ice"]
GEO = ["O", "B-geo", "O", "O", "O"]


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("Sentence #", ["Sentence: 1", "", "Sentence: 2", "", ""]),
        ("sentence_idx", ["1.0", "1.0", "2.0", "2.0", "2.0"]),
        ("sentence_id", [7, 7, 3, 3, 3]),
        ("Sentence", ["a-1", None, "a-2", "a-2", None]),
    ],
)
def test_tokens_are_joined_where_a_column_numbers_sentences(name: str, numbers: list[Any]) -> None:
    columns = {name: numbers, "Word": WORDS, "POS": ["N"] * 5, "Tag": GEO}
    rows, _ = choose("tag", Table("t", columns), {})
    assert rows["tokens"] == [["in", "Rome"], ["we", "eat", "ice"]]
    assert rows["tags"] == [["O", "B-geo"], ["O", "O", "O"]]
    assert f"5 rows of a token are 2 sentences by {name!r}" in rows.notes
    assert take("tag", columns, tags="pos")["tags"] == [["N"] * 2, ["N"] * 3]
    assert take("tag", columns, tokens="word")["tokens"] == rows["tokens"]


@pytest.mark.parametrize(
    "numbers",
    [["1", "", "2", "", ""], ["Satz 1", "Satz 1", "Satz 2", "Satz 2", ""], [0, 0, 1, 1, 1]],
)
def test_numbers_of_sentences_are_found_under_any_name(numbers: list[Any]) -> None:
    columns = {"Satz Nr.": numbers, "Wort": WORDS, "Etikett": GEO}
    rows, _ = choose("tag", Table("t", columns), {"tokens": "Wort", "tags": "Etikett"})
    assert rows["tokens"] == [["in", "Rome"], ["we", "eat", "ice"]]
    assert "5 rows of a token are 2 sentences by 'Satz Nr.'" in rows.notes


@pytest.mark.parametrize(
    "numbers",
    [
        ["1", "2", "3", "4", "5"],  # of rows
        ["1", "2", "1", "2", "3"],  # of tokens within a sentence
        ["0", "0", "0", "0", "0"],
        ["1", "1", "4", "4", "4"],
        ["", "1", "1", "2", "2"],
        ["1", "1", "2", "x", "2"],
    ],
)
def test_other_numbers_beside_tokens_join_nothing(numbers: list[Any]) -> None:
    columns = {"n": numbers, "word": WORDS, "tag": GEO}
    assert len(take("tag", columns)["tokens"]) == 5


def test_numbers_that_are_tags_join_nothing() -> None:
    columns = {"word": WORDS, "tag": ["0", "0", "1", "1", "1"]}
    assert len(take("tag", columns)["tokens"]) == 5


def test_numbers_of_sentences_may_begin_anew_in_each_document() -> None:
    columns = {"doc_id": ["a", "a", "b", "", "a"], "sentence_id": ["1", "1", "1", "", "1"]}
    taken = take("tag", {**columns, "word": WORDS, "tag": GEO})
    assert taken["tokens"] == [["in", "Rome"], ["we", "eat"], ["ice"]]


def test_spaces_around_tokens_do_not_count() -> None:
    columns = {"Sentence #": ["1", "1", "1 ", "2", "2"], "Word": ["in ", *WORDS[1:]], "Tag": GEO}
    columns["Tag"] = ["O", "B-geo ", "O", "O", "O"]
    taken = take("tag", columns)
    assert taken["tokens"] == [["in", "Rome", "we"], ["eat", "ice"]]
    assert taken["tags"] == [["O", "B-geo", "O"], ["O", "O"]]


def test_joined_tokens_with_a_label_and_with_gaps() -> None:
    columns = {
        "sentence_id": ["1", "1", "2", "2", "3"],
        "token": ["a", "b", "c", "", "d"],
        "tag": ["O", "O", "O", "O", ""],
        "intent": ["go", "", "stay", "stay", "go"],
    }
    rows, _ = choose("tag", Table("t", columns), {"label": "intent"})
    assert rows.columns == {"tokens": [["a", "b"]], "tags": [["O", "O"]], "label": ["go"]}
    assert "t: 1 row with a missing token, left out" in rows.notes
    assert "t: 1 row without tags, left out" in rows.notes


def test_whole_sentences_are_not_joined() -> None:
    """Neither where the text stands in a column sentence, nor where each row has a number."""
    text = {"sentence": ["to Rome", "to Rome"], "tags": ["O B", "O B"]}
    assert len(take("tag", text)["tokens"]) == 2
    numbered = {"sentence_id": ["1", "1"], "tokens": ["to Rome", "now"], "tags": ["O B", "O"]}
    assert len(take("tag", numbered)["tokens"]) == 2


def test_rows_of_a_token_without_numbers_are_remarked_on() -> None:
    columns = {"word": WORDS * 5, "tag": GEO * 5}
    rows, _ = choose("tag", Table("t", columns), {})
    assert any("every row has one token" in note for note in rows.notes)
    rows, _ = choose("tag", Table("t", {"word": WORDS, "tag": GEO}), {})
    assert not any("every row has one token" in note for note in rows.notes)


def test_unequal_lengths_name_the_row() -> None:
    columns = {"tokens": [["a"], ["a", "b"]], "tags": [["O"], ["O"]]}
    with pytest.raises(SeqcliError, match=r"t\.csv row 2 has 2 tokens and 1 tags"):
        take("tag", columns)


def test_sentences_without_tokens_or_tags_are_counted() -> None:
    columns = {"tokens": [["a"], [], ["b"], ["c"]], "tags": [["O"], [], None, [None]]}
    rows, _ = choose("tag", Table("t", columns), {})
    assert rows["tokens"] == [["a"]]
    assert "t: 1 row without tokens, left out" in rows.notes
    with pytest.raises(UsageError, match="no column that looks like tags"):
        take("tag", {"tokens": [["a"]], "foo": [["b"]]})


# ------------------------------------------------------------------------------------ translate


@pytest.mark.parametrize(
    ("names", "source", "target"),
    [
        (["target", "source"], "source", "target"),
        (["tgt", "src"], "src", "tgt"),
        (["de", "en"], "en", "de"),
        (["id", "fr", "de"], "de", "fr"),
        (["id", "zh_CN", "en"], "en", "zh_CN"),
        (["german", "English"], "English", "german"),
        (["text", "label", "tokens", "chinese"], "text", "chinese"),
        (["question", "answer"], "question", "answer"),
    ],
)
def test_pairs_by_name(names: list[str], source: str, target: str) -> None:
    columns = {name: [f"in {name}"] for name in names}
    taken = take("translate", columns)
    assert taken == {"source": columns[source], "target": columns[target]}
    turned = take("translate", columns, source=target, target=source)
    assert turned == {"source": columns[target], "target": columns[source]}
    assert take("translate", columns, source=target) == turned


def test_pairs_by_place() -> None:
    columns = {"1": ["1001"], "2": ["go"], "3": ["va"], "4": ["CC-BY"]}
    assert take("translate", columns, header="no") == {"source": ["go"], "target": ["va"]}


def test_a_translation_dict() -> None:
    columns = {"id": ["0", "1"], "translation": [{"en": "a", "de": "A"}, {"en": "b", "de": "B"}]}
    assert take("translate", columns) == {"source": ["a", "b"], "target": ["A", "B"]}
    assert take("translate", columns, source="de")["source"] == ["A", "B"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("multi30k_en_de/train", ["en", "de"]),
        ("wmt/wmt14/de-en", ["de", "en"]),
        ("data/train", ["en", "de"]),
        ("deen/en", ["en", "de"]),
    ],
)
def test_direction_by_the_name_of_the_place(place: str, expected: list[str]) -> None:
    assert direct(["de", "en"], place)[0] == direct(["en", "de"], place)[0] == expected


def test_direction_is_said_with_the_way_back() -> None:
    rows, _ = choose("translate", Table("t", {"de": ["A"], "en": ["a"]}), {})
    assert "the other way: --source de --target en" in rows.notes[0]


def test_no_pair() -> None:
    for names in (["text", "label"], ["en", "de", "fr"], ["text"]):
        with pytest.raises(UsageError, match="name two with --source and --target"):
            take("translate", {name: ["a"] for name in names})


def test_pairs_with_an_empty_side_are_counted() -> None:
    rows, _ = choose("translate", Table("t", {"en": ["a", "", "c"], "de": ["A", "B", " "]}), {})
    assert rows.columns == {"source": ["a"], "target": ["A"]}
    assert "t: 2 rows with an empty side, left out" in rows.notes


# ------------------------------------------------------------------------------------------- lm


def test_text_keeps_empty_lines() -> None:
    assert take("lm", {"text": [" ", "", "a", None]}) == {"text": [" ", "", "a"]}
    assert take("lm", {"foo": ["a"]}) == {"text": ["a"]}
    with pytest.raises(UsageError, match="no column that looks like text"):
        take("lm", {"foo": ["a"], "bar": ["b"]})
