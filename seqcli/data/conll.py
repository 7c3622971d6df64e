"""Readers of sentences with a tag at each token: conll and conllu, a token a line, and joined
ones."""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from seqcli.data.files import is_full, read_lines
from seqcli.data.names import TAGS, TOKENS
from seqcli.data.tables import Columns, Table
from seqcli.errors import SeqcliError

HEAD = 2000  # lines that tell the columns
_ASIDES = ("-DOCSTART-", "# ")  # lines of conll that may be no tokens
WIDTH = 10  # columns of CoNLL-U and CoNLL-X
_CONLLU = {"form": 1, "lemma": 2, "upos": 3, "xpos": 4, "feats": 5, "deprel": 7}


def looks_like_conll(lines: Sequence[str]) -> bool:
    """Whether the lines begin as columns of equal number in blocks divided by blank lines."""
    split = find_splitter(lines[:HEAD])
    lines = blank_comments(lines[:HEAD], split)
    widths = [len(split(line)) if is_full(line) else 0 for line in lines]
    pairs = list(itertools.pairwise(widths))
    between = any(not first and second for first, second in pairs)
    together = any(first and second for first, second in pairs)
    return between and together and len({*widths} - {0}) == 1 and max(widths) >= 2


def read_conll(path: Path) -> Table:
    """A token a line with its columns, blank lines between sentences.

    Columns are divided by tabs, or by spaces where there are no tabs; a non-breaking space is part
    of a token. -DOCSTART- lines and comments that begin with # are skipped. Columns are called by
    the header where there is one, else '1', '2', …, without a first one that numbers the tokens;
    each row is a sentence's list of cells. A file in the columns of CoNLL-X is read as CoNLL-U.
    """
    lines = read_lines(path)
    split = find_splitter(lines)
    lines = blank_comments(lines, split)
    rows = (i for i, line in enumerate(lines) if is_full(line) and not line.startswith(_ASIDES))
    some = list(itertools.islice(rows, HEAD)) or [0]
    start, widths = some[0], [len(split(lines[i])) for i in some]
    first = split(lines[start])
    width = len(first)
    # Sentences of words have no columns, though a blank divides them.
    if width < 2 or 2 * widths.count(width) < len(widths):
        raise SeqcliError(
            f"{path.name} has no columns of tokens and tags; each line needs a token and its tag"
        )
    header = any(cell.lower() in TOKENS for cell in first[:2]) and first[-1].lower() in TAGS
    names = first if header else [str(i + 1) for i in range(width)]
    head = [split(line) for line in lines[start + header : start + HEAD]]
    if width == WIDTH and has_heads(head):
        return read_conllu(path)

    def read_column(name: str) -> list[list[str]]:
        place = names.index(name)

        def read_cell(number: int, line: str) -> str | None:
            cells = split(line)
            if line.startswith(_ASIDES) and (line[0] == "-" or len(cells) != width):
                return None
            if len(cells) != width or not all(cells):
                raise SeqcliError(
                    f"{path.name} line {number} has a missing token or tag: {width} columns are "
                    f"expected, found {line.strip()[:40]!r}"
                )
            return cells[place]

        sentences = _read_sentences(lines, read_cell)
        if header:
            sentences = [sentences[0][1:], *sentences[1:]] if sentences[0][1:] else sentences[1:]
        if len(sentences) == 1 and len(sentences[0]) > 2000:
            raise SeqcliError(
                f"{path.name} has no blank line, so its {len(sentences[0]):,} tokens are one "
                "sentence; put a blank line after each sentence"
            )
        return sentences

    shown = names[1:] if width > 2 and count_tokens(head) else names
    return Table(path.name, Columns(shown, read_column), header)


def blank_comments(lines: Sequence[str], split: Callable[[str], list[str]]) -> list[str]:
    """The lines, of which comments before a sentence are blank: those that begin with # and are not
    as wide as tokens, or hold a key and its value, or end in a number where no token does."""
    tokens = [split(line) for line in lines if is_full(line) and line[0] != "#"]
    widths = Counter(map(len, tokens)).most_common(1)
    numbered = any(_is_number(cells[-1]) for cells in tokens)
    found: list[str] = []
    for line in lines:
        cells = split(line) if line.startswith("#") else []
        comment = bool(cells) and (
            any(len(cells) != width for width, _ in widths)
            or "=" in cells[1:]
            or (_is_number(cells[-1]) and not numbered)
        )
        begins = not found or not is_full(found[-1])
        found.append("" if comment and begins else line)
    return found


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdecimal()


