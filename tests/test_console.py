"""What happens to notes and results that nobody can read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from seqcli.console import Notes
from seqcli.results import Results


def open_left() -> IO[str]:
    """A pipe whose reader has left."""
    there, here = os.pipe()
    os.close(there)
    return os.fdopen(here, "w")


def open_full() -> IO[str]:
    """A disk without room."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    return open("/dev/full", "w")


@pytest.mark.parametrize("open_bad", [open_left, open_full])
def test_the_work_goes_on_without_notes(open_bad: Callable[[], IO[str]]) -> None:
    with open_bad() as stream:
        notes = Notes(file=stream)
        notes.print("one")
        notes.print("two")


def test_results_without_a_reader_are_told_of() -> None:
    """By rich itself the program would end at once, with status 1."""
    stream = open_left()
    with pytest.raises(BrokenPipeError):
        Results(file=stream).print("one")
    with pytest.raises(BrokenPipeError):
        stream.close()
