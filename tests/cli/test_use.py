"""The commands that use and explain: generate, evaluate, info, cells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from conftest import TASKS, Result

from seqcli.config import SHORT_FORMS, CellName
from seqcli.nn.cells import CELLS

Cli = Callable[..., Result]
Models = Callable[[str], Path]

# -------------------------------------------------------------------------------------- generate


def write(cli: Cli, models: Models, *options: object) -> str:
    result = cli("generate", models("lm"), "--length", 40, *options)
    assert (result.status, result.err) == (0, "")
    return result.out


def test_seed_decides_the_text(cli: Cli, models: Models) -> None:
    first = write(cli, models, "--seed", 3)
    assert first == write(cli, models, "--seed", 3)
    assert first != write(cli, models, "--seed", 4)
    assert len({write(cli, models) for _ in range(4)}) > 1


def test_likeliest_text(cli: Cli, models: Models) -> None:
    greedy = write(cli, models, "--temperature", 0)
    assert greedy == write(cli, models, "--temperature", 0, "--seed", 9)
    assert greedy == write(cli, models, "--top-k", 1)
    assert greedy == write(cli, models, "--top-p", 1e-6)
    assert greedy == write(cli, models, "--temperature", 1e-7)
    assert greedy == write(cli, models, "--temperature", 1e-40)


def test_several_samples(cli: Cli, models: Models) -> None:
    options = ("--samples", 3, "--seed", 5, "--prompt", "go")
    records = [json.loads(line) for line in write(cli, models, *options, "--json").splitlines()]
    assert [record["sample"] for record in records] == [1, 2, 3]
    assert {record["prompt"] for record in records} == {"go"}
    texts = [record["text"] for record in records]
    assert len(set(texts)) == 3
    assert all(0 < len(text) <= 40 for text in texts)
    plain = write(cli, models, *options)
    assert plain == "---\n".join(f"go{text}\n" for text in texts)
    # The first sample is what the seed gives alone.
    assert write(cli, models, "--seed", 5, "--prompt", "go") == f"go{texts[0]}\n"


def test_prompts(cli: Cli, models: Models) -> None:
    for prompt in ("go to rome\nstay", "go to rome\n", "\n", "巴黎 unknown", "", " "):
        text = write(cli, models, "--prompt", prompt, "--seed", 1)
        assert text.startswith(prompt)
        assert text.endswith("\n")


def test_one_line(cli: Cli, models: Models) -> None:
    text = write(cli, models, "--line", "--length", 2000, "--seed", 1, "--samples", 3)
    assert len(text.splitlines()) == 3
    assert "---" not in text


def test_unknown_and_begin_are_never_written(cli: Cli, models: Models) -> None:
    text = write(cli, models, "--temperature", 5, "--length", 500, "--seed", 1)
    assert "<" not in text


# ------------------------------------------------------------------------------------------ info


@pytest.mark.parametrize("task", TASKS)
def test_info_of_a_model(cli: Cli, models: Models, task: str) -> None:
    result = cli("info", models(task))
    assert (result.status, result.err) == (0, "")
    found = json.loads(cli("info", models(task), "--json").out)
    assert found["task"] == task
    assert found["parameters"] > 0
    assert found["settings"]["hidden"] == 8
    assert set(found["scores"]) == {"validation", "test"}
    assert "--hidden" in result.out
    if task == "classify":
        assert found["tokens"].startswith("word, vocabulary ")
    assert f"{found['parameters']:,}" in result.out


def test_info_of_the_system(cli: Cli) -> None:
    result = cli("info", "--system")
    assert (result.status, result.err) == (0, "")
    found = json.loads(cli("info", "--system", "--json").out)
    assert {"seqcli", "python", "torch", "cores", "gpu"} <= set(found)
    assert all(name in result.out for name in found)


# ----------------------------------------------------------------------------------------- cells


def test_cells(cli: Cli) -> None:
    result = cli("cells", "--input", 3, "--hidden", 5)
    assert (result.status, result.err) == (0, "")
    found = json.loads(cli("cells", "--input", 3, "--hidden", 5, "--json").out)
    assert [cell["name"] for cell in found] == [*CELLS, "tree"]
    assert set(get_args(CellName)) == set(CELLS) | set(SHORT_FORMS)
    by_name = {cell["name"]: cell for cell in found}
    # Counted by hand, two biases as torch.nn has them.
    assert by_name["rnn"]["parameters"] == 5 * 3 + 5 * 5 + 2 * 5
    assert by_name["lstm"]["parameters"] == 4 * by_name["rnn"]["parameters"]
    assert by_name["gru"]["parameters"] == 3 * by_name["rnn"]["parameters"]
    assert by_name["lstm"]["flop"] == 2 * 4 * (5 * 3 + 5 * 5)
    for cell in found:
        assert cell["name"] in result.out
        assert cell["equations"].splitlines()[0] in result.out
        assert f"{cell['parameters']:,}" in result.out
    for short in SHORT_FORMS:
        assert short in result.out
