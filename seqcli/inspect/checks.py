"""The checks that were asked for: ablations, probes, and the search for a state pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from seqcli.config import Inspecting
from seqcli.data.rows import Rows
from seqcli.errors import SeqcliError, UsageError
from seqcli.inspect import ablation, probe, search
from seqcli.inspect.cocluster import Clustering
from seqcli.inspect.corpus import Corpus, make_corpus
from seqcli.inspect.outcome import measure
from seqcli.inspect.sentence import Sentence, read_sentence
from seqcli.inspect.survey import Survey
from seqcli.inspect.trace import Site

ABLATION_TOKENS = 4_000
"""Tokens that each ablation and each random set of units is judged on, at most."""
NO_CLUSTERS = Clustering(np.zeros(0), np.zeros(0), np.zeros(0), None, 0.0, 0.0)
GOLD = {"classify": ("label",), "tag": ("tag",)}
"""What the data of a task say of each token."""
DEFAULT_PROBE = {"classify": "label", "tag": "tag", "lm": "previous", "translate": "previous"}


def run_ablations(
    task: Any,
    model: nn.Module,
    rows: Rows,
    main: Site,
    found: Survey,
    clusters: Clustering,
    settings: Inspecting,
) -> list[dict[str, Any]]:
    """Every ablation that was asked for, on at most a few thousand tokens: each set of units reads
    them anew."""
    wanted = parse_ablations(settings.ablate, clusters, main.layer.cell.hidden_size)
    if not wanted:
        return []
    most = min(ABLATION_TOKENS, settings.max_tokens or ABLATION_TOKENS)
    corpus = make_corpus(task, rows, max_tokens=most, seed=settings.seed)
    whole = measure(corpus, model)
    layer = main.layer
    mean_H = None
    if settings.how == "mean":
        mean_H = torch.from_numpy(found.states[f"{layer.key}.h"].astype(np.float32).mean(0))
    return [
        ablation.ablate(
            corpus,
            model,
            layer,
            units,
            name=name,
            mean_H=mean_H,
            whole=whole,
            sets=settings.random_sets,
            seed=settings.seed,
        )._asdict()
        for name, units in wanted.items()
    ]


def check(task: Any, settings: Inspecting, units: int) -> None:
    """Raise UsageError for requests that are wrong whatever the data, before anything is read."""
    check_texts(settings.sentences)
    if settings.find is not None and not settings.find.strip():
        raise UsageError("--find is empty; give it some words")
    for one in settings.ablate:
        if not one.startswith("cluster"):
            parse_ablations([one], NO_CLUSTERS, units)
    gold: dict[str, list[str]] = {name: [] for name in GOLD.get(task.name, ())}
    for name in settings.probes:
        if name not in ("auto", "none"):
            probe.property_values(name, [], np.zeros(0), gold)


def check_texts(texts: Sequence[str]) -> None:
    """Raise UsageError if a text to follow is empty."""
    if not all(text.strip() for text in texts):
        raise UsageError("--sentence is empty; give it some words")


def parse_ablations(
    wanted: Sequence[str], clusters: Clustering, units: int
) -> dict[str, list[int]]:
    """Units to silence by name: "clusters", "cluster:2", "unit:7" or "units:7,9". Numbers as the
    page shows them: clusters from 1, units from 0. Raises UsageError for what is not there."""
    found: dict[str, list[int]] = {}
    for one in wanted:
        kind, _, value = one.partition(":")
        try:
            numbers_ = [int(part) for part in value.split(",")] if value else []
        except ValueError:
            raise UsageError(f"--ablate {one}: {value!r} is no number") from None
        if kind == "clusters" and not value:
            chosen = {f"cluster {at + 1}": at for at in range(clusters.size)}
            found |= {n: np.flatnonzero(clusters.units == at).tolist() for n, at in chosen.items()}
        elif kind == "cluster" and len(numbers_) == 1:
            if not 1 <= numbers_[0] <= clusters.size:
                raise UsageError(f"--ablate {one}: there are clusters 1 to {clusters.size}")
            members = np.flatnonzero(clusters.units == numbers_[0] - 1).tolist()
            found[f"cluster {numbers_[0]}"] = members
        elif kind in ("unit", "units") and numbers_:
            if max(numbers_) >= units or min(numbers_) < 0:
                raise UsageError(f"--ablate {one}: the layer has units 0 to {units - 1}")
            found[f"{kind} {value}"] = sorted(set(numbers_))
        elif one != "none":
            raise UsageError(f"--ablate {one}: use clusters, cluster:2, unit:7, units:7,9 or none")
    return {name: members for name, members in found.items() if members}


def run_probes(
    corpus: Corpus, found: Survey, main: Site, settings: Inspecting
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The probes that were asked for, and those that cannot be made, with the reason."""
    part = corpus.parts[main.layer.part]
    places = found.places[main.layer.part]
    strings = [part.text(at) for at in places]
    example = part.example[places]
    gold = _gold(corpus, places, example)
    made, missing = [], []
    for name in settings.probes:
        name = DEFAULT_PROBE[corpus.task.name] if name == "auto" else name
        if name == "none":
            continue
        values = probe.property_values(name, strings, example, gold)
        try:
            one = probe.probe(
                found.states[main.key].astype(np.float32),
                values,
                probe.control_words(name, part.ids[places], example),
                example,
                name=name,
                site=main.key,
                seed=settings.seed,
            )
        except SeqcliError as error:
            missing.append({"property": name, "why": str(error)})
        else:
            made.append(one._asdict())
    return made, missing


