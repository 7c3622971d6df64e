"""Whether the first row of a table names its columns."""

import pytest

from seqcli.data.names import has_header


def make_rows(*columns: str) -> list[list[str]]:
    """Twenty rows; a column is values between spaces that repeat, or different in each row."""
    return [[c.split()[i % 2] if " " in c else f"{c} no. {i}" for c in columns] for i in range(20)]


@pytest.mark.parametrize(
    ("first", "columns"),
    [
        ("Sentence (EN)|Label (0/1)", ["it is", "0 1"]),
        ("текст|метка", ["так", "да нет"]),
        ("Timestamp|How satisfied were you?|Please tell us why", ["at", "very little", "since"]),
        ("Customer review text|Overall customer rating", ["so", "5 1"]),
        ("Quality|#1 ID|#2 ID|#1 String|#2 String", ["1 0", "a", "b", "one", "two"]),
        ("微博id|微博中文内容|微博图片|情感倾向", ["id", "今天", "[] []", "1 -1"]),
        ("Date received|Product|Timely response?", ["on", "loan card", "Yes No"]),
        ("label|text", ["pos neg", "film"]),
    ],
)
def test_names_of_columns(first: str, columns: list[str]) -> None:
    rows = make_rows(*columns)
    assert has_header([first.split("|"), *rows], assume=False)
    assert has_header([first.split("|"), *rows, first.split("|"), *rows], assume=False)


@pytest.mark.parametrize(
    ("first", "columns"),
    [
        ("pos|good film", ["pos neg", "film"]),
        ("where is the door ?|question", ["what", "question statement"]),
        ("1|so it goes", ["1 2", "film"]),
        ("so it goes!|and on", ["film", "other"]),
    ],
)
def test_values(first: str, columns: list[str]) -> None:
    rows = [first.split("|"), *make_rows(*columns)]
    assert not has_header(rows)
    assert not has_header(rows, wanted=["1", "pos"])


def test_a_rare_label_in_the_first_row_is_a_value() -> None:
    rows = [[f"is it {i} ?", f"kind:{i % 40}" if i % 9 else f"rare:{i}"] for i in range(500)]
    assert not has_header([["what is it ?", "rare:a"], *rows])
    few = [[f"is it {i} ?", "it is" if i < 6 else "it was"] for i in range(12)]
    assert not has_header([["what is it ?", "who is it"], *few])


def test_a_known_name_may_be_a_text_once() -> None:
    records = [["word", "language"], *([f"w{i}", "en"] for i in range(15)), ["word", "en"]]
    assert has_header(records)
    assert not has_header([["pos", "good"], *([("pos", "neg")[i % 2], f"f {i}"] for i in range(9))])
    texts = [f"how do I reset it {i}" for i in range(20)]
    assert not has_header(
        [["Question (urgent): help", "b"], *([text, "ab"[i % 2]] for i, text in enumerate(texts))]
    )
