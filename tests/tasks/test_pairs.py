"""Two texts and a label: the network against its formula, learning, answers, bad lines."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CITIES, TINY, Quiet, Result, tiny, train_in_parts, write_jsonl

from seqcli import bundle, run
from seqcli.config import Request
from seqcli.data.rows import Rows
from seqcli.nn.ragged import to_ragged

Cli = Callable[..., Result]


def make_pairs(count: int, *, seed: int) -> list[dict[str, Any]]:
    """Whether both are about the same city: neither text tells it alone."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        first = draw.choice(CITIES)
        second = first if draw.random() < 0.5 else draw.choice(CITIES)
        rows.append(
            {
                "a": f"go to {first}",
                "b": draw.choice(["stay in {}", "{}", "from {} on"]).format(second),
                "label": "same" if first == second else "other",
            }
        )
    return rows


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for number, (split, count) in enumerate((("train", 500), ("validation", 60), ("test", 60))):
        write_jsonl(folder / f"{split}.jsonl", make_pairs(count, seed=number))
    return folder


def config(pairs: Path, **settings: Any) -> Any:
    return tiny("classify", pairs, text_column="a", pair_column="b", **settings)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, pairs: Path) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    settings = {"epochs": 25, "learning_rate": 0.01, "hidden": 24, "embedding": 24}
    off = {"dropout": 0.0, "word_dropout": 0.0, "adversarial": 0.0}
    report = run.train(config(pairs, batch_tokens=100, **settings, **off), folder, Quiet())
    assert report.scores["test"]["accuracy"] > 0.85
    return folder


def test_pairs_that_are_found_by_name(cli: Cli, tmp_path: Path) -> None:
    """They are read as a pair in training, and by the model ever after."""
    rows = [
        {"premise": one["a"], "hypothesis": one["b"], "label": one["label"]}
        for one in make_pairs(60, seed=1)
    ]
    write_jsonl(tmp_path / "t.jsonl", rows)
    assert cli("classify", tmp_path / "t.jsonl", "--epochs", 1, "--out", "m", *TINY).status == 0
    named = ("--text-column", "premise", "--pair-column", "hypothesis")
    asked = cli("classify", tmp_path / "t.jsonl", "--epochs", 1, "--out", "n", *TINY, *named)
    assert asked.status == 0
    weights = [Path(name, bundle.WEIGHTS).read_bytes() for name in ("m", "n")]
    assert weights[0] == weights[1]
    found = cli("predict", "m", tmp_path / "t.jsonl")
    assert (found.status, len(found.lines)) == (0, 60)
    Path("in.txt").write_text("go to rome\trome\nno pair\n")
    assert "line 2: the model labels pairs" in cli("predict", "m", "in.txt").err


def test_scores_are_those_of_the_formula(model: Path) -> None:
    """[u; v; |u − v|; u * v], Conneau et al. (2017)."""
    task, network, _ = bundle.load(model)
    rows = Rows({"text": ["go to rome", "go to"], "pair": ["rome", "stay in oslo on"]}, "input")
    vectors = [
        network.pool(
            network.recurrent(
                (x := to_ragged(task.tokenizer.encode(rows[side]))).with_values(
                    network.embedding(x.values)
                ),
                final=False,
            )[0]
        )
        for side in ("text", "pair")
    ]
    u, v = vectors
    expected = network.head(torch.cat([u, v, (u - v).abs(), u * v], dim=1))
    tokens = to_ragged(task.encode(rows_with_labels(rows)).tokens)
    read = network.read(network.prepare(tokens))
    torch.testing.assert_close(read, expected)
    # To the linear models a pair is one text.
    joined = to_ragged(
        task.tokenizer.encode([f"{a} {b}" for a, b in zip(*rows.columns.values(), strict=True)])
    )
    forms = network.forms(network.spelled.table.of_texts(joined))
    linear = network.ngrams(network.ids(joined)) + forms
    scores = torch.from_numpy(task.scores(network, rows))
    torch.testing.assert_close(scores, (expected + linear) / 2)


def rows_with_labels(rows: Rows) -> Rows:
    return Rows({**rows.columns, "label": ["same"] * len(rows)}, "input")


def test_answers_do_not_depend_on_the_other_rows(model: Path) -> None:
    task, network, _ = bundle.load(model)
    lines = ["go to rome\trome", "\t", "", "a b c d e f\toslo", "x\ty\tz"]
    together = task.answer(network, task.read(lines), Request())
    for line, answer in zip(lines, together, strict=True):
        (alone,) = task.answer(network, task.read([line]), Request())
        assert alone.plain == answer.plain
        assert alone.record["probability"] == pytest.approx(answer.record["probability"], abs=1e-5)


def test_resumed_training_is_the_same_to_the_bit(tmp_path: Path, pairs: Path) -> None:
    chosen = config(pairs, epochs=2, balance="over", limit=60)
    train_in_parts(chosen, tmp_path)


def test_command_line(cli: Cli, model: Path, pairs: Path) -> None:
    Path("in.tsv").write_text("go to rome\tstay in rome\ngo to rome\n\ngo to oslo\tlima\n")
    plain = cli("predict", model, "in.tsv")
    assert (plain.status, len(plain.lines)) == (1, 4)
    assert plain.lines[0] == "same"
    assert plain.lines[3] == "other"
    assert plain.lines[1] == ""
    assert "line 2: the model labels pairs of texts" in plain.err
    write_jsonl(Path("in.jsonl"), [{"a": "go to rome", "b": "rome", "id": 7}, {"a": "go"}])
    records = cli("predict", model, "in.jsonl")
    assert json.loads(records.lines[0]) | {"probability": 0} == {
        **{"a": "go to rome", "b": "rome", "id": 7, "label": "same", "probability": 0},
    }
    assert "line 2: no field 'b'" in records.err
    small = ("--epochs", 1, "--limit", 40, *TINY)
    trained = cli("classify", pairs, "--text-column", "a", "--pair-column", "b", *small)
    assert trained.status == 0, trained.err
    missing = cli("classify", pairs, "--text-column", "a", "--pair-column", "c", *small)
    assert (missing.status, len(missing.errors)) == (2, 1)
    assert "no column 'c' (--pair-column)" in missing.err
    both = cli("evaluate", model, pairs / "test.jsonl", "--json")
    assert json.loads(both.out)["scores"]["accuracy"] > 0.85
