"""Results for a person: tables on stdout."""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from seqcli.console import PERCENT, show_score

SHOWN = {
    "classify": (
        *("accuracy", "subset_accuracy", "hamming_loss", "micro_f1"),
        *("macro_precision", "macro_recall", "macro_f1", "top_3_accuracy", "ece"),
    ),
    "tag": (
        *("token_accuracy", "span_precision", "span_recall", "span_f1"),
        *("label_accuracy", "exact_match"),
    ),
    "translate": ("bleu", "chrf", "exact_match", "cross_entropy"),
    "lm": (
        *("cross_entropy", "perplexity", "nats_per_character", "bits_per_character"),
        *("unknown_rate", "network_alone"),
    ),
}
"""The rows of each task's table of scores."""
DETAILED_CLASSES = 30  # rows of a table of classes
SHOWN_TEXT = 200  # characters of a text in a table
CONFUSED_CLASSES = 16  # of a confusion matrix that fits a terminal
ROOMY = 10_000  # characters of a line


def print_scores(
    task: str,
    scores: Mapping[str, Mapping[str, Any]],
    baselines: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> None:
    """Tables of a task's metrics by split, beside the baselines, and by class."""
    out = _stdout()
    names = _shown(task, list(scores.values()))
    for split, found in scores.items():
        columns = {**(baselines or {}).get(split, {}), "network": found}
        cells = [(name, _cells(names, column)) for name, column in columns.items()]
        out.print(_score_table(out, split, names, cells))
    last = list(scores.values())[-1]
    for key in ("per_class", "per_type", "per_label"):
        if last.get(key):
            out.print(_class_table(list(scores)[-1], last[key]))
    if "confusion" in last and len(last["confusion"]["labels"]) <= CONFUSED_CLASSES:
        out.print(_confusion_table(list(scores)[-1], last["confusion"]))
    _print_signatures(out, list(scores.values()))


def print_seeds(repeated: Any) -> None:
    """Tables of a task's metrics by split: the baselines, mean ± deviation, and each seed."""
    reports, task = repeated.reports, repeated.task
    names = _shown(task, [scores for report in reports for scores in report.scores.values()])
    out = _stdout()
    for split, spreads in repeated.spreads.items():
        means, each = [], []
        for name in names:
            spread = spreads.get(name)
            seeds = (report.scores[split].get(name) for report in reports)
            means.append(
                f"{show_score(name, spread.mean)}\n± {_bare(name, spread.deviation)}"
                if spread
                else ""
            )
            each.append("\n".join("–" if one is None else _bare(name, one) for one in seeds))
        others = reports[0].baselines.get(split, {})
        columns = [
            *((other, _cells(names, found)) for other, found in others.items()),
            (f"mean of {len(reports)} ± deviation", means),
            (f"seeds {', '.join(map(str, repeated.seeds))}", each),
        ]
        out.print(_score_table(out, split, names, columns))
    _print_signatures(out, [scores for report in reports for scores in report.scores.values()])


def print_models(task: str, models: Sequence[str], scores: Sequence[Mapping[str, Any]]) -> None:
    """A table of a task's metrics by model."""
    out = _stdout()
    names = _shown(task, scores)
    columns = [(model, _cells(names, found)) for model, found in zip(models, scores, strict=True)]
    out.print(_score_table(out, "model", names, columns))
    _print_signatures(out, scores)


def print_comparison(task: str, first: str, second: str, differences: Mapping[str, Any]) -> None:
    """A table of the differences between two models, and in words which is better."""
    table = Table("score", "difference", "95 % interval", "p", "verdict")
    for column in table.columns[1:4]:
        column.justify = "right"
    for name in _shown(task, [differences]):
        found = differences[name]
        difference, low, high = (
            _show_difference(name, value) for value in (found.difference, *found.interval)
        )
        verdict = ("cannot be told apart", "the first is better", "the second is better")
        p = f"{found.p:.3f}" if found.p >= 0.001 else "< 0.001"
        table.add_row(
            name.replace("_", " "), difference, f"{low} … {high}", p, verdict[found.better]
        )
    out = _stdout()
    out.print(Text(f"{second} (the second) minus {first} (the first)"), soft_wrap=True)
    out.print(table)


def _show_difference(name: str, value: float) -> str:
    """In points for fractions, which are shown in percent."""
    return f"{100 * value:+.2f}" if name in PERCENT else f"{value:+.4f}"


class Results(Console):
    """Tables on stdout. That nobody reads them is told to the command line, which ends quietly."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _stdout() -> Console:
    out = Results(file=sys.stdout, markup=False, highlight=False, emoji=False)
    if not out.is_terminal or out.width < 1:
        out.width = 140
    return out


def _shown(task: str, scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of a task that some of the scores have."""
    return [name for name in SHOWN[task] if any(name in found for found in scores)]


def _score_table(
    out: Console, corner: str, names: Sequence[str], columns: Sequence[tuple[str, Sequence[str]]]
) -> Table:
    """Metrics downwards and whose they are across. Lines of a cell stand in one where there is
    room; where there is not even for the lines, only headings are broken."""
    for narrow in (False, True):
        table = Table(corner)
        for heading, cells in columns:
            pieces = [*heading.split(), *(line for cell in cells for line in cell.split("\n"))]
            width = max(map(cell_len, pieces)) if narrow else None
            table.add_column(Text(heading), justify="right", width=width)
        for name, *row in zip(names, *(cells for _, cells in columns), strict=True):
            cells = row if narrow else [cell.replace("\n", " ") for cell in row]
            table.add_row(name.replace("_", " "), *cells)
        roomy = out.options.update(width=ROOMY)
        if Measurement.get(out, roomy, table).maximum <= out.width:
            break
    return table


def _print_signatures(out: Console, scores: Sequence[Mapping[str, Any]]) -> None:
    keys = ("signature", "bleu_signature", "chrf_signature", "interval_signature")
    lines = [found[key] for found in scores for key in keys if key in found]
    for line in dict.fromkeys(lines):
        out.print(Text(line, "dim"), soft_wrap=True)


def _cells(names: Sequence[str], scores: Mapping[str, Any]) -> list[str]:
    """The scores for reading, each with its interval on a line of its own where it has one."""
    cells = []
    for name in names:
        cell = show_score(name, scores[name]) if name in scores else ""
        if name in scores.get("intervals", ()):
            low, high = (_bare(name, bound) for bound in scores["intervals"][name])
            cell += f"\n[{low}, {high}]"
        cells.append(cell)
    return cells


def _bare(name: str, value: float) -> str:
    """A score without the sign of percent."""
    return show_score(name, value).removesuffix(" %")


def _class_table(split: str, classes: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(split, "precision", "recall", "f1", "support")
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right"
    largest = sorted(classes, key=lambda name: -classes[name]["support"])[:DETAILED_CLASSES]
    for name in (name for name in classes if name in set(largest)):
        cells = _cells(("precision", "recall", "f1"), classes[name])
        table.add_row(Text(name), *cells, f"{classes[name]['support']:,}")
    if rest := len(classes) - len(largest):
        table.add_row(Text(f"and {rest:,} smaller ones (--json has all)", "dim"))
    return table


def _confusion_table(split: str, confusion: Mapping[str, Any]) -> Table:
    """Rows are true labels, columns predicted ones, under the letters of the rows."""
    letters = string.ascii_lowercase[: len(confusion["labels"])]
    table = Table("", f"{split}: true ↓ predicted →", box=None, padding=(0, 1, 0, 0))
    table.columns[1].overflow = "fold"
    for letter in letters:
        table.add_column(letter, justify="right")
    rows = zip(letters, confusion["labels"], confusion["matrix"], strict=True)
    for letter, label, row in rows:
        table.add_row(letter, Text(label), *(str(count) if count else "·" for count in row))
    return table


def print_mistakes(mistakes: Sequence[Mapping[str, Any]]) -> None:
    """Rows answered wrongly, with the probability of what was said and of the truth."""
    rows = []
    for one in mistakes:
        texts = [one[role] for role in ("text", "pair") if role in one]
        said, gold = (
            name if isinstance(name, str) else ", ".join(name)
            for name in (one["predicted"], one["gold"])
        )
        rows.append(
            (
                f"{one['row']:,}",
                f"{gold} {one['gold_probability']:.1%}",
                f"{said} {one['probability']:.1%}",
                " ⏎ ".join(
                    text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]} …" for text in texts
                ),
            )
        )
    print_table(("row read", "true", "predicted", "text"), rows)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table on stdout."""
    table = Table()
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    _stdout().print(table)
