"""Whatever a user gives: one line that says what is wrong, exit 1 or 2, and nothing lost."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Result, make_rows

Cli = Callable[..., Result]
Models = Callable[[str], Path]


def refuse(result: Result, said: str, *, status: tuple[int, ...] = (1, 2)) -> None:
    """One error on one line, at the end of stderr, and no traceback; nothing on stdout."""
    assert result.status in status, result.err
    assert "Traceback" not in result.err
    assert "a bug in seqcli" not in result.err
    assert len(result.errors) == 1
    assert result.err.splitlines()[-1] == result.errors[0]
    assert said in result.errors[0]
    assert result.out == ""
    assert not Path("runs").exists()  # no model folder is begun with what cannot work


def write_csv(name: str, rows: list[list[str]]) -> None:
    with open(name, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


GOOD = [["text", "label"], *([row["text"], row["label"]] for row in make_rows(20, seed=1))]


@pytest.mark.parametrize("task", ["classify", "tag", "translate", "lm"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.csv", None, "gone.csv"),
        ("empty.csv", "", "is empty"),
        ("blank.csv", "\n\n\n", "is empty"),
        ("empty.txt", "", "is empty"),
        ("empty.jsonl", "", "is empty"),
        ("empty.conll", "", "is empty"),
        ("broken.jsonl", '{"text": "a"', "line 1"),
        ("list.jsonl", "[1, 2]\n", "row 1"),
        ("hollow.jsonl", "{}\n", "has no rows"),
        ("not.parquet", "PAR1 and no more", "not.parquet"),
    ],
)
def test_files_that_hold_nothing(
    cli: Cli, task: str, name: str, content: str | None, said: str
) -> None:
    if content is not None:
        Path(name).write_text(content)
    refuse(cli(task, name, *TINY), said)


def test_header_only(cli: Cli) -> None:
    write_csv("t.csv", GOOD[:1])
    refuse(cli("classify", "t.csv", *TINY), "has a header and no rows")


def test_wrong_column_names_those_that_exist(cli: Cli) -> None:
    write_csv("t.csv", GOOD)
    result = cli("classify", "t.csv", "--text-column", "body", *TINY)
    refuse(result, "no column 'body' (--text-column); its columns are 'text', 'label'", status=(2,))
    result = cli("classify", "t.csv", "--text-column", "text", "--label-column", "text", *TINY)
    refuse(result, "cannot be both", status=(2,))


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("t.jsonl", '{"text": {"a": 1}, "label": "x"}\n', "name a field of it, such as 'text.a'"),
        ("t.jsonl", '{"text": "a b", "label": {"x": 1}}\n', "row 1: column 'label' holds no label"),
        ("t.jsonl", '{"text": "a b", "label": [[0, 1, "x"]]}\n', "use seqcli tag"),
        ("t.jsonl", '{"data": {"text": "a"}, "annotations": []}\n', "export as JSON-MIN"),
        ("emo.txt", "it is good;joy\n", "must be called .csv"),
    ],
)
def test_rows_without_texts_and_labels(cli: Cli, name: str, row: str, said: str) -> None:
    Path(name).write_text(row * 20)
    refuse(cli("classify", name, *TINY), said)


def test_labels_that_say_neither_yes_nor_no(cli: Cli) -> None:
    rows = [[text, "1", "0"] for text, _ in GOOD[1:]]
    write_csv("t.csv", [["text", "good", "bad"], *rows, ["so it goes", "2", "0"]])
    result = cli("classify", "t.csv", "--label-column", "good,bad", *TINY)
    refuse(result, f"row {len(rows) + 1}: '2' in column 'good' says neither yes nor no")


def test_single_class(cli: Cli) -> None:
    write_csv("t.csv", [GOOD[0], *([text, "go"] for text, _ in GOOD[1:])])
    refuse(cli("classify", "t.csv", *TINY), "every row has the label 'go'")


def test_single_tag(cli: Cli) -> None:
    Path("t.conll").write_text("go\tO\nto\tO\n\nstay\tO\n\n" * 20)
    refuse(cli("tag", "t.conll", *TINY), "tag 'O'")


def test_ragged_csv(cli: Cli) -> None:
    write_csv("t.csv", [*GOOD[:5], ["one", "two", "three"], *GOOD[5:]])
    refuse(cli("classify", "t.csv", *TINY), "line 6 has 3")
    Path("t.tsv").write_text("text\tlabel\na\tb\nc\n")
    refuse(cli("classify", "t.tsv", *TINY), "line 3 has 1")


def test_unequal_parallel_files(cli: Cli) -> None:
    Path("t.en").write_text("one\ntwo\nthree\n")
    Path("t.de").write_text("eins\nzwei\n")
    refuse(cli("translate", "t.en,t.de", *TINY), "t.en has 3 lines, t.de has 2 lines")


def test_unequal_tokens_and_tags(cli: Cli) -> None:
    rows = [{"tokens": ["a", "b"], "tags": ["O"]}]
    Path("t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 4))
    refuse(cli("tag", "t.jsonl", *TINY), "row 1 has 2 tokens and 1 tags")


@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.jsonl", "t.tsv", "t.conll"])
def test_invalid_utf8_names_its_line(cli: Cli, name: str) -> None:
    Path(name).write_bytes(b"text,label\ngood,x\nbad \xff,y\n")
    task = "tag" if name.endswith("conll") else "lm"
    refuse(cli(task, name, *TINY), "not UTF-8 (line 3)")


def test_invalid_utf8_in_a_test_file(cli: Cli) -> None:
    write_csv("t.csv", GOOD)
    Path("test.csv").write_bytes(b"text,label\n\xff,go\n")
    refuse(cli("classify", "t.csv", "--test", "test.csv", *TINY), "test.csv is not UTF-8 (line 2)")


def test_line_of_a_megabyte(cli: Cli) -> None:
    """Long rows are no error: they are trained on like others."""
    write_csv("long.csv", [*GOOD, ["go to rome " * 95_325, "go"]])
    write_csv("t.csv", GOOD)
    files = ("--train", "long.csv", "--validation", "t.csv")
    result = cli("classify", *files, "--epochs", 1, "--out", "m", *TINY)
    assert result.status == 0, result.err


@pytest.mark.parametrize(
    "words", [("classify", "r\udce9v.csv"), ("lm", "--out", "m\udce9"), ("info", "m\udce9")]
)
def test_names_that_are_not_utf8(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words)
    refuse(result, "\\xe9", status=(2,))
    assert "is not UTF-8" in result.err


def test_home_of_nobody(cli: Cli) -> None:
    refuse(cli("classify", "~nobody-of-that-name/x.csv", *TINY), "~nobody-of-that-name; write")


def test_hub_id_that_is_none(cli: Cli) -> None:
    refuse(cli("classify", "not a data set", *TINY), "no such file", status=(1, 2))
    refuse(cli("classify", "nothing_of_this_name", *TINY), "no such file or folder", status=(2,))


def test_unreachable_hub(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told within five seconds, with what to do: a server that takes the call and says nothing."""
    import huggingface_hub.constants as constants

    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", where)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        began = time.monotonic()
        result = cli("classify", "someone/something", *TINY)
        assert time.monotonic() - began < 5
    refuse(result, "cannot reach the Hub", status=(1,))
    assert "name a local file" in result.err


