"""What an inspection was asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was asked for; see the command's help."""

    sentences: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    layer: str | None = None
    direction: str | None = None
    state: str | None = None
    top_k: int = 300
    min_count: int = 5
    clusters: int | None = None
    mode: str = "absolute"
    seed: int = 1
    max_tokens: int | None = 1_000_000
    ablate: tuple[str, ...] = ("clusters",)
    how: str = "zero"
    random_sets: int = 20
    probes: tuple[str, ...] = ("auto",)
    find: str | None = None
    span: str | None = None
    threshold: float = 0.3
    beam: int = 3
    forced_prefix: str | None = None
