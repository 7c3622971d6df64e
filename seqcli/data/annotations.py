"""Texts in which spans are marked by the places of their characters, as tags of their tokens.

    Anna lives in New York.    [[0, 4, "PER"], [14, 22, "LOC"]]
    Anna  lives  in  New    York   .
    B-PER O      O   B-LOC  I-LOC  O

Programs to annotate text write such spans in many forms; all are read as a start, an end, a type
and, where it is told, what stands there.
"""

from __future__ import annotations

import ast
import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from seqcli.data.schemes import Notation, Span
from seqcli.data.values import write_cell
from seqcli.data.words import locate_words
from seqcli.errors import SeqcliError

SLIPS = 1 / 20
"""The share of spans up to which those that end where they begin may be mistakes."""
START = ("start", "start_offset", "startOffset", "start_idx", "begin")
END = ("end", "end_offset", "endOffset", "end_idx", "stop")
KIND = ("label", "labels", "type", "entity_type", "entity_group", "tag", "category", "entity")
SURFACE = ("text", "value", "word", "entity", "mention", "surface")


class Mark(NamedTuple):
    """A span as it is written. start, end: places of characters, or of tokens where tokens are
    given. surface: what stands there, '' where it is not told."""

    start: int
    end: int
    kind: str
    surface: str = ""


class Marked(NamedTuple):
    """Tokens and tags (BIO) of each row, and what is to be said of them."""

    tokens: list[list[str]]
    tags: list[list[str]]
    notes: list[str]


def are_marks(values: Sequence[Any]) -> bool:
    """Whether a column's values are lists of marked spans, some of which may be empty."""
    read = (read_marks(value) for value in values if value not in (None, ""))
    first = next((marks for marks in read if marks is None or marks), None)
    return bool(first)


def read_marks(value: Any) -> list[Mark] | None:
    """The spans that a value lists, also where the list is written out; None: it lists none."""
    value = _read_written(value)
    try:
        if isinstance(value, Mapping):  # {"PER": {"Anna": [[0, 3]]}}
            value = [
                [*place, kind, surface]
                for kind, found in value.items()
                for surface, places in found.items()
                for place in places
            ]
        return [mark for one in value for mark in _read_mark(one)]
    except (AttributeError, TypeError, ValueError):
        return None


def tag_marked(texts: Sequence[Any], values: Sequence[Any], origin: str) -> Marked:
    """A tag for each token: of texts, which are cut into words, or of rows of tokens as they are.

    A span that ends within a token takes all of it, unless the span before has taken it; one that
    is left with no token is dropped. All are counted. A row without a value has no tags. Raises
    SeqcliError where a value lists no spans or spans overlap.
    """
    rows = [_read_row(value, f"{origin} row {at}") for at, value in enumerate(values, start=1)]
    bounds = [_bound(text) for text in texts]
    last = _are_inclusive(texts, rows, bounds)
    _check_places(texts, rows, origin)
    notation = Notation("BIO", "BIES")
    tokens, tags, counts = [], [], Counter[str]()
    for number, (text, row, places) in enumerate(zip(texts, rows, bounds, strict=True), start=1):
        spans = _cover(places, row or (), counts, last=last)
        for (kind, _, end), (other, start, _) in pairwise(spans):
            if start < end:
                raise SeqcliError(
                    f"{origin} row {number}: spans of {kind!r} and {other!r} overlap; nested or "
                    "overlapping spans need a tagger for each layer: keep one of them"
                )
        tokens.append([write_cell(text[start:end]) for start, end in places])
        tags.append([] if row is None else notation.write(spans, len(places)))
    notes = [f"{origin}: marked spans {what}: {count:,}" for what, count in counts.items()]
    return Marked(tokens, tags, notes)


