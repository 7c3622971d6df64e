"""The native kernels (not built yet)."""

from typing import NamedTuple


class Status(NamedTuple):
    available: bool
    instruction_set: str
    bf16: bool
    reason: str


def status() -> Status:
    return Status(False, "", False, "not built")
