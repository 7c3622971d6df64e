"""Texts from a language model, as a plain function."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from seqcli import bundle
from seqcli.errors import SeqcliError, UsageError
from seqcli.nn.decode import Sampling
from seqcli.nn.device import set_threads
from seqcli.nn.language import LanguageModel
from seqcli.tasks.writing import Writing

TOGETHER = 64
"""Texts that are written at once, at most."""
GAP = re.compile(r"\[(?:MASK|GAP|BLANK)\]|<(?:mask|gap|blank)>|_{3,}", re.IGNORECASE)


class Order(NamedTuple):
    """What to write. length: tokens at most. one_line: stop at the end of a line. condition: what
    to write from, as a person writes it. state: where to go on, if the file is there, and to
    save where the text stands."""

    prompt: str
    sampling: Sampling
    length: int
    one_line: bool = False
    condition: str | None = None
    state: Path | None = None


def generate(
    folder: Path,
    order: Order,
    *,
    samples: int = 1,
    seed: int | None = None,
    threads: int | None = None,
) -> Iterator[Iterator[str]]:
    """Texts that go on from a prompt, each as an iterator of its pieces, the prompt not repeated.
    threads: None for all cores.

    Raises SeqcliError where the model is no language model or cannot write what is asked.
    """
    if order.state is not None and samples > 1:
        raise UsageError("--state is where one text stands; leave out --samples")
    if order.state is not None and not order.state.parent.is_dir():  # better now than at the end
        raise SeqcliError(f"--state {order.state}: there is no folder {order.state.parent}")
    set_threads(threads)
    task, model, _ = bundle.load(folder, task_name="lm")
    _refuse_gaps(order.prompt, task.tokenizer.vocabulary)
    given = _read_condition(task, order)
    for first in range(0, samples, TOGETHER):
        generators = [torch.Generator() for _ in range(first, min(first + TOGETHER, samples))]
        for number, generator in enumerate(generators, first):
            if seed is None:
                generator.seed()
            else:
                generator.manual_seed(seed + number)
        writing = Writing(cast(LanguageModel, model), task.tokenizer, condition=given)
        yield from _part(_write(folder, writing, order, generators), len(generators))


def _write(
    folder: Path, writing: Writing, order: Order, generators: list[torch.Generator]
) -> Iterator[tuple[int, str | None]]:
    """As `Writing.go_on`."""
    if order.state is not None and order.state.exists():
        writing.restore(bundle.load_writing(order.state, folder))
    for text, piece in writing.go_on(
        order.prompt,
        order.sampling,
        generators=generators,
        length=order.length,
        one_line=order.one_line,
    ):
        if piece is None and order.state is not None:
            bundle.save_writing(order.state, folder, writing.to_tensors())
        yield text, piece


def _part(pieces: Iterator[tuple[int, str | None]], texts: int) -> Iterator[Iterator[str]]:
    """The pieces of each text by themselves; those of later texts wait until they are asked for."""
    waiting: list[deque[str | None]] = [deque() for _ in range(texts)]

    def read(own: int) -> Iterator[str]:
        while True:
            while not waiting[own]:
                text, piece = next(pieces)
                waiting[text].append(piece)
            piece = waiting[own].popleft()
            if piece is None:
                return
            yield piece

    for text in range(texts):
        yield read(text)


def _read_condition(task: Any, order: Order) -> torch.Tensor | None:
    """The condition asked for as the model takes it: (1,) or (1, D)."""
    known = task.condition
    if known is None:
        if order.condition is not None:
            raise UsageError(
                "this model has no condition to write from; train one with --condition COLUMN"
            )
        return None
    if order.condition is None:
        if order.state is not None and order.state.exists():
            return None  # the saved text has one
        raise UsageError(
            f"this model needs something to write from: give --condition ({known.describe()})"
        )
    return torch.from_numpy(known.encode([known.parse(order.condition)]))


def _refuse_gaps(prompt: str, vocabulary: list[str]) -> None:
    """Raise UsageError for a prompt with a gap, unless the mark is a token of the model."""
    found = GAP.search(prompt)
    if found and found[0] not in vocabulary:
        raise UsageError(
            f"--prompt has a gap ({found[0]}): a recurrent language model writes from left to "
            "right and fills no gaps; give what stands before it, or rank whole lines with "
            "candidates in it by `seqcli predict`, the highest log-probability fits best"
        )