@pytest.mark.parametrize("verb", ["lm", "sweep"])
def test_a_folder_that_cannot_be_made_is_told_before_data_are_read(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    Path("notes").write_text("mine")
    words = ("lm", "gone.txt") if verb == "lm" else ("sweep", "lm", "gone.txt")
    for folder, said in (
        ("notes/m", "notes is a file"),
        ("shelf/new/m", "shelf may not be written to"),
    ):
        Path("shelf").mkdir(exist_ok=True)
        monkeypatch.setattr(os, "access", lambda path, mode: path.name != "shelf")
        refuse(cli(*words, "--out", folder), said, status=(1,))


def test_device_that_is_not_there(cli: Cli, data: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    refuse(cli("classify", data, "--device", "cuda", *TINY), "use --device cpu", status=(2,))


@pytest.mark.parametrize("command", ["predict", "evaluate", "generate", "info"])
def test_model_folder_that_is_none(cli: Cli, data: Path, command: str) -> None:
    refuse(cli(command, "gone"), "no model folder at gone")
    refuse(cli(command, data), "is not a model folder")
    refuse(cli(command, data / "train.jsonl"), "is a file")


@pytest.mark.parametrize("command", ["predict", "evaluate", "generate", "info"])
def test_corrupt_model(cli: Cli, models: Models, command: str) -> None:
    shutil.copytree(models("lm"), "m")
    weights = Path("m/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    refuse(cli(command, "m"), "corrupt", status=(1,))
    Path("m/config.json").write_text("{")
    refuse(cli(command, "m"), "config.json is corrupt", status=(1,))


@pytest.mark.parametrize(
    "content", ["null", "[]", "{}", '{"scores": [], "baselines": {}}', '{"scores": {"test": 1}}']
)
def test_scores_of_another_shape(cli: Cli, models: Models, content: str) -> None:
    shutil.copytree(models("classify"), "m")
    Path("m/metrics.json").write_text(content)
    refuse(cli("info", "m"), "metrics.json is corrupt; copy or train the model again", status=(1,))


def test_model_of_another_task(cli: Cli, models: Models, data: Path) -> None:
    said = "holds a model of task classify, and this needs lm"
    refuse(cli("generate", models("classify")), said, status=(2,))
    said = "holds a model of task classify, and this needs tag"
    refuse(cli("tag", "--resume", models("classify")), said, status=(2,))
    result = cli("evaluate", models("lm"), data, "--label-column", "label")
    refuse(result, "--label-column has no meaning for a model of lm", status=(2,))
    refuse(cli("evaluate", models("lm"), "--beam", "2"), "--beam is for models of translate")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("lm", "DATA", "--train", "train[%:50%]"), "no file matches train[%:50%]"),
        (("lm", "DATA", "--train", "train[-:5]"), "no file matches train[-:5]"),
        (("lm", "DATA", "--seed", 10**22), "'--seed'"),
        (("generate", "MODEL", "--seed", 10**22), "'--seed'"),
        (("generate", "MODEL", "--temperature", "1e300"), "'--temperature'"),
        (("predict", "MODEL", "--length-penalty", "500"), "'--length-penalty'"),
        (("predict", "MODEL", "--coverage-penalty", "inf"), "'--coverage-penalty'"),
        (("classify", "DATA", "--cell", "bilstm", "--no-bidirectional"), "leave out --no-bidirec"),
    ],
)
def test_values_beyond_sense(
    cli: Cli, models: Models, data: Path, command: tuple[Any, ...], said: str
) -> None:
    words = {"DATA": data, "MODEL": models("lm")}
    refuse(cli(*(words.get(word, word) for word in command)), said)