def _gold(corpus: Corpus, places: np.ndarray, example: np.ndarray) -> dict[str, list[str]]:
    """What the data say of the tokens at these places, in these examples, by its name in GOLD."""
    if corpus.task.name == "classify":
        labels = corpus.rows["label"]
        names = ["|".join(sorted(one)) if isinstance(one, list) else one for one in labels]
        return {"label": [names[at] for at in example]}
    if corpus.task.name == "tag":
        flat = [tag for row in corpus.rows["tags"] for tag in row]
        return {"tag": [flat[at] for at in places]}
    return {}


class Query(NamedTuple):
    """What --find looks for: the tokens [begin, end) of a text."""

    sentence: Sentence
    begin: int
    end: int


def read_query(task: Any, model: nn.Module, main: Site, settings: Inspecting) -> Query | None:
    """The text and the span that were asked for. Raises UsageError for a span it does not have."""
    if settings.find is None:
        return None
    sentence = read_sentence(task, model, [main], settings.find)
    return Query(
        sentence, *parse_span(settings.span, len(sentence.facts["tokens"][main.layer.part]))
    )


def run_search(
    query: Query | None, corpus: Corpus, found: Survey, main: Site, settings: Inspecting
) -> dict[str, Any] | None:
    """The spans of the sample that keep the units of the asked span active."""
    if query is None:
        return None
    sentence, begin, end = query
    strings = sentence.facts["tokens"][main.layer.part]
    h_TH = sentence.states[main.key][begin:end]
    wanted = search.pattern(h_TH, settings.threshold)
    part, places = corpus.parts[main.layer.part], found.places[main.layer.part]
    states = found.states[main.key].astype(np.float32)
    sequence = part.example[places]
    matches = search.find_spans(
        states,
        sequence,
        wanted,
        threshold=settings.threshold,
        longest=max(2 * (end - begin), 3),
        count=20,
    )

    def shown(begin: int, end: int) -> dict[str, Any]:
        inside = [
            at
            for at in range(max(0, begin - 6), min(len(places), end + 6))
            if sequence[at] == sequence[begin]
        ]
        return {
            "tokens": [part.text(places[at]) for at in inside],
            "begin": inside.index(begin),
            "end": inside.index(end - 1) + 1,
        }

    return {
        "site": main.key,
        "text": sentence.facts["text"],
        "tokens": strings,
        "span": [begin, end],
        "threshold": settings.threshold,
        "units": np.flatnonzero(wanted).tolist(),
        "signs": wanted[wanted != 0].tolist(),
        "searched": len(places),
        "matches": [
            {**shown(one.begin, one.end), "shared": one.shared, "union": one.union}
            for one in matches
        ],
        "nearest": [
            {**shown(at, at + 1), "cosine": round(cosine, 5)}
            for at, cosine in search.nearest(states, sentence.states[main.key][end - 1], 10)
        ],
    }


def parse_span(span: str | None, tokens: int) -> tuple[int, int]:
    """ "2:5" as positions; None is the whole text. Raises UsageError for an empty span."""
    if span is None:
        return 0, tokens
    try:
        begin, end = (int(part) if part else None for part in span.split(":"))
    except ValueError:
        raise UsageError(
            f"--span {span}: write it as 2:5, from the third token to the fifth"
        ) from None
    first, last, _ = slice(begin, end).indices(tokens)
    if first >= last:
        raise UsageError(f"--span {span} holds none of the tokens 0:{tokens}")
    return first, last
