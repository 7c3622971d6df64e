"""Trainings on a device that is not the CPU mix no tensors of both (far.py): all that can be said
of a GPU without one."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import TASKS, write_jsonl

from seqcli.nn.cells import CELLS

DEEP = {
    "cell": "lstm",
    "layers": 2,
    "residual": True,
    "layer_norm": True,
    "feed_forward": 2,
    "average": 0.9,
}
DROPPED = {"locked_dropout": True, "embedding_dropout": 0.1, "weight_dropout": 0.2}
CASES: dict[str, list[dict[str, Any]]] = {
    "classify": [
        *({"pool": kind} for kind in ("last", "mean", "attention")),
        {"pair_column": "target"},
        {"balance": "over", "focal": 2.0, "threshold": True},
        {"balance": "weights", "label_smoothing": 0.1, "bptt": 3},
        {"spelling": False, "ngrams": False},
        {"tokens": "character"},
    ],
    "tag": [{"with_label": "label"}, {"characters": "cnn"}, {"characters": "none", "crf": False}],
    "translate": [
        *({"attention": kind} for kind in ("none", "dot", "additive")),
        {"input_feeding": True, "scheduled_sampling": 0.5},
        {"share_vocabulary": True, "bridge": "copy"},
        {"tie": False, "bridge": "none"},
    ],
    "lm": [
        {"condition": "label"},
        {"ar": 1.0, "tar": 1.0, "random_bptt": True},
        {"tie": False, "bptt": 0},
    ],
}


def fail(data: Path, folder: Path, cases: list[tuple[str, dict[str, Any]]]) -> str:
    """What `far.py` finds."""
    script = Path(__file__).with_name("far.py")
    done = subprocess.run(
        [sys.executable, script, data, folder, json.dumps(cases)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_trains_on_another_device(task: str, data: Path, tmp_path: Path) -> None:
    general = [{"cell": cell} for cell in CELLS]
    general += [{**DEEP, **DROPPED}, {"optimizer": "asgd", "watch": "gradients"}]
    general += [{"adversarial": 0.1, "precision": "bf16"}]
    assert fail(data, tmp_path, [(task, one) for one in [*general, *CASES[task]]]) == ""


@pytest.mark.slow
def test_trees_on_another_device(tmp_path: Path) -> None:
    trees = ["(1 (1 go) (0 (0 to) (1 rome)))", "(0 (1 stay) (0 here))"]
    rows = [{"text": trees[at % 2], "label": "ab"[at % 2]} for at in range(20)]
    data = write_jsonl(tmp_path / "trees.jsonl", rows)
    kinds = [("classify", {"cell": "tree", "tree": kind}) for kind in ("childsum", "binary")]
    assert fail(data, tmp_path, kinds) == ""


@pytest.mark.slow
def test_large_vocabularies_on_another_device(tmp_path: Path) -> None:
    draw = random.Random(0)
    lines = [" ".join(f"w{draw.randrange(4_000)}" for _ in range(10)) for _ in range(1_500)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    wide = {"tokens": "word", "hidden": 16, "streams": 32}
    kinds = [("lm", {**wide, "softmax": kind}) for kind in ("sampled", "adaptive")]
    assert fail(tmp_path / "text.txt", tmp_path, kinds) == ""


@pytest.mark.slow
def test_mixing_is_found(data: Path, tmp_path: Path) -> None:
    """The check itself can fail."""
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n" + (
        "import torch, far\n"
        "with far.Devices():\n"
        "    x = torch.ones(3).to(far.DEVICE).requires_grad_()\n"
        "    (x * x.exp()).sum().backward()\n"
        "    print(x.grad.device, (x[torch.tensor([0, 2])] * 2).tolist())\n"
        "    try:\n"
        "        x + torch.ones(3)\n"
        "    except RuntimeError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    grad, error = done.stdout.splitlines()
    assert grad == "lazy:0 [2.0, 2.0]"
    assert error.startswith("aten.add.Tensor takes tensors [(3,)] of the CPU")
