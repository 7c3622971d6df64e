"""Rows held out of train: for validation where there is none, and of running text for test, too.

Each function takes the rows by split and gives them with what to tell of it.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Sequence

from seqcli.data.labels import as_lists
from seqcli.data.rows import Rows
from seqcli.errors import SeqcliError

SEED = 13  # of the rows set aside for validation and of those a limit keeps
SHARE = 0.1  # of train that becomes validation where there is none
LEAST, MOST = 10, 2_000  # rows of such a validation split; of small data a quarter at most
LM_SHARE = 0.05  # of a text's characters that becomes validation, and as many test
LISTED = 100  # lines of a list in alphabetical order, at least
INITIALS = 5  # with which they begin, at least: those of a log all begin with the date
ORDERED = 0.95  # of them begin with a letter, and follow in order
SEEN = 10_000  # of them that are looked at, at most
SHORT = 2_000  # characters of a text, below which a line that is cut counts as two


def hold_out_rows(rows: dict[str, Rows]) -> tuple[dict[str, Rows], list[str]]:
    """Set rows of train aside for validation if there is none, drawn with a fixed seed."""
    if "validation" in rows:
        return rows, []
    train = rows["train"]
    n = len(train)
    order = random.Random(SEED).sample(range(n), n)
    size = min(MOST, max(round(n * SHARE), min(LEAST, n // 4), 1)) if n > 1 else 0
    if "label" in train.columns:
        labels = as_lists(train["label"])
        last = {label: i for i in order for label in labels[i]}
        kept = set(last.values())  # the last row of a label stays in train
        free = sorted((i for i in order if i not in kept), key=lambda i: labels[i])
        # Evenly spaced in an order by label, so that each label has its share of both parts.
        size = min(size, len(free))
        order = [free[(2 * i + 1) * len(free) // (2 * size)] for i in range(size)]
    aside = set(order[:size])
    if not aside:
        return rows | {"validation": train}, [
            f"{n} rows are too few to set one aside, so they serve for validation, too"
        ]
    cut = {
        "train": train.take([i for i in range(n) if i not in aside]),
        "validation": train.take(sorted(aside)),
    }
    return rows | cut, [
        f"no validation split: {len(aside):,} of {n:,} rows of train are set aside for it, "
        + ("by label, " if "label" in train.columns else "")
        + f"drawn with seed {SEED}"
    ]


def hold_out_text(rows: dict[str, Rows]) -> tuple[dict[str, Rows], list[str]]:
    """Set the end of a running text aside for validation, and for test if neither is there. A list
    in alphabetical order, which is no running text, is shuffled first."""
    rows, listed = _shuffle_list(rows)
    rows, said = _cut_text(rows)
    return rows, [*listed, *said]


def _shuffle_list(rows: dict[str, Rows]) -> tuple[dict[str, Rows], list[str]]:
    """Shuffle lines of train that are a list in alphabetical order. They are no running text: each
    would be easy after the one before it, and its end would be like no other part."""
    train = rows["train"]
    if not _is_list(train["text"]):
        return rows, []
    order = random.Random(SEED).sample(range(len(train)), len(train))
    return rows | {"train": train.take(order)}, [
        f"{train.origin}: the lines are a list in alphabetical order and no running text, so they "
        f"are shuffled, with seed {SEED}"
    ]


def _is_list(lines: Sequence[str]) -> bool:
    """Whether names or words are listed here, all but a few in alphabetical order."""
    some = lines[:: -(-len(lines) // SEEN) or 1]  # of a corpus of millions, evenly spaced
    keys = [line.strip().casefold() for line in some]
    initials = [key[0] for key in keys if key[:1].isalpha()]
    ordered = sum(a <= b for a, b in itertools.pairwise(keys))
    return (
        len(lines) >= LISTED
        and len(set(initials)) >= INITIALS
        and min(len(initials), ordered + 1) >= ORDERED * len(keys)
    )


def _cut_text(rows: dict[str, Rows]) -> tuple[dict[str, Rows], list[str]]:
    """Set the end of a training text aside for validation, and for test if neither is there."""
    if "validation" in rows:
        return rows, []
    missing = ["validation"] if "test" in rows else ["validation", "test"]
    train = rows["train"]
    shares = [1 - LM_SHARE * (len(missing) - i) for i in range(len(missing))]
    cuts = _find_cuts(train["text"], shares)
    parts = _cut_lines(train["text"], cuts)
    names = ["train", *missing]
    if not all(parts[:2]):
        raise SeqcliError(
            f"{train.origin} is too short to set a part aside for validation; name a longer text, "
            "or a file with --validation"
        )
    ends = _list_ends(train["text"])
    inside = [False, *(ends[-1] >= SHORT and place not in ends for place in cuts), False]
    cut = {
        name: Rows({"text": part}, train.origin, names=train.names, joined=joined)
        for name, part, joined in zip(names, parts, itertools.pairwise(inside), strict=True)
        if part
    }
    percent = " and ".join(f"{LM_SHARE:.0%} for {name}" for name in missing)
    lines = ", ".join(f"{name} {len(part):,}" for name, part in zip(names, parts, strict=True))
    return rows | cut, [
        f"no validation split: the end of the text is set aside, {percent} by characters "
        f"(lines: {lines})"
    ]


def _list_ends(lines: Sequence[str]) -> list[int]:
    """After how many characters each line ends, line ends counted."""
    return list(itertools.accumulate(len(line) + 1 for line in lines))


def _find_cuts(lines: Sequence[str], shares: Sequence[float]) -> list[int]:
    """After how many characters a part ends, for each of these shares of all characters, line ends
    counted.

    A part ends with a line, unless no line ends within a hundredth of the text: then inside one,
    after a space if there is one as near.
    """
    ends = _list_ends(lines)
    cuts = [0]
    for share in shares:
        goal, span = share * ends[-1], max(1, ends[-1] // 100)
        i = bisect.bisect_right(ends, goal)
        start = ends[i - 1] if i else 0
        nearest = min([start, *ends[i : i + 1]], key=lambda end: abs(end - goal))
        if abs(nearest - goal) > span or not cuts[-1] < nearest < ends[-1]:
            nearest = at = round(goal)
            if i < len(lines):
                space = lines[i].find(" ", at - start, at - start + span)
                nearest = at if space < 0 else start + space + 1
        cuts.append(max(cuts[-1], nearest))
    return cuts[1:]


def _cut_lines(lines: Sequence[str], cuts: Sequence[int]) -> list[list[str]]:
    """The lines of the text before, between and after the cuts."""
    ends = _list_ends(lines)
    return [
        [
            lines[i][max(0, first - start) : last - start]
            for i in range(bisect.bisect_right(ends, first), len(lines))
            if (start := ends[i] - len(lines[i]) - 1) < last
        ]
        for first, last in itertools.pairwise([0, *cuts, ends[-1]])
    ]
