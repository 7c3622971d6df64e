"""From tags to spans and back, what follows a scheme, and repairs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data.columns import choose
from seqcli.data.schemes import Notation, can_follow, detect_scheme, find_nested, spans
from seqcli.data.tables import Table
from seqcli.errors import SeqcliError

ALPHABET = ["O", *(f"{place}-{kind}" for place in "BIES" for kind in "AB")]
any_tags = st.lists(st.sampled_from(ALPHABET), max_size=12)
NOTATIONS = [
    Notation("BIO"),
    Notation("IOB1"),
    Notation("BIOES"),
    Notation("BIOES", "BILU", "_"),
    Notation("BIOES", "BMES"),
    Notation("BIOES", "bmes", "-", "o"),
]


@pytest.mark.parametrize("notation", NOTATIONS)
@given(tags=any_tags)
@settings(max_examples=100, deadline=None)
def test_what_is_written_reads_the_same(notation: Notation, tags: list[str]) -> None:
    """Whatever the tags, also those that no scheme allows."""
    found = spans(tags)
    written = notation.write(found, len(tags))
    assert spans(written) == found
    assert not notation.find_broken([written])
    assert Notation.find(notation.scheme, written).write(found, len(tags)) == written or (
        not set("LUMbmes") & {tag[0] for tag in written}  # nothing tells the letters apart
    )


@pytest.mark.parametrize(("notation", "strict"), [(NOTATIONS[0], "IOB2"), (NOTATIONS[2], "IOBES")])
@given(tags=any_tags)
@settings(max_examples=200, deadline=None)
def test_broken_tags_are_those_that_seqeval_reads_another_way(
    notation: Notation, strict: str, tags: list[str]
) -> None:
    """What is allowed, seqeval's strict reader finds the same spans in."""
    from seqeval import scheme

    if notation.scheme == "BIO":
        tags = [tag.replace("E-", "I-").replace("S-", "B-") for tag in tags]
    if not notation.find_broken([tags]):
        entities = scheme.Entities([tags], getattr(scheme, strict)).entities[0]
        assert [(one.tag, one.start, one.end) for one in entities] == spans(tags)


def test_what_can_follow() -> None:
    allowed = {
        pair
        for pair in itertools.product(["O", "B-A", "I-A", "I-B"], repeat=2)
        if can_follow(*pair, "BIO")
    }
    free = {(a, b) for a in ("O", "B-A", "I-A", "I-B") for b in ("O", "B-A")}
    assert allowed == free | {("B-A", "I-A"), ("I-A", "I-A"), ("I-B", "I-B")}
    assert not can_follow("O", "E-A", "BIOES")
    assert not can_follow("B-A", "O", "BIOES")
    assert not can_follow("B-A", "E-B", "BIOES")
    assert can_follow("B-A", "E-A", "BIOES")
    assert can_follow("E-A", "S-A", "BIOES")


def test_mending() -> None:
    rows = [["O", "I-A", "I-A", "O"], ["B-A", "I-B"], ["B-A", "I-A"]]
    mended, changed = Notation("BIO").mend(rows)
    assert mended == [["O", "B-A", "I-A", "O"], ["B-A", "B-B"], ["B-A", "I-A"]]
    assert changed == 2
    mended, changed = Notation("BIOES").mend([["B-A", "O", "E-A", "I-A", "I-A"]])
    assert mended == [["S-A", "O", "S-A", "B-A", "E-A"]]
    assert changed == 4


def read(tags: list[list[str]]) -> tuple[list[list[str]], tuple[str, ...]]:
    tokens = [["w"] * len(row) for row in tags]
    rows, _ = choose("tag", Table("t.jsonl", {"tokens": tokens, "tags": tags}), {})
    return rows["tags"], rows.notes


def test_broken_tags_are_repaired_and_counted() -> None:
    good = [["B-A", "I-A", "O"]] * 5
    tags, notes = read([*good, ["O", "I-A", "I-A"]])
    assert tags == [*good, ["O", "B-A", "I-A"]]
    assert any("1 tag does not follow the scheme BIO, such as I-A after O" in one for one in notes)
    assert not any("scheme" in one for one in read(good)[1])
    assert not any("scheme" in one for one in read([["NOUN", "I-A"]])[1])


@pytest.mark.parametrize(
    ("slip", "mended"), [("o", "O"), ("S-A", "B-A"), ("U-A", "B-A"), ("E-A", "B-A"), ("x-A", "O")]
)
def test_a_slip_does_not_change_the_scheme(slip: str, mended: str) -> None:
    good = [["B-A", "I-A", "O"]] * 60
    tags, notes = read([*good, ["O", slip, "O"]])
    assert tags == [*good, ["O", mended, "O"]]
    assert any(f"the scheme BIO, such as {slip} after O" in one for one in notes)
    assert detect_scheme([["B-A", "E-A", "S-A"]]) == "BIOES"
    assert detect_scheme([["NN", "B-A", "O"]]) is None


def test_nested_spans_are_refused() -> None:
    assert find_nested(["O", "B-PER|I-ORG"]) == "B-PER|I-ORG"
    assert find_nested(["Case=Nom|Number=Sing", "VB,X", "O", "B-R&B", "I-A/S"]) is None
    with pytest.raises(SeqcliError, match=r"t.jsonl row 2: 'B-PER\|B-ORG' marks several spans"):
        read([["O", "O"], ["B-PER|B-ORG", "I-PER"]])


def test_small_letters_mark_spans() -> None:
    """人们 常 说, and tags of a table that was folded to small letters."""
    words = ["b", "e", "s", "s"]
    assert detect_scheme([words]) == "BIOES"
    assert spans(words) == [("_", 0, 2), ("_", 2, 3), ("_", 3, 4)]
    names = ["b-per", "i-per", "o", "i-loc"]
    assert detect_scheme([names]) == "BIO"
    mended, changed = Notation.find("BIO", names).mend([names])
    assert (mended, changed) == ([["b-per", "i-per", "o", "b-loc"]], 1)


@pytest.mark.parametrize("tags", [["l", "u"], ["e", "o"], ["n", "v", "b", "m", "e"]])
def test_small_letters_of_other_kinds_mark_no_spans(tags: list[str]) -> None:
    """Lower and upper, even and odd, parts of speech of Chinese."""
    assert detect_scheme([tags * 9]) is None
