"""The commands that print facts: info and cells."""

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
