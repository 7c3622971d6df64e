"""From the data settings of a run to its train, validation and test rows."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from seqcli.config import ClassifyData, Data
from seqcli.data import hub
from seqcli.data.choice import ROLES, Choice
from seqcli.data.columns import choose
from seqcli.data.holdout import SEED, hold_out_rows, hold_out_text
from seqcli.data.labels import check_labels, note_labels, settle_labels
from seqcli.data.names import CANONICAL, SPLIT, SPLITS
from seqcli.data.places import (
    Asked,
    Found,
    Reader,
    find_file,
    find_local,
    is_path,
    list_names,
    plainly,
)
from seqcli.data.rows import Rows, Splits
from seqcli.data.sample import sample_folder
from seqcli.data.tables import Table
from seqcli.data.values import write_cell
from seqcli.errors import SeqcliError, UsageError


def load(task: str, data: Data) -> Splits:
    """The rows of a run. A missing validation split is cut from train (for lm the end of the text,
    and then also the test split if that is missing too); a missing test split stays None.

    task: classify, tag, translate or lm. Raises SeqcliError with one line for a person.
    """
    asked, found = _find(task, data)
    notes = list(found.notes)
    rows: dict[str, Rows] = {}
    train: tuple[Table, Choice] | None = None
    wanted = list_names(asked)
    for split in ("train", "validation", "test"):
        given = getattr(data, split)
        reader = _pick(task, given, found) if given else found.splits.get(split)
        if reader is None:
            continue
        table = reader(wanted)
        try:
            made, choice = _choose_like(task, table, asked, train)
        except UsageError as error:
            if given or split == "train":
                raise
            notes.append(f"{error}; so there is no {split} split")
            continue
        notes += made.notes
        if len(made):
            rows[split] = made
        elif split == "train":
            why = f"{made.origin} has no whole row: {'; '.join(made.notes)}"
            raise SeqcliError(f"no rows to train on: {why}")
        else:
            notes.append(f"{made.origin} has no whole row, so there is no {split} split")
        if split == "train":
            train = table, choice
            wanted |= list_names(made.names)
    if "train" not in rows:
        names = sorted(found.splits, key=lambda name: name not in CANONICAL)
        why = f"{data.data} has {', '.join(names)}, and none is called train"
        raise SeqcliError(f"no rows to train on: {why}; name a file with --train")
    if isinstance(data, ClassifyData):
        rows = settle_labels(rows, separator=data.label_separator)
    if train and "label" in train[1]:
        option = "--" + ROLES[task]["label"].replace("_", "-")
        check_labels(train[0], rows["train"], train[1], option=option, asked=bool(asked["label"]))
    if task == "lm" and "condition" not in rows["train"].columns:
        rows, said = hold_out_text(rows)
    else:
        rows, said = hold_out_rows(rows)
    notes += said
    if data.limit:
        rows = {split: _limit(task, made, data.limit, notes) for split, made in rows.items()}
    if "label" in rows["train"].columns:
        notes += note_labels(rows)
    unique = tuple(dict.fromkeys(notes))
    return Splits(rows["train"], rows.get("validation"), rows.get("test"), unique)


def load_split(
    task: str, data: Data, split: str = "test", *, usual: Mapping[str, str] | None = None
) -> Rows:
    """One split of DATA, to evaluate or look at; a single file is that split itself.

    split: train, validation or test, another split's name, or a slice such as 'test[:100]'.
    usual: the column of each role that is taken where DATA has it and none is named.
    Raises SeqcliError where there is no such split.
    """
    usual = usual or {}
    asked, found = _find(task, data, known=list_names(usual))
    name, start, stop = _parse(split)
    name = CANONICAL.get(name, name)
    given = getattr(data, name) if name in SPLITS else None
    if given:
        reader = _pick(task, given, found)
    elif found.whole and name not in found.splits:
        reader = partial(_slice, found.whole, start, stop)
    elif found.single or name in found.splits:
        reader = partial(_slice, found.splits["train" if found.single else name], start, stop)
    else:
        made = getattr(load(task, data), name, None) if name in SPLITS else None
        if made is None:
            there = ", ".join(found.splits) or "none"
            raise UsageError(
                f"{data.data or data.train} has no split {split!r}; its splits: {there}"
            )
        return made
    wanted = list_names(asked) | list_names(usual)
    rows, _ = choose(task, reader(wanted), asked, usual=usual)
    if isinstance(data, ClassifyData):
        rows = settle_labels({split: rows}, separator=data.label_separator)[split]
    if not len(rows):
        raise SeqcliError(f"{rows.origin} has no whole row: {'; '.join(rows.notes)}")
    notes = [*found.notes, *rows.notes]
    if data.limit:
        rows = _limit(task, rows, data.limit, notes)
    return replace(rows, notes=tuple(notes))


def load_own_split(
    task: str, data: Data, split: str = "test", *, usual: Mapping[str, str] | None = None
) -> Rows:
    """A split of the data that a model was trained with, cut off from the others as it was then;
    else as `load_split`."""
    name, start, stop = _parse(split)
    name = CANONICAL.get(name, name)
    if name not in SPLITS:
        if _find(task, data)[1].single:  # which would be any split, also one that is misspelt
            raise UsageError(f"no split {split!r}; there are train, validation and test")
        return load_split(task, data, split, usual=usual)
    try:
        splits = load(task, data)
    except SeqcliError:
        if getattr(data, name) is None:  # a file of its own needs no others
            raise
        return load_split(task, data, split, usual=usual)
    rows = getattr(splits, name)
    if rows is None:
        raise UsageError(
            f"the data that the model was trained with has no {name} split; name DATA, or --split "
            "validation"
        )
    return replace(rows.cut(_bound(len(rows), start, stop)), notes=splits.notes)


# ------------------------------------------------------------------------------ finding the rows


def _find(task: str, data: Data, known: Collection[str] = ()) -> tuple[Asked, Found]:
    """The columns asked for, and what DATA led to. known: other names that tell a header."""
    asked = {role: getattr(data, setting, None) for role, setting in ROLES[task].items()}
    if isinstance(data, ClassifyData) and data.label_separator == "":
        raise UsageError("--label-separator is empty; leave it out, or name what divides labels")
    if data.data is None:
        if data.train:
            return asked, Found()
        sample = find_local(task, str(sample_folder()), asked) or Found()
        return asked, Found(sample.splits, ("no DATA: the bundled sample of travel requests",))
    found = find_local(task, data.data, asked)
    if found and (data.subset or data.revision):
        option = "--subset" if data.subset else "--revision"
        raise UsageError(f"{option} is for data sets of the Hub, and {data.data} is not one")
    if found is None:
        if is_path(data.data):
            raise SeqcliError(f"no such file or folder: {data.data}")
        found = hub.find(data.data, subset=data.subset, revision=data.revision)
    return asked, _divide(found, asked, known) if found.single else found


def _divide(found: Found, asked: Asked, known: Collection[str]) -> Found:
    """The splits of a single table, one of whose columns, that nothing else was asked of, says to
    which each row belongs."""
    table = found.splits["train"](list_names(asked).union(known))
    for name in table.columns if table.header else ():
        if name.lower() not in SPLIT or name in asked.values():
            continue
        said = [CANONICAL.get(write_cell(value).strip().lower()) for value in table.columns[name]]
        if {*said} <= {*SPLITS} and len({*said}) > 1 and "train" in said:
            parts = {
                split: table.take([row for row, one in enumerate(said) if one == split])
                for split in SPLITS
                if split in said
            }
            sizes = ", ".join(f"{split} {said.count(split):,}" for split in parts)
            note = f"{table.origin}: rows of each split by column {name!r}: {sizes}"
            readers: dict[str, Reader] = {
                split: plainly(_same, part) for split, part in parts.items()
            }
            return Found(readers, (note,), whole=plainly(_same, table))
    return Found({"train": plainly(_same, table)}, found.notes, single=True)


def _same(table: Table) -> Table:
    return table


def _choose_like(
    task: str, table: Table, asked: Asked, train: tuple[Table, Choice] | None
) -> tuple[Rows, Choice]:
    """Rows from the columns that train took. Others are looked for only where names cannot agree:
    between files with and without a header, or parallel files of other suffixes. A test file that
    lacks the label must not get another column as its label."""
    if train is None:
        return choose(task, table, asked)
    try:
        return choose(task, table, train[1])
    except UsageError:
        if task != "translate" and table.header and train[0].header:
            raise
        return choose(task, table, asked)


def _pick(task: str, value: str, found: Found) -> Reader:
    """What --train, --validation or --test names: a split of DATA, a slice of one, or files."""
    name, start, stop = _parse(value)
    name = name if name in found.splits else CANONICAL.get(name, name)
    if name in found.splits:
        return partial(_slice, found.splits[name], start, stop)
    reader = find_file(task, value)
    if reader is None:
        known = f" (splits of DATA: {', '.join(found.splits)})" if found.splits else ""
        raise UsageError(f"no such file or split: {value}{known}")
    return reader


def _parse(value: str) -> tuple[str, str, str]:
    """'train[10%:20%]' as its split and bounds; other values as a name without bounds."""
    match = re.fullmatch(r"([^\[\]]+)\[(-?\d+%?|):(-?\d+%?|)\]", value)
    return (match[1], match[2], match[3]) if match else (value, "", "")


def _slice(reader: Reader, start: str, stop: str, wanted: Collection[str]) -> Table:
    table = reader(wanted)
    if not (start or stop):
        return table
    return table.cut(_bound(len(next(iter(table.columns.values()), ())), start, stop))


def _bound(n: int, start: str, stop: str) -> slice:
    """Two bounds of n rows, each '', a number or a percentage."""
    first, last = (
        round(n * int(bound[:-1]) / 100) if bound.endswith("%") else int(bound) if bound else None
        for bound in (start, stop)
    )
    return slice(first, last)


def _limit(task: str, rows: Rows, limit: int, notes: list[str]) -> Rows:
    """At most this many rows: the first ones of a text, which has an order, else drawn with a
    fixed seed, because files are often sorted by label."""
    n = len(rows)
    if n <= limit:
        return rows
    notes.append(f"{rows.origin}: {limit:,} of {n:,} rows are used (--limit)")
    if task == "lm" and "condition" not in rows.columns:
        return rows.head(limit)
    return rows.take(sorted(random.Random(SEED).sample(range(n), limit)))
