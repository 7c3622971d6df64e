"""The commands that use a trained model: predict, export, info."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqcli.cli.search import (
    Beam,
    CopyUnknown,
    CoveragePenalty,
    LengthPenalty,
    MaxLength,
    MinLength,
    NoRepeatNgram,
    With,
    check_lengths,
)
from seqcli.errors import UsageError

ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    panel = "Use"
    app.command(rich_help_panel=panel)(predict)
    app.command(rich_help_panel=panel)(export)
    app.command(rich_help_panel=panel)(info)


def predict(
    model: ModelFolder,
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="Lines to read; - is standard input.")
    ] = "-",
    format: Annotated[
        Literal["plain", "jsonl", "conll"] | None,
        typer.Option(
            help="Answers as plain lines, JSON Lines or (tag) CoNLL columns; default: as the input."
        ),
    ] = None,
    input: Annotated[
        Literal["auto", "text", "jsonl", "csv", "tsv", "conll", "conllu"],
        typer.Option(help="How to read lines; auto looks at the name and the first line."),
    ] = "auto",
    probabilities: Annotated[
        bool, typer.Option(help="classify: the probability of every label.")
    ] = False,
    top_k: Annotated[
        int, typer.Option(help="classify: the probabilities of the k likeliest labels.", min=0)
    ] = 0,
    surprisal: Annotated[
        bool, typer.Option(help="lm: the bits that each token tells, in place of the sums.")
    ] = False,
    beam: Beam = 1,
    n_best: Annotated[
        int,
        typer.Option(help="translate, tag: this many answers and their scores, by tabs.", min=1),
    ] = 1,
    scores: Annotated[
        bool, typer.Option(help="translate, tag: the score after each answer.")
    ] = False,
    length_penalty: LengthPenalty = 1.0,
    coverage_penalty: CoveragePenalty = 0.0,
    no_repeat_ngram: NoRepeatNgram = 0,
    min_length: MinLength = 0,
    max_length: MaxLength = None,
    alignment: Annotated[
        bool,
        typer.Option(
            "--alignment",
            help="translate: which source word each word attends to, as i-j; JSONL: all weights.",
        ),
    ] = False,
    copy_unknown: CopyUnknown = False,
    score_pairs: Annotated[
        bool,
        typer.Option(
            "--score-pairs",
            help="translate: lines are source, tab, target; answer the log-probability.",
        ),
    ] = False,
    others: With = None,
    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        typer.Option(
            help="Operands of the matrix products: bf16 is faster where the processor has it "
            "(auto: there), and answers differ a little."
        ),
    ] = "fp32",
    threads: Annotated[int | None, typer.Option(help="Processor threads.", min=1)] = None,
) -> None:
    """Answer each line: N lines in, N lines out, in order, as they arrive."""
    check_lengths(min_length, max_length)
    if score_pairs and (n_best > 1 or alignment or copy_unknown):
        raise UsageError("--score-pairs answers with a number; it goes with no other answer")
    from seqcli.console import fail, say
    from seqcli.stream import answer_lines
    from seqcli.tasks.task import Request

    if file == "-" and sys.stdin is not None and sys.stdin.isatty():
        say("answers lines from the terminal; Ctrl-D ends")
    request = Request(
        probabilities=probabilities,
        top_k=top_k,
        surprisal=surprisal,
        beam=beam,
        n_best=n_best,
        scores=scores,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        no_repeat_ngram=no_repeat_ngram,
        min_length=min_length,
        max_length=max_length,
        alignment=alignment,
        copy_unknown=copy_unknown,
        score_pairs=score_pairs,
    )
    bad = answer_lines(
        model,
        file,
        format=format,
        reading=input,
        request=request,
        precision=precision,
        threads=threads,
        report=fail,
        others=others or (),
    )
    if bad:
        raise typer.Exit(1)


def export(
    model: ModelFolder,
    format: Annotated[
        Literal["onnx"], typer.Option(help="For what: onnxruntime and other programs of ONNX.")
    ] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to. Default MODEL/onnx.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Write a model for other programs, with a script that answers lines without seqcli."""
    from seqcli import export as exporting
    from seqcli.console import print_table, say

    found = exporting.export(model, out or model / format)
    sizes = {str(path): path.stat().st_size for path in found.files}
    if json_output:
        print(json.dumps({"files": sizes, "largest_difference": found.difference}))
    else:
        print_table(("file", "bytes"), [(name, f"{size:,}") for name, size in sizes.items()])
    say(
        f"on random batches no score differs by more than {found.difference:.1e} from the model's; "
        f"try: python {(out or model / format) / 'predict.py'} < lines.txt"
    )


def info(
    model: Annotated[Path | None, typer.Argument(metavar="[MODEL]", help="A model folder.")] = None,
    system: Annotated[
        bool, typer.Option("--system", help="This machine, its kernels and versions.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """What a model folder holds, or what this machine can do."""
    if (model is None) == (not system):
        raise UsageError("give a model folder or --system")
    from seqcli import facts
    from seqcli.console import print_table, show_value

    found: dict[str, Any] = facts.of_system() if model is None else facts.of_model(model)
    if json_output:
        print(json.dumps(found, ensure_ascii=False))
    else:
        scores, settings = found.pop("scores", {}), found.pop("settings", {})
        options = {f"--{name.replace('_', '-')}": value for name, value in settings.items()}
        shown = {**found, **scores, **options}
        rows = [(name, show_value(value)) for name, value in shown.items() if value is not None]
        print_table(("what", "value"), rows)
