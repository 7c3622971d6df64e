"""Files that are whole at every moment: written beside, made durable, then put in place.

A process that is killed leaves the file as it was before or as it should be, and nothing between.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from seqcli.errors import SeqcliError

SUM = "crc32"
"""The name of the check sum among the strings about tensors."""


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside this one, which then takes its place. Raises SeqcliError where
    it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            temporary.touch()
            usual = temporary.stat().st_mode
            write(temporary)
            if temporary.stat().st_mode != usual:  # safetensors makes files that only we can read
                temporary.chmod(usual)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path: Path, content: Any, *, indent: int | None = 2) -> None:
    """Write JSON with a newline at its end."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=indent) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes."""
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, metadata: dict[str, str] | None = None
) -> None:
    """Write tensors of any device, and strings about them, as safetensors with a check sum."""
    copies = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    marked = {**(metadata or {}), SUM: _sum(copies)}
    write_whole(path, lambda temporary: save_file(copies, temporary, metadata=marked))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and the strings about them. Raises OSError, and SafetensorError where
    it is damaged; a file that another program wrote may lack the check sum."""
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
    tensors = load_file(path)
    if metadata.pop(SUM, None) not in (None, _sum(tensors)):
        raise SafetensorError("its numbers are not those that were written")
    return tensors, metadata


def _sum(tensors: Mapping[str, Tensor]) -> str:
    """The CRC-32 of all tensors, in the order of their names."""
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Add a line to a file of JSON Lines; one that a crash cuts short is dropped by `cut_lines`."""
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def cut_lines(path: Path, epoch: int) -> None:
    """Drop `epoch` and later ones from JSON Lines: a resumed training writes them again. So goes
    a last line that a crash left unfinished."""
    kept = []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        for line in path.read_text(encoding="utf-8").splitlines():
            if json.loads(line)["epoch"] < epoch:
                kept.append(f"{line}\n")
    write_text(path, "".join(kept))


def make_folder(folder: Path) -> None:
    """Make a folder and its parents if they do not exist. Raises SeqcliError if that fails."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def check_folder(folder: Path) -> None:
    """Raise SeqcliError, before any work is done, where a folder cannot be made or written to."""
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        reason = "may not be written to" if place.is_dir() else "is a file"
        raise SeqcliError(f"cannot write {folder}: {place} {reason}; choose another --out")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder for this process while the block lasts. It is free again however the process
    ends. Raises SeqcliError where another has it."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SeqcliError(
                f"another training is at work in {folder}; wait for it, or choose another --out"
            ) from None
        except OSError:  # nor have some file systems
            pass
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make a folder, unless it exists and is empty, and keep it as `locked` does. What is made and
    left empty is removed. Raises SeqcliError where another training has or had it meanwhile."""
    made = not folder.exists()
    make_folder(folder)
    with locked(folder):
        if any(folder.iterdir()):
            raise SeqcliError(f"another training began in {folder} meanwhile; choose another --out")
        try:
            yield
        finally:
            if made:
                remove_empty(folder)


def remove_empty(*folders: Path) -> None:
    """Remove these folders, in order, up to the first that holds something."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write in the block into a SeqcliError with the path and the reason."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SeqcliError(
            f"cannot write {path}: {reason}; what was saved before is intact"
        ) from None
