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
from seqcli.inspect.outcome import metric_name
from seqcli.inspect.sentence import Sentence, read_sentence
from seqcli.inspect.sides import (
    Side,
    are_aligned,
    compare_clusterings,
    compare_metrics,
    compare_numbers,
    compare_states,
    match_states,
    share_responses,
)
from seqcli.inspect.survey import survey
from seqcli.inspect.trace import choose_sites, list_layers, list_sites, say_gates

SCHEMA = "seqcli.compare/1"
SAMPLE = 5_000  # tokens whose states are kept for CKA and matching
CLAIM_WORD = "though"


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
    aligned = are_aligned(sides)
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
    words, counts, coverage, mean = share_responses(sides, settings, notes)
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
        "numbers": compare_numbers(sides, mean, settings, paired=same_examples),
        "metric": compare_metrics(sides, settings) if same_examples and scored else None,
        "cka": compare_states(sides) if aligned else None,
        "matching": match_states(sides) if aligned else None,
        "agreement": compare_clusterings(found[0], found[1]),
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
