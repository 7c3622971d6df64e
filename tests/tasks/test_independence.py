"""Answers do not depend on batch size, order of rows or padding: for every cell, pool, direction.

With the native kernels the same bits; without them, and for the transformer, whose attention is
padded, to rounding. There the networks must have fresh weights: with trained, large ones a
recurrent network may be chaotic, so that rounding grows from step to step.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from conftest import make_rows, tiny

from seqcli.config import Request
from seqcli.data.rows import Rows
from seqcli.nn import native
from seqcli.nn.cells import CELLS
from seqcli.tasks import TASKS

POOLS = ("last", "mean", "max", "attention")
ATTENTIONS = ("none", "dot", "general", "additive")
TOLERANCE = 1e-5


pytestmark = pytest.mark.usefixtures("one_thread")


def make_model(
    task_name: str, *, several: bool = False, **settings: Any
) -> tuple[Any, torch.nn.Module]:
    table = make_rows(40, seed=1)
    columns = {name: [row[name] for row in table] for name in table[0]}
    columns["pair"] = columns["target"]
    if several:
        columns["label"] = [[row["label"], row["tokens"][2]] for row in table]
    sizes = {"hidden": 6, "embedding": 6, "layers": 2}
    config = tiny(task_name, None, **sizes | settings)
    task = TASKS[task_name].learn(config, Rows(columns, "test"))
    torch.manual_seed(3)
    return task, task.build().eval().requires_grad_(False)


def make_lines() -> list[str]:
    """Lines of 0 to 30 words, shuffled; known and unknown ones. In short lines no word comes twice:
    fresh weights may find two readings that swap its tags equally likely, to rounding."""
    draw = random.Random(5)
    words = ["go", "to", "rome", "oslo", "on", "day", "3", "strange", "巴黎"]
    lines = [" ".join(draw.sample(words, length)) for length in (0, 1, 2, 3, 5, 8)]
    lines.append(" ".join(draw.choices(words, k=30)))
    draw.shuffle(lines)
    return lines


def tolerance(task: Any) -> float:
    exact = native.status().available and task.config.network.cell != "transformer"
    return 0.0 if exact else TOLERANCE


def numbers(record: Any, away: float) -> Any:
    """A record whose floats may be `away` from what they are compared with."""
    if isinstance(record, float):
        return pytest.approx(record, abs=away, rel=away)
    if isinstance(record, dict):
        return {name: numbers(value, away) for name, value in record.items()}
    if isinstance(record, list):
        return [numbers(value, away) for value in record]
    return record


def check(task: Any, model: torch.nn.Module, request: Request = Request()) -> None:  # noqa: B008
    lines = make_lines()
    together = task.answer(model, task.read(lines), request)
    alone = [task.answer(model, task.read([line]), request)[0] for line in lines]
    order = list(range(len(lines)))
    random.Random(7).shuffle(order)
    shuffled = task.answer(model, task.read([lines[at] for at in order]), request)
    by_place = dict(zip(order, shuffled, strict=True))
    for at in range(len(lines)):
        for other in (alone[at], by_place[at]):
            assert other.record == numbers(together[at].record, tolerance(task))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("cell", CELLS)
def test_classify(cell: str, pool: str, bidirectional: bool) -> None:
    task, model = make_model("classify", cell=cell, pool=pool, bidirectional=bidirectional)
    check(task, model, Request(probabilities=True))


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "transformer"])
def test_sizes_that_fill_no_vector(cell: str) -> None:
    task, model = make_model("classify", cell=cell, hidden=37, embedding=19)
    check(task, model, Request(probabilities=True))
    task, model = make_model("translate", cell=cell, hidden=37, embedding=19, tokens="word")
    check(task, model, Request(beam=3, n_best=3, max_length=6))


@pytest.mark.parametrize("cell", CELLS)
def test_classify_pairs_with_several_labels(cell: str) -> None:
    task, model = make_model("classify", several=True, cell=cell, pair_column="pair")
    read = task.read
    task.read = lambda lines: read([f"{line}\t{line[::-1]}" for line in lines])
    check(task, model, Request(top_k=2))


@pytest.mark.parametrize(
    "settings", [{"residual": True}, {"layer_norm": True}, {"feed_forward": 2}]
)
def test_stacks(settings: dict[str, Any]) -> None:
    task, model = make_model("classify", **settings)
    check(task, model, Request(probabilities=True))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("characters", ["none", "rnn", "cnn"])
@pytest.mark.parametrize("cell", CELLS)
def test_tag(cell: str, characters: str, bidirectional: bool) -> None:
    """With a CRF and without; n-best answers; a label of the sentence."""
    crf = {"none": False, "rnn": None, "cnn": True}[characters]
    label = None if characters == "none" else "label"
    task, model = make_model(
        "tag",
        cell=cell,
        characters=characters,
        bidirectional=bidirectional,
        crf=crf,
        with_label=label,
    )
    if model.crf is not None:
        for weight in model.crf.parameters():
            torch.nn.init.normal_(weight)
    check(task, model)
    check(task, model, Request(n_best=3))
    # The scores behind the tags, too.
    away = tolerance(task)
    rows = Rows({"tokens": [line.split() for line in make_lines() if line]}, "test")
    encoded = task.encode(rows)
    batches = list(task.batches(encoded, [torch.arange(len(rows)).numpy()], 0))
    together_NL = task.scores(model, batches[0]).split(encoded.tokens.lengths.tolist())
    for at, tokens in enumerate(rows["tokens"]):
        one = task.encode(Rows({"tokens": [tokens]}, "test"))
        (batch,) = task.batches(one, [torch.zeros(1, dtype=torch.int64).numpy()], 0)
        torch.testing.assert_close(task.scores(model, batch), together_NL[at], atol=away, rtol=away)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize(
    ("cell", "attention"),
    [("gru", kind) for kind in ATTENTIONS] + [(cell, "general") for cell in CELLS if cell != "gru"],
)
def test_translate(cell: str, attention: str, beam: int) -> None:
    task, model = make_model("translate", cell=cell, attention=attention, tokens="word")
    check(task, model, Request(beam=beam, n_best=beam, max_length=6))


@pytest.mark.parametrize(
    "settings",
    [
        {"input_feeding": True, "attention": "general"},
        {"input_feeding": True, "attention": "none", "bridge": "copy"},
        {"bridge": "none", "share_vocabulary": True, "tie": False},
        {"cell": "lstm", "bridge": "copy", "bidirectional": False},
    ],
    ids=str,
)
def test_translate_settings(settings: dict[str, Any]) -> None:
    task, model = make_model("translate", tokens="word", **settings)
    asks = settings.get("attention") != "none"
    request = Request(
        beam=3,
        n_best=3,
        max_length=8,
        min_length=2,
        no_repeat_ngram=2,
        coverage_penalty=0.4 if asks else 0.0,
        alignment=asks,
    )
    check(task, model, request)


@pytest.mark.parametrize("cell", CELLS)
def test_lm(cell: str) -> None:
    task, model = make_model("lm", cell=cell)
    check(task, model)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_lm_from_a_label(cell: str) -> None:
    """Answers to lines of which each has a condition of its own."""
    table = make_rows(40, seed=1)
    texts, labels = ([row[name] for row in table] for name in ("text", "label"))
    config = tiny("lm", None, hidden=6, embedding=6, layers=2, cell=cell, condition="label")
    rows = Rows({"text": texts, "condition": labels}, "test")
    task = TASKS["lm"].learn(config, rows)
    torch.manual_seed(3)
    model = task.build().eval().requires_grad_(False)
    together = task.answer(model, rows, Request(surprisal=True))
    for at in (0, 7, 39):
        (alone,) = task.answer(model, rows.take([at]), Request(surprisal=True))
        assert alone.record == numbers(together[at].record, tolerance(task))
    other = Rows({"text": texts, "condition": labels[::-1]}, "test")
    assert task.answer(model, other, Request()) != task.answer(model, rows, Request())


def test_long_text_is_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text above the budget of a batch gets the same probability as in one piece."""
    task, model = make_model("lm")
    text = " ".join(make_lines()) * 3
    (whole,) = task.log_probabilities(model, task.read([text]))
    monkeypatch.setattr("seqcli.tasks.likelihood.TOKENS", 50)
    (parts,) = task.log_probabilities(model, task.read([text]))
    torch.testing.assert_close(parts, whole, atol=TOLERANCE, rtol=TOLERANCE)
