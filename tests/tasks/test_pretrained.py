"""Pretrained vectors in the networks of every task: placed, frozen or tuned, kept, resumed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TASKS, Quiet, Result, make_rows, tiny, train_in_parts
from safetensors.torch import load_file

from seqcli import bundle, run
from seqcli.config import Request, make_config
from seqcli.errors import SeqcliError, UsageError

TABLE = {"classify": "embedding.words.weight", "translate": "source_embedding.weight"}


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Vectors of width 5 for half of the words of conftest's rows, and one more."""
    draw = random.Random(3)
    words = sorted({word for row in make_rows(40, seed=0) for word in row["tokens"]})
    rows = [[word, *(f"{draw.gauss(0, 2):.4f}" for _ in range(5))] for word in words[::2]]
    path = tmp_path / "glove.txt"
    path.write_text("".join(" ".join(row) + "\n" for row in [*rows, ["of", *"12345"]]))
    return path


def in_file(path: Path) -> dict[str, list[float]]:
    rows = [line.split() for line in path.read_text().splitlines()]
    return {word: [float(value) for value in values] for word, *values in rows}


def settings(task: str, vectors: Path, **more: Any) -> dict[str, Any]:
    values = {"tokens": "word", "vectors": str(vectors), **more}
    if task == "tag":
        del values["tokens"]
    return values


def make(task: str, data: Path, vectors: Path, **more: Any) -> Any:
    """As `tiny`, without a width of its own."""
    values = {"hidden": 8, "epochs": 2, "threads": 1, "data": str(data)}
    values |= {"streams": 4, "bptt": 8} if task == "lm" else {"batch_tokens": 40}
    return make_config(task, {**values, **settings(task, vectors, **more)})


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_vectors_are_placed_and_kept(
    tmp_path: Path, data: Path, vectors: Path, task: str, frozen: bool
) -> None:
    observer = Quiet()
    run.train(make(task, data, vectors, vectors_frozen=frozen), tmp_path / "m", observer)
    known = in_file(vectors)
    vectors.unlink()  # the model needs no file
    loaded, model, _ = bundle.load(tmp_path / "m")
    assert loaded.config.network.embedding == 5
    tokenizer = loaded.source if task == "translate" else loaded.tokenizer
    table = load_file(tmp_path / "m" / bundle.WEIGHTS)[TABLE.get(task, "embedding.weight")]
    same = moved = 0
    for number, token in enumerate(tokenizer.vocabulary):
        if token in known:
            close = torch.allclose(table[number], torch.tensor(known[token]), atol=1e-6)
            assert close or not frozen, token
            moved += not close
            same += 1
    assert 3 < same < len(tokenizer.vocabulary)
    assert moved == 0 if frozen else moved > same / 2
    assert f"{same} of {len(tokenizer.vocabulary)} types" in observer.found["vectors"]
    answers = loaded.answer(model, loaded.read(["go to rome"]), Request())
    assert answers[0].plain


def test_tokens_without_a_vector_are_as_loud(data: Path, tmp_path: Path, vectors: Path) -> None:
    config = make("classify", data, vectors, vectors_frozen=True)
    run.train(config, tmp_path / "m", Quiet())
    table = load_file(tmp_path / "m" / bundle.WEIGHTS)[TABLE["classify"]]
    vocabulary = bundle.load_task(tmp_path / "m").tokenizer.vocabulary
    known = torch.tensor([token in in_file(vectors) for token in vocabulary])
    loudness = [table[one].square().mean().sqrt().item() for one in (known, ~known)]
    assert loudness[0] == pytest.approx(loudness[1], rel=0.4)
    assert loudness[0] == pytest.approx(2, rel=0.4)


@pytest.mark.parametrize("frozen", [True, False])
def test_resumed_training_is_the_same_to_the_bit(
    tmp_path: Path, data: Path, vectors: Path, frozen: bool
) -> None:
    config = make("classify", data, vectors, vectors_frozen=frozen)
    train_in_parts(config, tmp_path, between=vectors.unlink)


def test_wrong_settings(tmp_path: Path, data: Path, vectors: Path) -> None:
    def refuse(said: str, task: str = "classify", **more: Any) -> None:
        with pytest.raises(SeqcliError, match=said):
            run.train(make(task, data, vectors, **more), tmp_path / "m", Quiet())
        assert not (tmp_path / "m").exists()

    refuse("--embedding is 9, but the vectors of .* have width 5", embedding=9)
    refuse("byte pairs: --tokens word", tokens="bpe")
    (tmp_path / "glove.txt").write_text("zzz 1 2\n")
    refuse("for none of the training words")
    with pytest.raises(UsageError, match="--embedding is 0"):
        tiny("classify", data, embedding=0)
    with pytest.raises(UsageError, match="without --vectors"):
        tiny("classify", data, vectors_frozen=True)


def test_command_line(cli: Callable[..., Result], data: Path, vectors: Path) -> None:
    small = ["--hidden", "8", "--threads", "1", "--epochs", "1"]
    result = cli("classify", data, "--vectors", vectors, "--out", "m", *small)
    assert result.status == 0, result.err
    assert "of the training tokens; width 5" in result.err
    assert json.loads(Path("m/config.json").read_text())["settings"]["embedding"] == 5
    vectors.unlink()
    assert cli("evaluate", "m").status == 0
    gone = cli("classify", data, "--vectors", vectors, *small)
    assert (gone.status, len(gone.errors)) == (1, 1)
    wide = cli("classify", data, "--vectors", vectors, "--embedding", 7, *small)
    assert (wide.status, len(wide.errors)) == (1, 1)
