"""Lines in, answers out: strict, in order, as they arrive.

    os.read gives whatever has arrived ──► whole lines ──► one batch ──► answers, flushed

While a batch is answered the next lines gather in the pipe, so a fast producer gets large batches
and a slow one an answer for each line, with no thread and no timer. Memory stays bounded by the
size of a read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqcli import bundle
from seqcli.config import Request
from seqcli.data.files import is_full
from seqcli.data.grouping import Bounds, find_number
from seqcli.data.lines import Header, Line, OpenCell, open_lines, parse_record, read_lines
from seqcli.data.names import DOCUMENT
from seqcli.data.rows import Rows
from seqcli.errors import SeqcliError, UsageError
from seqcli.nn.device import autocast, choose_precision, set_threads
from seqcli.reading import (
    COLUMNS,
    TABLES,
    doubt,
    find_header,
    find_lead,
    find_tokens,
    guess,
    read_rows,
    settle_columns,
)
from seqcli.tasks.task import Answer, device_of

SENTENCE_LINES = 10_000
"""CoNLL input without a blank line is answered after so many lines: memory stays bounded."""
UNDECIDED = 100
"""Sentences of a token by which it is not known yet whether rows of a table are tokens: so many of
them wait for an answer, at most."""
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


class Item(NamedTuple):
    """What a line gives to answer: its text or record, or nothing; and what is wrong with it."""

    number: int
    given: Any = None
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
    is answered by the name of the answer, so that both can be pasted together; what stands before
    it, blank lines or sep=; by blank lines. Where its rows are
    tokens (tag) they are answered when the sentence is whole: the next one has begun.
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
        self.dividers = ""  # of a table, once they are known
        self.header: Header | None = None
        self.place: int | None = None  # of the tokens among columns, once known
        self.open = False  # whether a quoted cell of a table has begun and not ended
        self.numbers: list[str] = []  # the columns that number sentences, if rows may be tokens
        self.bounds = Bounds()
        self.rows: list[Item] = []  # of a sentence
        self.waiting: list[list[Item]] = []  # sentences until one tells what rows are
        self.joins = False  # whether one has told that rows are tokens

    def to(self, lines: list[Line]) -> Iterator[Reply]:
        """The replies that these lines complete."""
        if self.reading == "auto":
            self.reading = guess(self.file, lines, self.task) or "auto"
            for sentence in doubt(self.file, self.reading, lines, self.task):
                self.remark(f"{self.file}: {sentence}")
        if self.reading in COLUMNS:
            return self._to_sentences(self._gather(lines))
        if self.reading in TABLES and self.header is None:
            return self._to_table(lines)
        return self._to_numbered(lines) if self.numbers else self._to_lines(lines)

    def rest(self) -> Iterator[Reply]:
        """The reply to a sentence that the end of the input ends."""
        sentence, self.sentence = self.sentence, []
        rows, self.rows = self.rows, []
        return (
            self._to_joined([rows], last=True)
            if rows
            else self._to_sentences([sentence] if sentence else [])
        )

    def _to_table(self, lines: list[Line]) -> Iterator[Reply]:
        """The replies to the first lines of a table, its header among them."""
        at, told = find_lead(lines, self.reading)
        self.dividers = told or self.dividers or TABLES[self.reading]
        silent = self.format in ("jsonl", "conll")
        yield Reply("" if silent else "\n" * at)
        if at == len(lines):
            return
        self.header = find_header(lines[at].text, self.dividers, self.read_records)
        if self.task.name == "tag" and (number := find_number(self.header.names)):
            document = find_number(self.header.names, DOCUMENT)
            self.numbers = [number, document] if document else [number]
        yield Reply("" if silent else f"{NAMES[self.task.name]}\n")
        rest = lines[at + 1 :]
        yield from self._to_numbered(rest) if self.numbers else self._to_lines(rest)

    def _to_numbered(self, lines: list[Line]) -> Iterator[Reply]:
        """The replies to the sentences of a table that these lines complete."""
        whole: list[list[Item]] = []
        for item in self._parse(lines):
            cells = [item.given[name] for name in self.numbers] if item.given else []
            begins = bool(cells) and self.bounds.begins(cells)
            if self.rows and (begins or len(self.rows) >= SENTENCE_LINES):
                whole.append(self.rows)
                self.rows = []
            self.rows.append(item)
        return self._to_joined(whole)

    def _to_joined(self, sentences: list[list[Item]], *, last: bool = False) -> Iterator[Reply]:
        """The replies to sentences of a table, a row each; they wait until one of them tells
        whether rows are tokens or sentences. last: none will."""
        sentences, self.waiting = self.waiting + sentences, []
        if sentences and not self.joins:
            told = next((way for one in sentences if (way := self._tell(one)) is not None), None)
            if told is None and not last and len(sentences) < UNDECIDED:
                self.waiting = sentences
                return
            self.joins = bool(told)
        if sentences and not self.joins:
            self.remark(
                f"{self.file}: each row is answered by itself; where rows are tokens, write a "
                "sentence a line, or a token a line with blank lines between sentences (.conll)"
            )
            items = [item for one in (*sentences, self.rows) for item in one]
            self.numbers, self.rows = [], []
            yield from self._to_items(items)
            return
        tokens = [[self._find_token(item) for item in one] for one in sentences]
        found = self._answer_tokens(tokens)
        for at, items in enumerate(sentences):
            yield from _report(items)
            if self.format in (None, "plain"):
                cells = iter(_columns(found[at].record) if at in found else ())
                shown = ("\t".join(next(cells)) if token else "" for token in tokens[at])
                yield Reply("".join(f"{text}\n" for text in shown))
            elif at in found:
                yield Reply(self._show(found[at], {}, inputs=()))

    def _tell(self, sentence: list[Item]) -> bool | None:
        """Whether rows are tokens, by one sentence: it has several of them, or of a single row
        several tokens. None where it has one token, which says nothing."""
        given = {at: item.given for at, item in enumerate(sentence) if item.given is not None}
        if len(given) > 1:
            return True
        rows, _ = read_rows(self.read_records, given)
        return False if any(len(tokens) > 1 for tokens in rows["tokens"]) else None

    def _find_token(self, item: Item) -> str | None:
        """The token of a row, if it has one."""
        return str(self.task.find_tokens(item.given)).strip(" \t") or None if item.given else None

    def _to_lines(self, lines: list[Line]) -> Iterator[Reply]:
        return self._to_items(self._parse(lines))

    def _parse(self, lines: list[Line]) -> list[Item]:
        """What lines give, in turn."""
        records = self.reading in (*TABLES, "jsonl")
        found = []
        for line in lines:
            given: Any = None
            problem = line.problem
            try:
                if problem is None and not records:
                    given = line.text
                elif problem is None and line.text.strip():
                    given = self._read_cells(line.text) if self.header else parse_record(line.text)
            except SeqcliError as error:
                problem = str(error)
            found.append(Item(line.number, given, problem))
        return found

    def _to_items(self, items: list[Item]) -> Iterator[Reply]:
        records = self.reading in (*TABLES, "jsonl")
        given = {at: item.given for at, item in enumerate(items) if item.given is not None}
        rows, wrong = read_rows(self.read_records if records else self.read, given)
        places = [at for at in given if at not in wrong]
        numbers = {at: number for number, at in enumerate(places)}
        found = self._answer(rows)
        for at, item in enumerate(items):
            if at not in numbers:
                problem = wrong.get(at, item.problem)
                yield Reply("\n", f"line {item.number}: {problem}" if problem else None)
                continue
            number = numbers[at]
            inputs = {role: values[number] for role, values in rows.columns.items()}
            known = item.given if records else inputs
            yield Reply(self._show(found[number], known, inputs=inputs))

    def _read_cells(self, text: str) -> dict[str, str]:
        """A row of a table. The line that ends a quoted cell of one before is no row."""
        assert self.header is not None
        if self.open and text.count('"') % 2 == 1:
            self.open = False
            raise SeqcliError("ends a row that began before; write a row on one line")
        try:
            row = self.header.read(text)
        except OpenCell:
            self.open = True
            raise
        self.open = False
        return row

    def _gather(self, lines: list[Line]) -> list[list[Line]]:
        """The sentences that are complete with these lines; the rest waits."""
        whole: list[list[Line]] = []
        for line in lines:
            self.sentence.append(line)
            ended = not line.problem and not is_full(line.text)
            if ended or len(self.sentence) >= SENTENCE_LINES:
                whole.append(self.sentence)
                self.sentence = []
        return whole

    def _to_sentences(self, sentences: list[list[Line]]) -> Iterator[Reply]:
        if self.reading == "conll" and self.place is None:
            self.reading, self.place = settle_columns([line for one in sentences for line in one])
        tokens = [find_tokens(lines, self.reading, self.place or 0) for lines in sentences]
        found = self._answer_tokens(tokens)
        for at, lines in enumerate(sentences):
            yield from _report(lines)
            if self.format in (None, "conll"):
                cells = iter(_columns(found[at].record) if at in found else ())
                shown = (
                    line.text if token is None else "\t".join((token, *next(cells)))
                    for line, token in zip(lines, tokens[at], strict=True)
                )
                yield Reply("".join(f"{text}\n" for text in shown))
            elif at in found:
                yield Reply(self._show(found[at], {}, inputs=()))

    def _answer_tokens(self, tokens: list[list[str | None]]) -> dict[int, Answer]:
        """The answers to those of some sentences that have tokens, by place."""
        filled = [[token for token in row if token is not None] for row in tokens]
        asked = [at for at, row in enumerate(filled) if row]
        rows = Rows({"tokens": [filled[at] for at in asked]}, "input")
        return dict(zip(asked, self._answer(rows), strict=True))

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


def _report(lines: Sequence[Line | Item]) -> Iterator[Reply]:
    """What is wrong with lines of a sentence."""
    for line in lines:
        if line.problem:
            yield Reply("", f"line {line.number}: {line.problem}")


def _columns(record: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Of each token the cells behind it: its tag, or those of the best answers, and the label of
    its sentence."""
    ways = [way["tags"] for way in record.get("n_best", [record])]
    label = (record["label"],) if "label" in record else ()
    return ((*tags, *label) for tags in zip(*ways, strict=True))
