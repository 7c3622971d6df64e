"""From a table to the rows of a task: which columns hold what, and which rows are whole.

A column is taken because it was asked for, because it declares its classes, because of its name,
or because of what it holds, in this order; the notes of the rows say what was taken.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from seqcli.data.cells import read_labels, split_cell, write_cell
from seqcli.data.condition import is_image, read_numbers, shrink
from seqcli.data.names import LABEL, PAIRS, TAGS, TEXT, TOKENS, is_language
from seqcli.data.rows import Rows
from seqcli.data.schemes import Notation, detect_scheme, find_nested
from seqcli.data.tables import Columns, Table, list_columns
from seqcli.data.words import face_each_other
from seqcli.errors import SeqcliError, UsageError

# Each task's roles, with the setting that names a role's column.
ROLES = {
    "classify": {"text": "text_column", "pair": "pair_column", "label": "label_column"},
    "tag": {"tokens": "tokens_column", "tags": "tags_column", "label": "with_label"},
    "translate": {"source": "source", "target": "target"},
    "lm": {"text": "text_column", "condition": "condition"},
}
MOST_LABELS = 1000

Choice = dict[str, str]  # role → column


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
    given = {
        role: (_find_several if role == "condition" else _find_asked)(
            table, name, ROLES[task][role]
        )
        for role, name in asked.items()
        if name
    }
    found = {role: name for role, name in usual.items() if table.header and name in table.columns}
    choice, remark = _FINDERS[task](table, {**found, **given})
    if len(set(choice.values())) < len(choice):
        name = next(iter(choice.values()))
        raise UsageError(f"{table.origin}: column {name!r} cannot be both {' and '.join(choice)}")
    columns, dropped = _MAKERS[task](table, choice)
    notes = [*table.notes]
    if task == "tag":
        notes += _mend_tags(columns, table.origin)
    if len(table.columns) > 1 and len(given) < len(choice):
        said = [f"{role} from {_describe(table, name)}" for role, name in choice.items()]
        notes.append(f"{' and '.join(said)}{remark}")
    notes += [
        f"{table.origin}: {count:,} {'row' if count == 1 else 'rows'} {reason}, left out"
        for reason, count in dropped.items()
        if count
    ]
    names = choice if table.header else {}
    return Rows(columns, table.origin, tuple(notes), names), choice


def _find_asked(table: Table, name: str, setting: str) -> str:
    for column in table.columns:
        if column == name or column.lower() == name.lower():
            return column
    option = "--" + setting.replace("_", "-")
    raise UsageError(f"{table.origin} has no column {name!r} ({option}); {list_columns(table)}")


def _find_several(table: Table, names: str, setting: str) -> str:
    """One column, or several between commas."""
    if names in table.columns:
        return names
    return ",".join(_find_asked(table, name.strip(), setting) for name in names.split(","))


def split_columns(names: str, known: Collection[str]) -> list[str]:
    """The columns that `_find_several` found."""
    return [names] if names in known else names.split(",")


def _describe(table: Table, name: str) -> str:
    return repr(name) if table.header else f"column {name}"


def _find_named(names: Sequence[str], known: Sequence[str]) -> str | None:
    """The first well-known name among these, whatever its case."""
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in known if name in lower), None)


# ------------------------------------------------------------------------------- finding columns


def _find_classify(table: Table, given: Choice) -> tuple[Choice, str]:
    rest = [name for name in table.columns if name not in given.values()]
    label = given.get("label")
    text = given.get("text")
    if label is None:
        declared = next((name for name in rest if name in table.classes), None)
        label = declared or _find_named(rest, LABEL)
    rest = [name for name in rest if name != label]
    text = text or _find_named(rest, TEXT)
    rest = [name for name in rest if name != text]
    if label is None:
        few = 0 if table.header else 10
        counts = {name: _count_labels(table.columns[name], few=few) for name in rest}
        rest = [name for name in counts if counts[name]]
        label = min(
            rest, key=lambda name: (counts[name], _measure(table.columns[name])), default=None
        )
        if label is None:
            raise UsageError(
                f"{table.origin} has no column that looks like a label; {list_columns(table)}; "
                "name one with --label-column"
            )
    if text is None:
        rest = [name for name in table.columns if name not in (label, given.get("pair"))]
        text = max(rest, key=lambda name: _measure(table.columns[name]), default=None)
        if text is None:
            raise UsageError(f"{table.origin} has no text beside its labels in column {label!r}")
    return {**given, "text": text, "label": label}, ""


def _count_labels(values: Sequence[Any], *, few: int) -> int:
    """How many distinct values a column has, or 0 where there are too many for a label: more than
    half the rows, unless they are few anyway."""
    distinct = len({str(value) for value in values})
    return distinct if distinct <= MOST_LABELS and distinct <= max(few, len(values) / 2) else 0


def _measure(values: Sequence[Any]) -> float:
    """The mean number of characters of the strings in a column's beginning."""
    head = values[:1000]
    return sum(len(value) for value in head if isinstance(value, str)) / max(1, len(head))


