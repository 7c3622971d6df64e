"""The bundled corpus: reproducible, well formed, and honest about what its test split holds out."""

import json
import re
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data"
SIZES = {"train": 6000, "validation": 750, "test": 750}
FIELDS = {"text": str, "label": str, "tokens": list, "tags": list, "chinese": str}
CODE = re.compile(r"[GDCKZT]\d{2,4}|(CA|MU|CZ|HU|MF|3U)\d{4}|[A-Z]{2}\d{4}|[A-Z]{3}\d{3}")

Row = dict[str, Any]


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Row]]:
    lines = {name: (DATA / f"{name}.jsonl").read_text(encoding="utf-8") for name in SIZES}
    return {name: [json.loads(line) for line in text.splitlines()] for name, text in lines.items()}


@pytest.fixture(scope="module")
def rows(splits: dict[str, list[Row]]) -> list[Row]:
    return [row for split in splits.values() for row in split]


@pytest.fixture(scope="module")
def held_out() -> dict[str, list]:
    return runpy.run_path(str(DATA / "values.py"))["HELD_OUT"]


def test_the_generator_reproduces_every_byte(tmp_path: Path) -> None:
    command = [sys.executable, str(DATA / "generate.py"), "--out", str(tmp_path)]
    subprocess.run(command, check=True)
    for split in SIZES:
        name = f"{split}.jsonl"
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_the_splits_have_their_sizes_and_every_row_all_fields(
    splits: dict[str, list[Row]],
) -> None:
    assert {split: len(table) for split, table in splits.items()} == SIZES
    for table in splits.values():
        for row in table:
            assert {name: type(value) for name, value in row.items()} == FIELDS
            assert all(row.values())
    assert sum((DATA / f"{split}.jsonl").stat().st_size for split in SIZES) < 3_500_000


def test_every_split_has_every_intent(splits: dict[str, list[Row]]) -> None:
    intents = {row["label"] for row in splits["train"]}
    assert len(intents) == 14
    for table in splits.values():
        assert {row["label"] for row in table} == intents
    share = Counter(row["label"] for row in splits["train"])
    assert 0.1 < share.most_common(1)[0][1] / SIZES["train"] < 0.25
    assert min(share.values()) > 50


def test_text_is_the_tokens_with_no_space_before_punctuation(rows: list[Row]) -> None:
    for row in rows:
        assert row["text"] == re.sub(r" ([.,?!])", r"\1", " ".join(row["tokens"]))
        assert re.findall(r"[.,?!]|[^\s.,?!]+", row["text"]) == row["tokens"]


def test_tags_are_valid_bio(rows: list[Row]) -> None:
    for row in rows:
        assert len(row["tags"]) == len(row["tokens"])
        for before, tag in zip(["O", *row["tags"]], row["tags"], strict=False):
            assert re.fullmatch(r"O|[BI]-[A-Z][A-Za-z]+", tag)
            if tag.startswith("I-"):
                assert before[2:] == tag[2:], row["text"]


def test_every_tag_of_the_test_split_occurs_in_training(splits: dict[str, list[Row]]) -> None:
    known = {tag for row in splits["train"] for tag in row["tags"]}
    assert {tag for row in splits["test"] for tag in row["tags"]} <= known


def test_no_sentence_occurs_twice(rows: list[Row]) -> None:
    """Neither in two splits nor in one, whatever its capitals and punctuation."""
    keys = [re.sub(r"\W", "", row["text"].lower()) for row in rows]
    assert len(set(keys)) == len(keys)


def test_held_out_values_occur_in_the_test_split_only(
    splits: dict[str, list[Row]], held_out: dict[str, list]
) -> None:
    forms = [form for values in held_out.values() for value in values for form in value]
    chinese = re.compile(rf"(?<!\d)({'|'.join({form.chinese for form in forms})})")
    for split in ("train", "validation"):
        sentences = "\n".join(f" {' '.join(row['tokens'])} " for row in splits[split]).lower()
        assert not [form for form in forms if f" {form.english.lower()} " in sentences]
        assert not [row for row in splits[split] if chinese.search(row["chinese"])]
    assert sum(bool(chinese.search(row["chinese"])) for row in splits["test"]) >= 250


def test_chinese_has_no_latin_letters_but_codes(rows: list[Row]) -> None:
    for row in rows:
        assert not re.search(r"[A-Za-z\s{}|]", CODE.sub("", row["chinese"])), row["chinese"]
        assert row["chinese"][-1] in "。？！"


def test_numbers_and_codes_agree_in_both_languages(rows: list[Row]) -> None:
    tags = ("TrainNumber", "FlightNumber", "Order")
    for row in rows:
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            if tag[2:] in tags:
                assert token.upper() in row["chinese"]


def test_the_readme_states_the_counts(splits: dict[str, list[Row]]) -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    counts = {split: Counter(row["label"] for row in table) for split, table in splits.items()}
    for intent in counts["train"]:
        numbers = " | ".join(str(counts[split][intent]) for split in SIZES)
        assert re.search(rf"^\| `{intent}` \| .* \| {numbers} \|$", text, re.M), intent
    spans = {
        split: Counter(tag[2:] for row in table for tag in row["tags"] if tag.startswith("B-"))
        for split, table in splits.items()
    }
    for tag in spans["train"]:
        numbers = " | ".join(str(spans[split][tag]) for split in SIZES)
        assert re.search(rf"^\| `{tag}` \| .* \| {numbers} \|$", text, re.M), tag
