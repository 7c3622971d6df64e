"""A model folder is read with suspicion and written whole or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TASKS, Quiet, Result, command, tiny
from safetensors.torch import load_file, save_file

from seqcli import bundle, run, storage
from seqcli.errors import SeqcliError

Cli = Callable[..., Result]
Models = Callable[[str], Path]


@pytest.fixture
def model(models: Models, tmp_path: Path) -> Path:
    """A copy of a model folder, to be damaged."""
    return Path(shutil.copytree(models("classify"), tmp_path / "model"))


def refuse(folder: Path, said: str) -> None:
    """Loading the folder fails with one line that says this."""
    with pytest.raises(SeqcliError) as caught:
        bundle.load(folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", TASKS)
def test_a_loaded_model_answers_as_the_trained_one(models: Models, task: str) -> None:
    first, second = bundle.load(models(task)), bundle.load(models(task), task_name=task)
    pairs = zip(first.model.state_dict().items(), second.model.state_dict().items(), strict=True)
    assert all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)
    assert not first.model.training
    # Saved once more, it is the same to the byte.
    copy = models(task).parent / f"copy-{task}"
    bundle.create(copy, first.task)
    bundle.save_weights(copy, first.model)
    for path in copy.iterdir():
        assert path.read_bytes() == (models(task) / path.name).read_bytes(), path.name


def test_places_that_are_no_model(tmp_path: Path, model: Path, data: Path) -> None:
    refuse(tmp_path / "gone", "no model folder at")
    refuse(model / "config.json", "is a file; name the model folder it lies in")
    refuse(data, "is not a model folder: it has no config.json")
    with pytest.raises(SeqcliError, match="holds a model of task classify, and this needs lm"):
        bundle.load(model, task_name="lm")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "labels.json", "ngrams.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "7", '"text"', "\xff", "{}", "null", "[[]]"])
def test_corrupt_json(model: Path, name: str, content: str) -> None:
    (model / name).write_bytes(content.encode("latin-1"))
    refuse(model, "")


@pytest.mark.parametrize("task", TASKS)
def test_missing_files(models: Models, tmp_path: Path, task: str) -> None:
    # Models of earlier versions have no calibration.json.
    known = {"README.md", "metrics.json", "history.jsonl", "calibration.json"}
    for path in sorted(models(task).iterdir()):
        if path.name in known:
            continue
        folder = Path(shutil.copytree(models(task), tmp_path / path.name))
        (folder / path.name).unlink()
        refuse(folder, path.name)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_links(model: Path, tmp_path: Path, name: str) -> None:
    moved = tmp_path / "elsewhere"
    (model / name).rename(moved)
    (model / name).symlink_to(moved)
    refuse(model, "is a link")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "parse"}, "unknown task 'parse'"),
        ({"task": ["lm"]}, "unknown task"),
        ({"settings": 5}, "is not a model's configuration"),
        ({"settings": {"hidden": 0}}, "--hidden is 0"),
        ({"settings": {"girth": 8}}, "unknown setting 'girth'"),
        ({"settings": {}}, "corrupt or of another network"),
    ],
)
def test_foreign_configuration(model: Path, change: dict[str, Any], said: str) -> None:
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refuse(model, said)


def test_foreign_weights(model: Path) -> None:
    path = model / bundle.WEIGHTS
    whole = path.read_bytes()
    for content in (b"", b"x", whole[:-1], whole[:50], os.urandom(5000)):
        path.write_bytes(content)
        refuse(model, "corrupt")
    path.write_bytes(whole)
    tensors = load_file(path)
    name = next(iter(tensors))
    for other in (
        {**tensors, name: torch.zeros(2, 2)},
        {key: value for key, value in tensors.items() if key != name},
        {**tensors, "extra": torch.zeros(1)},
    ):
        save_file(other, path)
        refuse(model, "corrupt or of another network")


@pytest.mark.parametrize("spoil", ["end", "bit"])
def test_weights_that_changed(model: Path, spoil: str) -> None:
    """Blocks of zeros after a crash or a broken copy, and single bits, leave a readable file."""
    path = model / bundle.WEIGHTS
    content = bytearray(path.read_bytes())
    if spoil == "end":
        content[-256:] = bytes(256)
    else:
        content[-7] ^= 1
    path.write_bytes(content)
    refuse(model, "corrupt or of another network (its numbers are not those that were written)")
    save_file(load_file(path), path)  # from another program, which knows of no sum
    bundle.load(model)


def test_checkpoint_that_changed(model: Path) -> None:
    bundle.save_checkpoint(model, {"x": torch.ones(300), "n": torch.tensor(3)}, {"position": 1})
    path = model / bundle.CHECKPOINT
    path.write_bytes(path.read_bytes()[:-256] + bytes(256))
    with pytest.raises(SeqcliError, match=r"is corrupt \(its numbers are not those"):
        bundle.load_checkpoint(model)


def test_weights_that_are_not_there_yet(model: Path) -> None:
    (model / bundle.WEIGHTS).unlink()
    refuse(model, "has no weights yet")


# ------------------------------------------------------------------------------------ full disk


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


WRITE = {
    "weights": "seqcli.storage.save_file",
    "checkpoint": "seqcli.storage.save_file",
    "json": "pathlib.Path.write_text",
}


@pytest.mark.parametrize(
    ("kind", "place"),
    [(kind, place) for kind in WRITE for place in (WRITE[kind], "os.fsync", "os.replace")],
)
def test_disk_full(model: Path, monkeypatch: pytest.MonkeyPatch, kind: str, place: str) -> None:
    """What was saved before is intact, nothing half-written is left, and the error is one line."""
    network = bundle.load(model).model
    bundle.save_checkpoint(model, {"x": torch.zeros(3)}, {"position": 1})
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    saves: dict[str, Callable[[], None]] = {
        "weights": lambda: bundle.save_weights(model, network),
        "checkpoint": lambda: bundle.save_checkpoint(model, {"x": torch.ones(3)}, {}),
        "json": lambda: storage.write_json(model / "metrics.json", {"scores": {}}),
    }
    monkeypatch.setattr(place, full)
    with pytest.raises(SeqcliError) as caught:
        saves[kind]()
    assert "No space left on device; what was saved before is intact" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in model.rglob("*") if path.is_file()} == before


def test_disk_full_in_training(tmp_path: Path, data: Path) -> None:
    """A real limit on the size of files: the checkpoint from before goes on to the same weights."""
    folder, events = tmp_path / "m", [0]

    def stop() -> int:
        events[0] += 1
        return 15 if events[0] == 3 else 0

    config = tiny("classify", data)
    with pytest.raises(run.Interrupted):
        run.train(config, folder, Quiet(), stop=stop)
    checkpoint = (folder / bundle.CHECKPOINT).read_bytes()
    done = subprocess.run(
        command("classify", "--resume", folder),
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: cannot write ")
    assert sum(line.startswith("error:") for line in done.stderr.splitlines()) == 1
    assert (folder / bundle.CHECKPOINT).read_bytes() == checkpoint
    assert not list(folder.rglob("*.tmp"))
    run.resume(folder, Quiet())
    run.train(config, tmp_path / "whole", Quiet())
    weights = [(path / bundle.WEIGHTS).read_bytes() for path in (folder, tmp_path / "whole")]
    assert weights[0] == weights[1]


def test_folder_that_cannot_be_made(cli: Cli, data: Path) -> None:
    Path("file").write_text("")
    result = cli("classify", data, "--out", "file/m", "--epochs", 1)
    assert result.status == 1
    assert len(result.errors) == 1
    assert "cannot write" in result.err or "not a directory" in result.err.lower()


def test_files_have_the_permissions_of_new_files(tmp_path: Path, data: Path) -> None:
    """Who serves a model is often not who trained it. safetensors grants others nothing."""
    before = os.umask(0o027)
    try:
        run.train(tiny("classify", data), tmp_path / "m", Quiet())
    finally:
        os.umask(before)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "m").iterdir()}
    assert modes == dict.fromkeys(modes, "0o640")


@pytest.mark.parametrize("name", ["config.json", bundle.WEIGHTS])
def test_files_that_may_not_be_read(
    model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As root may read any, the refusal is made here."""
    opened = io.open

    def refuse(file: Any, *arguments: Any, **options: Any) -> Any:
        if Path(file).name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return opened(file, *arguments, **options)

    monkeypatch.setattr(io, "open", refuse)  # which Path.open calls
    with pytest.raises(SeqcliError, match=f"^cannot read .*{name}: Permission denied$"):
        bundle.load(model)


