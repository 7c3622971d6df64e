"""How lines of input are read, by a file's name and content: text, JSON Lines, tables, columns."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from seqcli.data.conll import WIDTH, blank_comments, count_tokens, find_splitter, has_heads
from seqcli.data.delimited import read_delimiter
from seqcli.data.files import is_full
from seqcli.data.lines import Header, Line, parse_record, split_cells
from seqcli.data.names import TEXT
from seqcli.data.places import kind_of
from seqcli.data.rows import Rows
from seqcli.errors import MissingField, SeqcliError, UsageError

COLUMNS = ("conll", "conllu")
TABLES = {"csv": ",;\t|", "tsv": "\t"}
"""Input whose first line names its columns, and what may divide them."""


def read_rows(
    read: Callable[[list[Any]], Rows], given: Mapping[int, Any]
) -> tuple[Rows, dict[int, SeqcliError]]:
    """All that is given as rows, and what is wrong with what cannot be read, by place."""
    try:
        return read(list(given.values())), {}
    except SeqcliError:  # of some of them: which?
        wrong: dict[int, SeqcliError] = {}
        for at, one in given.items():
            try:
                read([one])
            except SeqcliError as error:
                wrong[at] = error
        return read([one for at, one in given.items() if at not in wrong]), wrong


def find_lead(lines: Sequence[Line], reading: str) -> tuple[int, str | None]:
    """How many of these lines stand before the header of a table: blank ones and, in csv, a first
    one such as sep=; and the divider that this names."""
    first = lines[0].text if lines[0].number == 1 and reading == "csv" else ""
    told = read_delimiter(first)
    rest = enumerate(lines[1:] if told else lines, start=bool(told))
    full = (at for at, line in rest if line.problem or line.text.strip())
    return next(full, len(lines)), told


def find_header(line: str, dividers: str, read: Callable[[list[dict[str, str]]], Rows]) -> Header:
    """The header of a table, which `read` finds what it needs in. Raises UsageError where it does
    not."""
    problem = SeqcliError("an empty header")
    for divider in dividers:
        try:
            names = [cell.strip() for cell in split_cells(line, divider)]
            return _fit_header(Header(divider, names), read)
        except SeqcliError as error:
            problem = problem if divider != dividers[0] else error
    raise UsageError(f"the header of the table: {problem}")


def _fit_header(
    header: Header, read: Callable[[list[dict[str, str]]], Rows], *, rename: bool = True
) -> Header:
    """A header that has what the model reads, where a column with another usual name of texts may
    stand in. Raises SeqcliError where a column is missing, or there twice."""
    counts = Counter(header.names)
    try:
        read([{name: "" for name, times in counts.items() if times == 1}])
    except MissingField as error:
        if counts[error.name]:
            raise SeqcliError(f"two columns are called {error.name!r}") from None
        other = next((name for name in header.names if name.lower() in TEXT), None)
        if other is None or not rename:
            raise
        names = [error.name if name == other else name for name in header.names]
        return _fit_header(header._replace(names=names), read, rename=False)
    except SeqcliError:  # what the cells hold is not known yet
        pass
    return header


def guess(file: str, lines: list[Line], task: Any) -> str | None:
    """How to read lines, from the file's name or else the first line that is not blank; None
    where all are."""
    kind = kind_of(Path(file))
    if kind == "parquet":
        raise UsageError(f"{file}: predict reads lines of text, tables or JSON; write it as .jsonl")
    first = next((line.text for line in lines if line.text.strip()), None)
    if kind == "json":
        if first is not None and first.strip()[:2] in ("[", "[{", "{"):
            raise UsageError(
                f"{file} is one JSON value; predict reads JSON Lines, an object a line"
            )
        return "jsonl"
    if task.name == "tag" and kind in ("conll", "conllu"):
        return kind
    if first is None:
        return None
    if kind in TABLES:
        at, told = find_lead(lines, kind)
        with contextlib.suppress(SeqcliError):
            line = lines[at].text if at < len(lines) else ""
            find_header(line, told or TABLES[kind], task.read_records)
            return kind
    if task.name == "tag" and (kind == "tsv" or (file != "-" and _are_tagged(lines, task))):
        return "conll"
    if first.lstrip().startswith("{"):
        with contextlib.suppress(SeqcliError):
            parse_record(first)
            return "jsonl"
    return "text"


def _are_tagged(lines: list[Line], task: Any) -> bool:
    """Whether lines are a token each, with a tag of the model behind it: not only with marks, which
    are tags of parts of speech and end sentences as well."""
    texts = [line.text for line in lines if is_full(line.text) and line.text[0] != "#"]
    cells = list(map(find_splitter(texts), texts))
    tags = {row[-1] for row in cells}
    widths = {len(row) for row in cells}
    named = any(map(str.isalpha, "".join(tags)))
    if task.joined:  # tags are the characters of an answering line
        return False
    return len(widths) == 1 and widths != {1} and named and tags <= task.tagset.list_written()


def doubt(file: str, reading: str, lines: list[Line], task: Any) -> Iterator[str]:
    """What a person may have meant otherwise with lines that are taken as text."""
    if reading != "text":
        return
    if kind_of(Path(file)) in TABLES:
        yield (
            "its first line names no column that the model reads, so each line is taken as text; "
            "a table needs a header"
        )
    elif task.name == "classify" and not task.pairs:
        texts = [line.text for line in lines if line.text.strip()]
        if texts and all(_holds_label(text, task.labels) for text in texts):
            yield "its lines seem to hold labels, which are read as text; predict wants texts alone"


def _holds_label(line: str, labels: Sequence[str]) -> bool:
    """Whether a line has a label before or behind its text: by a tab, or as fastText marks it."""
    first, tab, _ = line.partition("\t")
    beside = {first, line.rpartition("\t")[2]} if tab else set()
    return line.startswith("__label__") or not beside.isdisjoint(labels)


def settle_columns(lines: Sequence[Line]) -> tuple[str, int | None]:
    """How columns of some sentences are read, and the place of their tokens: behind a first column
    that numbers them, and as CoNLL-U where they are those of CoNLL-X, as in training. None: not
    known yet, since no sentence has two tokens."""
    texts = [line.text for line in lines]
    split = find_splitter(texts)
    cells = list(map(split, blank_comments(texts, split)))
    width = max(map(len, cells), default=0)
    if width == WIDTH and has_heads(cells):
        return "conllu", 0
    if not any(first and second for first, second in pairwise(cells)):
        return "conll", None
    return "conll", int(width > 2 and count_tokens(cells))


def find_tokens(lines: Sequence[Line], reading: str, place: int = 0) -> list[str | None]:
    """The token of each line of a sentence; None where a line holds none: a blank line, a comment
    as training finds them, -DOCSTART-, a multiword range or an empty node of CoNLL-U, a line that
    cannot be read. place: of tokens among the columns.

    "# …" within a sentence is a comment where its columns are not as many as those of other lines.
    """
    texts = [line.text for line in lines]
    split = find_splitter(texts)
    if reading == "conllu":
        cells = list(map(split, texts))
        return [row[1] if len(row) > 1 and row[0].isdecimal() else None for row in cells]
    texts = blank_comments(texts, split)
    cells = list(map(split, texts))
    noted = [text.startswith(("# ", "-DOCSTART-")) for text in texts]
    width = next((len(row) for row, note in zip(cells, noted, strict=True) if row and not note), 0)
    return [
        row[place]
        if len(row) > place and row[place] and not (note and (len(row) != width or row[0] != "#"))
        else None
        for row, note in zip(cells, noted, strict=True)
    ]
