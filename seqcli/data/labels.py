"""Labels of rows: one each or several, and whether they are labels at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

from seqcli.data.choice import MOST_LABELS, Choice
from seqcli.data.rows import Rows
from seqcli.data.tables import Table, list_columns
from seqcli.errors import SeqcliError, UsageError

MOST_GRADES = 20
"""Labels that are numbers with decimals, at most: half stars up to ten. More are measurements."""


def as_lists(labels: Sequence[str | list[str]]) -> list[list[str]]:
    """The labels of each row as a list, where a row has one or several; rows share lists."""
    alone = {one: [one] for one in labels if isinstance(one, str)}
    return [one if isinstance(one, list) else alone[one] for one in labels]


def name_some(names: Sequence[str], most: int = 8) -> str:
    """The first few of some names, as a phrase."""
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def check_labels(table: Table, rows: Rows, choice: Choice, *, option: str, asked: bool) -> None:
    """Raise SeqcliError where the labels of training rows are one class, or are no classes.

    option: what names their column. asked: the user did, so that many classes are meant; one a row
    never is.
    """
    labels = as_lists(rows["label"])
    name, distinct = choice["label"], len({label for row in labels for label in row})
    if not distinct:
        raise SeqcliError(f"{rows.origin}: no row has a label in column {name!r}")
    if distinct == 1 and not isinstance(rows["label"][0], list):
        raise SeqcliError(
            f"{rows.origin}: every row has the label {labels[0][0]!r} in column {name!r}; "
            "there must be two labels or more"
        )
    n = max(20, len(rows))
    if distinct == n or (not asked and (distinct > n / 2 or distinct > MOST_LABELS)):
        raise UsageError(
            f"{rows.origin}: column {name!r} has {distinct:,} values in {len(rows):,} rows, so it "
            f"is probably not a label; {list_columns(table)}; name one with {option}"
        )


def settle_labels(splits: Mapping[str, Rows], *, separator: str | None) -> dict[str, Rows]:
    """The same rows with a label each or, where one has several or none, each with a list of them.

    separator: what divides the labels of a row; where it is named, every row has a list.
    """
    several = separator is not None or any(
        isinstance(one, list) and len(one) != 1 for rows in splits.values() for one in rows["label"]
    )
    found = {}
    for split, rows in splits.items():
        lists = as_lists(rows["label"])
        if separator:
            lists = [
                [part.strip() for label in row for part in label.split(separator) if part.strip()]
                for row in lists
            ]
        labels: list[Any] = [list(dict.fromkeys(row)) if several else row[0] for row in lists]
        found[split] = replace(rows, columns={**rows.columns, "label": labels})
    return found


def note_labels(splits: Mapping[str, Rows]) -> list[str]:
    """What is odd about the labels of some splits: so many that most will not be learned,
    measurements, several in one, and those that only another split than train has."""
    notes = []
    train = _count(splits["train"])
    if len(train) > MOST_LABELS:
        each = train.total() / len(train)
        notes.append(
            f"{splits['train'].origin}: {len(train):,} labels with {each:.1f} rows each on "
            "average; most will hardly be learned"
        )
    if _are_measurements(train):
        some = ", ".join(list(train)[:3])
        notes.append(
            f"labels are {len(train):,} numbers ({some}, …): each is a class of its own, however "
            "near it is to others; fewer classes, such as low and high, are learned better"
        )
    if separator := _find_separator(train):
        some = next(label for label in train if separator in label)
        notes.append(
            f"labels such as {some!r} look like several; --label-separator {separator!r} reads "
            "them so"
        )
    for split in ("validation", "test"):
        if split not in splits:
            continue
        notes += note_unknown(splits[split], train, where=f" of {split}", who="train")
    return notes


def _are_measurements(labels: Counter[str]) -> bool:
    return (
        len(labels) > MOST_GRADES
        and all(re.fullmatch(r"[+-]?\d+(\.\d+)?", label) for label in labels)
        and any("." in label for label in labels)
    )


def _find_separator(labels: Counter[str]) -> str | None:
    """What divides labels into parts that come again in others, in a twentieth of the rows or more;
    None where nothing does."""
    for separator in ",;|":
        several = {label: label.split(separator) for label in labels if separator in label}
        parts = {part.strip() for own in several.values() for part in own}
        alone = len(labels) - len(several)
        rows = sum(labels[label] for label in several)
        if 20 * rows >= labels.total() and len(several) > 1 and len(parts) < len(several) + alone:
            return separator
    return None


def note_unknown(
    rows: Rows, known: Container[str], *, where: str = "", who: str = "the model"
) -> list[str]:
    """How many rows have a label that is not known, if any."""
    new = {label: times for label, times in _count(rows).items() if label not in known}
    if not new:
        return []
    shown = ", ".join(map(repr, list(new)[:3])) + (", …" if len(new) > 3 else "")
    count = sum(new.values())
    return [
        f"{'1 row' if count == 1 else f'{count:,} rows'}{where} with a label that {who} does not "
        f"have ({shown}): they always count as wrong"
    ]


def _count(rows: Rows) -> Counter[str]:
    return Counter(label for row in as_lists(rows["label"]) for label in row)
