"""What a finished training has to say, and the README.md of its model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from seqcli import __version__
from seqcli.config import flatten, make_config
from seqcli.tasks.task import Scores

IN_CARD = {
    "classify": ("accuracy", "subset_accuracy", "micro_f1", "macro_f1", "ece"),
    "tag": ("span_f1", "token_accuracy", "label_accuracy", "exact_match"),
    "translate": ("bleu", "chrf", "exact_match", "cross_entropy"),
    "lm": ("cross_entropy", "perplexity", "bits_per_character"),
}
"""The scores of each task that a model card has."""


class Report(NamedTuple):
    """scores: by split. baselines: by split, then by name."""

    task: str
    folder: Path
    best_epoch: int
    parameters: int
    scores: dict[str, Scores]
    baselines: dict[str, dict[str, Scores]]


def model_card(task: Any, report: Report) -> str:
    """Markdown with the settings that differ from the defaults, scores with signatures, and use."""
    defaults = flatten(make_config(task.name, {}))
    own = {
        name: value
        for name, value in flatten(task.config).items()
        if value != defaults[name] and name not in ("data", "train", "validation", "test")
    }
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
        "| fact | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in task.facts().items()),
        *(f"| --{name.replace('_', '-')} | {value} |" for name, value in own.items()),
        "",
        "| split | " + " | ".join(names) + " | signature |",
        "|---" * (len(names) + 2) + "|",
    ]
    for split, scores in report.scores.items():
        cells = [f"{scores[name]:.4f}" if name in scores else "" for name in names]
        lines.append(f"| {split} | " + " | ".join(cells) + f" | `{scores['signature']}` |")
        for name, other in report.baselines[split].items():
            cells = [f"{other[key]:.4f}" if key in other else "" for key in names]
            lines.append(f"| {split}, {name} | " + " | ".join(cells) + " | |")
    lines += ["", "```sh", f"seqcli predict {report.folder.name} < lines.txt", "```", ""]
    return "\n".join(lines)
