"""The options of the search of translate, which several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqcli.errors import UsageError

Beam = Annotated[int, typer.Option(help="translate: width of the search.", min=1)]
LengthPenalty = Annotated[
    float, typer.Option(help="translate: above 0 favours longer answers.", min=0)
]
CoveragePenalty = Annotated[
    float,
    typer.Option(
        help="translate: above 0 favours answers that leave nothing of the source out.", min=0
    ),
]
NoRepeatNgram = Annotated[
    int, typer.Option(help="translate: no run of so many tokens twice; 0 allows all.", min=0)
]
MinLength = Annotated[
    int, typer.Option(help="translate: at least this many tokens an answer.", min=0)
]
MaxLength = Annotated[
    int | None, typer.Option(help="translate: at most this many tokens an answer.", min=1)
]
CopyUnknown = Annotated[
    bool,
    typer.Option(
        "--copy-unknown",
        help="translate: an unknown word is the source word it attends to (--tokens word).",
    ),
]
With = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="MODEL",
        help="translate: another model to write together with; may be repeated.",
    ),
]


def check_lengths(least: int, most: int | None) -> None:
    """Raise UsageError for lengths that no answer has."""
    if most is not None and least > most:
        raise UsageError(f"--min-length is {least}, above --max-length {most}")
