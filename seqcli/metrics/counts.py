"""What the metrics share: ratios of counts, and a check of what is compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqcli.errors import SeqcliError


def ratios(hits: int, guessed: int, support: int) -> dict[str, Any]:
    return {
        "precision": hits / max(guessed, 1),
        "recall": hits / max(support, 1),
        "f1": 2 * hits / max(guessed + support, 1),
        "support": support,
    }


def check(gold: Sequence[Any], predicted: Sequence[Any]) -> None:
    if not gold:
        raise SeqcliError("there are no rows to score")
    if len(gold) != len(predicted):
        raise SeqcliError(f"{len(gold)} rows to score, but {len(predicted)} predictions")
