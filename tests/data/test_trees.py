"""Bracketed trees: read, numbered, and refused where they are none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seqcli.data.trees import TreeTokenizer, leaves, parse, train_trees, trees_from_json, words
from seqcli.errors import SeqcliError

LABELLED = ["(3 (2 It) (4 (4 's) (2 good)))", "(1 (2 No) (1 film))"]
PLAIN = ["(It ('s good))", "((No film) ever)"]


def numbers(tokenizer: TreeTokenizer, text: str) -> list[tuple[int, str]]:
    """Depth and word of each node, as encoded."""
    none = len(tokenizer.vocabulary)
    values = tokenizer.encode([text]).values
    names = [*tokenizer.vocabulary, "·"]
    return [(value // (none + 1), names[value % (none + 1)]) for value in values.tolist()]


@pytest.mark.parametrize("texts", [LABELLED, PLAIN])
def test_labels_are_found_and_left_out(texts: list[str]) -> None:
    tokenizer = train_trees(texts, "childsum")
    assert tokenizer.labelled == (texts is LABELLED)
    assert tokenizer.split(texts[0]) == ["It", "'s", "good"]
    expected = [(0, "·"), (1, "It"), (1, "·"), (2, "'s"), (2, "good")]
    assert numbers(tokenizer, texts[0]) == expected
    again = trees_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again == tokenizer


def test_first_words_that_do_not_repeat_are_no_labels() -> None:
    tokenizer = train_trees([f"(a{number} (b{number} c))" for number in range(20)], "childsum")
    assert not tokenizer.labelled
    assert tokenizer.split("(a1 (b1 c))") == ["a1", "b1", "c"]


def test_a_bracket_around_one_thing_is_that_thing() -> None:
    tokenizer = train_trees(["(S (NP (DT the) (NN cat)) (VP (VBZ sits)))"], "binary")
    expected = [(0, "·"), (1, "·"), (2, "the"), (2, "cat"), (1, "sits")]
    assert numbers(tokenizer, "( (S (NP (DT the) (NN cat)) (VP (VBZ sits))) )") == expected
    assert numbers(tokenizer, "(NN cat)") == [(0, "cat")]
    assert numbers(tokenizer, "") == [(0, "<unk>")]


def test_words_of_encoded_trees() -> None:
    tokenizer = train_trees(LABELLED, "childsum")
    found = leaves(tokenizer, tokenizer.encode(LABELLED))
    assert np.array_equal(
        found.values, tokenizer.words.encode_tokens([["It", "'s", "good"], ["No", "film"]]).values
    )
    assert found.offsets.tolist() == [0, 3, 5]
    assert words(tokenizer, LABELLED) == ["It 's good", "No film"]


def test_a_very_deep_tree() -> None:
    text = "(a " * 5_000 + "b" + ")" * 5_000
    assert len(train_trees([text, "((a b) c)"], "binary").split(text)) == 5_001


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a plain text", "'a' stands outside of a tree; a tree looks like (3 (2 It) (4 works))"),
        ("(3 (2 It) (4 works)", "1 brackets of the tree do not close"),
        ("(3 (2 It)) works)", "'works' follows the end of the tree"),
        (")", "')' stands outside of a tree"),
        ("(3 (2 It) ())", "a node of the tree has no word"),
        ("()", "a node of the tree has no word"),
    ],
)
def test_what_is_no_tree_is_told_by_row(text: str, said: str) -> None:
    with pytest.raises(SeqcliError) as caught:
        train_trees([PLAIN[0], text], "childsum")
    assert str(caught.value).startswith("row 2: ")
    assert said in str(caught.value)
    with pytest.raises(SeqcliError, match=r"^row 1: "):
        train_trees(PLAIN, "childsum").encode([text])


def test_a_binary_tree_has_two_children_at_most() -> None:
    wide = "((the big cat) sat)"
    assert len(train_trees([wide], "childsum").encode([wide]).values) == 6
    with pytest.raises(SeqcliError, match="row 1: a node has 3 children; --tree childsum"):
        train_trees([wide], "binary")


def test_nested_lists() -> None:
    assert parse("(a (b c))") == ["a", ["b", "c"]]