def _find_tag(table: Table, given: Choice) -> tuple[Choice, str]:
    names = list(table.columns)
    tokens, tags = given.get("tokens"), given.get("tags")
    if not table.header:  # conll: the token comes first, the tag of interest last
        tokens, tags = tokens or names[0], tags or names[-1]
    tokens = tokens or _find_named([name for name in names if name != tags], TOKENS)
    tags = tags or _find_named([name for name in names if name != tokens], TAGS)
    if tokens is None or tags is None:
        role = "tokens" if tokens is None else "tags"
        raise UsageError(
            f"{table.origin} has no column that looks like {role}; {list_columns(table)}; "
            f"name one with --{role}-column"
        )
    label = {"label": given["label"]} if "label" in given else {}
    return {"tokens": tokens, "tags": tags, **label}, ""


def _find_text(table: Table, given: Choice) -> tuple[Choice, str]:
    taken = split_columns(given.get("condition", ""), table.columns)
    names = [name for name in table.columns if name not in taken]
    text = given.get("text") or _find_named(names, TEXT) or (names[0] if len(names) == 1 else None)
    if text is None:
        raise UsageError(
            f"{table.origin} has no column that looks like text; {list_columns(table)}; "
            "name one with --text-column"
        )
    return {"text": text, **given}, ""


def _find_translate(table: Table, given: Choice) -> tuple[Choice, str]:
    names = list(table.columns)
    if len(given) == 2:
        return given, ""
    languages = [name for name in names if is_language(name)]
    if len(languages) > 2 and "id" in languages:  # a row's number rather than Indonesian
        languages.remove("id")
    known = next((pair for pair in PAIRS if all(_find_named(names, [one]) for one in pair)), None)
    pair: Sequence[str]
    remark = ""
    if known:
        pair = [_find_named(names, [one]) or one for one in known]
    elif len(languages) == 2:
        pair, why = direct(languages, table.place)
        remark = f" ({why}; the other way: --source {pair[1]} --target {pair[0]})"
    elif len(languages) == 1 and (text := _find_named(names, TEXT)):
        pair = [text, languages[0]]
    elif len(names) == 2 and not any(name.lower() in LABEL for name in names):
        pair = names
    elif not table.header:  # the first two columns of words: numbers and a licence may stand beside
        words = [name for name in names if not str(table.columns[name][0]).isdecimal()]
        pair = words[:2] if len(words) > 1 else []
    else:
        pair = []
    if given and set(given.values()) < set(pair):
        role, name = next(iter(given.items()))
        other = next(one for one in pair if one != name)
        return (
            {"source": name, "target": other}
            if role == "source"
            else {"source": other, "target": name}
        ), ""
    if given or not pair:
        raise UsageError(
            f"{table.origin}: cannot tell which columns to translate from and to; "
            f"{list_columns(table)}; name two with --source and --target"
        )
    return {"source": pair[0], "target": pair[1]}, remark


def direct(languages: Sequence[str], place: str) -> tuple[list[str], str]:
    """Two languages in the direction to translate, and why: as the name of their place has them
    (multi30k_en_de), else from English, else in alphabetical order."""
    words = re.split(r"[^a-z]+", place.lower())
    first, second = sorted(languages, key=str.lower)
    both = [language for language in words if language in (first.lower(), second.lower())]
    if len(set(both)) == 2:
        pair = [first, second] if both[0] == first.lower() else [second, first]
        return pair, f"as in the name {place}"
    if second.lower() in ("en", "english"):
        return [second, first], "English is taken as the source"
    if first.lower() in ("en", "english"):
        return [first, second], "English is taken as the source"
    return [first, second], "in alphabetical order"