def test_wrong_resume(
    cli: Cli, models: Models, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(cli("lm", "--resume", models("lm")), "its training is finished", status=(1,))
    refuse(cli("lm", "--resume", data), "is not a model folder", status=(1,))
    refuse(cli("lm", "--resume", "gone"), "no model folder at gone", status=(1,))
    refuse(cli("lm", data, "--resume", models("lm")), "give it alone", status=(2,))
    monkeypatch.setenv("SEQCLI_SEED", "3")  # no part of this command line
    refuse(cli("lm", "--resume", models("lm")), "its training is finished", status=(1,))


def test_evaluation_of_what_is_not_there(cli: Cli, models: Models, data: Path) -> None:
    refuse(cli("evaluate", models("lm"), "gone.txt"), "gone.txt")
    refuse(cli("evaluate", models("lm"), data, "--split", "night"), "night", status=(2,))
    Path("t.csv").write_text("a,b\n1,2\n")
    refuse(cli("evaluate", models("tag"), "t.csv"), "t.csv")


def test_divergence(cli: Cli, data: Path) -> None:
    options = ("--learning-rate", "1e38", "--clip", 0, "--out", "m", *TINY)
    result = cli("classify", data, *options)
    assert result.status == 1
    assert len(result.errors) == 1
    assert "diverged" in result.errors[0]
    assert "--learning-rate" in result.errors[0]
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("classify", "DATA"), "--batch-tokens, --hidden, --vocabulary-size or --limit"),
        (("lm", "DATA"), "--streams, --hidden, --vocabulary-size or --limit"),
        (("evaluate", "MODEL"), "use a smaller --limit"),
        (("predict", "MODEL"), "give it shorter lines"),
    ],
)
def test_advice_against_a_lack_of_memory_is_to_be_followed(
    cli: Cli, models: Models, data: Path, monkeypatch: pytest.MonkeyPatch, command: Any, said: str
) -> None:
    """It names options that the command has."""
    words = {"DATA": data, "MODEL": models("lm")}

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    for name in ("data.load._find", "bundle.load_task"):
        monkeypatch.setattr(f"seqcli.{name}", fail)
    refuse(cli(*(words.get(word, word) for word in command)), said, status=(1,))


def test_fault_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    """A fault of our own ends the same way, and says how to see more."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("seqcli.data.load._find", fail)
    result = cli("classify", data, *TINY)
    assert result.status == 1
    assert len(result.err.splitlines()) == 1
    assert "a bug in seqcli (ZeroDivisionError: on purpose)" in result.err
    monkeypatch.setenv("SEQCLI_DEBUG", "1")
    assert "Traceback" in cli("classify", data, *TINY).err
