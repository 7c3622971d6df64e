"""The command that measures: bench."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from seqcli.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Look")(bench)


def bench(
    hidden: Annotated[int, typer.Option(help="Units of the layer per direction.", min=1)] = 256,
    input: Annotated[int, typer.Option(help="Input features.", min=1)] = 256,
    batch: Annotated[int, typer.Option(help="Sequences per batch.", min=1)] = 32,
    length: Annotated[int, typer.Option(help="Tokens per sequence, on average.", min=1)] = 32,
    unequal: Annotated[
        bool,
        typer.Option(
            "--unequal/--equal",
            help="Lengths that differ as those of sentences do, or all the same.",
        ),
    ] = True,
    bidirectional: Annotated[bool, typer.Option(help="Read from both ends.")] = False,
    cells: Annotated[
        str | None, typer.Option(help="Cells to measure, separated by commas; default: all.")
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16", "both"],
        typer.Option(help="Operands of matrix products; both: fp32, and bf16 where it is fast."),
    ] = "both",
    rounds: Annotated[
        int, typer.Option(help="Number of rounds, whose medians are shown.", min=1)
    ] = 5,
    threads: Annotated[
        int | None, typer.Option(help="Number of CPU threads; default: all cores.", min=1)
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Measure the speed of each cell here, beside torch.nn and the machine's peak."""
    from seqcli.bench import Shape
    from seqcli.bench import bench as measure
    from seqcli.console import say
    from seqcli.nn.cells import CELLS
    from seqcli.results import print_table

    names = list(CELLS) if cells is None else [name.strip() for name in cells.split(",")]
    for name in names:
        if name not in CELLS:
            raise UsageError(f"--cells has {name!r}; it can have {', '.join(CELLS)}")
    shape = Shape(
        hidden=hidden,
        input=input,
        batch=batch,
        length=length,
        unequal=unequal,
        bidirectional=bidirectional,
    )
    say(f"rounds: {rounds}; cells: {', '.join(names)}; close other programs for steady figures")
    found = measure(shape, cells=names, precision=precision, rounds=rounds, threads=threads)
    if json_output:
        print(json.dumps(found))
        return
    say(
        f"{found['machine']}; one layer of {hidden:,} units, {input:,} inputs"
        f"{', from both ends' if bidirectional else ''}"
    )
    say(
        f"{batch:,} sequences, {found['tokens']:,} tokens; "
        f"padding would add {1 / found['fill'] - 1:.0%}"
    )
    for operands, peak in found["peak"].items():
        say(f"peak of a large matrix product, {operands}: {peak:,.0f} GFLOP/s")
    print_table(
        ("pass", "cell", "operands", "tokens/s", "GFLOP/s", "of peak", "× torch.nn fp32"),
        [
            (
                row["pass"],
                row["cell"],
                row["precision"],
                f"{row['tokens_per_second']:,.0f}",
                f"{row['gflops']:,.1f}",
                f"{row['share_of_peak']:.0%}",
                "–" if row["times_torch"] is None else f"{row['times_torch']:.2f}",
            )
            for row in found["rows"]
        ],
    )
