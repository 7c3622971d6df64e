"""Exported graphs, run by onnxruntime, answer as the models do: every cell, every task, every form
of what lies between; whatever stands behind a row's length."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_rows, tiny

from seqcli.data.rows import Rows
from seqcli.errors import SeqcliError
from seqcli.nn.cells import CELLS
from seqcli.nn.ngrams import list_keys
from seqcli.nn.ragged import ragged
from seqcli.tasks import TASKS

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from seqcli.export.agreement import compare, draw, open_session, pad, quote, run, spell
from seqcli.export.networks import build

pytestmark = pytest.mark.usefixtures("one_thread")
SHAPES = ((1, 1), (2, 9), (4, 4), (3, 40))


def make_model(name: str, *, several: bool = False, **settings: Any) -> tuple[Any, Any]:
    """A network with random weights, none of them zero."""
    table = make_rows(40, seed=1)
    columns = {name: [row[name] for row in table] for name in table[0]}
    columns["pair"] = columns["target"]
    columns["condition"] = columns["label"]
    if several:
        columns["label"] = [[row["label"], row["tokens"][2]] for row in table]
    if name == "lm" and "condition" not in settings:
        del columns["condition"]
    config = tiny(name, None, hidden=6, embedding=6, **{"layers": 2, **settings})
    task = TASKS[name].learn(config, Rows(columns, "test"))
    torch.manual_seed(3)
    model = task.build().eval()
    for parameter in model.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter)
    return task, model.requires_grad_(False)


def export(task: Any, model: Any) -> dict[str, Any]:
    graphs = build(task, model)
    return {
        name: open_session(graph.build(name, "test").SerializeToString())
        for name, graph in graphs.items()
    }


def check(name: str, **settings: Any) -> None:
    task, model = make_model(name, **settings)
    found = compare(task, model, export(task, model))
    assert found.largest > 0
    assert found.difference < 1e-5 * max(1, found.largest)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_cells(task: str, cell: str) -> None:
    check(task, cell=cell)


# What `compare` compares, once without it.


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("tokens", ["word", "character"])
@pytest.mark.parametrize("ngrams", [False, True])
def test_texts_of_any_shape(ngrams: bool, tokens: str, pairs: bool) -> None:
    """Against the ragged model, with garbage for padding. Characters have longer n-grams."""
    settings = {"pair_column": "pair"} if pairs else {}
    task, model = make_model("classify", ngrams=ngrams, tokens=tokens, **settings)
    session = export(task, model)["model"]
    vocabulary = model.spelled.table.numbers if tokens == "word" else len(task.tokenizer.vocabulary)
    dice = np.random.default_rng(1)
    for batch, steps in SHAPES:
        feeds: dict[str, np.ndarray] = {}
        sides = []
        for prefix in ("", "pair_") if pairs else ("",):
            ids = dice.integers(0, vocabulary, (batch, steps))
            lengths = dice.integers(1, steps + 1, batch)
            feeds |= {f"{prefix}tokens": ids, f"{prefix}lengths": lengths}
            rows = [torch.from_numpy(row[:n]) for row, n in zip(ids, lengths, strict=True)]
            sides.append(rows)
        want = model(ragged([row for some in zip(*sides, strict=True) for row in some]))
        found = run(session, feeds)
        np.testing.assert_allclose(found["scores"], want.numpy(), atol=2e-6)
        chance = torch.softmax(want / task.decision.calibration.temperature, dim=1)
        np.testing.assert_allclose(found["probabilities"], chance.numpy(), atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
@pytest.mark.parametrize("several", [False, True])
def test_probabilities_are_calibrated(several: bool, temperature: float) -> None:
    from seqcli.tasks.calibration import Calibration

    task, model = make_model("classify", several=several)
    task.decision.calibration = Calibration(temperature)
    rows = [torch.tensor([5, 4, 7])]
    found = run(export(task, model)["model"], pad(rows))
    cooled = model(ragged(rows)) / temperature
    want = torch.sigmoid(cooled) if several else torch.softmax(cooled, dim=1)
    np.testing.assert_allclose(found["probabilities"], want.numpy(), atol=1e-6)


@pytest.mark.parametrize("crf", [False, True])
def test_tags_of_sentences_of_any_length(crf: bool) -> None:
    task, model = make_model("tag", crf=crf, characters="none")
    session = export(task, model)["model"]
    dice = np.random.default_rng(2)
    vocabulary = len(task.tokenizer.vocabulary)
    for batch, steps in SHAPES:
        ids = dice.integers(0, vocabulary, (batch, steps))
        lengths = dice.integers(1, steps + 1, batch)
        rows = [torch.from_numpy(row[:n]) for row, n in zip(ids, lengths, strict=True)]
        found = run(session, {"tokens": ids, "lengths": lengths})
        tokens = ragged(rows)
        words = ragged([torch.tensor([3])])
        scores_NL, _ = model(tokens, words, torch.zeros(len(tokens.values), dtype=torch.int64))
        scores = tokens.with_values(scores_NL)
        want_N = model.crf.decode(scores) if crf else scores_NL.argmax(1)
        got = np.concatenate([tags[:n] for tags, n in zip(found["tags"], lengths, strict=True)])
        assert got.tolist() == want_N.tolist()


def test_transitions_are_given() -> None:
    """By brute force: the tags are those whose scores and transitions add up to the most."""
    task, model = make_model("tag", crf=True, characters="none")
    found = run(export(task, model)["model"], pad([torch.tensor([5, 4, 7, 3])]))
    scores, after = found["scores"][0], found["crf_after"]

    def total(tags: tuple[int, ...]) -> float:
        own = sum(scores[at, tag] for at, tag in enumerate(tags))
        between = sum(after[one, other] for one, other in itertools.pairwise(tags))
        return float(own + between + found["crf_first"][tags[0]] + found["crf_last"][tags[-1]])

    best = max(itertools.product(range(len(task.tags)), repeat=4), key=total)
    assert found["tags"][0].tolist() == list(best)


# ------------------------------------------------------------------------------------- forms


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
def test_pools(pool: str, bidirectional: bool) -> None:
    check("classify", pool=pool, bidirectional=bidirectional, cell="lstm")


@pytest.mark.parametrize(
    "settings", [{"layer_norm": True}, {"residual": True}, {"layers": 1}, {"feed_forward": 2}]
)
def test_stacks(settings: dict[str, Any]) -> None:
    check("tag", **{"layers": 3, "layer_norm": True, "residual": True, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "rnn", "nonlinearity": "relu"},
        {"cell": "jordan", "nonlinearity": "relu"},
        {"cell": "esn", "leak": 1.0},
        {"cell": "cnn", "width": 1},
        {"cell": "cnn", "width": 5},
        {"cell": "mogrifier", "rounds": 0},
        {"cell": "transformer", "window": 3, "heads": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("task", ["classify", "lm"])
def test_settings_of_cells(task: str, settings: dict[str, Any]) -> None:
    check(task, **settings)


def test_parts_of_classify() -> None:
    check("classify", several=True)
    check("classify", ngrams=False)
    check("classify", pair_column="pair")


@pytest.mark.parametrize("tokens", ["word", "character"])
def test_known_ngrams_are_among_what_is_compared(tokens: str) -> None:
    task, model = make_model("classify", tokens=tokens)
    ngrams, random = model.ngrams, torch.Generator().manual_seed(1)
    rows = quote(draw((4, 30), len(task.tokenizer.vocabulary), random), ngrams, random)
    known = set(ngrams.keys_F.tolist())
    for keys in list_keys(ragged(rows), ngrams.vocabulary, ngrams.longest)[1:]:
        assert known & set(keys.tolist())
    for key in known:
        ids = torch.tensor(spell(key, ngrams.vocabulary))
        runs = list_keys(ragged([ids]), ngrams.vocabulary, ngrams.longest)
        assert int(runs[len(ids) - 1][-1]) == key


@pytest.mark.parametrize("characters", ["none", "rnn", "cnn"])
def test_parts_of_tag(characters: str) -> None:
    check("tag", characters=characters, crf=False)
    check("tag", characters=characters, with_label="label")


@pytest.mark.parametrize("attention", ["none", "dot", "general", "additive"])
@pytest.mark.parametrize("bridge", ["none", "copy", "linear"])
def test_parts_of_translate(attention: str, bridge: str) -> None:
    feeding = bridge == "copy"
    check("translate", attention=attention, bridge=bridge, cell="lstm", input_feeding=feeding)


def test_one_vocabulary_for_two_languages() -> None:
    check("translate", share_vocabulary=True, tie=False, bidirectional=False)


def test_parts_of_lm() -> None:
    check("lm", tie=True, cell="lstm")
    check("lm", condition="label")


def test_clusters_of_rare_words() -> None:
    words = [f"word{number}" for number in range(3_100)]
    config = tiny("lm", None, tokens="word", softmax="adaptive", hidden=16, embedding=4)
    task = TASKS["lm"].learn(config, Rows({"text": [" ".join(words)]}, "test"))
    model = task.build().eval().requires_grad_(False)
    assert compare(task, model, export(task, model)).difference < 1e-5


def test_trees_are_refused() -> None:
    config = tiny("classify", None, cell="tree")
    rows = Rows({"text": ["(0 (1 a) (1 b))", "(1 c)"], "label": ["x", "y"]}, "test")
    task = TASKS["classify"].learn(config, rows)
    with pytest.raises(SeqcliError, match="no ONNX form"):
        build(task, task.build())


@pytest.mark.parametrize("name", TASKS)
def test_a_wrong_weight_is_noticed(name: str) -> None:
    task, model = make_model(name)
    sessions = export(task, model)
    next(p for key, p in model.named_parameters() if "recurrent" in key or "upper" in key).add_(0.1)
    assert compare(task, model, sessions).difference > 1e-3
