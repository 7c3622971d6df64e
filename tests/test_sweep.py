"""Sweeps: a space read with care, trials on validation, and what a stopped one leaves."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Result, give

from seqcli import bundle, run, storage, sweep
from seqcli.cli.options import read_config
from seqcli.config import CONFIGS, make_config
from seqcli.errors import SeqcliError, UsageError
from seqcli.sweep import Categorical, Range, Trial, read_space

Cli = Callable[..., Result]
OVER = ["hidden=4,6", "learning_rate=1e-3:1e-1", "word_dropout=0:0.2"]


@pytest.mark.parametrize("task", CONFIGS)
def test_every_task_has_a_space(task: str) -> None:
    assert len(read_space(task, [])) >= 4


def test_space_by_hand() -> None:
    space = read_space(
        "classify",
        ["hidden=64,128", "learning-rate=1e-4:1e-2", "layers=1:3", "dropout=0:0.5",
         "bidirectional=true,false", "cell=gru", "vocabulary_size=none,500", "hidden=8:800"],
    )  # fmt: skip
    assert space == {
        "hidden": Range(8, 800, True),
        "learning_rate": Range(1e-4, 1e-2, True),
        "layers": Range(1, 3, False),
        "dropout": Range(0.0, 0.5, False),
        "bidirectional": Categorical([True, False]),
        "cell": Categorical(["gru"]),
        "vocabulary_size": Categorical([None, 500]),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hiden=1,2", "the names of classify are"),
        ("hidden", "write name=a,b,c or name=low:high"),
        ("hidden=", "write name=a,b,c"),
        ("hidden=1,many", "'many' is not of type int"),
        ("hidden=0,4", "must be at least 1"),
        ("dropout=0.5:0.1", "0.5 is not below 0.1"),
        ("dropout=0:2", "must be at most 0.95"),
        ("bidirectional=yes", "'yes' is not true or false"),
        ("cell=grue", "it can be"),
        ("train=a,b", "the names of classify are"),
    ],
)
def test_space_that_is_none(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_space("classify", [text])


@pytest.mark.parametrize(
    ("task", "unlike", "alike"),
    [
        ("lm", "tokens=word,character", "tokens=word"),
        ("lm", "min_count=1:5", "min_count=2"),
        ("lm", "lowercase=true,false", "lowercase=true"),
        ("classify", "balance=none,weights", "balance=weights,over,under"),
    ],
)
def test_trials_are_of_one_scale(task: str, unlike: str, alike: str) -> None:
    """Surprise at words is more than at characters, and macro F1 is no accuracy."""
    assert read_space(task, [alike])
    with pytest.raises(UsageError, match="cannot be compared"):
        read_space(task, [unlike])
    assert read_space("translate", ["vocabulary_size=500,1000"])  # chrF is of characters


def test_search_keeps_the_best_and_goes_on(tmp_path: Path, data: Path) -> None:
    folder, heard = tmp_path / "s", []
    settings = give("classify", data, epochs=2)
    found = sweep.search("classify", settings, folder, OVER, trials=3, tell=heard.append)
    assert [trial.number for trial in heard] == [0, 1, 2]
    assert not list(folder.glob("trial-*"))
    complete = [trial for trial in found.trials if trial.state == "complete"]
    best = max(complete, key=lambda trial: trial.value)
    assert found.trials[found.best].value == best.value
    assert found.report.scores["validation"]["accuracy"] == pytest.approx(best.value)
    assert set(found.report.scores) == {"validation", "test"}
    task, _, _ = bundle.load(folder)
    assert task.config.network.hidden == found.trials[found.best].settings["hidden"]
    values = read_config(folder / sweep.BEST, "classify")
    assert values["learning_rate"] == found.trials[found.best].settings["learning_rate"]
    assert not {"data", "train", "seed"} & set(values)

    more = sweep.resume(folder, trials=5, tell=heard.append)
    assert [trial.number for trial in heard] == [0, 1, 2, 3, 4]
    assert more.trials[:3] == found.trials
    # What is drawn next is not what was drawn first.
    drawn = [trial.settings["learning_rate"] for trial in more.trials]
    assert len(set(drawn)) == 5
    assert sweep.resume(folder).trials == more.trials


@pytest.mark.slow
def test_settings_of_the_best_train_the_same_model(tmp_path: Path, data: Path, cli: Cli) -> None:
    settings = give("classify", data, epochs=1)
    sweep.search("classify", settings, tmp_path / "s", OVER, trials=2)
    result = cli("classify", data, "--config", tmp_path / "s" / "best.toml", "--out", "again")
    assert result.status == 0, result.err
    weights = [(folder / bundle.WEIGHTS).read_bytes() for folder in (Path("again"), tmp_path / "s")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_interrupted_and_failed_trials(tmp_path: Path, data: Path) -> None:
    folder, settings = tmp_path / "s", give("classify", data)
    asked = [0]

    def stop() -> int:
        asked[0] += 1
        return 2 if asked[0] == 12 else 0

    with pytest.raises(run.Interrupted) as caught:
        sweep.search("classify", settings, folder, OVER, trials=3, stop=stop)
    assert caught.value.folder == folder
    # The one that was interrupted does not count: another is tried in its place.
    found = sweep.resume(folder)
    assert [trial.state for trial in found.trials].count("failed") == 1
    assert len(found.trials) == 4
    with pytest.raises(SeqcliError, match=r"no trial of 2 came to its end: .*diverged"):
        sweep.search(
            "classify",
            give("classify", data, clip=0, warmup=0, epochs=3),
            tmp_path / "d",
            ["learning_rate=1e38"],
            trials=2,
        )


def test_a_sweep_whose_only_trial_was_interrupted_is_gone_on_with(
    tmp_path: Path, data: Path
) -> None:
    folder, settings = tmp_path / "s", give("classify", data, epochs=1)
    with pytest.raises(run.Interrupted):
        sweep.search("classify", settings, folder, OVER, trials=1, stop=lambda: 2)
    found = sweep.resume(folder, seconds=0)
    assert [trial.state for trial in found.trials] == ["failed", "complete"]
    assert found.best == 1


def test_a_sweep_at_work_keeps_its_folder(tmp_path: Path, data: Path) -> None:
    folder, settings = tmp_path / "s", give("classify", data)
    folder.mkdir()
    with storage.locked(folder):
        for begin in (
            lambda: sweep.search("classify", settings, folder, OVER, trials=1),
            lambda: sweep.resume(folder),
        ):
            with pytest.raises(SeqcliError, match=r"^another training is at work in .*s; "):
                begin()
    assert not list(folder.iterdir())
    (folder / sweep.PLAN).touch()
    with pytest.raises(SeqcliError, match=r"^another training began in .*s meanwhile"):
        sweep.search("classify", settings, folder, OVER, trials=1)


def test_defaults_depend_on_what_a_trial_proposes(tmp_path: Path, data: Path) -> None:
    """An Elman network of lm has a smaller step by default, and sgd no mean of the weights."""
    for number, over in enumerate((["cell=rnn"], ["optimizer=sgd"])):
        folder = tmp_path / str(number)
        sweep.search("lm", give("lm", data, epochs=1), folder, over, trials=1)
        task, _, _ = bundle.load(folder)
        best = read_config(folder / sweep.BEST, "lm")
        assert task.config == make_config("lm", {**best, "data": str(data), "ngrams": 7})
        assert task.config.training == make_config("lm", best).training
    assert task.config.training.average == 0


def test_time_cuts_the_last_trial_short(tmp_path: Path, data: Path) -> None:
    settings = give("classify", data, epochs=100_000, patience=0)
    began = time.monotonic()
    found = sweep.search("classify", settings, tmp_path / "s", ["hidden=4,6"], trials=99, seconds=4)
    assert 2 < time.monotonic() - began < 20
    assert found.trials[found.best].state == "complete"
    assert "time" not in read_config(tmp_path / "s" / sweep.BEST, "classify")


def test_one_trial_runs_however_short_the_time(tmp_path: Path, data: Path) -> None:
    settings = give("classify", data, epochs=100_000, patience=0)
    found = sweep.search("classify", settings, tmp_path / "s", ["hidden=4"], trials=9, seconds=1e-9)
    assert [trial.state for trial in found.trials] == ["complete"]


@pytest.mark.slow
def test_poor_trials_are_given_up(tmp_path: Path, data: Path) -> None:
    """Four good trials, then one whose step size is too small to learn anything."""
    settings = give("lm", data, epochs=4, learning_rate=2e-2)
    folder = tmp_path / "s"
    sweep.search("lm", settings, folder, ["hidden=8,9"], trials=4)
    plan = json.loads((folder / sweep.PLAN).read_text())
    plan["settings"]["learning_rate"] = 1e-7
    (folder / sweep.PLAN).write_text(json.dumps(plan))
    found = sweep.resume(folder, trials=5)
    assert [trial.state for trial in found.trials] == ["complete"] * 4 + ["pruned"]
    assert found.best < 4


def test_command_line(cli: Cli, data: Path) -> None:
    Path("base.toml").write_text("embedding = 8\nepochs = 1\nthreads = 1\nbatch_tokens = 40\n")
    options = ("--over", "hidden=4,6", "--over", "cell=gru", "--config", "base.toml")
    result = cli("sweep", "tag", data, "--trials", 2, *options, "--out", "s")
    assert result.status == 0, result.err
    assert "trial   1  complete" in result.err
    assert "hidden" in result.out
    assert "most frequent tag" in result.out
    assert "| seqcli predict s" in result.err
    again = cli("sweep", "--resume", "s", "--trials", 3, "--json")
    found = json.loads(again.out)
    assert len(found["trials"]) == 3
    assert set(found["scores"]) == {"validation", "test"}
    assert cli("predict", "s", "base.toml").status == 0
    for wrong in (
        ("sweep",),
        ("sweep", "tag", "--resume", "s"),
        ("sweep", "--resume", "s", "--over", "hidden=3"),
        ("sweep", "tag", data, "--time", "soon"),
        ("sweep", "tag", data, "--over", "pool=max"),
    ):
        refused = cli(*wrong)
        assert (refused.status, len(refused.errors)) == (2, 1), wrong
    assert cli("sweep", "tag", data, "--out", "s").status == 1


def test_environment_and_reasons(cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_HIDDEN", "6")
    monkeypatch.setenv("SEQCLI_EPOCHS", "1")
    options = ("--over", "embedding=0,8", "--over", "threads=1", "--trials", 6, "--out", "s")
    result = cli("sweep", "tag", data, *options)
    assert result.status == 0, result.err
    assert json.loads(Path("s/config.json").read_text())["settings"]["hidden"] == 6
    assert "failed" in result.err
    assert "--embedding is 0; it must be at least 1" in result.err
    monkeypatch.setenv("SEQCLI_HIDDEN", "many")
    refused = cli("sweep", "tag", data)
    assert (refused.status, len(refused.errors)) == (2, 1)
    assert "SEQCLI_HIDDEN: 'many' is not of type int" in refused.err


def test_missing_optuna_is_told(cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = cli("sweep", "classify", data, "--trials", 1)
    assert (result.status, len(result.errors)) == (1, 1)
    assert "pip install 'seqcli[sweep]'" in result.err


def test_trial_reads_as_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    from seqcli.cli.sweep import _tell

    _tell(Trial(3, "complete", 0.91234, {"hidden": 64, "dropout": 0.12345}, 65.0))
    err = capfd.readouterr().err
    assert err == "trial   3  complete  0.9123    hidden 64, dropout 0.123  (1:05)\n"
