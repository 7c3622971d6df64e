"""The command that scores models: evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli.options import Limit, Threads, with_options
from seqcli.cli.predict import With
from seqcli.config import Decoding, Request, list_columns, list_fields
from seqcli.errors import UsageError

if TYPE_CHECKING:
    from seqcli.evaluation import Evaluated


EXAMPLES = """\
seqcli evaluate runs/reviews                 # the test split of its own data
seqcli evaluate runs/reviews other.csv --mistakes 20
seqcli evaluate runs/gru runs/lstm           # which of two is better"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    decoding = list_fields(Decoding(), "decoding")
    command = with_options(evaluate, columns=list_columns(), decoding=decoding)
    app.command(epilog=EXAMPLES, rich_help_panel="Use")(command)


def evaluate(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... [DATA]",
            help="Model folders of one task; the first is compared with each of the others. Then "
            "rows with answers; default: the data the first was trained on.",
        ),
    ],
    columns: dict[str, Any],
    decoding: dict[str, Any],
    split: Annotated[str, typer.Option(help="Split of the data to read.")] = "test",
    limit: Limit = None,
    others: With = None,
    cache: Annotated[
        int,
        typer.Option(
            help="Neural cache: remember the last N tokens beside the network; 0: off.",
            min=0,
            rich_help_panel="For models of lm",
        ),
    ] = 0,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="Dynamic evaluation: keep training on the text as it is scored.",
            rich_help_panel="For models of lm",
        ),
    ] = False,
    mistakes: Annotated[
        int,
        typer.Option(
            help="List this many wrong answers, the least probable true labels first.",
            min=0,
            rich_help_panel="For models of classify",
        ),
    ] = 0,
    threads: Threads = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a model on a split, with intervals; of several models, say which is better."""
    request = Request(**decoding)
    from seqcli.console import say
    from seqcli.evaluation import evaluate as judge
    from seqcli.results import print_comparison, print_mistakes, print_models, print_scores

    models, data = split_targets(targets)
    if mistakes and len(models) > 1:
        raise UsageError("--mistakes lists those of one model; name one")
    found = judge(
        models,
        data,
        columns,
        split=split,
        limit=limit,
        request=request,
        others=others or (),
        cache=cache,
        dynamic=dynamic,
        mistakes=mistakes,
        threads=threads,
        say=say,
    )
    for note in found.rows.notes:
        say(note)
    count = len(found.rows)
    say(f"{count:,} row{'' if count == 1 else 's'} of {found.rows.origin}")
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
    """The model folders on a command line, and DATA if the last word is not a model folder."""
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
