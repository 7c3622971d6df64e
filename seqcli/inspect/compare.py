"""Two models, two layers of a model, or two checkpoints, on the same examples and one scale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from seqcli import __version__
from seqcli.config import Comparing
from seqcli.data.rows import Rows
from seqcli.errors import UsageError
from seqcli.evaluation import codec_of
from seqcli.inspect import claims, flow, numbers
from seqcli.inspect.checks import check_texts
from seqcli.inspect.cocluster import Clustering, need_sklearn
from seqcli.inspect.corpus import Corpus, hash_rows, make_corpus
from seqcli.inspect.inspection import (
    choose_main,
    choose_sentences,
    cluster_site,
    describe_model,
    hash_weights,
    note_whole,
    round_digits,
)
from seqcli.inspect.outcome import COUNTED, Outcome, metric_name
from seqcli.inspect.response import choose_words
from seqcli.inspect.sentence import Sentence, read_sentence
from seqcli.inspect.similarity import Difference, compare_ratios, linear_cka, map_cka, match_units
from seqcli.inspect.survey import Survey, survey
from seqcli.inspect.trace import Site, choose_sites, list_layers, list_sites, say_gates

SCHEMA = "seqcli.compare/1"
SAMPLE = 5_000  # tokens whose states are kept for CKA and matching
CLAIM_WORD = "though"


class Side(NamedTuple):
    """One of the two: a loaded model, the site that was chosen, what was gathered."""

    name: str
    task: Any
    model: nn.Module
    site: Site
    corpus: Corpus
    survey: Survey


class Comparison(NamedTuple):
    """content: JSON-able, see SCHEMA; the rest feeds the page. mean: (W, H) of each side, on one
    scale."""

    content: dict[str, Any]
    sides: tuple[Side, Side]
    mean: tuple[np.ndarray, np.ndarray]
    clusterings: tuple[Clustering, Clustering]
    sentences: list[tuple[Sentence, Sentence]]


def split_name(text: str) -> tuple[Path, str | None]:
    """ "runs/a:2" as a folder and a layer; a folder whose own name has a colon stays whole."""
    path = Path(text)
    if path.is_dir() or ":" not in text:
        return path, None
    folder, _, layer = text.rpartition(":")
    return Path(folder), layer


def compare(
    models: list[tuple[str, Any, nn.Module, str | None]],
    rows: Rows,
    settings: Comparing,
    *,
    split: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Compare two loaded models, each (name, task, model, layer or None), on the same rows.

    split: the name of the rows' split, where they are a part of their origin. Raises UsageError for
    models of different tasks or sites that cannot be compared.
    """
    need_sklearn()
    check_texts(settings.sentences)
    if models[0][1].name != models[1][1].name:
        raise UsageError(
            f"{models[0][0]} is a model of {models[0][1].name}, {models[1][0]} of "
            f"{models[1][1].name}; compare models of one task"
        )
    if len({_form(task) for _, task, _, _ in models}) > 1:
        raise UsageError(
            f"{models[0][0]} and {models[1][0]} read or label in different ways (one label or "
            f"several, one text or pairs); compare models of one kind"
        )
    kept = make_corpus(models[0][1], rows, max_tokens=settings.max_tokens, seed=settings.seed)
    sides = []
    for name, task, model, layer in models:
        sites = list_sites(list_layers(model))
        site = choose_main(
            choose_sites(sites, layer=layer, direction=settings.direction, state=settings.state)
        )
        limit = settings.max_tokens if task.name == "lm" else None
        corpus = make_corpus(task, kept.rows, max_tokens=limit, seed=settings.seed)
        say(f"reading {corpus.tokens:,} tokens with {name}")
        found = survey(
            corpus,
            model,
            sites,
            top_k=settings.top_k,
            min_count=settings.min_count,
            sample=SAMPLE,
            seed=settings.seed,
        )
        sides.append(Side(name, task, model, site, corpus, found))
    return _compare((sides[0], sides[1]), kept, split, settings, say)


