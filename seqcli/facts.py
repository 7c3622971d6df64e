"""Facts about cells, models and this machine, as plain values."""

from __future__ import annotations

import inspect
import os
import platform
from pathlib import Path
from typing import Any

import torch

from seqcli import __version__, bundle
from seqcli.config import flatten
from seqcli.nn import native
from seqcli.nn.cells import CELLS
from seqcli.nn.kernels import find_scan
from seqcli.nn.tree import TreeLSTM
from seqcli.tasks.task import count_parameters


def of_cells(input_size: int, hidden_size: int) -> list[dict[str, Any]]:
    """Each cell, and the tree: source, equations, weights that are trained and that are fixed, FLOP
    a token forward (products only)."""
    found = []
    for name, make in {**CELLS, "tree": TreeLSTM}.items():
        cell = make(input_size, hidden_size)
        document = inspect.getdoc(inspect.getmodule(make)) or ""
        fixed = list(cell.buffers())
        matrices = [weight for weight in (*cell.parameters(), *fixed) if weight.dim() > 1]
        found.append(
            {
                "name": name,
                "summary": (inspect.getdoc(make) or "").splitlines()[0],
                "source": " ".join(document.split("\n\n")[0].split()),
                "equations": cell.equations,
                "parameters": count_parameters(cell),
                "fixed": sum(weight.numel() for weight in fixed),
                "flop": getattr(cell, "flop", 2 * sum(weight.numel() for weight in matrices)),
            }
        )
    return found


def of_model(folder: Path) -> dict[str, Any]:
    """What a model folder holds."""
    task, model, _ = bundle.load(folder)
    stored = bundle.read_json(folder / "config.json")
    found: dict[str, Any] = {
        "task": task.name,
        "version": stored.get("version"),
        **task.facts(),
        "parameters": count_parameters(model),
        "scores": {},
        "settings": flatten(task.config),
    }
    if (folder / bundle.METRICS).is_file():
        scores, _ = bundle.read_scores(folder)
        for split, values in scores.items():
            plain = {name: one for name, one in values.items() if isinstance(one, int | float)}
            found["scores"][split] = plain
    return found


def of_system() -> dict[str, Any]:
    """Versions, processor, and which path the recurrent layers take here and why."""
    kernels = native.status()
    if kernels.available:
        operands = "fp32 and bf16" if kernels.bf16 else "fp32"
        path = f"native kernels, {kernels.instruction_set}, {operands}"
    else:
        path = f"torch, because {kernels.reason}"
    there = torch.cuda.is_available()
    scan, reason = find_scan("cuda" if there else "cpu")
    gpu = torch.cuda.get_device_name() if there else "none that torch sees"
    return {
        "seqcli": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "recurrent layers on the CPU": path,
        "recurrent layers on a GPU": "torch, padded, one call a layer and direction",
        "min cells on a GPU": "a scan in Triton" if scan else f"step by step, because {reason}",
    }
