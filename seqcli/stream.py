"""Lines in, answers out: strict, in order, as they arrive.

    os.read gives whatever has arrived ──► whole lines ──► one batch ──► answers, flushed

While a batch is answered the next lines gather in the pipe, so a fast producer gets large batches
and a slow one an answer for each line, with no thread and no timer. Memory stays bounded by the
size of a read.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqcli import bundle
from seqcli.config import Request
from seqcli.data.grouping import find_number
from seqcli.data.lines import (
    Header,
    Line,
    open_lines,
    parse_record,
    read_lines,
    split_cells,
)
from seqcli.data.names import TEXT
from seqcli.data.places import kind_of
from seqcli.data.rows import Rows
from seqcli.errors import MissingField, SeqcliError, UsageError
from seqcli.nn.device import autocast, choose_precision, set_threads
from seqcli.tasks.task import Answer, device_of

SENTENCE_LINES = 10_000
"""CoNLL input without a blank line is answered after so many lines: memory stays bounded."""
COLUMNS = ("conll", "conllu")
TABLES = {"csv": ",;\t|", "tsv": "\t"}
"""Input whose first line names its columns, and what may divide them."""
NAMES = {
    "classify": "label",
    "tag": "tags",
    "translate": "translation",
    "lm": "log_probability\tperplexity\ttokens",
}
"""What the plain answers of each task are, as the header of a table."""


class Reply(NamedTuple):
    """One piece of output, line ends included, and what was wrong with its input."""

    text: str
    problem: str | None = None


def answer_lines(
    folder: Path,
    file: str,
    *,
    format: str | None,
    reading: str,
    request: Request,
    precision: str,
    threads: int | None,
    report: Callable[[str], None],
    remark: Callable[[str], None],
    others: Sequence[Path] = (),
) -> int:
    """Answer every line of a file ("-": standard input) on standard output; how many were bad.

    precision: fp32, bf16 or auto. others: models of translate that answer together with the first.
    remark: is told where a file is not read as its name says.

    A bad line is reported with its number and answered with an empty line. Raises SeqcliError for
    a missing model or file, UsageError for what the model's task cannot do.
    """
    set_threads(threads)
    task, model, _ = bundle.load_together(folder, others)
    request.check_task(task.name)
    if task.name != "tag" and (format == "conll" or reading in COLUMNS):
        raise UsageError(f"CoNLL columns are for tag; {folder} holds a model of {task.name}")
    answers = Answers(
        task, model, request, reading=reading, format=format, file=file, remark=remark
    )
    out, bad = sys.stdout.buffer, 0

    def write(replies: Iterator[Reply]) -> int:
        problems = 0
        for reply in replies:
            if reply.problem:
                report(reply.problem)
                problems += 1
            out.write(reply.text.encode())
        out.flush()
        return problems

    device = device_of(model)
    with open_lines(file) as read, autocast(device, choose_precision(precision, device)):
        for lines in read_lines(read):
            bad += write(answers.to(lines))
        bad += write(answers.rest())
    return bad


class Answers:
    """Answers to lines, batch by batch, in one reading and one format.

    Text and JSON Lines have an answer a line. In CoNLL input a sentence has one, as soon as its
    blank line is there; `rest` answers the last sentence, which may lack it. The header of a table
    is answered by the name of the answer, so that both can be pasted together.
    """

    def __init__(
        self,
        task: Any,
        model: torch.nn.Module,
        request: Request,
        *,
        reading: str,
        format: str | None,
        file: str = "-",
        remark: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.task = task
        self.model = model
        self.request = request
        self.reading = reading
        self.format = format
        self.file = file
        self.remark = remark
        self.sentence: list[Line] = []
        pairs = request.score_pairs
        self.read = task.read_pairs if pairs else task.read
        self.read_records = task.read_pair_records if pairs else task.read_records
        self.header: Header | None = None
        self.open = False  # whether a quoted cell of a table has begun and not ended

    def to(self, lines: list[Line]) -> Iterator[Reply]:
        """The replies that these lines complete."""
        if self.reading == "auto":
            self.reading = _guess(self.file, lines, self.task) or "auto"
            for doubt in _doubt(self.file, self.reading, lines, self.task):
                self.remark(f"{self.file}: {doubt}")
        if self.reading in COLUMNS:
            return self._to_sentences(self._gather(lines))
        if self.reading in TABLES and self.header is None:
            return self._to_table(lines)
        return self._to_lines(lines)

    def rest(self) -> Iterator[Reply]:
        """The reply to a sentence that the end of the input ends."""
        sentence, self.sentence = self.sentence, []
        return self._to_sentences([sentence] if sentence else [])

    def _to_table(self, lines: list[Line]) -> Iterator[Reply]:
        """The replies to the first lines of a table, its header among them."""
        self.header = find_header(lines[0].text, self.reading, self.read_records)
        if self.task.name == "tag" and find_number(self.header.names):
            self.remark(
                f"{self.file}: each row is answered by itself; where rows are tokens, write a "
                "sentence a line, or a token a line with blank lines between sentences (.conll)"
            )
        yield Reply("" if self.format == "jsonl" else f"{NAMES[self.task.name]}\n")
        yield from self._to_lines(lines[1:])

    def _to_lines(self, lines: list[Line]) -> Iterator[Reply]:
        records = self.reading in (*TABLES, "jsonl")
        given: dict[int, Any] = {}  # texts or records, by place
        problems: dict[int, str] = {}
        for at, line in enumerate(lines):
            try:
                if line.problem:
                    raise SeqcliError(line.problem)
                if not records:
                    given[at] = line.text
                elif line.text.strip():
                    given[at] = (
                        self._read_cells(line.text) if self.header else parse_record(line.text)
                    )
            except SeqcliError as error:
                problems[at] = f"line {line.number}: {error}"
        rows, wrong = _read_rows(self.read_records if records else self.read, given)
        problems |= {at: f"line {lines[at].number}: {error}" for at, error in wrong.items()}
        places = [at for at in given if at not in wrong]
        numbers = {at: number for number, at in enumerate(places)}
        found = self._answer(rows)
        for at in range(len(lines)):
            if at not in numbers:
                yield Reply("\n", problems.get(at))
                continue
            number = numbers[at]
            inputs = {role: values[number] for role, values in rows.columns.items()}
            known = given[at] if records else inputs
            yield Reply(self._show(found[number], known, inputs=inputs))

    def _read_cells(self, text: str) -> dict[str, str]:
        """A row of a table. The line that ends a quoted cell of one before is no row."""
        assert self.header is not None
        uneven = text.count('"') % 2 == 1 and self.header.divider != "\t"
        if self.open and uneven:
            self.open = False
            raise SeqcliError("ends a row that began before; write a row on one line")
        try:
            row = self.header.read(text)
        except SeqcliError:
            self.open = self.open or uneven
            raise
        self.open = False
        return row

    def _gather(self, lines: list[Line]) -> list[list[Line]]:
        """The sentences that are complete with these lines; the rest waits."""
        whole: list[list[Line]] = []
        for line in lines:
            self.sentence.append(line)
            ended = not line.problem and not line.text.strip()
            if ended or len(self.sentence) >= SENTENCE_LINES:
                whole.append(self.sentence)
                self.sentence = []
        return whole

    def _to_sentences(self, sentences: list[list[Line]]) -> Iterator[Reply]:
        tokens = [_find_tokens(lines, self.reading) for lines in sentences]
        filled = [[token for token in row if token is not None] for row in tokens]
        asked = [at for at, row in enumerate(filled) if row]
        rows = Rows({"tokens": [filled[at] for at in asked]}, "input")
        found = dict(zip(asked, self._answer(rows), strict=True))
        for at, lines in enumerate(sentences):
            for line in lines:
                if line.problem:
                    yield Reply("", f"line {line.number}: {line.problem}")
            if self.format in (None, "conll"):
                cells = iter(_columns(found[at].record) if at in found else ())
                shown = (
                    line.text if token is None else "\t".join((token, *next(cells)))
                    for line, token in zip(lines, tokens[at], strict=True)
                )
                yield Reply("".join(f"{text}\n" for text in shown))
            elif at in found:
                yield Reply(self._show(found[at], {}, inputs=()))

    def _answer(self, rows: Rows) -> list[Answer]:
        return self.task.answer(self.model, rows, self.request) if len(rows) else []

    def _show(
        self, answer: Answer, fields: Mapping[str, Any], *, inputs: Mapping[str, Any] | tuple[()]
    ) -> str:
        """An answer in the format asked for. A newline within it becomes a space, so that an
        answer stays a line (of columns: so that a token does)."""
        if self.format == "conll":
            tokens = (" ".join(token.split()) for token in answer.record["tokens"])
            rows = zip(tokens, _columns(answer.record), strict=True)
            return "".join("\t".join((token, *cells)) + "\n" for token, cells in rows) + "\n"
        if self.format == "jsonl" or (self.format is None and self.reading == "jsonl"):
            own = {
                (f"predicted_{name}" if name in fields else name): value
                for name, value in answer.record.items()
                if not (name in fields and name in inputs)
            }
            return json.dumps({**fields, **own}, ensure_ascii=False) + "\n"
        return answer.plain.replace("\n", " ").replace("\r", " ") + "\n"


def _columns(record: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Of each token the cells behind it: its tag, or those of the best answers, and the label of
    its sentence."""
    ways = [way["tags"] for way in record.get("n_best", [record])]
    label = (record["label"],) if "label" in record else ()
    return ((*tags, *label) for tags in zip(*ways, strict=True))


