"""Which column of a table a task takes for what.

A column is taken because it was asked for, because it declares its classes, because of its name,
or because of what it holds, in this order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from shlex import quote
from typing import Any

from seqcli.data.annotations import are_marks
from seqcli.data.flags import find_flags, find_unclear
from seqcli.data.names import (
    LABEL,
    PAIRS,
    SPANS,
    TAGS,
    TEXT,
    TEXT_PAIRS,
    TOKENS,
    is_language,
    simplify,
)
from seqcli.data.tables import Table, list_columns
from seqcli.data.words import split_chunk
from seqcli.errors import UsageError

# Each task's roles, with the setting that names a role's column.
ROLES = {
    "classify": {"text": "text_column", "pair": "pair_column", "label": "label_column"},
    "tag": {"tokens": "tokens_column", "tags": "tags_column", "label": "with_label"},
    "translate": {"source": "source", "target": "target"},
    "lm": {"text": "text_column", "condition": "condition"},
}
SEVERAL = {"classify": ("text", "pair", "label"), "lm": ("condition",)}
"""Roles that several columns may play together."""
MOST_LABELS = 1_000
"""A column of more distinct values is no label unless the user says so."""
OFTEN = 0.5
"""Share of a column's rows from which on it is often empty."""
PROSE = 3
"""Words of a column's values, from which on it is text rather than a name, a date or a number."""
LINE = 100  # characters of a value that are looked at for them

Choice = dict[str, str]  # role → column


def find_given(task: str, table: Table, asked: Mapping[str, str | None]) -> Choice:
    """The columns that the user named. Raises UsageError where the table lacks one."""
    return {
        role: (_find_several if role in SEVERAL.get(task, ()) else _find_asked)(
            table, name, ROLES[task][role]
        )
        for role, name in asked.items()
        if name
    }


def complete(task: str, table: Table, given: Choice) -> tuple[Choice, str]:
    """A column for each role that needs one, and what to remark on it. Raises UsageError where one
    cannot be found, or would be two things."""
    choice, remark = _FINDERS[task](table, given)
    roles: dict[str, str] = {}
    for role, names in choice.items():
        for name in split_columns(names, table.columns):
            if name in roles:
                both = " and ".join(dict.fromkeys([roles[name], role]))
                raise UsageError(f"{table.origin}: column {name!r} cannot be both {both}")
            roles[name] = role
    return choice, remark


def _find_asked(table: Table, name: str, setting: str) -> str:
    alike = [column for column in table.columns if column.lower() == name.lower()]
    if alike:
        return name if name in alike else alike[0]
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


def find_named(names: Sequence[str], known: Sequence[str]) -> str | None:
    """The first well-known name among these, whatever its case and what follows in brackets."""
    simple = {simplify(name): name for name in reversed(names)}
    simple |= {name.lower(): name for name in reversed(names)}
    return next((simple[name] for name in known if name in simple), None)


def _find_pair(names: Sequence[str], known: Sequence[tuple[str, str]]) -> list[str]:
    """The first of some well-known pairs that these names hold, or nothing."""
    found = ([find_named(names, [one]) for one in pair] for pair in known)
    return next(([one for one in pair if one] for pair in found if all(pair)), [])


def _find_text_pair(table: Table, names: Sequence[str]) -> list[str]:
    """Two columns called as pairs of texts are, both of them full, where no other is called a
    text; or nothing."""
    pair = _find_pair(names, TEXT_PAIRS)
    others = [name for name in names if name not in pair]
    full = all(_is_often_full(table.columns[name]) for name in pair)
    return pair if full and find_named(others, TEXT) is None else []


def _is_often_full(values: Sequence[Any]) -> bool:
    return 10 * sum(value is None or value == "" for value in values) <= len(values)


