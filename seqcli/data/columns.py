"""From a table to the rows of a task, whole ones only; their notes say what was taken."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from seqcli.data.annotations import are_marks, tag_marked
from seqcli.data.choice import Choice, complete, find_given, split_columns
from seqcli.data.condition import is_image, read_numbers, shrink
from seqcli.data.flags import (
    find_tick,
    find_unclear,
    is_flag,
    read_flags,
    read_positions,
    read_ticks,
)
from seqcli.data.grouping import join_tokens, note_single_tokens
from seqcli.data.names import is_language
from seqcli.data.rows import Rows
from seqcli.data.schemes import Notation, detect_scheme, find_nested
from seqcli.data.tables import Columns, Table
from seqcli.data.values import (
    join_cells,
    read_choices,
    read_labels,
    read_lists,
    read_number_list,
    split_cell,
    write_cell,
)
from seqcli.data.words import face_each_other
from seqcli.errors import SeqcliError, UsageError

PLAIN = {"text", "pair", "source", "target"}
"""Roles whose values are strings or numbers, or lists of them."""


def choose(
    task: str,
    table: Table,
    asked: Mapping[str, str | None],
    *,
    usual: Mapping[str, str] = types.MappingProxyType({}),
) -> tuple[Rows, Choice]:
    """The task's rows of a table, and the column taken for each role.

    asked: a column for each role that the user named. usual: one for each role to take where
    nothing is asked and the table has it. Rows without a value in every role are dropped and
    counted in the notes.
    Raises UsageError where a column cannot be found, SeqcliError where its values cannot serve.
    """
    if task == "translate":
        table = _unfold(table)
    if task == "tag":
        table = join_tokens(table, asked)
    given = find_given(task, table, asked)
    found = {
        role: names
        for role, names in usual.items()
        if table.header and all(one in table.columns for one in split_columns(names, table.columns))
    }
    choice, remark = complete(task, table, {**found, **given})
    for role in PLAIN & {*choice}:
        _check_plain(table, choice[role], role)
    columns, dropped, said = _MAKERS[task](table, choice)
    notes = [*table.notes, *said]
    if task == "tag":
        notes += _mend_tags(columns, table.origin)
        notes += note_single_tokens(columns["tokens"], table.origin)
    if len(table.columns) > 1 and len(given) < len(choice):
        taken = [f"{role} from {_describe(table, names)}" for role, names in choice.items()]
        number = "" if table.header or task == "tag" else "; the first row is no header"
        notes.append(f"{' and '.join(taken)}{remark}{number}")
    notes += [
        f"{table.origin}: {count:,} {'row' if count == 1 else 'rows'} {reason}, left out"
        for reason, count in dropped.items()
        if count
    ]
    names = choice if table.header else {}
    return Rows(columns, table.origin, tuple(notes), names), choice


def _check_plain(table: Table, names: str, role: str) -> None:
    """Raise SeqcliError for an object, bytes or a list of lists where a text or a label should
    stand."""
    for name in split_columns(names, table.columns):
        for number, value in enumerate(table.columns[name], start=1):
            inner = value if isinstance(value, list) else [value]
            if any(isinstance(one, dict | bytes | list) for one in inner):
                raise SeqcliError(
                    f"{table.origin} row {number}: column {name!r} holds no {role} but "
                    f"{str(value)[:40]}; {_advise(name, value)}"
                )


def _advise(name: str, value: Any) -> str:
    """What to do about a column of objects or lists."""
    fields = value.items() if isinstance(value, dict) else ()
    plain = (key for key, one in fields if isinstance(one, str | int | float))
    if inner := next(plain, None):
        return f"name a field of it, such as '{name}.{inner}', or another column"
    return "name another column, or write it as a string"


def _describe(table: Table, names: str) -> str:
    several = split_columns(names, table.columns)
    if table.header:
        return " + ".join(map(repr, several))
    return f"column {several[0]}" if len(several) == 1 else f"columns {' + '.join(several)}"


def _unfold(table: Table) -> Table:
    """A column of dicts such as {"translation": {"en": …, "de": …}} as a column for each key: of
    several that of this name, else one whose keys are languages, else the first."""
    firsts = {
        name: next((value for value in values if value is not None), None)
        for name, values in table.columns.items()
    }
    dicts = {name: first for name, first in firsts.items() if isinstance(first, dict)}
    if not dicts:
        return table
    languages = (name for name, first in dicts.items() if all(map(is_language, first)))
    chosen = "translation" if "translation" in dicts else next(languages, next(iter(dicts)))
    make = partial(_take_key, table.columns[chosen])
    return replace(table, columns=Columns(list(dicts[chosen]), make))


def _take_key(values: Sequence[Any], key: str) -> list[Any]:
    return [value.get(key) if isinstance(value, dict) else None for value in values]


class Made(NamedTuple):
    """Columns by role, how many rows each reason took, and what else is to be said."""

    columns: dict[str, list[Any]]
    dropped: dict[str, int]
    notes: Sequence[str] = ()


def _make_classify(table: Table, choice: Choice) -> Made:
    sides: dict[str, list[Any]] = {
        role: list(map(join_cells, zip(*take_columns(table, choice[role]), strict=True)))
        for role in ("text", "pair")
        if role in choice
    }
    labels, notes = _take_labels(table, choice["label"])
    return _keep(
        {**sides, "label": labels},
        {
            "without text": [
                not all(map(str.strip, row)) for row in zip(*sides.values(), strict=True)
            ],
            # An empty list says that none of the labels fits; no value says nothing.
            "without a label": [label is None or label == "" for label in labels],
            # As SNLI has where people did not agree.
            "with the label '-'": [label == "-" and "pair" in choice for label in labels],
        },
        notes,
    )


def _take_labels(table: Table, names: str) -> tuple[list[Any], list[str]]:
    """The label or labels of each row, and what was assumed: of one column what it holds; of
    several their names where they say yes or no, else the values of them all."""
    if len(split_columns(names, table.columns)) == 1:
        return _take_values(table, names)
    return _take_named(table, names)


def _take_values(table: Table, name: str) -> tuple[list[Any], list[str]]:
    """Labels that one column holds. Raises SeqcliError where its values are no labels."""
    if are_marks(table.columns[name]):
        raise UsageError(
            f"{table.origin}: column {name!r} marks spans of the text; use seqcli tag, or name a "
            "column of labels with --label-column"
        )
    values = [read_choices(value) for value in read_lists(table.columns[name])]
    if positions := read_positions(values):
        note = f"{table.origin}: {name!r} holds ones and zeros, so labels are the places of ones"
        return positions, [f"{note}, counted from 0"]
    _check_plain(replace(table, columns={name: values}), name, "label")
    return [read_labels(value) for value in values], []


def _take_named(table: Table, names: str) -> tuple[list[Any], list[str]]:
    """Labels of several columns. Raises SeqcliError for a cell that says neither yes nor no among
    those that do."""
    several, columns = split_columns(names, table.columns), take_columns(table, names)
    rows = zip(*columns, strict=True)
    if all(is_flag(value) for values in columns for value in values):
        return [read_flags(cells, several) for cells in rows], []
    if tick := find_tick(columns):
        note = f"{table.origin}: columns of labels hold {tick!r} for yes and nothing for no"
        return [read_ticks(cells, several) for cells in rows], [note]
    for name, values in zip(several, columns, strict=True):
        if (at := find_unclear(values)) is not None:
            raise SeqcliError(
                f"{table.origin} row {at + 1}: {values[at]!r} in column {name!r} says neither yes "
                "nor no; write 1 or 0 (round fractions)"
            )
    return [read_labels(list(cells)) or None for cells in rows], []


def take_columns(table: Table, names: str) -> list[list[Any]]:
    """The values of one column, or of several between commas."""
    return [table.columns[name] for name in split_columns(names, table.columns)]


def _make_tag(table: Table, choice: Choice) -> Made:
    if are_marks(table.columns[choice["tags"]]):
        columns, notes = _tag_marked(table, choice)
    else:
        columns, notes = _pair_tokens(table, choice), []
    tokens, tags = columns["tokens"], columns["tags"]
    lost = {
        "without tokens": _empty(tokens),
        "with a missing token": [None in words for words in tokens],
        "without tags": [not marks or None in marks for marks in tags],
    }
    if "label" in choice:
        columns["label"] = [
            _take_label(value, f"{table.origin} row {number}")
            for number, value in enumerate(table.columns[choice["label"]], start=1)
        ]
        lost["without a label"] = _empty(columns["label"])
    return _keep(columns, lost, notes)


def _tag_marked(table: Table, choice: Choice) -> tuple[dict[str, list[Any]], list[str]]:
    """Tokens and tags from spans that are marked by their places, and the texts if that is what
    they are marked in: new texts are then cut as these."""
    texts = read_lists(table.columns[choice["tokens"]])
    tokens, tags, notes = tag_marked(texts, table.columns[choice["tags"]], table.origin)
    columns: dict[str, list[Any]] = {"tokens": tokens, "tags": tags}
    if not any(isinstance(text, list) for text in texts):
        columns["text"] = texts
    return columns, notes


def _pair_tokens(table: Table, choice: Choice) -> dict[str, list[Any]]:
    """Tokens and a tag for each. Raises SeqcliError where there are more of one."""
    tokens, tags = (read_lists(table.columns[choice[role]]) for role in ("tokens", "tags"))
    texts = all(isinstance(value, str) for values in (tokens, tags) for value in values)
    facing = texts and face_each_other(list(zip(tokens, tags, strict=True)))
    cut = list if facing or _has_tag_a_character(tokens, tags) else split_cell
    tokens = [cut(value) for value in tokens]
    tags = [list(value) if facing else split_cell(value) for value in tags]
    for number, (words, marks) in enumerate(zip(tokens, tags, strict=True), start=1):
        if len(words) != len(marks) and marks:
            counts = f"{table.origin} row {number} has {len(words)}"
            if facing:
                raise SeqcliError(f"{counts} characters that face {len(marks)}; each needs one")
            raise SeqcliError(f"{counts} tokens and {len(marks)} tags; each token needs a tag")
    return {"tokens": tokens, "tags": tags}


def _has_tag_a_character(texts: Sequence[Any], tags: Sequence[Any]) -> bool:
    """Whether texts have no spaces, and each has a list of as many tags as it has characters."""
    return all(
        isinstance(text, str)
        and isinstance(marks, list)
        and len(split_cell(text)) == 1
        and len(text) == len(marks)
        for text, marks in zip(texts, tags, strict=True)
    )


def _mend_tags(columns: dict[str, list[Any]], origin: str) -> list[str]:
    """Make tags that mark spans follow their scheme, in place; a note where they did not. Raises
    SeqcliError where spans share tokens."""
    rows = columns["tags"]
    tags = {tag for row in rows for tag in row}
    if nested := find_nested(tags):
        number = next(number for number, row in enumerate(rows, 1) if nested in row)
        raise SeqcliError(
            f"{origin} row {number}: {nested!r} marks several spans at one token; nested or "
            "overlapping spans need a tagger for each layer: keep one of them a column"
        )
    scheme = detect_scheme(rows)
    if scheme is None:
        return []
    notation = Notation.find(scheme, tags)
    broken = notation.find_broken(rows)
    if not broken:
        return []
    columns["tags"], changed = notation.mend(rows)
    before, after = min(broken)
    what = "1 tag does" if changed == 1 else f"{changed:,} tags do"
    return [
        f"{origin}: {what} not follow the scheme {scheme}, such as {after} after {before}; "
        "repaired as conlleval reads them: a span begins where its type does"
    ]


def _take_label(value: Any, where: str) -> str:
    """A sentence's label; in conll a cell at each of its tokens, all alike."""
    if not isinstance(value, list):
        return write_cell(value).strip()
    cells = dict.fromkeys(filter(None, map(write_cell, value)))
    if len(cells) > 1:
        raise SeqcliError(
            f"{where} has several labels ({', '.join(cells)}); --with-label needs one a sentence"
        )
    return next(iter(cells), "")