def _unfold(table: Table) -> Table:
    """A column of dicts such as {"translation": {"en": …, "de": …}} as a column for each key."""
    for values in table.columns.values():
        first = next((value for value in values if value is not None), None)
        if isinstance(first, dict):
            make = partial(_take_key, values)
            return replace(table, columns=Columns(list(first), make))
    return table


def _take_key(values: Sequence[dict[str, Any] | None], key: str) -> list[Any]:
    return [value and value.get(key) for value in values]


_FINDERS: dict[str, Callable[[Table, Choice], tuple[Choice, str]]] = {
    "classify": _find_classify,
    "tag": _find_tag,
    "translate": _find_translate,
    "lm": _find_text,
}

# ---------------------------------------------------------------------------------- making rows

Made = tuple[dict[str, list[Any]], dict[str, int]]  # columns by role, counts by reason of loss


def _make_classify(table: Table, choice: Choice) -> Made:
    sides: dict[str, list[Any]] = {
        role: [write_cell(value) for value in table.columns[choice[role]]]
        for role in ("text", "pair")
        if role in choice
    }
    labels = [read_labels(value) for value in table.columns[choice["label"]]]
    return _keep(
        {**sides, "label": labels},
        {
            "without text": [
                not all(map(str.strip, row)) for row in zip(*sides.values(), strict=True)
            ],
            # An empty list says that none of the labels fits; no value says nothing.
            "without a label": [label is None or label == "" for label in labels],
        },
    )


def _make_tag(table: Table, choice: Choice) -> Made:
    tokens, tags = (table.columns[choice[role]] for role in ("tokens", "tags"))
    texts = all(isinstance(value, str) for values in (tokens, tags) for value in values)
    facing = texts and face_each_other(list(zip(tokens, tags, strict=True)))
    split = list if facing else split_cell
    tokens, tags = [split(value) for value in tokens], [split(value) for value in tags]
    for number, (words, marks) in enumerate(zip(tokens, tags, strict=True), start=1):
        if len(words) != len(marks) and marks:
            counts = f"{table.origin} row {number} has {len(words)}"
            if facing:
                raise SeqcliError(f"{counts} characters that face {len(marks)}; each needs one")
            raise SeqcliError(f"{counts} tokens and {len(marks)} tags; each token needs a tag")
    columns: dict[str, list[Any]] = {"tokens": tokens, "tags": tags}
    lost = {"without tokens": _empty(tokens), "without tags": [not m or None in m for m in tags]}
    if "label" in choice:
        columns["label"] = [
            _take_label(value, f"{table.origin} row {number}")
            for number, value in enumerate(table.columns[choice["label"]], start=1)
        ]
        lost["without a label"] = _empty(columns["label"])
    return _keep(columns, lost)


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
    cells = dict.fromkeys(map(write_cell, value))
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
        names = split_columns(choice["condition"], table.columns)
        cells = zip(*[table.columns[name] for name in names], strict=True)
        made["condition"] = [read_condition(one) for one in cells]
        lost["without a condition"] = _empty(made["condition"])
    return _keep(made, lost)


def read_condition(cells: Sequence[Any]) -> Any:
    """What a text is written from, of one cell or of several: None where one is missing, a label
    or a number as it is written, several numbers as a list, an image as its bytes."""
    if any(cell is None for cell in cells):
        return None
    if len(cells) > 1:
        return read_numbers(list(cells)) or [write_cell(cell) for cell in cells]
    (cell,) = cells
    if is_image(cell):
        return shrink(cell)
    return cell if isinstance(cell, list) else write_cell(cell)


_MAKERS: dict[str, Callable[[Table, Choice], Made]] = {
    "classify": _make_classify,
    "tag": _make_tag,
    "translate": _make_translate,
    "lm": _make_text,
}


def _keep(columns: dict[str, list[Any]], lost: Mapping[str, Sequence[bool]]) -> Made:
    """The rows that are lost for no reason, and how many each reason took."""
    counts = {reason: sum(marks) for reason, marks in lost.items()}
    if any(counts.values()):
        whole = [not any(marks) for marks in zip(*lost.values(), strict=True)]
        columns = {
            role: [value for value, keep in zip(values, whole, strict=True) if keep]
            for role, values in columns.items()
        }
    return columns, counts


def _empty(values: Sequence[Any]) -> list[bool]:
    return [not value for value in values]
