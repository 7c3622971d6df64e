"""Several seeds: mean and deviation, a folder that is a model, and going on after a signal."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Quiet, Result, tiny, write_jsonl

from seqcli import bundle, run, seeds, storage
from seqcli.errors import SeqcliError

Cli = Callable[..., Result]


def observe(titles: list[str]) -> Callable[[str], Any]:
    @contextmanager
    def one(title: str) -> Iterator[Quiet]:
        titles.append(title)
        yield Quiet()

    return one


def stop_after(events: int) -> Callable[[], int]:
    left = [events]

    def stop() -> int:
        left[0] -= 1
        return 15 if left[0] == 0 else 0

    return stop


def test_spread_by_hand() -> None:
    runs = [{"test": {"accuracy": x, "rows": 3, "signature": "s"}} for x in (0.5, 0.7, 0.9)]
    found = seeds.spread(runs)["test"]
    assert found == {"accuracy": (pytest.approx(0.7), pytest.approx(0.2))}
    assert seeds.spread(runs[:1])["test"]["accuracy"].deviation == 0


def test_seeds_are_what_single_trainings_are(tmp_path: Path, data: Path) -> None:
    config = tiny("classify", data, seed=4, epochs=2)
    found = seeds.train(config, tmp_path / "m", observe([]), count=3)
    assert found.seeds == [4, 5, 6]
    for seed in found.seeds:
        alone = tmp_path / f"alone-{seed}"
        run.train(tiny("classify", data, seed=seed, epochs=2), alone, Quiet())
        for name in (bundle.WEIGHTS, "metrics.json", "config.json"):
            own = tmp_path / "m" / f"seed-{seed}" / name
            assert own.read_bytes() == (alone / name).read_bytes()
    for split, scores in found.spreads.items():
        values = [report.scores[split]["accuracy"] for report in found.reports]
        assert scores["accuracy"].mean == pytest.approx(statistics.mean(values))
        assert scores["accuracy"].deviation == pytest.approx(statistics.stdev(values))
    judged = [report.scores["validation"]["accuracy"] for report in found.reports]
    assert judged[found.best] == max(judged)
    best = tmp_path / "m" / f"seed-{found.seeds[found.best]}"
    assert (tmp_path / "m" / bundle.WEIGHTS).read_bytes() == (best / bundle.WEIGHTS).read_bytes()
    bundle.load(tmp_path / "m", task_name="classify")


def test_interrupted_seeds_go_on(tmp_path: Path, data: Path) -> None:
    """Within the second of three trainings; the first is not run again."""
    config = tiny("tag", data, epochs=2)
    whole = seeds.train(config, tmp_path / "whole", observe([]), count=3)
    counted = Quiet()
    run.train(config, tmp_path / "count", counted)
    folder, titles = tmp_path / "parts", []
    with pytest.raises(run.Interrupted) as caught:
        seeds.train(
            config, folder, observe(titles), count=3, stop=stop_after(len(counted.events) + 3)
        )
    assert caught.value.folder == folder
    assert len(titles) == 2
    assert not (folder / "config.json").exists()  # no model yet
    first = (folder / "seed-1" / bundle.WEIGHTS).stat().st_mtime_ns
    (folder / "seed-3").mkdir()
    (folder / "seed-3" / "config.json").write_text("{}")  # killed before its first checkpoint
    found = seeds.resume(folder, observe(titles), task_name="tag")
    assert titles[2:] == ["seed 2, training 2 of 3", "seed 3, training 3 of 3"]
    assert (folder / "seed-1" / bundle.WEIGHTS).stat().st_mtime_ns == first
    assert found.spreads == whole.spreads
    assert [one.best_epoch for one in found.reports] == [one.best_epoch for one in whole.reports]
    for name in (bundle.WEIGHTS, seeds.PLAN):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(SeqcliError, match="all its trainings are finished"):
        seeds.resume(folder, observe([]), task_name="tag")
    with pytest.raises(SeqcliError, match="trainings of tag, not of lm"):
        seeds.resume(folder, observe([]), task_name="lm")


def test_seeds_at_work_keep_their_folder(tmp_path: Path, data: Path) -> None:
    """From other seeds, and from --resume, which would remove a training that has no checkpoint."""
    config, folder = tiny("tag", data), tmp_path / "m"
    folder.mkdir()
    with storage.locked(folder):
        with pytest.raises(SeqcliError, match=r"^another training is at work in .*m; "):
            seeds.train(config, folder, observe([]), count=2)
        assert not list(folder.iterdir())
    with pytest.raises(run.Interrupted):
        seeds.train(config, folder, observe([]), count=2, stop=lambda: 2)
    shutil.rmtree(folder / "seed-1" / "checkpoint")
    before = sorted(folder.rglob("*"))
    with (
        storage.locked(folder),
        pytest.raises(SeqcliError, match=r"^another training is at work in .*m; "),
    ):
        seeds.resume(folder, observe([]), task_name="tag")
    with pytest.raises(SeqcliError, match=r"^another training began in .*m meanwhile"):
        seeds.train(config, folder, observe([]), count=2)
    assert sorted(folder.rglob("*")) == before


def test_seeds_that_cannot_begin_leave_nothing(tmp_path: Path) -> None:
    """Here the data can be read, but there is nothing to learn from them."""
    rows = [{"tokens": ["go", str(number)], "tags": ["O", "O"]} for number in range(20)]
    config = tiny("tag", write_jsonl(tmp_path / "t.jsonl", rows))
    with pytest.raises(SeqcliError, match="every training token has the tag 'O'"):
        seeds.train(config, tmp_path / "m", observe([]), count=2)
    assert not (tmp_path / "m").exists()


def test_command_line(cli: Cli, data: Path) -> None:
    options = ("--epochs", 1, "--batch-tokens", 40, *TINY)
    result = cli("classify", data, "--seeds", 2, "--out", "m", *options, "--json")
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert [one["seed"] for one in found["seeds"]] == [1, 2]
    values = [one["scores"]["test"]["accuracy"] for one in found["seeds"]]
    spread = found["scores"]["test"]["accuracy"]
    assert spread["mean"] == pytest.approx(statistics.mean(values))
    assert spread["deviation"] == pytest.approx(statistics.stdev(values))
    assert "seed 2, training 2 of 2" in result.err
    assert cli("predict", "m", "m/README.md").status == 0
    stored = json.loads(Path("m/metrics.json").read_text())["scores"]["test"]
    again = json.loads(cli("evaluate", "m", "--json").out)
    assert again["scores"] == stored
    table = cli("classify", data, "--seeds", 2, "--out", "n", *options)
    assert "mean of 2" in table.out  # "± deviation" may stand on the next line
    assert " ± " in table.out
    refused = cli("classify", "--resume", "m")
    assert refused.status == 1
    assert "all its trainings are finished" in refused.err
    assert cli("classify", "--resume", "m", "--seeds", 3).status == 2
    Path("m/seeds.json").write_text("[]")
    broken = cli("classify", "--resume", "m")
    assert (broken.status, len(broken.errors)) == (1, 1)