# --------------------------------------------------------------------------------------- reading


def _read_rows(
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


def find_header(line: str, reading: str, read: Callable[[list[dict[str, str]]], Rows]) -> Header:
    """The header of a table, which `read` finds what it needs in. Raises UsageError where it does
    not."""
    problem = SeqcliError("an empty header")
    for divider in TABLES[reading]:
        try:
            return _fit_header(Header(divider, split_cells(line, divider)), read)
        except SeqcliError as error:
            problem = problem if divider != TABLES[reading][0] else error
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


def _guess(file: str, lines: list[Line], task: Any) -> str | None:
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
    if kind in TABLES and not lines[0].problem:
        with contextlib.suppress(SeqcliError):
            find_header(lines[0].text, kind, task.read_records)
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
    cells = [line.text.split() for line in lines if line.text.strip() and line.text[0] != "#"]
    tags = {row[-1] for row in cells}
    widths = {len(row) for row in cells}
    named = any(map(str.isalpha, "".join(tags)))
    if task.joined:  # tags are the characters of an answering line
        return False
    return len(widths) == 1 and widths != {1} and named and tags <= task.tagset.list_written()


def _doubt(file: str, reading: str, lines: list[Line], task: Any) -> Iterator[str]:
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


def _find_tokens(lines: list[Line], reading: str) -> list[str | None]:
    """The token of each line of a sentence; None where a line holds none: a blank line, a comment,
    -DOCSTART-, a multiword range or an empty node of CoNLL-U, a line that cannot be read.

    "# …" is a comment where its columns are not as many as those of the other lines.
    """
    separator = "\t" if any("\t" in line.text for line in lines) else None
    cells = [line.text.split(separator) if line.text.strip() else [] for line in lines]
    if reading == "conllu":
        return [row[1] if len(row) > 1 and row[0].isdecimal() else None for row in cells]
    noted = [line.text.startswith(("# ", "-DOCSTART-")) for line in lines]
    width = next((len(row) for row, note in zip(cells, noted, strict=True) if row and not note), 0)
    return [
        row[0] if row and row[0] and not (note and (len(row) != width or row[0] != "#")) else None
        for row, note in zip(cells, noted, strict=True)
    ]