def test_one_training_a_folder(tmp_path: Path, data: Path) -> None:
    """Two that began together in an empty folder would write one another's files."""
    config, folder = tiny("classify", data), tmp_path / "m"
    folder.mkdir()
    with (
        storage.locked(folder),
        pytest.raises(SeqcliError, match=r"^another training is at work in .*m; "),
    ):
        run.train(config, folder, Quiet())
    assert not list(folder.iterdir())
    run.train(config, folder, Quiet())
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SeqcliError, match=r"^another training began in .*m meanwhile"):
        run.train(config, folder, Quiet())
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_weights_load_into_torch_as_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    """The lines of docs/export.md, and what they load computes as ours does."""
    from seqcli.data.load import load
    from seqcli.nn.ragged import ragged
    from seqcli.tasks import TASKS

    config = tiny("classify", data, hidden=128, embedding=128)
    train = load("classify", config.data).train
    assert train is not None
    model = TASKS["classify"].learn(config, train).build().eval()
    monkeypatch.chdir(tmp_path)
    Path("MODEL").mkdir()
    bundle.save_weights(Path("MODEL"), model)
    page = Path(__file__).parents[1] / "docs" / "export.md"
    found: dict[str, Any] = {}
    exec(page.read_text("utf-8").split("```python\n")[1].split("```")[0], found)
    x_TE = torch.randn(7, 128)
    want, _ = model.recurrent(ragged([x_TE]))
    torch.testing.assert_close(found["gru"](x_TE[None])[0][0], want.values)
