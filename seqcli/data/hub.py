"""Data sets of the HuggingFace Hub."""

from __future__ import annotations

from seqcli.data.places import Found
from seqcli.errors import SeqcliError


def find(name: str, *, subset: str | None = None, revision: str | None = None) -> Found:
    raise SeqcliError(f"no such file or folder: {name}")
