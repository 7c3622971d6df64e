"""Claims that the field repeats, put to the test on the models at hand.

- An LSTM updates its state more sparsely than a plain RNN, layer by layer.
- A second layer responds more sparsely than the first of the same network.
- A GRU reacts more to "though" before a negative clause.

Each is a number with an interval: supported where the interval lies on the claimed side of zero,
refuted where it lies on the other, undecided where it holds zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from seqcli.data.sequences import Sequences
from seqcli.inspect.corpus import Corpus
from seqcli.inspect.trace import Site, complete, list_layers, watched
from seqcli.nn.ragged import to_ragged

STOPS = frozenset(".,;:!?")
LEAST = 8
"""Occurrences of a word that a group must have to be compared."""
MOST = 400  # occurrences of the word that are looked at


class Claim(NamedTuple):
    """claim: a sentence; measure: what was measured; difference, with its 95 % interval, is above
    zero where the claim holds; verdict: supported, refuted, undecided or untested."""

    claim: str
    measure: str
    difference: float | None
    interval: tuple[float, float] | None
    verdict: str


def judge(claim: str, measure: str, difference: float, interval: tuple[float, float]) -> Claim:
    """A verdict from an interval."""
    low, high = interval
    verdict = "supported" if low > 0 else "refuted" if high < 0 else "undecided"
    return Claim(claim, measure, difference, (low, high), verdict)


def sparser_update(plain: dict[str, np.ndarray], gated: dict[str, np.ndarray]) -> list[Claim]:
    """LSTM against plain RNN: resampled numbers (paired draws) of the two h."""
    claim = "An LSTM updates its state more sparsely than a plain RNN"
    found = []
    for name, measure, sign in (
        ("update_sparsity", "Hoyer sparsity of a step's |Δh|, LSTM − RNN", 1),
        ("update_density", "share of |Δh| > 0.1, RNN − LSTM", -1),
    ):
        drawn = sign * (gated[name] - plain[name])
        low, high = np.percentile(drawn, (2.5, 97.5))
        found.append(judge(claim, measure, float(drawn.mean()), (float(low), float(high))))
    return found


def sparser_layer(lower_W: np.ndarray, upper_W: np.ndarray, *, seed: int) -> Claim:
    """Second layer against first: Hoyer sparsity of the same words' responses (W,), by a bootstrap
    over words."""
    change_W = upper_W - lower_W
    random = np.random.default_rng(seed)
    drawn = [change_W[random.integers(0, len(change_W), len(change_W))].mean() for _ in range(2000)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return judge(
        "A second layer responds more sparsely than the first",
        "Hoyer sparsity of a word's response, second − first layer, mean over words",
        float(change_W.mean()),
        (float(low), float(high)),
    )


def reaction(corpus: Corpus, model: nn.Module, site: Site, word: str, *, seed: int) -> Claim:
    """‖Δh‖ at a word before a negative clause against the rest, in a model of two labels.

    The clause runs from the word to the next stop; it is negative where the model itself, reading
    it alone, gives it the first label. A network that reads forward has not seen the clause yet:
    a difference comes from what went before.
    """
    cell = corpus.task.config.network.cell.upper()
    claim = f"A {cell} reacts more to “{word}” before a negative clause"
    measure = f"‖Δh‖ at “{word}”, before a clause taken for {_first(corpus)} − before others"
    found = _reactions(corpus, model, site, word)
    if found is None:
        return Claim(claim, f"{measure}: only for two labels", None, None, "untested")
    size_M, negative_M = found
    groups = size_M[negative_M], size_M[~negative_M]
    if min(map(len, groups)) < LEAST:
        counts = " and ".join(str(len(group)) for group in groups)
        return Claim(claim, f"{measure}: {counts} occurrences are too few", None, None, "untested")
    random = np.random.default_rng(seed)
    drawn = [
        groups[0][random.integers(0, len(groups[0]), len(groups[0]))].mean()
        - groups[1][random.integers(0, len(groups[1]), len(groups[1]))].mean()
        for _ in range(2000)
    ]
    low, high = np.percentile(drawn, (2.5, 97.5))
    difference = float(groups[0].mean() - groups[1].mean())
    return judge(
        claim,
        f"{measure} ({len(groups[0])} and {len(groups[1])})",
        difference,
        (float(low), float(high)),
    )


def two_labels(task: Any) -> bool:
    """Whether a task gives one text one of two labels."""
    if task.name != "classify" or task.pairs or task.decision.several:
        return False
    return len(task.labels) == 2


def _first(corpus: Corpus) -> str:
    return corpus.task.labels[0] if corpus.task.name == "classify" else "negative"


@torch.no_grad()
def _reactions(
    corpus: Corpus, model: nn.Module, site: Site, word: str
) -> tuple[np.ndarray, np.ndarray] | None:
    task: Any = corpus.task
    if not two_labels(task):
        return None
    part = corpus.parts[""]
    if word not in part.vocabulary:
        return np.zeros(0), np.zeros(0, dtype=bool)
    spelled_N = task.encode_rows(corpus.rows).values  # what the model reads; ids are for display
    stops = np.isin(part.ids, [n for n, token in enumerate(part.vocabulary) if token in STOPS])
    sizes, clauses = [], []
    for at in np.flatnonzero(part.ids == part.vocabulary.index(word))[:MOST]:
        begin, end = part.bounds[part.example[at]], part.bounds[part.example[at] + 1]
        after = np.flatnonzero(stops[at + 1 : end])
        stop = at + 1 + after[0] if len(after) else end
        if stop <= at + 1:
            continue
        with watched(list_layers(model)) as calls:
            model(_batch(spelled_N[begin:end]))
        steps = complete(site.layer.cell, calls[site.layer.key], check=False)
        change = steps.states["h"] - steps.before["h"]
        sizes.append(float(change[at - begin].norm()))
        p_1L = task.decision.probabilities(model(_batch(spelled_N[at + 1 : stop])).float())
        clauses.append(int(task.decision.choose(p_1L.numpy())[0]) == 0)
    return np.array(sizes), np.array(clauses, dtype=bool)


def _batch(ids: np.ndarray) -> Any:
    return to_ragged(Sequences(ids, np.array([0, len(ids)])))
