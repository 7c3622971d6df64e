"""The command that scores models: evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from seqcli.evaluation import Evaluated


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Use")(evaluate)


def evaluate(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... [DATA]",
            help="Model folders of one task, which are compared with the first; then rows with "
            "answers, by default the data the first was trained with.",
        ),
    ],
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "test",
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    pair_column: Annotated[str | None, typer.Option(help="Column of the second text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    tokens_column: Annotated[str | None, typer.Option(help="Column of the tokens.")] = None,
    tags_column: Annotated[str | None, typer.Option(help="Column of the tags.")] = None,
    with_label: Annotated[str | None, typer.Option(help="Column of a sentence's label.")] = None,
    source: Annotated[str | None, typer.Option(help="Source column or suffix.")] = None,
    target: Annotated[str | None, typer.Option(help="Target column or suffix.")] = None,
    subset: Annotated[str | None, typer.Option(help="Configuration of a Hub data set.")] = None,
    limit: Annotated[int | None, typer.Option(help="Take at most this many rows.", min=1)] = None,
    beam: Beam = 1,
    length_penalty: LengthPenalty = 1.0,
    coverage_penalty: CoveragePenalty = 0.0,
    no_repeat_ngram: NoRepeatNgram = 0,
    min_length: MinLength = 0,
    max_length: MaxLength = None,
    copy_unknown: CopyUnknown = False,
    others: With = None,
    cache: Annotated[
        int, typer.Option(help="lm: remember this many tokens beside the network; 0 none.", min=0)
    ] = 0,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="lm: go on learning from what was read.")
    ] = False,
    mistakes: Annotated[
        int, typer.Option(help="classify: list so many wrong answers, the surest first.", min=0)
    ] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """The task's metrics on a split with their intervals; of several models, which is better."""
    check_lengths(min_length, max_length)
    from seqcli.console import print_comparison, print_mistakes, print_models, print_scores, say
    from seqcli.evaluation import evaluate as judge
    from seqcli.tasks.task import Request

    models, data = split_targets(targets)
    given = {
        "text_column": text_column,
        "pair_column": pair_column,
        "label_column": label_column,
        "tokens_column": tokens_column,
        "tags_column": tags_column,
        "with_label": with_label,
        "source": source,
        "target": target,
        "subset": subset,
    }
    if mistakes and len(models) > 1:
        raise UsageError("--mistakes lists those of one model; name one")
    request = Request(
        beam=beam,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        no_repeat_ngram=no_repeat_ngram,
        min_length=min_length,
        max_length=max_length,
        copy_unknown=copy_unknown,
    )
    found = judge(
        models,
        data,
        given,
        split=split,
        limit=limit,
        request=request,
        others=others or (),
        cache=cache,
        dynamic=dynamic,
        mistakes=mistakes,
        say=say,
    )
    for note in found.rows.notes:
        say(note)
    say(f"{len(found.rows):,} rows of {found.rows.origin}")
    if json_output:
        print(json.dumps(_as_json(models, found), ensure_ascii=False))
        return
    if len(models) == 1:
        print_scores(found.task, {split: found.scores[0]})
        if mistakes:
            print_mistakes(found.mistakes or [])
        return
    print_models(found.task, list(map(str, models)), found.scores)
    for one in found.comparisons:
        print_comparison(found.task, str(one.first), str(one.second), one.differences)
        for note in one.notes:
            say(note)


def split_targets(targets: list[str]) -> tuple[list[Path], str | None]:
    """The model folders of a command line, and the data where the last word names some."""
    *others, last = targets
    if others and not (Path(last) / "config.json").is_file():
        return [Path(one) for one in others], last
    return [Path(one) for one in targets], None


def _as_json(models: list[Path], found: Evaluated) -> dict[str, Any]:
    if len(models) == 1:
        content: dict[str, Any] = {"task": found.task, "scores": found.scores[0]}
        return content if found.mistakes is None else {**content, "mistakes": found.mistakes}
    comparisons = [
        {
            "first": str(one.first),
            "second": str(one.second),
            "scores": {name: value._asdict() for name, value in one.differences.items()},
            "notes": one.notes,
        }
        for one in found.comparisons
    ]
    scored = [
        {"folder": str(folder), "scores": scores}
        for folder, scores in zip(models, found.scores, strict=True)
    ]
    return {"task": found.task, "models": scored, "comparisons": comparisons}
