"""The commands that look inside: inspect and compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqcli.errors import UsageError

ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
DataArgument = Annotated[
    str | None,
    typer.Argument(help="Rows with answers; default: the data the model was trained with."),
]
Split = Annotated[str, typer.Option(help="Which split of the data.")]
Limit = Annotated[int | None, typer.Option(help="Take at most this many rows.", min=1)]
MaxTokens = Annotated[int, typer.Option(help="Read at most about this many tokens.", min=100)]
TopK = Annotated[int, typer.Option(help="Words to show.", min=2, max=2000)]
MinCount = Annotated[int, typer.Option(help="Leave out words seen less often.", min=1)]
Clusters = Annotated[str, typer.Option(help="How many clusters: auto, or a number.")]
Mode = Annotated[
    Literal["absolute", "raw"],
    typer.Option(
        help="Cluster |S|, or the signed S as RNNVis does (mixes signs).",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of samples and clusters.", min=0)]
Threads = Annotated[int | None, typer.Option(help="Processor threads.", min=1)]
Json = Annotated[bool, typer.Option("--json", help="Print every number as JSON.")]
Column = Annotated[str | None, typer.Option(help="Column of the data; as in training.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    panel = "Look"
    app.command(rich_help_panel=panel)(inspect)
    app.command(rich_help_panel=panel)(compare)


def inspect(
    model: ModelFolder,
    data: DataArgument = None,
    split: Split = "validation",
    sentence: Annotated[
        list[str] | None, typer.Option(help="A text to follow step by step; may be repeated.")
    ] = None,
    word: Annotated[
        list[str] | None, typer.Option(help="A word to show whatever its rank; may be repeated.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Only this layer: 2, encoder.1 or decoder.1.")
    ] = None,
    direction: Annotated[
        Literal["forward", "reverse"] | None, typer.Option(help="Only this direction.")
    ] = None,
    state: Annotated[Literal["h", "c"] | None, typer.Option(help="Only this state.")] = None,
    top_k: TopK = 300,
    min_count: MinCount = 5,
    clusters: Clusters = "auto",
    cocluster_mode: Mode = "absolute",
    ablate: Annotated[
        list[str] | None,
        typer.Option(
            help="Units to silence: clusters (default), cluster:2, unit:7, units:7,9 or none; "
            "may be repeated."
        ),
    ] = None,
    ablate_at: Annotated[
        Literal["zero", "mean"], typer.Option(help="The value of a silenced unit.")
    ] = "zero",
    random_sets: Annotated[
        int, typer.Option(help="Random sets of units to compare an ablation with.", min=0)
    ] = 20,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            help="Property to read off states: label, tag, capital, letter, long, previous, "
            "seen=WORD,WORD or none; may be repeated."
        ),
    ] = None,
    find: Annotated[
        str | None, typer.Option(help="A text whose state pattern is looked for in the data.")
    ] = None,
    span: Annotated[
        str | None, typer.Option(help="With --find: its tokens, such as 2:5; default all.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="With --find: |h| above which a unit is active.", min=0)
    ] = 0.3,
    beam: Annotated[int, typer.Option(help="translate: width of the beam tree.", min=1)] = 3,
    forced_prefix: Annotated[
        str | None, typer.Option(help="translate: how every translation must begin.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Page to write; .json and .npz go beside it. Default MODEL/inspect.html."
        ),
    ] = None,
    max_tokens: MaxTokens = 1_000_000,
    limit: Limit = None,
    seed: Seed = 1,
    threads: Threads = None,
    text_column: Column = None,
    label_column: Column = None,
    tokens_column: Column = None,
    tags_column: Column = None,
    source: Column = None,
    target: Column = None,
    subset: Column = None,
    json_output: Json = False,
) -> None:
    """What the hidden states do: a page, JSON, arrays and a summary."""
    wanted = _count(clusters)
    loaded, rows = _load(
        model,
        data,
        split,
        limit,
        threads,
        {
            "text_column": text_column,
            "label_column": label_column,
            "tokens_column": tokens_column,
            "tags_column": tags_column,
            "source": source,
            "target": target,
            "subset": subset,
        },
    )
    from seqcli.console import say
    from seqcli.inspect import page, report, summary
    from seqcli.inspect.settings import Settings

    settings = Settings(
        sentences=tuple(sentence or ()),
        words=tuple(word or ()),
        layer=layer,
        direction=direction,
        state=state,
        top_k=top_k,
        min_count=min_count,
        clusters=wanted,
        mode=cocluster_mode,
        seed=seed,
        max_tokens=max_tokens,
        ablate=tuple(ablate or ("clusters",)),
        how=ablate_at,
        random_sets=random_sets,
        probes=tuple(probe or ("auto",)),
        find=find,
        span=span,
        threshold=threshold,
        beam=beam,
        forced_prefix=forced_prefix,
    )
    path = out or model / "inspect.html"
    page.check_writable(path)
    found = report.inspect(loaded.model, loaded.task, rows, settings, folder=model, say=say)
    report.write(found, path.with_suffix(".json"), path.with_suffix(".npz"))
    page.write(found, path)
    if json_output:
        print(json.dumps(found.content, ensure_ascii=False))
    else:
        print("\n".join(summary.summarise(found.content)))
    say(
        f"open {path} in a browser; numbers in {path.with_suffix('.json')}, "
        f"arrays in {path.with_suffix('.npz')}"
    )


def _count(clusters: str) -> int | None:
    if clusters == "auto":
        return None
    if not clusters.isdigit() or int(clusters) < 2:
        raise UsageError(f"--clusters {clusters}: give auto or a number from 2 upward")
    return int(clusters)


def _load(
    model: Path,
    data: str | None,
    split: str,
    limit: int | None,
    threads: int | None,
    columns: dict[str, str | None],
) -> tuple[Any, Any]:
    """The model, and the rows to read."""
    import torch

    from seqcli import bundle, run
    from seqcli.console import say
    from seqcli.data.load import load_split
    from seqcli.nn.device import available_cores

    torch.set_num_threads(threads or available_cores())
    loaded = bundle.load(model)
    chosen = run.choose_data(loaded.task, data, columns, limit=limit)
    rows = load_split(loaded.task.name, chosen, split, usual=loaded.task.columns)
    for note in rows.notes:
        say(note)
    return loaded, rows


def compare(
    first: Annotated[str, typer.Argument(metavar="A[:LAYER]", help="A model folder.")],
    second: Annotated[str, typer.Argument(metavar="B[:LAYER]", help="Another, or the same.")],
    data: DataArgument = None,
    split: Split = "validation",
    sentence: Annotated[
        list[str] | None, typer.Option(help="A text to follow through both; may be repeated.")
    ] = None,
    direction: Annotated[
        Literal["forward", "reverse"] | None, typer.Option(help="Only this direction.")
    ] = None,
    state: Annotated[
        Literal["h", "c"], typer.Option(help="Which state; c is put in units of its spread.")
    ] = "h",
    top_k: TopK = 300,
    min_count: MinCount = 5,
    clusters: Clusters = "auto",
    cocluster_mode: Mode = "absolute",
    out: Annotated[
        Path | None,
        typer.Option(help="Page to write; .json goes beside it. Default B/compare.html."),
    ] = None,
    max_tokens: MaxTokens = 1_000_000,
    limit: Limit = None,
    seed: Seed = 1,
    threads: Threads = None,
    text_column: Column = None,
    label_column: Column = None,
    tokens_column: Column = None,
    tags_column: Column = None,
    source: Column = None,
    target: Column = None,
    subset: Column = None,
    json_output: Json = False,
) -> None:
    """Two models, two layers or two checkpoints on the same examples and one scale."""
    wanted = _count(clusters)
    from seqcli import bundle
    from seqcli.console import say
    from seqcli.inspect import compare as comparing
    from seqcli.inspect import compare_page, page, summary
    from seqcli.inspect.settings import Settings

    folders = [comparing.split_name(text) for text in (first, second)]
    path = out or folders[1][0] / "compare.html"
    columns = {
        "text_column": text_column,
        "label_column": label_column,
        "tokens_column": tokens_column,
        "tags_column": tags_column,
        "source": source,
        "target": target,
        "subset": subset,
    }
    loaded, rows = _load(folders[0][0], data, split, limit, threads, columns)
    other = bundle.load(folders[1][0])
    page.check_writable(path)
    settings = Settings(
        sentences=tuple(sentence or ()),
        direction=direction,
        state=state,
        top_k=top_k,
        min_count=min_count,
        clusters=wanted,
        mode=cocluster_mode,
        seed=seed,
        max_tokens=max_tokens,
    )
    names = _names(first, second)
    models = [
        (names[0], loaded.task, loaded.model, folders[0][1]),
        (names[1], other.task, other.model, folders[1][1]),
    ]
    found = comparing.compare(models, rows, settings, say=say)
    bundle.write_json(path.with_suffix(".json"), found.content, indent=None)
    page.save(compare_page.build(found), path)
    if json_output:
        print(json.dumps(found.content, ensure_ascii=False))
    else:
        print("\n".join(summary.summarise_comparison(found.content)))
    say(f"open {path} in a browser; numbers in {path.with_suffix('.json')}")


def _names(first: str, second: str) -> tuple[str, str]:
    """The folders' own names, or the whole arguments where these are alike."""
    short = Path(first).name, Path(second).name
    return short if short[0] != short[1] else (first, second)
