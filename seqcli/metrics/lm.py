"""Metrics of a language model: its surprise at a text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from seqcli.errors import SeqcliError
from seqcli.metrics.signatures import signature


def language(
    nats: float,
    tokens: int,
    *,
    characters: int,
    unknown: int,
    kind: str = "",
    gold: Iterable[str] = (),
) -> dict[str, Any]:
    """What `nats` of surprise in total come to for each token and each character.

    `unknown` of the `tokens` were out of the vocabulary: they cost little and tell nothing, so a
    perplexity holds only beside their rate. A figure a character can be compared across
    vocabularies. `kind` is that of the tokenizer, `gold` the text (for the signature).
    """
    if tokens < 1 or characters < 1:
        raise SeqcliError("there is no text to score")
    entropy = nats / tokens
    return {
        "cross_entropy": entropy,
        "perplexity": math.exp(min(entropy, 700.0)),  # JSON has no infinity
        "nats_per_character": nats / characters,
        "bits_per_character": nats / characters / math.log(2),
        "unknown_rate": unknown / tokens,
        "tokens": tokens,
        "characters": characters,
        "signature": signature("cross-entropy", gold, tokens=tokens, unit=kind or None),
    }
