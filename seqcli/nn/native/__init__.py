"""Recurrent kernels in C++: fused, ragged, for several instruction sets chosen at run time.

The library is compiled when the package is installed (hatch_build.py) and loaded on first use;
without it everything runs on torch. `SEQCLI_NATIVE=0` disables it, `SEQCLI_ISA` names an
instruction set (baseline, avx2, avx512, avx512bf16) instead of the best one.
"""

from __future__ import annotations

from typing import NamedTuple

from seqcli.nn.native import attention, library, linear, ops, walk

__all__ = ["KINDS", "Status", "attention", "linear", "ops", "status"]

KINDS = frozenset(walk.GATES)


class Status(NamedTuple):
    """Whether the kernels can be used, and if not, why."""

    available: bool
    instruction_set: str
    bf16: bool
    reason: str


def status() -> Status:
    """The library in use. `reason` is empty when it is available, else one clause for a person."""
    try:
        native = library.load()
    except library.Unavailable as error:
        return Status(False, "", False, str(error))
    return Status(True, native.instruction_set, native.bf16, "")