def _cover(
    bounds: Sequence[tuple[int, int]], marks: Sequence[Mark], counts: Counter[str], *, last: bool
) -> list[Span]:
    """The spans of tokens that marks cover, in order, without repeats. bounds: where each token
    begins and ends. last: ends are those of the last character. counts: what became of them."""
    starts, ends = [start for start, _ in bounds], [end for _, end in bounds]
    spans: set[Span] = set()
    taken = covered = 0  # where the spans before end: of tokens, and of characters
    for mark in sorted(marks):
        stop = mark.end + last
        first, after = bisect_right(ends, mark.start), bisect_left(starts, stop)
        if first >= after:
            counts["covering no token, left out"] += 1
            continue
        if first < taken and covered <= mark.start:  # neighbours in a token, such as 10 and kg
            first = taken
            if first >= after:
                counts["within a token that the span before has taken, left out"] += 1
                continue
            counts["beginning within a token that the span before has taken"] += 1
        elif starts[first] < mark.start or ends[after - 1] > stop:
            counts["ending within a token, so that they take all of it"] += 1
        spans.add((mark.kind, first, after))
        taken, covered = max(taken, after), max(covered, stop)
    counts["now tags of tokens"] += len(spans)
    return sorted(spans, key=lambda span: span[1:])


def _bound(text: Any) -> list[tuple[int, int]]:
    """Where the words of a text begin and end; of tokens, that each is one place long."""
    if isinstance(text, list):
        return [(at, at + 1) for at in range(len(text))]
    return locate_words(text) if isinstance(text, str) else []


def _check_places(texts: Sequence[Any], rows: Sequence[Sequence[Mark] | None], origin: str) -> None:
    """Raise SeqcliError where places are of characters and only tokens are given."""
    for number, (text, row) in enumerate(zip(texts, rows, strict=True), start=1):
        if isinstance(text, list) and any(mark.end > len(text) for mark in row or ()):
            raise SeqcliError(
                f"{origin} row {number}: a span ends behind its {len(text)} tokens; where places "
                "are of characters, name the column of the text with --tokens-column"
            )


def _are_inclusive(
    texts: Sequence[Any],
    rows: Sequence[Sequence[Mark] | None],
    bounds: Sequence[Sequence[tuple[int, int]]],
) -> bool:
    """Whether ends are the places of last characters, not of those after them: as more of the
    surfaces say, else as more of the tokens end, else if a share of them equal their starts."""
    surfaces = ends = equal = total = 0
    for text, row, places in zip(texts, rows, bounds, strict=True):
        stops = {stop for _, stop in places}
        for mark in row or ():
            if mark.surface and isinstance(text, str):
                surfaces += text[mark.start : mark.end + 1] == mark.surface
                surfaces -= text[mark.start : mark.end] == mark.surface
            ends += (mark.end + 1 in stops) - (mark.end in stops)
            equal += mark.start == mark.end
            total += 1
    return (surfaces or ends or equal > SLIPS * total) > 0


def _read_row(value: Any, where: str) -> list[Mark] | None:
    if value is None or value == "":
        return None
    marks = read_marks(value)
    if marks is None:
        raise SeqcliError(f"{where}: its spans are not read; each needs a start, an end and a type")
    return marks


def _read_mark(value: Any) -> Iterator[Mark]:
    """The span of [0, 4, "PER"] or {"start": 0, "end": 4, "label": "PER"}; several where it has
    several labels or places. Raises TypeError or ValueError for anything else."""
    if isinstance(value, list | tuple):
        first, second = (one for one in value if isinstance(one, int))
        kind, *surface = (one for one in value if isinstance(one, str))
        yield Mark(first, second, kind, *surface)
        return
    if not isinstance(value, Mapping):
        raise TypeError
    kinds = _take(value, KIND)
    for place in value.get("points") or [value]:
        start, end, surface = (_take(place, names) for names in (START, END, SURFACE))
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            if not isinstance(start, int) or not isinstance(end, int) or not isinstance(kind, str):
                raise TypeError
            yield Mark(start, end, kind, surface if isinstance(surface, str) else "")


def _take(value: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((value[name] for name in names if name in value), None)


def _read_written(value: Any) -> Any:
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        pass
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
