"""Help: of every command and option, quick, and without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from conftest import Result

from seqcli import __version__
from seqcli.cli.app import app
from seqcli.config import list_settings


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, found in getattr(command, "commands", {}).items():
        yield from walk(found, (*path, name))


COMMANDS = dict(walk(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(
    cli: Callable[..., Result], path: tuple[str, ...], option: str
) -> None:
    result = cli(*path, option)
    assert result.status == 0
    assert " ".join(("Usage: seqcli", *path)) in result.out
    assert not result.err


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_has_help_text(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    lacking = [
        item.name for item in command.params if not (getattr(item, "help", "") or "").strip()
    ]
    assert lacking == []


@pytest.mark.parametrize("task", ["classify", "tag", "translate", "lm"])
def test_every_setting_is_an_option(task: str) -> None:
    options = {item.name for item in COMMANDS[(task,)].params}
    assert {item.name for item in list_settings(task)} <= options


@pytest.mark.parametrize("name", ["predict", "evaluate", "generate", "inspect", "compare", "bench"])
def test_whatever_computes_takes_threads(name: str) -> None:
    assert "threads" in {option.name for option in COMMANDS[(name,)].params}


def test_usual_names_of_the_design_exist() -> None:
    names = {" ".join(path) for path in COMMANDS}
    assert {"classify", "tag", "translate", "lm"} <= names
    assert {"predict", "generate", "evaluate", "export", "info", "cells"} <= names


HEAVY = ["torch", "datasets", "numpy", "tokenizers", "safetensors", "sacrebleu", "pandas"]


@pytest.mark.parametrize("arguments", [["--help"], ["classify", "--help"], ["predict", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys, json; from seqcli.cli.app import run; status = run(sys.argv[1:]);"
        f"print(json.dumps([status, [n for n in {HEAVY} if n in sys.modules]]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stderr) == [0, []]


def test_version(cli: Callable[..., Result]) -> None:
    result = cli("--version")
    assert (result.status, result.out) == (0, f"seqcli {__version__}\n")


def test_nothing_asked_shows_help(cli: Callable[..., Result]) -> None:
    result = cli()
    assert result.status == 2
    assert "Usage: seqcli" in result.out + result.err
    assert not result.errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clasify"], "Did you mean 'classify'?"),
        (["classify", "--hiden", "3"], "--hidden"),
        (["classify", "--hidden", "many"], "'--hidden'"),
        (["classify", "--hidden", "0"], "'--hidden'"),
        (["classify", "--cell", "grue"], "'lstm', 'gru'"),
        (["classify", "--learning-rate", "nan"], "--learning-rate is nan; it must be finite"),
        (["classify", "--learning-rate", "0"], "--learning-rate is 0.0; it must be above 0"),
        (["classify", "one", "two"], "two"),
        (["lm", "--cell", "bilstm"], "--cell lstm"),
        (["tag", "--pool", "max"], "--pool"),
        (["predict"], "MODEL"),
        (["info"], "give a model folder or --system"),
        (["generate", "x", "--top-p", "0"], "--top-p is 0.0"),
        (["generate", "x", "--temperature", "inf"], "'--temperature': Input should be"),
    ],
)
def test_wrong_usage_is_one_line(
    cli: Callable[..., Result], arguments: list[str], said: str
) -> None:
    result = cli(*arguments)
    assert result.status == 2
    assert result.out == ""
    assert len(result.err.splitlines()) == len(result.errors) == 1
    assert said in result.err