def _make_translate(table: Table, choice: Choice) -> Made:
    source = [write_cell(value) for value in table.columns[choice["source"]]]
    target = [write_cell(value) for value in table.columns[choice["target"]]]
    half = [not (s.strip() and t.strip()) for s, t in zip(source, target, strict=True)]
    return _keep({"source": source, "target": target}, {"with an empty side": half})


def _make_text(table: Table, choice: Choice) -> Made:
    values = table.columns[choice["text"]]
    made = {"text": [write_cell(value) for value in values]}
    lost = {"without text": [value is None for value in values]}
    if "condition" in choice:
        cells = zip(*take_columns(table, choice["condition"]), strict=True)
        made["condition"] = [read_condition(one) for one in cells]
        lost["without a condition"] = _empty(made["condition"])
    return _keep(made, lost)


def read_condition(cells: Sequence[Any]) -> Any:
    """What a text is written from, of one cell or of several: None where one is missing, a label
    or a number as it is written, several numbers (in csv a list written out) as a list, an image as
    its bytes."""
    if any(cell is None for cell in cells):
        return None
    if len(cells) > 1:
        return read_numbers(list(cells)) or [write_cell(cell) for cell in cells]
    (cell,) = cells
    if is_image(cell):
        return shrink(cell)
    cell = read_number_list(cell)
    return cell if isinstance(cell, list) else write_cell(cell).strip()


_MAKERS: dict[str, Callable[[Table, Choice], Made]] = {
    "classify": _make_classify,
    "tag": _make_tag,
    "translate": _make_translate,
    "lm": _make_text,
}


def _keep(
    columns: dict[str, list[Any]],
    lost: Mapping[str, Sequence[bool]],
    notes: Sequence[str] = (),
) -> Made:
    """The rows that are lost for no reason, and how many each reason took."""
    counts = {reason: sum(marks) for reason, marks in lost.items()}
    if any(counts.values()):
        whole = [not any(marks) for marks in zip(*lost.values(), strict=True)]
        columns = {
            role: [value for value, keep in zip(values, whole, strict=True) if keep]
            for role, values in columns.items()
        }
    return Made(columns, counts, notes)


def _empty(values: Sequence[Any]) -> list[bool]:
    return [not value for value in values]
