"""Lines in, answers out: strict, in order, as they arrive.

    os.read gives whatever has arrived ──► whole lines ──► one batch ──► answers, flushed

While a batch is answered the next lines gather in the pipe, so a fast producer gets large batches
and a slow one an answer for each line, with no thread and no timer. Memory stays bounded by the
size of a read.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqcli import bundle
from seqcli.errors import SeqcliError, UsageError
from seqcli.nn.device import available_cores
from seqcli.tasks.task import Answer, Request

READ = 1 << 18
BATCH_LINES = 4_096


class Line(NamedTuple):
    """A line of input: its number from 1, its text or what is wrong with it."""

    number: int
    text: str
    problem: str | None = None


def answer_lines(
    folder: Path,
    file: str,
    *,
    format: str | None,
    reading: str,
    request: Request,
    threads: int | None,
    report: Callable[[str], None],
) -> int:
    """Answer every line of a file ("-": standard input) on standard output; how many were bad.

    A bad line is reported with its number and answered with an empty line. Raises SeqcliError for
    a missing model or file.
    """
    torch.set_num_threads(threads or available_cores())
    task, model, _ = bundle.load(folder)
    if "conll" in (format, reading) and task.name != "tag":
        raise UsageError(f"CoNLL columns are for tag; {folder} holds a model of {task.name}")
    out, bad = sys.stdout.buffer, 0
    with _open(file) as descriptor:
        for lines in read_lines(descriptor):
            if reading == "auto":
                reading = _guess(file, lines)
            answers = Answers(task, model, request, reading, format or _like(reading))
            for text, problem in answers.of(lines):
                if problem:
                    report(problem)
                    bad += 1
                out.write(text.encode() + b"\n")
            out.flush()
    return bad


class Answers:
    """Answers to batches of lines, in one reading and one format."""

    def __init__(
        self, task: Any, model: torch.nn.Module, request: Request, reading: str, format: str
    ) -> None:
        self.task = task
        self.model = model
        self.request = request
        self.reading = reading
        self.format = format

    def of(self, lines: list[Line]) -> Iterator[tuple[str, str | None]]:
        """For each line its answer, and what was wrong with it."""
        fields: dict[int, dict[str, Any]] = {}
        problems = {at: line.problem for at, line in enumerate(lines) if line.problem}
        if self.reading == "jsonl":
            for at, line in enumerate(lines):
                if at not in problems and line.text.strip():
                    record = _parse(line.text)
                    if isinstance(record, str):
                        problems[at] = record
                    else:
                        fields[at] = record
            for at, record in list(fields.items()):
                try:
                    self.task.read_records([record])
                except SeqcliError as error:
                    problems[at] = str(error)
                    del fields[at]
            good = list(fields)
            rows = self.task.read_records(list(fields.values()))
        else:
            good = [at for at in range(len(lines)) if at not in problems]
            rows = self.task.read([lines[at].text for at in good])
        found = dict(zip(good, self._answers(rows), strict=True))
        for at, line in enumerate(lines):
            problem = problems.get(at)
            if at in found:
                yield self._show(found[at], fields.get(at)), None
            else:
                yield "", f"line {line.number}: {problem}" if problem else None

    def _answers(self, rows: Any) -> list[Answer]:
        return self.task.answer(self.model, rows, self.request) if len(rows) else []

    def _show(self, answer: Answer, fields: dict[str, Any] | None) -> str:
        if self.format == "jsonl":
            return json.dumps({**(fields or {}), **answer.record}, ensure_ascii=False)
        return answer.plain


def read_lines(descriptor: int) -> Iterator[list[Line]]:
    """The lines of a file descriptor in the batches in which they arrive.

    Only a newline ends a line (a carriage return before it is dropped); a last line without one
    counts. A line that is not UTF-8 comes with its problem.
    """
    number, rest = 0, bytearray()
    while chunk := os.read(descriptor, READ):
        if b"\n" not in chunk:
            rest += chunk
            continue
        whole, _, tail = chunk.rpartition(b"\n")
        raw = (bytes(rest) + whole).split(b"\n")
        rest = bytearray(tail)
        for begin in range(0, len(raw), BATCH_LINES):
            part = raw[begin : begin + BATCH_LINES]
            yield [_decode(number + 1 + at, one) for at, one in enumerate(part)]
            number += len(part)
    if rest:
        yield [_decode(number + 1, bytes(rest))]


def _decode(number: int, raw: bytes) -> Line:
    try:
        return Line(number, raw.removesuffix(b"\r").decode("utf-8"))
    except UnicodeDecodeError as error:
        return Line(number, "", f"not UTF-8 (byte {error.start + 1}); convert it with iconv")


@contextlib.contextmanager
def _open(file: str) -> Iterator[int]:
    if file == "-":
        yield sys.stdin.fileno()
        return
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise SeqcliError(f"cannot read {file}: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _guess(file: str, lines: list[Line]) -> str:
    """How to read lines, from the file's name or else the first line."""
    if file.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    first = next((line.text for line in lines if line.text.strip()), "")
    return "jsonl" if first.lstrip().startswith("{") and isinstance(_parse(first), dict) else "text"


def _like(reading: str) -> str:
    return "jsonl" if reading == "jsonl" else "plain"


def _parse(text: str) -> dict[str, Any] | str:
    """A JSON object, or what is wrong."""
    try:
        record = json.loads(text)
    except ValueError as error:
        return f"not JSON: {error}"
    return record if isinstance(record, dict) else "not a JSON object"