def count_tokens(head: Sequence[Sequence[str]]) -> bool:
    """Whether the first cells of lines number the tokens of each sentence, from 0 or from 1."""
    blocks = itertools.groupby(head, key=any)
    sentences = [[cells[0] for cells in block] for full, block in blocks if full]
    return any(len(cells) > 1 for cells in sentences) and any(
        all(cells == list(map(str, range(start, start + len(cells)))) for cells in sentences)
        for start in (0, 1)
    )


def has_heads(head: Sequence[Sequence[str]]) -> bool:
    """Whether lines begin with the number of a token and have that of its head in their place."""
    return all(
        len(cells) > 6 and re.match(r"\d", cells[0]) and re.fullmatch(r"\d+|_", cells[6])
        for cells in head
        if any(cells)
    )


def find_joint(lines: Sequence[str]) -> str | None:
    """What joins each token of these lines to its tag, as in the/DT or the_DT, if they are so."""
    words = [word for line in lines[:500] for word in line.split()]
    for joint in "/_":
        if words and all(0 < word.rfind(joint) < len(word) - 1 for word in words):
            return joint
    return None


def read_joined(path: Path, joint: str) -> Table:
    """A sentence a line, each token with its tag behind the last `joint`: columns tokens, tags."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        cells = [word.rpartition(joint) for word in words]
        for word, (token, _, tag) in zip(words, cells, strict=True):
            if not (token and tag):
                raise SeqcliError(
                    f"{path.name} line {number}: {word[:40]!r} has no tag behind {joint!r}"
                )
        if cells:
            rows.append(([token for token, _, _ in cells], [sys.intern(tag) for *_, tag in cells]))
    tokens, tags = map(list, zip(*rows, strict=True))
    return Table(path.name, {"tokens": tokens, "tags": tags})


def read_conllu(path: Path) -> Table:
    """CoNLL-U (universaldependencies.org/format.html): columns form, lemma, upos, xpos, feats,
    deprel, each row a sentence's list. Multiword ranges and empty nodes are skipped."""
    lines = read_lines(path)

    def read_column(name: str) -> list[list[str]]:
        place = _CONLLU[name]

        def read_cell(number: int, line: str) -> str | None:
            if line[0] == "#":
                return None
            cells = line.split("\t")
            if len(cells) != WIDTH:
                raise SeqcliError(
                    f"{path.name} line {number} has {len(cells)} columns; CoNLL-U has {WIDTH}"
                )
            return cells[place] if cells[0].isdecimal() else None

        return _read_sentences(lines, read_cell)

    return Table(path.name, Columns(list(_CONLLU), read_column))


def _read_sentences(
    lines: Sequence[str], read_cell: Callable[[int, str], str | None]
) -> list[list[str]]:
    """One column of a file with a token a line; lines that `read_cell` answers None to are not
    tokens. A cell that comes again is the same string, which saves most of the memory."""
    sentences: list[list[str]] = []
    current: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not is_full(line):
            if current:
                sentences.append(current)
                current = []
        elif (cell := read_cell(number, line)) is not None:
            current.append(sys.intern(cell))
    return [*sentences, current] if current else sentences


def find_splitter(lines: Sequence[str]) -> Callable[[str], list[str]]:
    """How a line is split into columns, a blank one into none: at tabs if one of the first lines
    with tokens has any, else at spaces, of which a non-breaking or ideographic one is a token's."""
    head = [line for line in lines[:100] if is_full(line)]
    tokens = [line for line in head if not line.startswith(("-DOCSTART-", "#"))]
    if any("\t" in line for line in tokens or head):
        return lambda line: line.rstrip("\r ").split("\t") if is_full(line) else []
    return lambda line: [cell for cell in line.strip(" \t\r").split(" ") if cell]
