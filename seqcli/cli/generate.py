"""The command that writes text with a language model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli.options import ModelFolder, Threads
from seqcli.config.training import LARGEST_SEED
from seqcli.errors import UsageError

EXAMPLES = """\
seqcli generate runs/book --prompt 'Once upon' --temperature 0.7 --top-p 0.9
seqcli generate runs/poems --condition 'Emily Dickinson' --samples 3"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES, rich_help_panel="Use")(generate)


def generate(
    model: ModelFolder,
    prompt: Annotated[str, typer.Option(help="Text to continue.")] = "",
    condition: Annotated[
        str | None,
        typer.Option(
            help="What to write from, if the model was trained with --condition: a label, numbers "
            "separated by commas, or the path of an image."
        ),
    ] = None,
    length: Annotated[int, typer.Option(help="Write at most this many tokens.", min=1)] = 200,
    samples: Annotated[int, typer.Option(help="How many texts to write.", min=1)] = 1,
    temperature: Annotated[
        float,
        typer.Option(
            help="Below 1 is safer, above 1 wilder; 0 always takes the likeliest token.",
            min=0,
            max=1000,
        ),
    ] = 0.8,
    top_k: Annotated[
        int, typer.Option(help="Draw from the k likeliest tokens; 0: from all.", min=0)
    ] = 0,
    top_p: Annotated[
        float,
        typer.Option(help="Draw from the likeliest tokens whose probabilities together reach p."),
    ] = 1.0,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed for the draw: the same seed gives the same text.", min=0, max=LARGEST_SEED
        ),
    ] = None,
    line: Annotated[bool, typer.Option("--line", help="Stop at the end of a line.")] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            help="File that remembers what was read and written: continue from it if it exists, "
            "and save it at the end."
        ),
    ] = None,
    threads: Threads = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON per text.")
    ] = False,
) -> None:
    """Write text with a language model."""
    if not 0 < top_p <= 1:
        raise UsageError(f"--top-p is {top_p}; it must be above 0 and at most 1")
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise UsageError("--prompt is not UTF-8")
    from seqcli import generation
    from seqcli.nn.decode import Sampling

    order = generation.Order(
        prompt, Sampling(temperature, top_k, top_p), length, line, condition, state
    )
    texts = generation.generate(model, order, samples=samples, seed=seed, threads=threads)
    for number, pieces in enumerate(texts):
        if json_output:
            record = {"sample": number + 1, "prompt": prompt, "text": "".join(pieces)}
            print(json.dumps(record, ensure_ascii=False), flush=True)
            continue
        if number and not line:
            print("---")
        sys.stdout.write(prompt)
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        print(flush=True)
