"""Where the bundled sample lies."""

from __future__ import annotations

from pathlib import Path

from seqcli.errors import SeqcliError


def sample_folder() -> Path:
    """The folder of the bundled sample: inside an installed package, or `data/` of a checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "sample", here.parents[1] / "data"):
        if (folder / "train.jsonl").is_file():
            return folder
    raise SeqcliError("the bundled sample is missing from this installation; reinstall seqcli")
