"""Tiny data and tiny models, and the real command line run in this process or in another."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TASKS = ("classify", "tag", "translate", "lm")
TINY = ("--hidden", "8", "--embedding", "8", "--threads", "1")
CITIES = ("paris", "rome", "oslo", "lima", "cairo", "delhi")
SPLITS = {"train": 40, "validation": 8, "test": 8}


class Result(NamedTuple):
    """What a command line left behind."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stdout; a last one without a newline counts."""
        return self.out.removesuffix("\n").split("\n") if self.out else []

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error:")]


def make_rows(count: int, *, seed: int) -> list[dict[str, Any]]:
    """Rows that serve all tasks: wishes to go somewhere or to stay there."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        city, day = draw.choice(CITIES), str(draw.randint(1, 28))
        go = draw.random() < 0.5
        words = ["go" if go else "stay", "to" if go else "in", city, "on", "day", day]
        tags = ["O", "O", "B-City", "O", "B-Date", "I-Date"]
        rows.append(
            {
                "text": " ".join(words),
                "label": "go" if go else "stay",
                "tokens": words,
                "tags": tags,
                "source": " ".join(words[:3]),
                "target": f"{city} {'aller' if go else 'rester'}",
            }
        )
    return rows


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl, validation.jsonl and test.jsonl for every task."""
    folder = tmp_path_factory.mktemp("data")
    for number, (split, count) in enumerate(SPLITS.items()):
        write_jsonl(folder / f"{split}.jsonl", make_rows(count, seed=number))
    return folder


class Quiet:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.found: dict[str, str] = {}
        self.events: list[Any] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def facts(self, facts: dict[str, str]) -> None:
        self.found = facts

    def event(self, event: Any) -> None:
        self.events.append(event)


def tiny(task: str, data: Path | None, **settings: Any) -> Any:
    """A configuration of a task that trains in a moment."""
    from seqcli.config import make_config

    return make_config(task, give(task, data, **settings))


def give(task: str, data: Path | None, **settings: Any) -> dict[str, Any]:
    """Settings of a task with which it trains in a moment."""
    small = {"hidden": 8, "embedding": 8, "epochs": 1, "threads": 1}
    if task == "lm":
        small |= {"streams": 4, "bptt": 8}
    else:
        small |= {"batch_tokens": 40}
    where = {} if data is None else {"data": str(data)}
    return {**small, **where, **settings}


def train_in_parts(config: Any, folder: Path, *, between: Callable[[], Any] = lambda: None) -> None:
    """Train a model in one go into `whole` of a folder, and with an interruption after two steps
    into `parts`; what both leave must be the same to the bit. between: done before it goes on."""
    from seqcli import bundle, run

    run.train(config, folder / "whole", Quiet())
    asked = itertools.chain([0, 15], itertools.repeat(0))
    with pytest.raises(run.Interrupted):
        run.train(config, folder / "parts", Quiet(), stop=asked.__next__)
    between()
    run.resume(folder / "parts", Quiet())
    for name in (bundle.WEIGHTS, "metrics.json"):
        assert (folder / "parts" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    cards = [(folder / name / "README.md").read_text("utf-8") for name in ("whole", "parts")]
    assert cards[0].replace("whole", "parts") == cards[1]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Callable[[str], Path]:
    """The folder of a tiny trained model of a task; each is trained once."""
    made: dict[str, Path] = {}

    def get(task: str) -> Path:
        if task not in made:
            from seqcli import run

            made[task] = tmp_path_factory.mktemp("models") / task
            run.train(tiny(task, data), made[task], Quiet())
        return made[task]

    return get


@pytest.fixture
def cli(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run the command line in this process, in an empty folder."""
    from seqcli.cli.app import run

    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("SEQCLI_"):
            monkeypatch.delenv(name)

    def call(*arguments: Any) -> Result:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(status, out, err)

    return call


def command(*arguments: Any) -> list[str]:
    """The command line of another process."""
    return [sys.executable, "-m", "seqcli", *map(str, arguments)]


def spawn(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command line in another process, with pipes."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command(*arguments), **{"stdin": pipe, "stdout": pipe, "stderr": pipe, **options}
    )


def call(*arguments: Any, given: bytes = b"", **options: Any) -> Result:
    """Run the command line in another process to its end."""
    done = subprocess.run(
        command(*arguments), input=given, capture_output=True, timeout=120, **options
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(params=("baseline", "avx2", "avx512", "avx512bf16"))
def instruction_set(request, monkeypatch):
    """Run a test with the native kernels of one instruction set."""
    from seqcli.nn.native import library

    best = library.load().instruction_set
    try:
        chosen = library.Library(library.PATH, request.param)
    except library.Unavailable as error:
        pytest.skip(str(error))
    monkeypatch.setattr(library, "load", lambda: chosen)
    yield request.param
    library.Library(library.PATH, best)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small products: handing them to another thread takes longer than to compute them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names must be the same in each process, or tests cannot be shared out among several."""
    strange = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if strange:
        raise pytest.UsageError(f"give an id to the parameters of {strange[0]}")
