"""Networks built by hand, so that what an inspection must find is known."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seqcli import bundle
from seqcli.config import make_config
from seqcli.data.rows import Rows
from seqcli.nn.cells import CELLS
from seqcli.nn.cells.cell import has_hidden_states
from seqcli.tasks import TASKS

GOOD = ["excellent", "moving", "funny", "superb"]
BAD = ["worst", "dull", "tired", "empty"]
PLACE = ["paris", "rome", "oslo", "cairo"]
TIME = ["monday", "june", "noon", "winter"]
PLAIN = ["the", "a", "of", "and"]
WORDS = [*GOOD, *BAD, *PLACE, *TIME, *PLAIN]
STRENGTH = 1.2
RECURRENT = [name for name, make in CELLS.items() if has_hidden_states(make(2, 2))]

torch.set_num_threads(1)  # threads only slow products of this size down


def sentences(count: int, *, seed: int = 0, words: list[str] = WORDS) -> list[str]:
    """Random texts of 3 to 12 words."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(words, k=draw.randint(3, 12))) for _ in range(count)]


def labelled(texts: list[str]) -> list[str]:
    """positive where more good words than bad ones stand in a text."""
    return [
        "positive"
        if sum(w in GOOD for w in text.split()) > sum(w in BAD for w in text.split())
        else "negative"
        for text in texts
    ]


def classify_rows(count: int = 300, *, seed: int = 0) -> Rows:
    """Texts with their labels."""
    texts = sentences(count, seed=seed)
    return Rows({"text": texts, "label": labelled(texts)}, "planted.jsonl")


def make_task(name: str, rows: Rows, **settings: Any) -> Any:
    """A task with the codec that the rows call for; reads forward unless told otherwise."""
    if name in ("classify", "tag"):
        settings = {"bidirectional": False, **settings}
    return TASKS[name].learn(make_config(name, settings), rows)


def planted_classifier(rows: Rows, *, pool: str = "last") -> tuple[Any, nn.Module]:
    """An Elman network of 8 units that keeps nothing from step to step.

    Units 0 to 3 go up for good words and down for bad ones, units 4 to 7 up for places and down
    for times; plain words move nothing by themselves. The head reads units 0 to 3 only.
    """
    task = make_task(
        "classify",
        rows,
        cell="rnn",
        hidden=8,
        embedding=len(WORDS),
        pool=pool,
        dropout=0.0,
        ngrams=False,
        spelling=False,
    )
    model = task.build().eval()
    cell = model.recurrent.cells[0]
    with torch.no_grad():
        model.embedding.weight.zero_()
        cell.weight_ih.zero_()
        cell.weight_hh.zero_()
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
        for at, word in enumerate(WORDS):
            model.embedding.weight[task.tokenizer.vocabulary.index(word), at] = 1.0
            for words, units, sign in (
                (GOOD, slice(0, 4), 1),
                (BAD, slice(0, 4), -1),
                (PLACE, slice(4, 8), 1),
                (TIME, slice(4, 8), -1),
            ):
                if word in words:
                    cell.weight_ih[units, at] = sign * STRENGTH
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([0.1, -0.2]))
        model.head.weight[1, :4] = 1.0  # labels: negative, positive
        model.head.weight[0, :4] = -1.0
    return task, model


def random_model(name: str, rows: Rows, **settings: Any) -> tuple[Any, nn.Module]:
    """A network with fresh weights, the same every time."""
    task = make_task(name, rows, **settings)
    torch.manual_seed(3)
    return task, task.build().eval()


def save_model(folder: Path, task: Any, model: nn.Module) -> Path:
    """A model folder."""
    bundle.create(folder, task)
    bundle.save_weights(folder, model)
    return folder


def rows_of(name: str, count: int = 40, *, seed: int = 0) -> Rows:
    """Rows of a task, about the same words."""
    texts = sentences(count, seed=seed)
    if name == "classify":
        return Rows({"text": texts, "label": labelled(texts)}, "planted.jsonl")
    if name == "tag":
        tokens = [text.split() for text in texts]
        tags = [["B-Place" if w in PLACE else "O" for w in row] for row in tokens]
        return Rows({"tokens": tokens, "tags": tags}, "planted.jsonl")
    if name == "translate":
        return Rows({"source": texts, "target": [t.upper() for t in texts]}, "planted.jsonl")
    return Rows({"text": texts}, "planted.txt")
