"""How tags mark spans, and from tags to spans and back.

    tokens   to  New     York    ,  Rome
    BIO      O   B-City  I-City  O  B-City      B begins a span
    IOB1     O   I-City  I-City  O  I-City      B only where two spans of a type touch
    BIOES    O   B-City  E-City  O  S-City      E ends it, S is one of a single token

BILOU (L for E, U for S) and BMES (M for I) are BIOES in other letters. Letters may be small, as
those of words of Chinese often are (b, m, e, s).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[str, int, int]
"""Type, first token, and the token after the last."""

# One letter for one place in a span, whichever scheme it comes from.
PLACES = {"B": "B", "I": "I", "O": "O", "E": "E", "S": "S", "L": "E", "U": "S", "M": "I"}
TAG = re.compile(r"[Oo]|([BIESLUMbieslum])(?:([-_])(.+))?")
SLIPS = 1 / 100
"""The share of tags that may be slips of the annotators: what is rarer does not tell a scheme."""
NESTED = re.compile(r"[|+;,/ &]")
"""What stands between the tags of several spans that share a token."""


def spans(tags: Sequence[str]) -> list[Span]:
    """The (type, start, end) spans that tags mark; `end` is the first token after the span.

    Reads all schemes alike and forgives what none allows, by the rules of the CoNLL-2000 scorer
    (conlleval, Tjong Kim Sang and Buchholz 2000): a span begins at B or S, after E, S or O, and
    where the type changes; it ends before the next one, after E or S, or at O. A tag without a
    type, such as "B", has the type "_".
    """
    found = []
    start, inside, ended = 0, "", True  # type of the open span, "" for none; whether it is complete
    for position, tag in enumerate(tags):
        place, kind = read(tag)
        begins = place in ("B", "S") or ended or kind != inside
        if inside and (begins or place == "O"):
            found.append((inside, start, position))
            inside = ""
        if place == "O":
            ended = True
            continue
        if begins:
            start, inside = position, kind
        ended = place in ("E", "S")
    if inside:
        found.append((inside, start, len(tags)))
    return found


def read(tag: str) -> tuple[str, str]:
    """(place, type) of a tag; what is no tag of a span stands outside, as ("O", "")."""
    match = TAG.fullmatch(tag)
    if match is None or match[1] is None:
        return "O", ""
    return PLACES[match[1].upper()], match[3] or "_"


def detect_scheme(rows: Iterable[Sequence[str]]) -> str | None:
    """How tags mark spans: "BIO", "IOB1", "BIOES" (also BILOU and BMES), or None.

    IOB1 writes I at the start of a span, B only where two of one type touch; whichever is met more
    often decides, so that a slip of the annotators does not. Neither do a few tags of no scheme, or
    a few E and S.
    """
    starts: Counter[str] = Counter()
    places: Counter[str] = Counter()
    known: dict[str, tuple[str, str]] = {}
    for row in rows:
        before = ("O", "")
        for tag in row:
            if tag not in known:
                known[tag] = read(tag) if TAG.fullmatch(tag) else ("", "")
            place, kind = known[tag]
            places[place] += 1
            if before[1] != kind:
                starts[place] += 1
            before = known[tag]
    marking = sum(places[place] for place in "BIES")
    if not marking or places[""] > SLIPS * marking:
        return None
    if not places["B"] and all(map(str.islower, known)):
        return None  # such as l and u, for lower and upper
    if places["E"] + places["S"] > SLIPS * marking:
        return "BIOES"
    return "IOB1" if starts["I"] > starts["B"] else "BIO"


def find_nested(tags: Iterable[str]) -> str | None:
    """A tag that puts several spans on one token ("B-PER|I-ORG"), or None."""
    for tag in tags:
        parts = NESTED.split(tag)
        if len(parts) > 1 and all(part == "O" or read(part)[1] not in ("", "_") for part in parts):
            return tag
    return None


def can_follow(before: str, after: str, scheme: str) -> bool:
    """Whether a scheme allows one tag after another; "O" stands before the first and after the
    last. IOB1 allows all."""
    if scheme == "IOB1":
        return True
    (place, kind), (next_place, next_kind) = read(before), read(after)
    if next_place in ("I", "E"):
        return place in ("B", "I") and kind == next_kind
    return scheme == "BIO" or place not in ("B", "I")


@dataclass(frozen=True)
class Notation:
    """A scheme, its letters for begin, inside, end and single, what stands before a type, and the
    tag outside of spans."""

    scheme: str
    letters: str = "BIES"
    separator: str = "-"
    outside: str = "O"

    @classmethod
    def find(cls, scheme: str, tags: Iterable[str]) -> Notation:
        """The notation of tags of which nearly all follow a scheme."""
        tags = set(tags)
        matches = [match for match in map(TAG.fullmatch, tags) if match]
        used = "".join({match[1] or "" for match in matches})
        places = set(used.upper())
        letters = "BILU" if places & {"L", "U"} else "BMES" if "M" in places else "BIES"
        letters = letters.lower() if used.islower() else letters
        separator = next((match[2] for match in matches if match[2]), "-")
        return cls(scheme, letters, separator, "o" if "o" in tags and "O" not in tags else "O")

    def write(self, found: Iterable[Span], length: int) -> list[str]:
        """The tags of `length` tokens that mark these spans, none of which overlap."""
        tags, before = [self.outside] * length, ("", 0, 0)
        for span in found:
            kind, start, end = span
            first, inside, last, single = tuple(self.letters)
            if self.scheme == "BIO":
                last, single = inside, first
            elif self.scheme == "IOB1":
                first = first if before[0] == kind and before[2] == start else inside
                last, single = inside, first
            places = [first, *[inside] * (end - start - 2), last] if end - start > 1 else [single]
            tail = "" if kind == "_" else self.separator + kind
            tags[start:end] = [place + tail for place in places]
            before = span
        return tags

    def find_broken(self, rows: Iterable[Sequence[str]]) -> set[tuple[str, str]]:
        """Pairs of neighbouring tags that the scheme does not allow; both ends are outside."""
        pairs = {pair for row in rows for pair in pairwise([self.outside, *row, self.outside])}
        return {
            pair for pair in pairs if not (self._has(pair[1]) and can_follow(*pair, self.scheme))
        }

    def _has(self, tag: str) -> bool:
        """Whether a tag is one of the scheme's."""
        places = "BIES" if self.scheme == "BIOES" else "BI"
        small = self.letters.islower()
        return tag == self.outside or (read(tag)[0] in places and tag[0].islower() == small)

    def mend(self, rows: Sequence[Sequence[str]]) -> tuple[list[list[str]], int]:
        """Rows whose tags follow the scheme, and how many tags that changed: what the scheme does
        not allow is read as `spans` does and written again."""
        broken = self.find_broken(rows)
        mended, changed = [], 0
        for row in rows:
            if broken.isdisjoint(pairwise([self.outside, *row, self.outside])):
                mended.append(list(row))
            else:
                mended.append(self.write(spans(row), len(row)))
                changed += sum(map(str.__ne__, row, mended[-1]))
        return mended, changed
