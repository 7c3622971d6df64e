"""--watch gradients: what it records, that it names what is wrong, and that it changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TASKS, TINY, Quiet, Result, tiny

from seqcli import bundle, optimizer, run
from seqcli.data.load import load
from seqcli.events import Step
from seqcli.fit import Fit
from seqcli.tasks import TASKS as BY_NAME
from seqcli.watch import GRADIENTS, Watch, advise, draw_bars

Cli = Callable[..., Result]
SLOW = pytest.mark.slow


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / GRADIENTS).read_text().splitlines()]


@pytest.mark.parametrize(
    "task", ["classify", "lm", *(pytest.param(one, marks=SLOW) for one in ("tag", "translate"))]
)
def test_watching_changes_no_weight(tmp_path: Path, data: Path, task: str) -> None:
    settings = {"epochs": 2, "dropout": 0.3}
    run.train(tiny(task, data, **settings), tmp_path / "plain", Quiet())
    run.train(tiny(task, data, **settings, watch="gradients"), tmp_path / "watched", Quiet())
    weights = [(tmp_path / name / bundle.WEIGHTS).read_bytes() for name in ("plain", "watched")]
    assert weights[0] == weights[1]
    assert not (tmp_path / "plain" / GRADIENTS).exists()
    found = lines(tmp_path / "watched")
    assert [line["epoch"] for line in found] == [0, 1, 2]
    for line in found:
        assert line["layers"]
        for layer in line["layers"].values():
            assert layer["by_lag"]["h"][0] == 1
    assert all(norm > 0 for norm in found[-1]["norms"].values())


def test_resumed_watch_is_the_same(tmp_path: Path, data: Path) -> None:
    """The lines of finished epochs stay, each epoch stands there once, and the one that was
    interrupted counts all its updates."""
    config = tiny("classify", data, epochs=3, watch="gradients")
    run.train(config, tmp_path / "whole", Quiet())
    left = [12]

    def stop() -> int:
        left[0] -= 1
        return 15 if left[0] == 0 else 0

    with pytest.raises(run.Interrupted):
        run.train(config, tmp_path / "parts", Quiet(), stop=stop)
    run.resume(tmp_path / "parts", Quiet())
    whole, parts = lines(tmp_path / "whole"), lines(tmp_path / "parts")
    assert [line["epoch"] for line in parts] == [0, 1, 2, 3]
    assert parts == whole


def make_watch(data: Path, folder: Path, said: list[str], **settings: Any) -> tuple[Fit, Watch]:
    config = tiny("classify", data, watch="gradients", **settings)
    splits = load("classify", config.data)
    assert splits.train
    task = BY_NAME["classify"].learn(config, splits.train)
    model = task.build()
    fit = Fit(task, model, task.encode(splits.train), lambda: {"accuracy": 0.5})
    return fit, Watch(task, model, splits.train, folder, said.append)


@pytest.mark.parametrize("least", [0, 1 << 40])
def test_norms_are_those_of_all_gradients(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """The squares of the groups add up to the square of the whole, whatever was clipped and
    whichever tables are updated by rows."""
    monkeypatch.setattr(optimizer, "LEAST", least)
    fit, watch = make_watch(data, tmp_path, [], clip=0.01, layers=2)
    norms = []
    for event in fit.events():
        if isinstance(event, Step):
            before = dict(watch.sums)
            watch.add(event, fit.optimizer.gradient)
            parts = [watch.sums[group] - before.get(group, 0) for group in watch.groups]
            assert math.hypot(*parts) == pytest.approx(event.gradient_norm, rel=1e-4)
            assert watch.sums["embedding"] > before.get("embedding", 0)
            norms.append(event.gradient_norm)
    assert {"embedding", "layer 1.forward", "layer 2.reverse"} <= set(watch.groups)
    grouped = sum(len(parameters) for parameters in watch.groups.values())
    assert grouped == len(list(fit.model.parameters()))
    watch.look(1, len(norms))
    [line] = lines(tmp_path)
    assert line["clipped"] == 1
    assert watch.steps == 0


@pytest.mark.parametrize(("scale", "verdict"), [(0.1, "vanishing"), (1.6, "exploding")])
def test_planted_trouble_is_named(tmp_path: Path, data: Path, scale: float, verdict: str) -> None:
    """h' = tanh(s·Q h) near zero: an orthogonal Q keeps a gradient, s takes or adds."""
    said: list[str] = []
    fit, watch = make_watch(
        data, tmp_path, said, cell="rnn", nonlinearity="relu", bidirectional=False
    )
    watch.look(0, 0)
    with torch.no_grad():
        cell = watch.layers[0].cell
        cell.weight_hh.copy_(scale * torch.eye(8))
        cell.weight_ih.abs_()
        for weight in fit.model.embedding.parameters():
            weight.abs_()
    watch.look(1, 1)
    assert lines(tmp_path)[-1]["layers"]["1.forward"]["verdict"] == verdict
    assert any(verdict in sentence and "try " in sentence for sentence in said)
    count = len(said)
    watch.look(2, 2)  # nothing new, nothing said
    assert len(said) == count
    watch.plot()
    assert said[-1].startswith("gradient by lag 0–")
    assert verdict in said[-1]


@pytest.mark.parametrize("verdict", ["vanishing", "exploding"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("task", TASKS)
def test_advice_names_settings_of_the_task(task: str, cell: str, verdict: str) -> None:
    from seqcli.config import list_settings, make_config

    class Known:
        config = make_config(task, {"cell": cell, "clip": 0})

    advice = advise(Known, verdict)
    known = {"--" + item.name.replace("_", "-") for item in list_settings(task)}
    named = [word.strip("(),") for word in advice.split() if "--" in word]
    assert named
    assert set(named) <= known


def test_bars() -> None:
    assert draw_bars([1, 0.1, 0.01, 1e-3, 1e-4, 0, 5]) == "█▆▅▃▁▁█"


def test_command_line(cli: Cli, data: Path) -> None:
    result = cli(
        "lm", data, "--cell", "rnn", "--watch", "gradients", "--epochs", 1, *TINY, "--out", "m",
        "--streams", 4, "--bptt", 8,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert "gradient by lag 0–" in result.err
    assert [line["epoch"] for line in lines(Path("m"))] == [0, 1]
