"""Settings of `inspect` and `compare`: what to read, to show and to test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seqcli.config.setting import find_useless, setting
from seqcli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """What `compare` and `inspect` share.

    clusters: how many, None for as many as are stable; the command line has its own word for that.
    """

    sentences: tuple[str, ...] = setting(
        (), "A text to follow step by step; may be repeated.", option="sentence"
    )
    direction: Literal["forward", "reverse"] | None = setting(None, "Only this direction.")
    state: Literal["h", "c"] | None = setting(
        "h", "Which state; c is measured in units of its spread."
    )
    top_k: int = setting(300, "Number of words to show.", minimum=2, maximum=2000)
    min_count: int = setting(5, "Leave out words seen less often.", minimum=1)
    clusters: int | None = None
    mode: Literal["absolute", "raw"] = setting(
        "absolute",
        "Cluster |S|, or as RNNVis does the signed S, which mixes signs.",
        option="cocluster-mode",
    )
    seed: int = setting(1, "Seed for samples and clusters.", minimum=0)
    max_tokens: int | None = setting(1_000_000, "Read at most about this many tokens.", minimum=100)


@dataclass(frozen=True, kw_only=True)
class Inspecting(Comparing):
    """What `inspect` was asked for."""

    state: Literal["h", "c"] | None = setting(None, "Only this state.")
    layer: str | None = setting(None, "Only this layer: 2, encoder.1 or decoder.1.")
    words: tuple[str, ...] = setting(
        (), "A word to show whatever its rank; may be repeated.", option="word"
    )
    ablate: tuple[str, ...] = setting(
        ("clusters",),
        "Units to silence: clusters, cluster:2, unit:7, units:7,9 or none; may be repeated.",
    )
    how: Literal["zero", "mean"] = setting(
        "zero", "Value given to a silenced unit.", option="ablate-at"
    )
    random_sets: int = setting(
        20, "Number of random sets of units to compare an ablation with.", minimum=0
    )
    probes: tuple[str, ...] = setting(
        ("auto",),
        "Property to read off the states: label, tag, capital, letter, long, previous, "
        "seen=WORD,WORD or none; may be repeated.",
        option="probe",
    )
    find: str | None = setting(None, "A text whose pattern of states is searched for in the data.")
    span: str | None = setting(None, "With --find: which of its tokens, such as 2:5; default: all.")
    threshold: float = setting(0.3, "With --find: |h| above which a unit is active.", minimum=0)
    beam: int = setting(3, "Width of the beam tree.", minimum=1, tasks=("translate",))
    forced_prefix: str | None = setting(
        None, "Text that every translation must begin with.", tasks=("translate",)
    )

    def check_task(self, task: str) -> None:
        """Raise UsageError for a setting that a model of this task has no use for."""
        if found := find_useless(self, "tasks", task):
            raise UsageError(f"{found[0]} is for models of {found[1]}, and this is one of {task}")
        if self.find is None and (self.span is not None or self.threshold != Inspecting.threshold):
            raise UsageError("--span and --threshold belong to --find; give it too")
