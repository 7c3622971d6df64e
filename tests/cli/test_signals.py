"""Ctrl-C, SIGTERM and SIGHUP in a real process: finish the step, save, say how to go on."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import TINY, Quiet, call, make_rows, spawn, tiny, write_jsonl

from seqcli import bundle, run
from seqcli.cli import train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of an uninterrupted training, beside its data."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_jsonl(folder / "train.jsonl", make_rows(600, seed=1))
    config = tiny("lm", data, streams=2, bptt=4, epochs=2, checkpoint_every=0)
    run.train(config, folder / "m", Quiet())
    return folder / "m"


def listen() -> None:
    """Hear signals that a shell makes its background jobs deaf to, and so these tests."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signal_saves_and_resume_goes_on(
    tmp_path: Path, whole: Path, number: int, status: int
) -> None:
    folder = tmp_path / "parts"
    options = ("--streams", 2, "--bptt", 4, "--epochs", 2, "--checkpoint-every", 0, *TINY)
    process = spawn(
        "lm",
        whole.parent / "train.jsonl",
        "--out",
        folder,
        *options,
        stdin=subprocess.DEVNULL,
        preexec_fn=listen,
    )
    while not (folder / "tokenizer.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, b""), err
    last = err.decode().splitlines()[-1]
    assert last == f"saved; go on with: seqcli lm --resume {folder}"
    _, facts = bundle.load_checkpoint(folder)
    assert facts["position"]["position"] > 0  # in mid-epoch
    result = call(*shlex.split(last.split("seqcli ", 1)[1]), "--json")
    assert result.status == 0, result.err
    assert json.loads(result.out)["best_epoch"] == 2
    for name in (bundle.WEIGHTS, "metrics.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_what_is_ignored_stays_so() -> None:
    """As `nohup` wants it of SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with train._signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop() == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_of_another_kind_acts_at_once() -> None:
    before = signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with train._signals() as stop:
            signal.raise_signal(signal.SIGTERM)
            assert stop() == signal.SIGTERM
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_who_waits_is_told_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "SOON", 0.05)
    for waits in (True, False):
        with train._signals() as stop:
            assert stop() == 0
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3 if waits else 0)
            assert stop() == signal.SIGTERM
        assert (train.STOPPING in capsys.readouterr().err) == waits
