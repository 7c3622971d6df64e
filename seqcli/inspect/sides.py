"""The two sides of a comparison: what each one gathered, and how the two differ."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import nn

from seqcli.config import Comparing
from seqcli.errors import UsageError
from seqcli.inspect import numbers
from seqcli.inspect.cocluster import Clustering
from seqcli.inspect.corpus import Corpus
from seqcli.inspect.inspection import round_digits
from seqcli.inspect.outcome import COUNTED, Outcome, metric_name
from seqcli.inspect.response import choose_words
from seqcli.inspect.similarity import Difference, compare_ratios, linear_cka, map_cka, match_units
from seqcli.inspect.survey import Survey
from seqcli.inspect.trace import Site


class Side(NamedTuple):
    """One of the two: a loaded model, the site that was chosen, what was gathered."""

    name: str
    task: Any
    model: nn.Module
    site: Site
    corpus: Corpus
    survey: Survey


def are_aligned(sides: tuple[Side, Side]) -> bool:
    """Whether both read the same tokens at the chosen sites, but for unknown ones."""
    parts = [side.corpus.parts[side.site.layer.part] for side in sides]
    return np.array_equal(parts[0].bounds, parts[1].bounds)


def share_responses(
    sides: tuple[Side, Side], settings: Comparing, notes: list[str]
) -> tuple[list[str], list[int], float, tuple[np.ndarray, np.ndarray]]:
    """The shared words, their counts, the share of the first side's tokens they make up, and the
    responses of both, with c in units of each unit's own spread."""
    names = []
    for side in sides:
        part = side.corpus.parts[side.site.layer.part]
        found = side.survey.words[side.site.layer.part]
        own = choose_words(found, [side.survey.responses[side.site.key]], len(found.ids))
        names.append({part.vocabulary[found.ids[at]]: int(at) for at in own})
    shared = [word for word in names[0] if word in names[1]][: settings.top_k]
    if len(shared) < 3:
        raise UsageError(
            f"too few words ({len(shared)}) are known to both and seen {settings.min_count} times; "
            f"use more data, a lower --min-count, or models with the same tokens"
        )
    means = []
    normalise = any(side.site.state == "c" for side in sides)
    for side, known in zip(sides, names, strict=True):
        places = np.array([known[word] for word in shared])
        mean = side.survey.responses[side.site.key].result(places).mean
        if normalise:
            spread = side.survey.states[side.site.key].astype(np.float32).std(axis=0)
            mean = mean / np.maximum(spread, 1e-6)
        means.append(mean)
    if normalise:
        notes.append("c has no bounds: responses are in units of each unit's standard deviation")
    first = sides[0]
    found = first.survey.words[first.site.layer.part]
    counts = [int(found.counts[names[0][word]]) for word in shared]
    total = len(first.corpus.parts[first.site.layer.part].ids)
    return shared, counts, sum(counts) / total, (means[0], means[1])


def compare_numbers(
    sides: tuple[Side, Side],
    mean: tuple[np.ndarray, np.ndarray],
    settings: Comparing,
    *,
    paired: bool,
) -> dict[str, Any]:
    """Every number of both with the difference and its interval over the same draws of examples.
    Gates of different cells mean different things, so that those numbers only stand beside."""
    gathered = [side.survey.numbers[side.site.key] for side in sides]
    values = [one.values() for one in gathered]
    same_cell = len({type(side.site.layer.cell) for side in sides}) == 1
    table: dict[str, Any] = {}
    drawn = [one.resampled(seed=settings.seed) for one in gathered]
    for name in dict.fromkeys([*values[0], *values[1]]):
        pair = [one.get(name) for one in values]
        row: dict[str, Any] = {"values": pair}
        row["intervals"] = [
            np.percentile(one[name], (2.5, 97.5)).tolist() if name in one else None for one in drawn
        ]
        if None not in pair and (same_cell or not name.startswith(("gate_", "candidate_"))):
            row["difference"] = values[1][name] - values[0][name]
            if paired:
                change = drawn[1][name] - drawn[0][name]
                row["interval"] = np.percentile(change, (2.5, 97.5)).tolist()
        table[name] = row
    sparsity = [numbers.response_sparsity(one) for one in mean]
    for name in sparsity[0]:
        both = [one[name] for one in sparsity]
        table[name] = {"values": both, "difference": both[1] - both[0], "intervals": [None, None]}
    return table


def compare_metrics(sides: tuple[Side, Side], settings: Comparing) -> dict[str, Any]:
    """The difference of the task's metric between the second side and the first, paired by
    example."""
    task = sides[0].task
    ratios = [_ratio(side.survey.outcome, metric_name(task)) for side in sides]
    found: Difference = compare_ratios(ratios[0], ratios[1], seed=settings.seed)
    return {"name": metric_name(task), **found._asdict()}


def _ratio(outcome: Outcome, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What each example adds to the numerator and to the denominator of a metric."""
    if name in COUNTED:
        return 2 * outcome.matched, outcome.guessed + outcome.true
    if name == "cross_entropy":
        return outcome.loss, outcome.known
    return outcome.right, outcome.predictions


def compare_states(sides: tuple[Side, Side]) -> dict[str, Any]:
    """Linear CKA between every h of the one and every h of the other, of the same part."""
    part = sides[0].site.layer.part
    states = [
        {
            key: states
            for key, states in side.survey.states.items()
            if key.endswith(".h") and (not part or key.startswith(f"{part}."))
        }
        for side in sides
    ]
    chosen = linear_cka(*(side.survey.states[side.site.key].astype(np.float32) for side in sides))
    return {**map_cka(*states), "chosen": chosen}


def match_states(sides: tuple[Side, Side]) -> dict[str, Any] | None:
    """Of each unit of the first side its partner in the second; None where the widths differ."""
    states = [side.survey.states[side.site.key].astype(np.float32) for side in sides]
    if states[0].shape[1] != states[1].shape[1]:
        return None
    found = match_units(states[0], states[1])
    return {
        "partner": found.partner.tolist(),
        "correlation": round_digits(found.correlation),
        "mean": found.mean,
        "chance": found.chance,
    }


def compare_clusterings(one: Clustering, other: Clustering) -> float:
    """Adjusted Rand index between the two clusterings of the shared words."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one.words, other.words))