def _form(task: Any) -> tuple[bool, bool]:
    """Whether texts are pairs, and whether they have several labels."""
    if task.name != "classify":
        return False, False
    return task.pairs, task.decision.several


def _compare(
    sides: tuple[Side, Side],
    kept: Corpus,
    split: str | None,
    settings: Comparing,
    say: Callable[[str], None],
) -> Comparison:
    notes = list(kept.notes)
    aligned = _aligned(sides)
    if not aligned:
        notes.append(
            "the two models cut the text into different tokens: words are compared by name, "
            "and there is no CKA, unit matching or paired test of tokens"
        )
    scored = metric_name(sides[0].task) != "cross_entropy" or codec_of(sides[0].task) == codec_of(
        sides[1].task
    )
    if not scored:
        notes.append(
            "the two models know different tokens, so their cross-entropies cannot be compared; "
            "seqcli evaluate compares language models by character"
        )
    words, counts, coverage, mean = _responses(sides, settings, notes)
    say("clustering and matching")
    found: list[Clustering] = []
    for side, one in zip(sides, mean, strict=True):
        clusterings, chosen = cluster_site(side.model, side.site, one, settings)
        found.append(clusterings[chosen])
        if chosen == 1:
            notes.append(f"{side.name}, {note_whole(side.site)}")
    say("following gradients")
    flows = [flow.gradient_flow(side.corpus, side.model, list_layers(side.model)) for side in sides]
    texts = settings.sentences or choose_sentences(sides[0].corpus, sides[0].survey)[:4]
    sentences = [
        (
            read_sentence(sides[0].task, sides[0].model, [sides[0].site], text),
            read_sentence(sides[1].task, sides[1].model, [sides[1].site], text),
        )
        for text in texts
    ]
    same_examples = sides[0].corpus.examples == sides[1].corpus.examples
    content = {
        "schema": SCHEMA,
        "seqcli": __version__,
        "notes": notes,
        "data": {
            "split": split,
            "origin": kept.rows.origin,
            "rows": len(kept.rows),
            "sha256": hash_rows(kept.rows),
            "shared_words": len(words),
            "coverage": coverage,
        },
        "words": words,
        "counts": counts,
        "sides": [
            _side(side, flows[at], found[at], mean[at], settings) for at, side in enumerate(sides)
        ],
        "numbers": _numbers(sides, mean, settings, paired=same_examples),
        "metric": _metric(sides, settings) if same_examples and scored else None,
        "cka": _cka(sides) if aligned else None,
        "matching": _matching(sides) if aligned else None,
        "agreement": _agreement(found[0], found[1]),
        "claims": [one._asdict() for one in _claims(sides, mean, settings, same_examples)],
        "sentences": [_sentence(sides, pair) for pair in sentences],
        "explain": numbers.EXPLAIN,
    }
    return Comparison(content, sides, mean, (found[0], found[1]), sentences)


def _sentence(sides: tuple[Side, Side], pair: tuple[Sentence, Sentence]) -> dict[str, Any]:
    """A text, the tokens that each side read of it, and what translators made of it."""
    facts = [one.facts for one in pair]
    parts = [side.site.layer.part for side in sides]
    return {
        "text": facts[0]["text"],
        "tokens": [one["tokens"][part] for one, part in zip(facts, parts, strict=True)],
        "translations": [one.get("translation") for one in facts],
    }


def _aligned(sides: tuple[Side, Side]) -> bool:
    """Whether both read the same tokens at the chosen sites, but for unknown ones."""
    parts = [side.corpus.parts[side.site.layer.part] for side in sides]
    return np.array_equal(parts[0].bounds, parts[1].bounds)


