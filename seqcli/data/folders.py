"""Texts that are files of their own, in folders called by their labels: train/pos/12.txt."""

from __future__ import annotations

from pathlib import Path

from seqcli.data.files import read_any_text
from seqcli.data.names import find_split
from seqcli.data.tables import Columns, Table
from seqcli.errors import SeqcliError

UNLABELLED = {"unsup", "unlabeled", "unlabelled"}


def find_labelled(folder: Path) -> dict[str, Path]:
    """The folder of each split, itself as train where it has none; those only that hold two
    labels or more, else nothing. A label may be called as a split is, if not all are."""
    inside = [(find_split(one.name)[0], one) for one in _list_folders(folder)]
    splits = {split: one for split, one in inside if split and len(list_labels(one)) > 1}
    if not splits and not all(split for split, _ in inside) and len(list_labels(folder)) > 1:
        return {"train": folder}
    return splits


def list_labels(folder: Path) -> dict[str, list[Path]]:
    """The text files of each label, in order."""
    found = {one.name: _list_texts(one) for one in _list_folders(folder)}
    return {label: paths for label, paths in found.items() if paths and label not in UNLABELLED}


def read_labelled(folder: Path) -> Table:
    """A row a file: columns `text` and `label`. A file that is empty has no text."""
    labels = list_labels(folder)
    made = {"text": _read_texts, "label": _repeat_labels}
    columns = Columns(list(made), lambda name: made[name](labels))
    return Table(f"{folder.name}/", columns, classes=frozenset({"label"}))


def _list_folders(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir() and one.name[0] != ".")


def _list_texts(folder: Path) -> list[Path]:
    """Files that end in .txt, or are called by a number, as the messages of 20 Newsgroups."""
    return sorted(
        one
        for one in folder.iterdir()
        if one.name[0] != "." and (one.suffix == ".txt" or one.name.isdecimal())
    )


def _read_texts(labels: dict[str, list[Path]]) -> list[str]:
    return [_read(path) for paths in labels.values() for path in paths]


def _repeat_labels(labels: dict[str, list[Path]]) -> list[str]:
    return [label for label, paths in labels.items() for _ in paths]


def _read(path: Path) -> str:
    try:
        return read_any_text(path)
    except SeqcliError as error:
        raise SeqcliError(f"{path.parent}: {error}") from None