def _find_classify(table: Table, given: Choice) -> tuple[Choice, str]:
    taken = [name for names in given.values() for name in split_columns(names, table.columns)]
    rest = [name for name in table.columns if name not in taken]
    label = given.get("label")
    text = given.get("text")
    remark = ""
    if label is None:
        declared = next((name for name in rest if name in table.classes), None)
        label = declared or find_named(rest, LABEL)
    rest = [name for name in rest if name != label]
    if not {"text", "pair"} & {*given} and (pair := _find_text_pair(table, rest)):
        text, other = pair
        given = {**given, "text": text, "pair": other}
        taken += pair
        remark = f" (one text alone: --text-column {quote(text)})"
    text = text or _find_named_text(table, rest)
    rest = [name for name in rest if name != text and name not in taken]
    if label is None:
        label, said = _guess_labels(table, rest)
        remark += said
    taken += split_columns(label, table.columns)
    rest = [name for name in table.columns if name not in (*taken, text)]
    if text is None:
        text = max(rest, key=lambda name: _measure(table.columns[name]), default=None)
        if text is None:
            raise UsageError(f"{table.origin} has no text beside its labels in column {label!r}")
    choice = {**given, "text": text, "label": label}
    if "text" in given or "pair" in given:
        return choice, remark
    both = _add_prose(table, text, [name for name in rest if name != text])
    if both == text:
        return choice, remark
    if table.header:
        return choice, f"{remark} (to read more: --text-column {quote(both)})"
    # Such as a title and what stands under it.
    return {**choice, "text": both}, f"{remark} (to read less: --text-column {quote(text)})"


def _add_prose(table: Table, text: str, others: Sequence[str]) -> str:
    """The column of a text, and those of other prose beside it."""
    if table.header:  # other columns may be anything, such as the text in another language
        others = [name for name in others if name.lower() in TEXT]
    more = [name for name in others if _is_prose(table.columns[name])]
    return ",".join(name for name in table.columns if name in (*more, text))


def _find_named_text(table: Table, names: Sequence[str]) -> str | None:
    """The column with a well-known name of texts; where it is often empty, the longest of those
    that end in one: 'Review Text' rather than 'Title'."""
    text = find_named(names, TEXT)
    if text is None:
        return None
    values = table.columns[text]
    if sum(value is None or value == "" for value in values) <= OFTEN * len(values):
        return text
    alike = [name for name in names if re.split(r"[\W_]+", simplify(name))[-1] in TEXT]
    return max([text, *alike], key=lambda name: _measure(table.columns[name]))


def _guess_labels(table: Table, names: Sequence[str]) -> tuple[str, str]:
    """Of columns that are not called labels, those that say yes or no if there are several, else
    the one with the fewest values; and what to remark on it."""
    flags = find_flags({name: table.columns[name] for name in names}) if table.header else []
    if len(flags) > 1:
        remark = f"one of these alone: --label-column {quote(flags[0])}"
        for name in names:
            values = table.columns[name]
            at = None if name in flags else find_unclear(values, unknown=False)
            if at is not None:
                remark += f"; {name!r} is left out, since row {at + 1} holds {values[at]!r}"
        return ",".join(flags), f" ({remark})"
    few = 0 if table.header else 10
    counts = {name: _count_labels(table.columns[name], few=few) for name in names}
    able = [name for name in names if counts[name]]
    if not able or len(table.columns) == 1:
        advice = f"{list_columns(table)}; name one with --label-column"
        if len(table.columns) == 1:
            advice = "it has one column"
            if table.origin.lower().removesuffix(".gz").endswith((".txt", ".text", ".tsv", ".tab")):
                advice += "; a table with , or ; between columns must be called .csv"
        raise UsageError(f"{table.origin} has no column that looks like a label; {advice}")
    return min(able, key=lambda name: (counts[name], _measure(table.columns[name]))), ""


def _count_labels(values: Sequence[Any], *, few: int) -> int:
    """How many distinct values a column has, or 0 where they are no labels: one alone, too many
    (more than half the rows, unless they are few anyway), or mostly empty lists."""
    if 2 * sum(value in ("[]", []) for value in values) > len(values):
        return 0
    distinct = len({str(value) for value in values} - {"", "None"})
    most = min(MOST_LABELS, max(few, len(values) / 2))
    return distinct if 1 < distinct <= most else 0


