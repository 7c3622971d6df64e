"""What was computed, by which version, on which data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import seqcli


def signature(metric: str, gold: Iterable[str], **details: str | int | None) -> str:
    """What was computed, by which version, on which data: `gold:` begins the SHA-1 of the lines."""
    digest = hashlib.sha1(usedforsecurity=False)
    for line in gold:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    facts = [f"{name}:{value}" for name, value in details.items() if value is not None]
    return "|".join(
        [f"seqcli:{seqcli.__version__}", metric, *facts, f"gold:{digest.hexdigest()[:8]}"]
    )
