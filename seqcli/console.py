"""The one Console on stderr, and how figures are written for a person.

Text of users is never read as markup. Results for programs do not pass through here.
"""

from __future__ import annotations

import os
from typing import IO, Any

from rich.console import Console
from rich.text import Text


class Notes(Console):
    """What is told beside the work. The work goes on where nobody can be told any more: a reader
    that has left, a full disk, a terminal that was closed."""

    def __exit__(self, *raised: Any) -> None:
        try:
            super().__exit__(*raised)
        except OSError:
            discard(self.file)

    def on_broken_pipe(self) -> None:
        discard(self.file)


def discard(stream: IO[str]) -> None:
    """Let what is written to a stream go nowhere from here on, what it still holds as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


stderr = Notes(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)
if stderr.width < 1:  # COLUMNS=0, with which rich prints nothing at all
    stderr.width = 80

PERCENT = {
    "subset_accuracy", "micro_precision", "micro_recall", "micro_f1", "hamming_loss",
    "top_3_accuracy", "top_5_accuracy", "ece", "ece_uncalibrated", "unknown_rate",
    "accuracy", "macro_precision", "macro_recall", "macro_f1", "token_accuracy", "span_precision",
    "span_recall", "span_f1", "label_accuracy", "label_macro_f1", "exact_match", "precision",
    "recall", "f1", "bleu", "chrf", "score",
}  # fmt: skip


def say(sentence: str) -> None:
    """A note on stderr."""
    stderr.print(Text(sentence))


def say_loading() -> None:
    """On a terminal, what the next second goes into."""
    if stderr.is_terminal:
        say("loading torch …")


def fail(message: str) -> None:
    """An error on stderr, on one line."""
    line = " ".join(message.split())
    stderr.print(Text.assemble(("error: ", "bold red"), line))


def show_score(name: str, value: float) -> str:
    """A score for reading: fractions in percent, other figures with four digits."""
    if name in PERCENT:
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"


def show_value(value: Any) -> str:
    """A fact for reading: numbers with separators, scores by name, yes or no."""
    if isinstance(value, dict):
        return "\n".join(
            f"{name.replace('_', ' ')} "
            f"{show_score(name, one) if isinstance(one, float) else show_value(one)}"
            for name, one in value.items()
        )
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def duration(seconds: float) -> str:
    """Seconds as 8 s, 3:05 or 1:02:03."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