def _measure(values: Sequence[Any]) -> float:
    """The mean number of characters of the strings in a column's beginning."""
    head = values[:1000]
    return sum(len(value) for value in head if isinstance(value, str)) / max(1, len(head))


def _is_prose(values: Sequence[Any]) -> bool:
    """Whether a column's beginning is mostly strings of several words, which seldom repeat."""
    head = [value for value in values[:1000] if value is not None]
    long = sum(isinstance(value, str) and _has_words(value[:LINE], PROSE) for value in head)
    return long > len(head) / 2 and len(set(map(str, head))) > len(head) / 2


def _has_words(text: str, count: int) -> bool:
    return sum(piece[0].isalpha() for piece in split_chunk(text)) >= count


def _find_tag(table: Table, given: Choice) -> tuple[Choice, str]:
    names = list(table.columns)
    tokens, tags = given.get("tokens"), given.get("tags")
    if not table.header:  # conll: the token comes first, the tag of interest last
        tokens, tags = tokens or names[0], tags or names[-1]
    elif not _has_tags(table, given) and (marked := _find_marked(table, tags)):
        tags = marked
        texts = [name for name in names if isinstance(_first(table.columns[name]), str)]
        tokens = tokens or find_named(texts, TEXT)
    tokens = tokens or find_named([name for name in names if name != tags], TOKENS)
    tags = tags or find_named([name for name in names if name != tokens], TAGS)
    if tokens is None or tags is None:
        role = "tokens" if tokens is None else "tags"
        raise UsageError(
            f"{table.origin} has no column that looks like {role}; {list_columns(table)}; "
            f"name one with --{role}-column"
        )
    label = {"label": given["label"]} if "label" in given else {}
    return {"tokens": tokens, "tags": tags, **label}, ""


def _has_tags(table: Table, given: Choice) -> bool:
    """Whether columns of usual names hold lists of tokens and of tags, so that spans beside them
    are not needed."""
    names = list(table.columns)
    tokens = given.get("tokens") or find_named(names, TOKENS)
    tags = given.get("tags") or find_named([name for name in names if name != tokens], TAGS)
    if tokens is None or tags is None:
        return False
    first = [_first(table.columns[name]) for name in (tokens, tags)]
    listed = all(isinstance(one, list) and not are_marks([one]) for one in first)
    return listed and len(first[0]) == len(first[1])


def _find_marked(table: Table, given: str | None) -> str | None:
    """The column that marks spans in a text, if there is one: that given, or of a usual name."""
    known = [given] if given else [find_named(list(table.columns), [name]) for name in SPANS]
    return next((name for name in known if name and are_marks(table.columns[name])), None)


def _first(values: Sequence[Any]) -> Any:
    """The first value that is not missing."""
    return next((value for value in values if value is not None), None)


def _find_text(table: Table, given: Choice) -> tuple[Choice, str]:
    taken = split_columns(given.get("condition", ""), table.columns)
    names = [name for name in table.columns if name not in taken]
    text = given.get("text") or find_named(names, TEXT) or (names[0] if len(names) == 1 else None)
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
    pair: Sequence[str]
    remark = ""
    if known := _find_pair(names, PAIRS):
        pair = known
    elif len(languages) == 2:
        pair, why = direct(languages, table.place)
        remark = f" ({why}; the other way: --source {quote(pair[1])} --target {quote(pair[0])})"
    elif len(languages) == 1 and (text := find_named(names, TEXT)):
        pair = [text, languages[0]]
    elif len(names) == 2 and not any(name.lower() in LABEL for name in names):
        pair = names
    elif not table.header:  # numbers, codes of languages and a licence may stand beside
        words = [name for name in names if _are_words(table.columns[name])]
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


def _are_words(values: Sequence[Any]) -> bool:
    """Whether values are texts, and not numbers, or the same in each row."""
    return not str(values[0]).isdecimal() and (len(values) < 3 or len(set(values)) > 1)


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


_FINDERS: dict[str, Callable[[Table, Choice], tuple[Choice, str]]] = {
    "classify": _find_classify,
    "tag": _find_tag,
    "translate": _find_translate,
    "lm": _find_text,
}
