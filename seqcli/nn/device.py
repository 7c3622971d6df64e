"""The device, the precision of matrix products, and the number of threads."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch

from seqcli.errors import UsageError
from seqcli.nn import native


def available_cores() -> int:
    """The number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int | None) -> None:
    """Compute with this many threads; None: one for each CPU that this process may use."""
    torch.set_num_threads(threads or available_cores())


def choose_device(name: str) -> torch.device:
    """The device of `--device`; auto takes a GPU if there is one. Raises UsageError if there is
    none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here; use --device cpu")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> str:
    """fp32 or bf16 for `--precision`; auto takes bf16 where the hardware multiplies it fast."""
    if name != "auto":
        return name
    if device.type == "cuda":  # older ones emulate it, slowly
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and native.status().bf16 else "fp32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context in which matrix products take bfloat16 operands, or plain fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def describe(device: torch.device, precision: str) -> str:
    """One phrase for the console: the device, its threads and kernels."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {precision}"
    kernels = native.status()
    path = f"native {kernels.instruction_set}" if kernels.available else "torch"
    threads = torch.get_num_threads()
    count = f"{threads} thread{'' if threads == 1 else 's'}"
    return f"{device.type}, {count}, {path} kernels, {precision}"
