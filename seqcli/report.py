"""What a finished training has to say, and the README.md of its model folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqcli import __version__, metrics
from seqcli.config import flatten, make_config
from seqcli.data.rows import Rows
from seqcli.data.values import write_cell
from seqcli.metrics.paired import LOWER_IS_BETTER
from seqcli.tasks.task import Scores

IN_CARD = {
    "classify": ("accuracy", "subset_accuracy", "micro_f1", "macro_f1", "ece"),
    "tag": ("span_f1", "token_accuracy", "label_accuracy", "exact_match"),
    "translate": ("bleu", "chrf", "exact_match", "cross_entropy"),
    "lm": ("cross_entropy", "perplexity", "bits_per_character", "unknown_rate", "network_alone"),
}
"""The scores of each task that a model card has."""
TOLD = 0.005
"""How much better a baseline must be to be named, as a share of its score."""
EXAMPLES, SHORT = 100, 60
"""Rows that are looked at for an example, and its characters at most."""
UNFIT = re.compile(r"^\s*-|[\n\\]")
"""What `echo` or an option would not take as it is."""


class Report(NamedTuple):
    """scores: by split. baselines: by split, then by name. example: an input to try it with."""

    task: str
    folder: Path
    best_epoch: int
    parameters: int
    scores: dict[str, Scores]
    baselines: dict[str, dict[str, Scores]]
    example: str = ""


def choose_example(task: Any, rows: Rows) -> str:
    """One of the first rows as a line of input that fits a command line, or '': of lm the
    beginning of a text, or what one is written from."""
    for number in range(min(len(rows), EXAMPLES)):
        row = {role: values[number] for role, values in rows.columns.items()}
        if "condition" in row:
            found = row["condition"]
            line = ",".join(map(write_cell, found)) if isinstance(found, list) else found
        elif "tokens" in row:
            line = row.get("text") or task.cut.write_line(row["tokens"])
        elif "source" in row:
            line = row["source"]
        elif task.name == "lm":
            line = " ".join(row["text"][:SHORT].split()[:3])
        else:
            line = "\t".join(row[role] for role in ("text", "pair") if role in row)
        if isinstance(line, str) and 0 < len(line.strip()) <= SHORT and not UNFIT.search(line):
            return line.strip()
    return ""


def model_card(task: Any, report: Report) -> str:
    """Markdown with the settings that differ from the defaults, scores with signatures, and use."""
    defaults = flatten(make_config(task.name, {}))
    own = [
        (f"--{name.replace('_', '-')}", str(value))
        for name, value in flatten(task.config).items()
        if value != defaults[name] and name not in ("data", "train", "validation", "test")
    ]
    names = [
        name
        for name in IN_CARD[task.name]
        if any(name in scores for scores in report.scores.values())
    ]
    lines = [
        f"# {report.folder.name}",
        "",
        f"A `{task.name}` model of seqcli {__version__}: {task.config.network.cell}, "
        f"{report.parameters:,} parameters, best epoch {report.best_epoch}.",
        "",
        *_table(["fact", "value"], [*task.facts().items(), *own]),
        "",
    ]
    rows = []
    for split, scores in report.scores.items():
        rows.append([split, *_figures(names, scores), f"`{scores['signature']}`"])
        others = report.baselines[split]
        rows += [[f"{split}, {name}", *_figures(names, one), ""] for name, one in others.items()]
    lines += _table(["split", *names, "signature"], rows)
    # What a text is written from has no place in a plain line.
    given = "lines.jsonl" if getattr(task.config.data, "condition", None) else "lines.txt"
    lines += ["", "```sh", f"seqcli predict {report.folder.name} < {given}", "```", ""]
    return "\n".join(lines)


def find_better(task: str, network: Scores, baselines: Mapping[str, Scores]) -> str | None:
    """A sentence about the baseline whose first score is the furthest above the network's on
    validation rows, if chance does not explain it and it is more than TOLD."""
    best, most = None, TOLD
    for name, scores in baselines.items():
        first = next((one for one in IN_CARD[task] if one in scores and one in network), None)
        if first is None:
            continue
        theirs, own = scores[first], network[first]
        ahead = (own - theirs if first in LOWER_IS_BETTER else theirs - own) / (theirs or 1)
        if ahead <= most:  # the test takes long
            continue
        compared = metrics.compare(scores.tallies, network.tallies)
        if first in compared and compared[first].better == 1:
            most = ahead
            best = (
                f"the baseline {name!r} does better on validation: {first.replace('_', ' ')} "
                f"{theirs:.4f}, the network {own:.4f}; train longer "
                "(--epochs, --time), or do without a network"
            )
    return best


def _figures(names: Sequence[str], scores: Mapping[str, Any]) -> list[str]:
    return [f"{scores[name]:.4f}" if name in scores else "" for name in names]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table. A bar would end a cell, in code as well."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [head, *rows]]
    first, *rest = [f"| {' | '.join(row)} |" for row in cells]
    return [first, "|---" * len(head) + "|", *rest]
