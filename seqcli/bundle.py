"""A model folder: written as whole files, read with suspicion.

    config.json        task, version, the columns that were read, why the tokens are what they
                       are, and every setting
    tokenizer.json …   the codec, as its task names the files
    model.safetensors  weights of the best epoch
    metrics.json       scores with their signatures
    history.jsonl      one line an epoch
    README.md          model card
    checkpoint/        state.safetensors: weights, optimiser, carried state, random numbers and
                       position of an unfinished training

No pickle: tensors are safetensors, everything else JSON.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from safetensors import SafetensorError
from torch import Tensor, nn

from seqcli import __version__
from seqcli.config import CONFIGS, drop_useless, flatten, make_config
from seqcli.errors import SeqcliError, UsageError
from seqcli.nn.ensemble import Ensemble
from seqcli.nn.translator import Translator
from seqcli.storage import (
    append_line,
    make_folder,
    read_tensors,
    write_json,
    write_tensors,
    write_whole,
)
from seqcli.tasks import TASKS

WEIGHTS = "model.safetensors"
CHECKPOINT = Path("checkpoint") / "state.safetensors"
METRICS = "metrics.json"
HISTORY = "history.jsonl"
LARGEST_JSON = 512 * 2**20
"""Bytes of a JSON file that are read: more is no file of ours."""
CODEC_FILES = (
    "tokenizer.json",
    "characters.json",
    "source.json",
    "target.json",
    "labels.json",
    "ngrams.json",
    "condition.json",
    "calibration.json",
)


class Bundle(NamedTuple):
    """A loaded model: its task with the codec, and the network in eval mode."""

    task: Any
    model: nn.Module
    folder: Path


def create(folder: Path, task: Any) -> None:
    """Create a model folder with configuration and codec. Raises SeqcliError if that fails."""
    make_folder(folder)
    config = {
        "task": task.name,
        "version": __version__,
        "columns": task.columns,
        "reasons": task.reasons,
        "settings": flatten(task.config),
    }
    write_json(folder / "config.json", config)
    save_codec(folder, task)


def save_codec(folder: Path, task: Any) -> None:
    """Write the codec, with what was chosen on validation."""
    for name, content in task.files().items():
        write_json(folder / name, content, indent=None)


def save_weights(folder: Path, model: nn.Module) -> None:
    """Write the weights, atomically."""
    write_tensors(folder / WEIGHTS, model.state_dict())


def load(folder: Path, *, task_name: str | None = None) -> Bundle:
    """The model of a folder, ready to predict on the CPU.

    Raises SeqcliError where the folder is no model, is corrupt, or holds a model of a task other
    than `task_name`.
    """
    task = load_task(folder, task_name=task_name)
    model = task.build()
    load_weights(folder, model)
    return Bundle(task, model.eval().requires_grad_(False), folder)


def load_together(folder: Path, others: Sequence[Path]) -> Bundle:
    """The model of a folder, or an ensemble of it and other models of translate. Raises UsageError
    if their vocabularies differ."""
    first = load(folder)
    if not others:
        return first
    if first.task.name != "translate":
        raise UsageError(f"--with is for models of translate, and {folder} is of {first.task.name}")
    models = [first.model]
    for other in others:
        one = load(other, task_name="translate")
        if one.task.files() != first.task.files():
            raise UsageError(
                f"{other} and {folder} have different vocabularies; train both on the same rows "
                f"with the same token settings, for example with two values of --seed"
            )
        models.append(one.model)
    return Bundle(first.task, Ensemble(cast(list[Translator], models)).eval(), folder)


def load_task(folder: Path, *, task_name: str | None = None) -> Any:
    """The task of a model folder with its configuration and codec, without weights."""
    if folder.is_file():
        raise SeqcliError(f"{folder} is a file; name the model folder it lies in")
    if not folder.is_dir():
        raise SeqcliError(f"no model folder at {folder}; train one first, or check the path")
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("settings"), dict):
        raise SeqcliError(f"{folder}/config.json is not a model's configuration")
    name = config.get("task")
    if not isinstance(name, str) or name not in CONFIGS:
        raise SeqcliError(f"{folder} holds a model of an unknown task {name!r}")
    if task_name is not None and name != task_name:
        raise UsageError(f"{folder} holds a model of task {name}, and this needs {task_name}")
    try:
        settings = make_config(name, drop_useless(name, config["settings"]))
    except UsageError as error:
        raise SeqcliError(
            f"{folder} was made by seqcli {config.get('version')} and does not fit "
            f"{__version__}: {error}"
        ) from None
    files = {file: read_json(folder / file) for file in CODEC_FILES if (folder / file).is_file()}
    columns, reasons = config.get("columns", {}), config.get("reasons", [])
    if not (isinstance(columns, dict) and isinstance(reasons, list)) or not all(
        isinstance(one, str) for one in (*columns.values(), *reasons)
    ):
        raise SeqcliError(f"{folder}/config.json is not a model's configuration")
    try:
        task = TASKS[name].restore(settings, files)
        task.columns, task.reasons = columns, reasons
        return task
    except KeyError as error:
        raise SeqcliError(
            f"{folder} lacks {error.args[0]}; copy or train the model again"
        ) from None


def load_weights(folder: Path, model: nn.Module) -> None:
    """Read the weights into a network of the right shape. Raises SeqcliError where they differ."""
    path = folder / WEIGHTS
    if path.is_symlink():
        raise SeqcliError(f"{path} is a link; a model folder holds plain files only, copy it there")
    if not path.is_file():
        raise SeqcliError(f"{folder} has no weights yet ({WEIGHTS}); let its training finish")
    try:
        path.open("rb").close()  # safetensors would say of any such file that it is not there
        model.load_state_dict(read_tensors(path)[0])
    except PermissionError as error:
        raise SeqcliError(f"cannot read {path}: {error.strerror}") from None
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SeqcliError(
            f"{path} is corrupt or of another network ({reason}); copy or train the model again"
        ) from None


def copy(source: Path, target: Path) -> None:
    """Copy a finished model into another folder, the configuration last: without it the folder is
    no model yet."""
    names = [path.name for path in source.iterdir() if path.is_file() and path.suffix != ".tmp"]
    for name in sorted(names, key=lambda name: name == "config.json"):
        write_whole(target / name, functools.partial(shutil.copyfile, source / name))


# ------------------------------------------------------------------------------------ checkpoints


def save_checkpoint(folder: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write a training's state into one file, atomically."""
    path = folder / CHECKPOINT
    make_folder(path.parent)
    write_tensors(path, tensors, metadata={"facts": json.dumps(facts)})


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_checkpoint` wrote. Raises SeqcliError if it is missing or corrupt."""
    path = folder / CHECKPOINT
    if not path.is_file():
        if (folder / METRICS).is_file():
            raise SeqcliError(f"nothing to resume in {folder}: its training is finished")
        raise SeqcliError(
            f"nothing to resume in {folder}: it stopped before its first checkpoint; start it anew"
        )
    try:
        tensors, metadata = read_tensors(path)
        return tensors, json.loads(metadata["facts"])
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise SeqcliError(f"{path} is corrupt ({error}); start the training anew") from None


def remove_checkpoint(folder: Path) -> None:
    """Remove the state of a finished training."""
    with contextlib.suppress(OSError):
        (folder / CHECKPOINT).unlink()
        (folder / CHECKPOINT).parent.rmdir()


# ------------------------------------------------------------------------- a text that is written


def save_writing(path: Path, folder: Path, tensors: dict[str, Tensor]) -> None:
    """Write the state of a text that the model in `folder` is writing."""
    write_tensors(path, tensors, metadata={"model": _digest(folder)})


def load_writing(path: Path, folder: Path) -> dict[str, Tensor]:
    """What `save_writing` wrote. Raises SeqcliError where that was with another model, or the file
    is no such file."""
    try:
        tensors, metadata = read_tensors(path)
        model = metadata["model"]
    except (SafetensorError, OSError, KeyError):
        raise SeqcliError(
            f"--state {path} is not a state that generate saved; name another file"
        ) from None
    if model != _digest(folder):
        raise SeqcliError(
            f"--state {path} was saved with another model than {folder}; use that model, or name "
            "another file"
        )
    return tensors


def _digest(folder: Path) -> str:
    """The digest that ties a state to its weights."""
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


# ------------------------------------------------------------------------------- history and JSON


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The lines of history.jsonl. Raises SeqcliError where they are missing or broken."""
    path = folder / HISTORY
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise SeqcliError(
            f"{path} is missing or corrupt ({error}); train the model again"
        ) from None


def best_epoch(folder: Path) -> int:
    """The epoch whose weights the folder holds. Raises SeqcliError without a history."""
    try:
        return [line["epoch"] for line in read_history(folder) if line["best"]][-1]
    except (IndexError, KeyError, TypeError):
        raise SeqcliError(f"{folder / HISTORY} is corrupt; train the model again") from None


def read_scores(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The scores of a finished model and of the baselines, by split. Raises SeqcliError where they
    are missing or broken."""
    match read_json(folder / METRICS):
        case {"scores": dict(scores), "baselines": dict(baselines)} if all(
            isinstance(one, dict) for one in (*scores.values(), *baselines.values())
        ):
            return scores, baselines
    raise SeqcliError(f"{folder / METRICS} is corrupt; copy or train the model again")


def append_history(folder: Path, line: dict[str, Any]) -> None:
    """Add one epoch to history.jsonl."""
    append_line(folder / HISTORY, line)


def read_json(path: Path) -> Any:
    """JSON of a model folder. Raises SeqcliError for a missing, linked, huge or broken file."""
    if not path.is_file():
        raise SeqcliError(f"{path.parent} is not a model folder: it has no {path.name}")
    if path.is_symlink() or path.stat().st_size > LARGEST_JSON:
        raise SeqcliError(f"{path} is a link or too large; a model folder holds plain files only")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise SeqcliError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, OSError) as error:
        raise SeqcliError(f"{path} is corrupt ({error}); copy or train the model again") from None
