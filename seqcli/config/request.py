"""Settings of an answer: what it holds, and how the answers of translate are searched for.

`tasks` names whose models each is for. It belongs to the one use of a model and is not saved with
it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from seqcli.config.setting import find_useless, setting
from seqcli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How the answers of translate are searched for."""

    beam: int = setting(
        1, "Width of the beam; 1 is greedy search.", minimum=1, tasks=("translate",)
    )
    length_penalty: float = setting(
        1.0, "Above 0, favour longer answers.", minimum=0, maximum=10, tasks=("translate",)
    )
    coverage_penalty: float = setting(
        0.0,
        "Above 0, favour answers that leave nothing of the source out.",
        minimum=0,
        maximum=100,
        tasks=("translate",),
    )
    no_repeat_ngram: int = setting(
        0,
        "Never write the same n-gram of this length twice; 0: no limit.",
        minimum=0,
        tasks=("translate",),
    )
    min_length: int = setting(
        0, "Write at least this many tokens per answer.", minimum=0, tasks=("translate",)
    )
    max_length: int | None = setting(
        None, "Write at most this many tokens per answer.", minimum=1, tasks=("translate",)
    )
    copy_unknown: bool = setting(
        False,
        "In place of an unknown word, write the source word it attends to (--tokens word).",
        tasks=("translate",),
    )

    def check_task(self, task: str) -> None:
        """Raise UsageError for a setting that a model of this task has no use for."""
        if found := find_useless(self, "tasks", task):
            raise UsageError(f"{found[0]} is for models of {found[1]}, and this is one of {task}")

    def __post_init__(self) -> None:
        if self.max_length is not None and self.min_length > self.max_length:
            raise UsageError(
                f"--min-length is {self.min_length}, above --max-length {self.max_length}"
            )


@dataclass(frozen=True, kw_only=True)
class Request(Decoding):
    """What `predict` was asked for; each task reads what concerns it."""

    probabilities: bool = setting(False, "Add the probability of every label.", tasks=("classify",))
    top_k: int = setting(
        0, "Add the probabilities of the k likeliest labels.", minimum=0, tasks=("classify",)
    )
    surprisal: bool = setting(
        False,
        "Give the surprisal of each token in bits instead of the line's totals.",
        tasks=("lm",),
    )
    n_best: int = setting(
        1,
        "Give this many answers and their scores, separated by tabs.",
        minimum=1,
        tasks=("tag", "translate"),
    )
    scores: bool = setting(False, "Add its score to each answer.", tasks=("tag", "translate"))
    alignment: bool = setting(
        False,
        "Add which source word each word attends to, as i-j; in JSON Lines also all weights.",
        tasks=("translate",),
    )
    score_pairs: bool = setting(
        False,
        "Read a source, a tab and a target from each line; answer with the log-probability.",
        tasks=("translate",),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        useful = ("score_pairs", "length_penalty")  # which is part of the score in JSON Lines
        for item in fields(self) if self.score_pairs else ():
            if item.name not in useful and getattr(self, item.name) != item.default:
                option = "--" + item.name.replace("_", "-")
                raise UsageError(
                    "--score-pairs searches for nothing and answers with a number alone; "
                    f"leave out {option}"
                )
