"""Metrics of a language model: its surprise at a text."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from seqcli.errors import SeqcliError
from seqcli.metrics.signatures import signature
from seqcli.metrics.tally import Measured, Scores, Tally

BLOCKS = 400
"""Neighbouring lines hang together, as those of an article: intervals draw blocks of them."""


def language(
    nats: float | np.ndarray,
    tokens: int | np.ndarray,
    *,
    characters: int | np.ndarray,
    unknown: int,
    kind: str = "",
    gold: Iterable[str] = (),
) -> Scores:
    """What `nats` of surprise come to for each token and each character: totals, or the figures of
    each line (R,), which give intervals.

    `unknown` of the `tokens` were out of the vocabulary: they cost little and tell nothing, so a
    perplexity holds only beside their rate. A figure a character can be compared across
    vocabularies. `kind` is that of the tokenizer, `gold` the text as it was predicted (for the
    signature).
    """
    counts_RC = np.stack([np.atleast_1d(part) for part in (nats, tokens, characters)], axis=1)
    read, written = int(counts_RC[:, 1].sum()), int(counts_RC[:, 2].sum())
    if read < 1 or written < 1:
        raise SeqcliError("there is no text to score")
    blocks_BC = _join(counts_RC.astype(float))
    whole = _measure(counts_RC.sum(axis=0, keepdims=True).astype(float))
    return Scores.of(
        {
            **{name: float(value_S[0]) for name, value_S in whole.items()},
            "unknown_rate": unknown / read,
            "tokens": read,
            "characters": written,
            "signature": signature(
                "cross-entropy", gold, tokens=read, characters=written, unit=kind or None
            ),
        },
        Tally(len(blocks_BC), blocks_BC, _measure),
    )


def _join(counts_RC: np.ndarray) -> np.ndarray:
    """The counts of at most BLOCKS blocks of as many neighbouring lines each."""
    each = -(-len(counts_RC) // BLOCKS)
    return np.add.reduceat(counts_RC, np.arange(0, len(counts_RC), each))


def _measure(sums_SC: np.ndarray) -> Measured:
    nats_S, tokens_S, characters_S = sums_SC.T
    entropy_S = nats_S / tokens_S
    return {
        "cross_entropy": entropy_S,
        "perplexity": np.exp(np.minimum(entropy_S, 700.0)),  # JSON has no infinity
        "nats_per_character": nats_S / characters_S,
        "bits_per_character": nats_S / characters_S / math.log(2),
    }
