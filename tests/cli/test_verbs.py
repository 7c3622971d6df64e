"""The four verbs from the command line to a model folder and on to its use."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TASKS, TINY, Result, write_jsonl

from seqcli.cli.train import new_folder
from seqcli.config import CONFIGS, flatten, make_config

Cli = Callable[..., Result]
SCORE = {"classify": "accuracy", "tag": "span_f1", "translate": "bleu", "lm": "cross_entropy"}
SMALL = ("--epochs", "1", *TINY)


@pytest.mark.parametrize("task", TASKS)
def test_without_data_the_sample_is_used(cli: Cli, task: str) -> None:
    rows = ("--limit", "8", "--tokens", "word") if task == "translate" else ("--limit", "50")
    result = cli(task, *rows, *SMALL)
    assert result.status == 0, result.err
    assert not result.errors
    assert "bundled sample" in result.err
    assert "epoch 1/1" in result.err
    assert "network" in result.out
    assert "test" in result.out
    # The last line of stderr is a command to try, and it works.
    *_, before, last = result.err.splitlines()
    assert before.endswith("try it:")
    words = shlex.split(last)
    arguments = words[words.index("seqcli") + 1 :]
    if arguments[0] == "predict":
        assert words[0] == "echo"
        Path("lines.txt").write_text(f"{words[1]}\n")
        arguments.insert(2, "lines.txt")
    used = cli(*arguments)
    assert used.status == 0, used.err
    assert used.out.strip()


@pytest.mark.parametrize(
    ("task", "options", "wanted"),
    [
        ("classify", ("--pair-column", "other"), r"printf 'a b\tc\n' | seqcli predict m"),
        ("lm", ("--condition", "label"), "seqcli generate m --condition y"),
        ("lm", ("--condition", "number,size"), "seqcli generate m --condition 1,2.5"),
        ("lm", (), "seqcli generate m --prompt 'a b'"),
    ],
)
def test_what_to_try_is_taken_from_the_data(
    cli: Cli, task: str, options: tuple[str, ...], wanted: str
) -> None:
    numbers = {"number": 1, "size": 2.5}
    rows = [{"text": "a b", "other": "c", **numbers, "label": "xy"[i % 2]} for i in range(8)]
    write_jsonl(Path("t.jsonl"), rows)
    write_jsonl(Path("v.jsonl"), [{**rows[1], "text": "-a\\"}, *rows[1:]])
    files = ("--train", "t.jsonl", "--validation", "v.jsonl")
    result = cli(task, *files, *options, "--text-column", "text", "--out", "m", *SMALL)
    assert result.status == 0, result.err
    assert result.err.splitlines()[-1].strip() == wanted


@pytest.mark.parametrize("task", TASKS)
def test_folder_of_files(cli: Cli, data: Path, task: str) -> None:
    result = cli(task, data, "--out", "m", "--json", *SMALL)
    assert result.status == 0, result.err
    found = json.loads(result.out)  # stdout is one JSON document, notes are on stderr
    assert (found["task"], found["folder"], found["best_epoch"]) == (task, "m", 1)
    assert set(found["scores"]) == set(found["baselines"]) == {"validation", "test"}
    assert SCORE[task] in found["scores"]["test"]
    assert all(found["baselines"]["test"].values())
    assert "rows" in result.err
    assert "parameters" in result.err
    stored = json.loads(Path("m/metrics.json").read_text())
    assert stored["scores"] == found["scores"]
    files = {path.name for path in Path("m").iterdir()}
    assert {"config.json", "model.safetensors", "metrics.json", "history.jsonl"} < files
    assert "README.md" in files
    assert "checkpoint" not in files
    # What was reported in training is what evaluate says, to the last digit.
    again = cli("evaluate", "m", "--json")
    assert again.status == 0, again.err
    assert json.loads(again.out)["scores"] == found["scores"]["test"]
    again = cli("evaluate", "m", "--json", "--split", "validation")
    assert json.loads(again.out)["scores"] == found["scores"]["validation"]


@pytest.mark.parametrize("task", ["classify", "lm"])
def test_evaluate_on_splits_cut_from_one_file(cli: Cli, data: Path, task: str) -> None:
    """The validation rows that were set aside are found again; a test split is not made up."""
    result = cli(task, data / "train.jsonl", "--out", "m", "--json", *SMALL)
    found = json.loads(result.out)
    again = cli("evaluate", "m", "--json", "--split", "validation")
    assert json.loads(again.out)["scores"] == found["scores"]["validation"]
    again = cli("evaluate", "m", "--json", "--split", "dev[:]")
    assert json.loads(again.out)["scores"] == found["scores"]["validation"]
    test = cli("evaluate", "m", "--json")
    if task == "lm":
        assert json.loads(test.out)["scores"] == found["scores"]["test"]
    else:
        assert test.status == 2
        assert "no test split" in test.err
    other = cli("evaluate", "m", data / "test.jsonl", "--json")
    assert other.status == 0
    assert "8 rows of test.jsonl" in other.err


def test_config_of_a_model_folder_round_trips(cli: Cli, data: Path) -> None:
    assert cli("tag", data, "--out", "m", "--clip", "0.5", *SMALL).status == 0
    stored = json.loads(Path("m/config.json").read_text())
    config = make_config("tag", stored["settings"])
    assert flatten(config) == stored["settings"]
    assert config.training.clip == 0.5
    Path("again.json").write_text(json.dumps(stored["settings"]))
    assert cli("tag", "--config", "again.json", "--out", "n").status == 0
    assert json.loads(Path("n/config.json").read_text()) == stored
    assert Path("n/model.safetensors").read_bytes() == Path("m/model.safetensors").read_bytes()


# ------------------------------------------------------------------------------------ --config

CONFIGURED = {
    "c.toml": 'hidden = 9\nlearning-rate = 0.01\ncell = "bilstm"\n',
    "c.yaml": "hidden: 9\nlearning_rate: 1e-2\ncell: bilstm\n",
    "c.json": '{"hidden": 9, "learning_rate": 0.01, "cell": "bilstm"}',
}


def settings(folder: str = "m") -> dict[str, object]:
    return json.loads(Path(folder, "config.json").read_text())["settings"]


@pytest.mark.parametrize("name", CONFIGURED)
def test_configuration_file(cli: Cli, data: Path, name: str) -> None:
    Path(name).write_text(CONFIGURED[name])
    small = ("--epochs", "1", "--embedding", "8", "--threads", "1")
    result = cli("classify", data, "--config", name, "--out", "m", *small)
    assert result.status == 0, result.err
    found = settings()
    assert (found["hidden"], found["learning_rate"]) == (9, 0.01)
    assert (found["cell"], found["bidirectional"]) == ("lstm", True)


def test_precedence(cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command line over environment over file over the task's default."""
    Path("c.toml").write_text("hidden = 9\nembedding = 9\nseed = 9\n")
    monkeypatch.setenv("SEQCLI_EMBEDDING", "10")
    monkeypatch.setenv("SEQCLI_SEED", "10")
    result = cli("classify", data, "--config", "c.toml", "--epochs", 1, "--seed", 11, "--out", "m")
    assert result.status == 0, result.err
    found = settings()
    chosen = (found["hidden"], found["embedding"], found["seed"], found["layers"])
    assert chosen == (9, 10, 11, CONFIGS["classify"]().network.layers)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.toml", "hiden = 9\n", "unknown setting 'hiden'"),
        ("c.toml", "pool = 'last'\nbptt = 0\n", "--bptt is 0; it must be at least 1"),
        ("c.toml", "hidden = 'nine'\n", "--hidden is 'nine'; it must be of type int"),
        ("c.toml", "hidden = true\n", "--hidden is True"),
        ("c.toml", "hidden = [1\n", "does not parse"),
        ("c.json", "[1]", "must hold settings by name"),
        ("c.json", "{", "does not parse"),
        ("c.json", "{1: 2}", "does not parse"),
        ("c.yaml", "a: [", "does not parse"),
        ("c.yaml", "1: 2", "unknown setting"),
        ("c.ini", "hidden = 9\n", "must end in .toml, .yaml or .json"),
        ("gone.toml", None, "No such file"),
    ],
)
def test_bad_configuration_file(cli: Cli, name: str, content: str | None, said: str) -> None:
    if content is not None:
        Path(name).write_text(content)
    result = cli("classify", "--config", name)
    assert result.status == 2
    assert len(result.err.splitlines()) == 1
    assert said in result.err
    assert not Path("runs").exists()