def _responses(
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
            f"only {len(shared)} words are known to both and seen {settings.min_count} times; use "
            f"more data, a lower --min-count, or models with the same tokens"
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


def _side(
    side: Side,
    flows: dict[str, flow.Flow],
    found: Clustering,
    mean: np.ndarray,
    settings: Comparing,
) -> dict[str, Any]:
    gathered = side.survey.numbers[side.site.key]
    return {
        "name": side.name,
        "model": describe_model(side.task, side.model, Path(side.name)),
        "site": side.site.key,
        "title": side.site.title,
        "units": side.site.layer.cell.hidden_size,
        "part": side.site.layer.part,
        "gates": say_gates(side.site.layer.cell),
        "direction": "reverse" if side.site.layer.reverse else "forward",
        "numbers": {**gathered.values(), **numbers.response_sparsity(mean)},
        "intervals": gathered.intervals(seed=settings.seed),
        "flow": flows[side.site.layer.key]._asdict(),
        "clusters": {
            "count": found.size,
            "words": found.words.tolist(),
            "units": found.units.tolist(),
            "score": round_digits(found.score),
            "stability": found.stability,
            "silhouette": found.silhouette,
            "contrast": found.contrast,
        },
        "response": round_digits(mean),
        "metric": {
            "name": metric_name(side.task),
            "value": side.survey.outcome.metric(side.task),
            "loss": side.survey.outcome.nats(),
        },
    }


def _numbers(
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


def _metric(sides: tuple[Side, Side], settings: Comparing) -> dict[str, Any]:
    task = sides[0].task
    ratios = [_ratio(side.survey.outcome, metric_name(task)) for side in sides]
    found: Difference = compare_ratios(ratios[0], ratios[1], seed=settings.seed)
    return {"name": metric_name(task), **found._asdict()}


def _ratio(outcome: Outcome, name: str) -> tuple[np.ndarray, np.ndarray]:
    if name in COUNTED:
        return 2 * outcome.matched, outcome.guessed + outcome.true
    if name == "cross_entropy":
        return outcome.loss, outcome.known
    return outcome.right, outcome.predictions


def _cka(sides: tuple[Side, Side]) -> dict[str, Any]:
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


def _matching(sides: tuple[Side, Side]) -> dict[str, Any] | None:
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


def _agreement(one: Clustering, other: Clustering) -> float:
    """Adjusted Rand index between the two clusterings of the shared words."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one.words, other.words))


def _same_weights(sides: tuple[Side, Side]) -> bool:
    return hash_weights(sides[0].model) == hash_weights(sides[1].model)


def _claims(
    sides: tuple[Side, Side], mean: tuple[np.ndarray, np.ndarray], settings: Comparing, paired: bool
) -> list[claims.Claim]:
    """The claims that these two can speak to."""
    found: list[claims.Claim] = []
    cells = [side.task.config.network.cell for side in sides]
    places = [(side.site.layer.part, side.site.layer.number) for side in sides]
    if sorted(cells) == ["lstm", "rnn"] and places[0] == places[1] and paired:
        plain, gated = (sides[cells.index(name)] for name in ("rnn", "lstm"))
        drawn = [
            side.survey.numbers[side.site.key].resampled(seed=settings.seed)
            for side in (plain, gated)
        ]
        found += claims.sparser_update(*drawn)
    layers = [number for _, number in places]
    same_part = places[0][0] == places[1][0]
    # Of two networks the difference would be that between the networks.
    if sorted(layers) == [1, 2] and same_part and _same_weights(sides):
        sparsity = [numbers.hoyer(torch.from_numpy(one)).numpy() for one in mean]
        found.append(
            claims.sparser_layer(
                sparsity[layers.index(1)], sparsity[layers.index(2)], seed=settings.seed
            )
        )
    found += [
        claims.reaction(side.corpus, side.model, side.site, CLAIM_WORD, seed=settings.seed)
        for side, cell in zip(sides, cells, strict=True)
        if cell == "gru" and claims.two_labels(side.task)
    ]
    return found
