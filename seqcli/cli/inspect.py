"""The commands that look inside: inspect and compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from seqcli.cli.options import Limit, ModelFolder, Threads, with_options
from seqcli.config import Comparing, Inspecting, for_other_rows, list_columns, list_fields
from seqcli.errors import UsageError

DataArgument = Annotated[
    str | None,
    typer.Argument(help="Rows with answers; default: the data the model was trained on."),
]
Split = Annotated[str, typer.Option(help="Split of the data to read.")]
Clusters = Annotated[str, typer.Option(help="Number of clusters, or auto.")]
EXAMPLES = {
    "inspect": """\
seqcli inspect runs/reviews --sentence 'slow at first, then lovely'
seqcli inspect runs/reviews --word lovely --ablate cluster:1 --probe previous""",
    "compare": """\
seqcli compare runs/gru runs/lstm
seqcli compare runs/deep:1 runs/deep:2       # two layers of a model""",
}
Json = Annotated[bool, typer.Option("--json", help="Print every number as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    columns = list_columns()
    for command, settings in ((inspect, Inspecting()), (compare, Comparing())):
        options = list_fields(settings, "inspection")
        app.command(epilog=EXAMPLES[command.__name__], rich_help_panel="Look")(
            with_options(command, settings=options, columns=columns)
        )


def inspect(
    model: ModelFolder,
    settings: dict[str, Any],
    columns: dict[str, Any],
    data: DataArgument = None,
    split: Split = "validation",
    clusters: Clusters = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Page to write, with .json and .npz beside it; default: MODEL/inspect.html."
        ),
    ] = None,
    limit: Limit = None,
    threads: Threads = None,
    json_output: Json = False,
) -> None:
    """Show what the hidden states do: a page, JSON, arrays and a summary."""
    wanted = Inspecting(clusters=_count(clusters), **settings)
    path = _place(out, model / "inspect.html")
    loaded, rows = _load(model, path, data, columns, split=split, limit=limit, threads=threads)
    wanted.check_task(loaded.task.name)
    from seqcli.console import say
    from seqcli.inspect import inspection, page, summary

    found = inspection.inspect(
        loaded.model,
        loaded.task,
        rows,
        wanted,
        folder=model,
        split=_name_split(data, split),
        say=say,
    )
    inspection.write(found, path.with_suffix(".json"), path.with_suffix(".npz"))
    page.write(found, path)
    if json_output:
        print(json.dumps(found.content, ensure_ascii=False))
    else:
        print("\n".join(summary.summarise(found.content)))
    say(
        f"open {path} in a browser; numbers in {path.with_suffix('.json')}, "
        f"arrays in {path.with_suffix('.npz')}"
    )


def compare(
    first: Annotated[str, typer.Argument(metavar="A[:LAYER]", help="A model folder.")],
    second: Annotated[str, typer.Argument(metavar="B[:LAYER]", help="Another one, or the same.")],
    settings: dict[str, Any],
    columns: dict[str, Any],
    data: DataArgument = None,
    split: Split = "validation",
    clusters: Clusters = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="Page to write, with .json beside it; default: B/compare.html."),
    ] = None,
    limit: Limit = None,
    threads: Threads = None,
    json_output: Json = False,
) -> None:
    """Compare two models, layers or checkpoints on the same examples and one scale."""
    wanted = Comparing(clusters=_count(clusters), **settings)
    from seqcli import bundle, storage
    from seqcli.console import say
    from seqcli.inspect import compare as comparing
    from seqcli.inspect import compare_page, summary

    folders = [comparing.split_name(text) for text in (first, second)]
    path = _place(out, folders[1][0] / "compare.html")
    other = bundle.load(folders[1][0])
    loaded, rows = _load(
        folders[0][0], path, data, columns, split=split, limit=limit, threads=threads
    )
    names = _names(first, second)
    models = [
        (names[0], loaded.task, loaded.model, folders[0][1]),
        (names[1], other.task, other.model, folders[1][1]),
    ]
    found = comparing.compare(models, rows, wanted, split=_name_split(data, split), say=say)
    storage.write_json(path.with_suffix(".json"), found.content, indent=None)
    storage.write_text(path, compare_page.build(found))
    if json_output:
        print(json.dumps(found.content, ensure_ascii=False))
    else:
        print("\n".join(summary.summarise_comparison(found.content)))
    say(f"open {path} in a browser; numbers in {path.with_suffix('.json')}")


def _place(out: Path | None, usual: Path) -> Path:
    """The file of a page. It ends in .html, without which browsers show the source."""
    if out is None:
        return usual
    if out.is_dir():
        return out / usual.name
    return out if out.suffix.lower() in (".html", ".htm") else out.with_name(f"{out.name}.html")


def _count(clusters: str) -> int | None:
    if clusters == "auto":
        return None
    if not clusters.isdigit() or int(clusters) < 2:
        raise UsageError(f"--clusters {clusters}: give auto, or a number of at least 2")
    return int(clusters)


def _load(
    model: Path,
    page: Path,
    data: str | None,
    columns: Mapping[str, str | None],
    *,
    split: str,
    limit: int | None,
    threads: int | None,
) -> tuple[Any, Any]:
    """The model, and the rows to read. Raises SeqcliError before they are read where the page
    cannot be written."""
    from seqcli import bundle
    from seqcli.console import say
    from seqcli.data.load import load_own_split, load_split
    from seqcli.inspect.page import check_writable
    from seqcli.nn.device import set_threads

    set_threads(threads)
    loaded = bundle.load(model)
    check_writable(page)
    task = loaded.task
    chosen = for_other_rows(task.config.data, data, columns, task=task.name, limit=limit)
    find = load_own_split if data is None else load_split
    rows = find(task.name, chosen, split, usual=task.columns)
    for note in rows.notes:
        say(note)
    return loaded, rows


def _name_split(data: str | None, split: str) -> str | None:
    """The split that is read; None where DATA is a file, which is read whole."""
    return None if data and Path(data).is_file() else split


def _names(first: str, second: str) -> tuple[str, str]:
    """The folders' own names, or the whole arguments where these are alike."""
    short = Path(first).name, Path(second).name
    return short if short[0] != short[1] else (first, second)
