"""One pass over a corpus that gathers all sums: responses, numbers, outcomes, a sample of states.

Memory depends on words, units and the size of the sample, not on the length of the data.

Dimensions: N tokens of a batch, M tokens of the sample, H units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from seqcli.inspect.corpus import Corpus
from seqcli.inspect.numbers import Numbers
from seqcli.inspect.outcome import Outcome, Outcomes
from seqcli.inspect.response import Responses, Words, choose_candidates, choose_words
from seqcli.inspect.trace import Site, complete, watched

SAMPLE_BYTES = 64 * 2**20
SAMPLE_TOKENS = 20_000
"""Tokens whose states are kept, at most, and the memory that they may take."""
CHECKED = 2
"""Batches whose every state is compared with the reference step."""


class Survey(NamedTuple):
    """What was gathered: by part the words followed and the positions sampled (M,); by site the
    responses, numbers and sampled states (M, H); the outcome of each example."""

    words: dict[str, Words]
    places: dict[str, np.ndarray]
    responses: dict[str, Responses]
    numbers: dict[str, Numbers]
    states: dict[str, np.ndarray]
    outcome: Outcome


def survey(
    corpus: Corpus,
    model: nn.Module,
    sites: Sequence[Site],
    *,
    top_k: int,
    min_count: int,
    forced: Sequence[str] = (),
    sample: int | None = None,
    seed: int = 1,
) -> Survey:
    """Read the whole corpus once. sample: tokens whose states are kept, about; None: as many as
    64 MB hold, at most 20,000.

    Raises SeqcliError for a cell that cannot be traced, UsageError for a forced word that is
    unknown.
    """
    layers = list({site.layer.key: site.layer for site in sites}.values())
    parts = list(dict.fromkeys(layer.part for layer in layers))
    units = {
        part: sum(s.layer.cell.hidden_size for s in sites if s.layer.part == part) for part in parts
    }
    words = {
        part: choose_candidates(
            corpus.parts[part],
            min_count=min_count,
            top_k=top_k,
            forced=forced if part == parts[-1] else _known(corpus, part, forced),
            units=units[part],
            seed=seed,
        )
        for part in parts
    }
    room = sample or min(SAMPLE_TOKENS, SAMPLE_BYTES // (4 * sum(units.values())))
    places = {part: _sample(corpus, part, room, seed) for part in parts}
    slots = {part: _slots(len(corpus.parts[part].ids), places[part]) for part in parts}
    responses, numbers, states = {}, {}, {}
    for site in sites:
        size, part = site.layer.cell.hidden_size, site.layer.part
        responses[site.key] = Responses(words[part], size)
        numbers[site.key] = Numbers(corpus.examples, size, site.state)
        states[site.key] = np.zeros((len(places[part]), size), dtype=np.float16)
    outcomes, carried = Outcomes(corpus), None
    with torch.inference_mode():
        for number, batch in enumerate(corpus.batches):
            with watched(layers) as calls:
                found = batch.run(model, carried)
            carried = found.state
            outcomes.add(found)
            for layer in layers:
                steps = complete(layer.cell, calls[layer.key], check=number < CHECKED)
                at = batch.places[layer.part]
                tokens = corpus.parts[layer.part]
                for site in (one for one in sites if one.layer is layer):
                    delta_NH = steps.states[site.state] - steps.before[site.state]
                    responses[site.key].add(delta_NH, tokens.ids[at], at)
                    numbers[site.key].add(steps, tokens.example[at])
                    slot = slots[layer.part][at]
                    taken = np.flatnonzero(slot >= 0)
                    chosen = steps.states[site.state][torch.from_numpy(taken)]
                    states[site.key][slot[taken]] = chosen.numpy()
    for part in parts:
        own = [responses[site.key] for site in sites if site.layer.part == part]
        words[part] = words[part]._replace(shown=choose_words(words[part], own, top_k))
    return Survey(words, places, responses, numbers, states, outcomes.result())


def _known(corpus: Corpus, part: str, forced: Sequence[str]) -> list[str]:
    return [word for word in forced if word in corpus.parts[part].vocabulary]


def _sample(corpus: Corpus, part: str, room: int, seed: int) -> np.ndarray:
    """Positions of whole examples, drawn with the seed, in order."""
    example_N = corpus.parts[part].example
    sizes_E = np.bincount(example_N, minlength=corpus.examples)
    order = np.random.default_rng(seed).permutation(corpus.examples)
    count = max(1, int(np.searchsorted(np.cumsum(sizes_E[order]), room, side="right")))
    chosen_E = np.zeros(corpus.examples, dtype=bool)
    chosen_E[order[:count]] = True
    return np.flatnonzero(chosen_E[example_N])


def _slots(tokens: int, places_M: np.ndarray) -> np.ndarray:
    slot_N = np.full(tokens, -1)
    slot_N[places_M] = np.arange(len(places_M))
    return slot_N
