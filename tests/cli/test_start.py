"""How the program starts, before it knows what is asked of it."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable

import pytest
from conftest import Result, call

from seqcli import __main__ as program
from seqcli.errors import SeqcliError


def test_ctrl_c_while_modules_are_read_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        """A finder of modules that is interrupted."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "seqcli.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "seqcli.cli.app", raising=False)
    monkeypatch.delattr(importlib.import_module("seqcli.cli"), "app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as left:
        program.main()
    assert left.value.code == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("told", [RecursionError, SeqcliError])
def test_ctrl_c_that_an_import_swallows_is_no_error(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, told: type[Exception]
) -> None:
    """As torch does where it loads numpy, which is left half loaded and fails later."""

    def load(*_: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise told("of what is half loaded")

    monkeypatch.setattr("seqcli.facts.of_system", load)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli("info", "--system") == Result(130, "", "error: interrupted\n")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_errors_are_seen_where_no_width_is_known() -> None:
    result = call("info", "gone", env={**os.environ, "COLUMNS": "0"})
    assert (result.status, len(result.errors)) == (1, 1)