# --------------------------------------------------------------------------------------- --out


def test_default_folder_is_numbered(cli: Cli, data: Path) -> None:
    for _ in range(3):
        assert cli("classify", data, "--cell", "rnn", *SMALL).status == 0
    assert cli("classify", data, "--cell", "lstm", *SMALL).status == 0
    names = sorted(path.name for path in Path("runs").iterdir())
    assert names == ["classify-lstm", "classify-rnn", "classify-rnn-2", "classify-rnn-3"]


def test_commands_that_begin_together_have_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with new_folder(None, "lm-gru") as one, new_folder(None, "lm-gru") as other:
        assert (one, other) == (Path("runs/lm-gru"), Path("runs/lm-gru-2"))
        (other / "config.json").touch()
    assert [path.name for path in Path("runs").iterdir()] == ["lm-gru-2"]


@pytest.mark.parametrize(
    "words", [("classify",), ("classify", "--seeds", 2), ("sweep", "classify", "--trials", 2)]
)
@pytest.mark.parametrize("out", [(), ("--out", "m")])
def test_a_training_that_cannot_begin_leaves_nothing(
    cli: Cli, words: tuple[object, ...], out: tuple[str, ...]
) -> None:
    result = cli(*words, "gone.csv", *out)
    assert (result.status, result.errors) == (1, ["error: no such file or folder: gone.csv"])
    assert "trial" not in result.err
    assert not list(Path().iterdir())


def test_out_is_never_overwritten(cli: Cli, data: Path) -> None:
    Path("m").mkdir()
    Path("m/mine.txt").write_text("keep")
    result = cli("classify", data, "--out", "m", *SMALL)
    assert result.status == 1
    assert "exists and is not empty" in result.err
    assert [path.name for path in Path("m").iterdir()] == ["mine.txt"]


def test_progress_is_on_stderr_only(cli: Cli, data: Path) -> None:
    result = cli("classify", data, "--out", "m", "--json", "--epochs", 2, *TINY)
    assert len(result.lines) == 1
    epochs = [line for line in result.err.splitlines() if line.startswith("epoch")]
    assert len(epochs) == 2
    assert all("tokens/s" in line and "accuracy" in line for line in epochs)


@pytest.mark.parametrize("cell", ["rnn", "jordan", "lstm", "gru", "mingru", "minlstm"])
def test_every_cell_trains_and_predicts(cli: Cli, data: Path, cell: str) -> None:
    options: tuple[Any, ...] = ("--layers", 2, "--pool", "attention", "--bptt", 4)
    if cell in ("rnn", "jordan"):
        options += ("--nonlinearity", "relu")
    result = cli("classify", data, "--cell", cell, "--out", "m", *options, *SMALL)
    assert result.status == 0, result.err
    Path("lines.txt").write_text("go to rome\n\nstay in oslo\n")
    answers = cli("predict", "m", "lines.txt")
    assert (answers.status, len(answers.lines)) == (0, 3)
    assert set(answers.lines) <= {"go", "stay"}
