"""How many epochs small and large data get, and that a training writes down what was chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import TASKS, Quiet, Result, tiny

from seqcli import bundle, run
from seqcli.config import make_config
from seqcli.epochs import choose_epochs
from seqcli.run import Interrupted

FEWEST = {"classify": 10, "tag": 20, "translate": 20, "lm": 15}


def stub(task: str, updates: int) -> Any:
    """A task whose epochs make so many updates."""
    return SimpleNamespace(config=make_config(task, {}), plan=lambda rows, epoch: [0] * updates)


@pytest.mark.parametrize("task", TASKS)
def test_large_data_get_the_fewest_and_small_data_as_many_updates(task: str) -> None:
    few = FEWEST[task]
    for updates in (200, 230, 5_000):
        assert choose_epochs(stub(task, updates), None).epochs == few
    for updates in (60, 100, 150):
        chosen = choose_epochs(stub(task, updates), None)
        assert chosen.updates == updates
        assert abs(chosen.epochs * updates - few * 200) <= updates
    assert choose_epochs(stub(task, 1), None).epochs == 4 * few


@pytest.mark.parametrize("task", TASKS)
def test_a_training_says_and_writes_down_what_was_chosen(
    task: str, data: Path, tmp_path: Path
) -> None:
    """A training that was interrupted goes on with the same number."""
    config = tiny(task, data, checkpoint_every=0)
    config = replace(config, training=replace(config.training, epochs=None))
    observer, folder = Quiet(), tmp_path / task
    with pytest.raises(Interrupted):
        run.train(config, folder, observer, stop=lambda: 2)
    chosen = bundle.load_task(folder).config.training.epochs
    assert chosen is not None
    assert chosen >= FEWEST[task]
    assert observer.found["epochs"].startswith(f"{chosen}, of ")
    assert observer.events[0].epochs == chosen
    again = Quiet()
    with pytest.raises(Interrupted):
        run.train(
            replace(config, training=replace(config.training, epochs=chosen)),
            tmp_path / "asked",
            again,
            stop=lambda: 2,
        )
    assert "epochs" not in again.found
    first, timed = observer.events[0], again.events[0]
    assert timed == first._replace(seconds=timed.seconds, elapsed=timed.elapsed)


def test_the_command_line_shows_how_many(cli: Any, data: Path) -> None:
    settings = ["--hidden", "4", "--embedding", "4", "--patience", "1", "--threads", "1"]
    found: Result = cli("classify", str(data), "--out", "m", *settings)
    assert found.status == 0
    assert "epoch  1/" in found.err
