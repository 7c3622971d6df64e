"""The whole inspection of a model: every number as plain values, and the arrays beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from seqcli import __version__, storage
from seqcli.config import Comparing, Inspecting
from seqcli.data.rows import Rows
from seqcli.inspect import flow, numbers
from seqcli.inspect.checks import check, read_query, run_ablations, run_probes, run_search
from seqcli.inspect.cocluster import Clustering, cluster_all, links, need_sklearn
from seqcli.inspect.contribution import label_direction
from seqcli.inspect.corpus import Corpus, hash_rows, make_corpus
from seqcli.inspect.outcome import metric_name
from seqcli.inspect.response import Response
from seqcli.inspect.sentence import Sentence, draw_glyphs, read_sentence
from seqcli.inspect.survey import Survey, survey
from seqcli.inspect.trace import Site, choose_sites, list_layers, list_sites, say_gates
from seqcli.tasks.task import count_parameters

SCHEMA = "seqcli.inspect/1"
EXAMPLES = 6  # sentences on the page where none are named


class Inspection(NamedTuple):
    """content: JSON-able, see SCHEMA; arrays: by name, for .npz; the rest feeds the page."""

    content: dict[str, Any]
    arrays: dict[str, np.ndarray]
    responses: dict[str, Response]
    clusterings: dict[str, dict[int, Clustering]]
    sentences: list[Sentence]
    survey: Survey
    corpus: Corpus


def inspect(
    model: nn.Module,
    task: Any,
    rows: Rows,
    settings: Inspecting,
    *,
    folder: Path | None = None,
    split: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Inspect a loaded model (eval mode, on the CPU) on rows of data. Raises SeqcliError.

    split: the name of the rows' split, where they are a part of their origin.
    """
    need_sklearn()
    layers = list_layers(model)
    every = list_sites(layers)
    sites = choose_sites(
        every, layer=settings.layer, direction=settings.direction, state=settings.state
    )
    main = choose_main(sites)
    check(task, settings, main.layer.cell.hidden_size)
    query = read_query(task, model, main, settings)
    corpus = make_corpus(task, rows, max_tokens=settings.max_tokens, seed=settings.seed)
    say(f"reading {corpus.tokens:,} tokens of {corpus.rows.origin}")
    found = survey(
        corpus,
        model,
        sites,
        top_k=settings.top_k,
        min_count=settings.min_count,
        forced=settings.words,
        seed=settings.seed,
    )
    say("clustering words and units")
    responses, clusterings, chosen = _cluster(model, found, sites, settings)
    clusters = {key: clusterings[key][chosen[key]] for key in clusterings}
    content = _describe(task, model, folder, split, corpus, found, settings)
    content["notes"] += [note_whole(site) for site in sites if chosen[site.key] == 1]
    content["main"] = main.key
    content["sites"] = {
        site.key: _site(
            site, found, responses[site.key], clusterings[site.key], chosen[site.key], settings
        )
        for site in sites
    }
    say("following gradients")
    kept = {site.layer.key for site in sites}
    flows = flow.gradient_flow(corpus, model, layers)
    content["flow"] = {key: one._asdict() for key, one in flows.items() if key in kept}
    content["connectivity"] = flow.connectivity(corpus, model, layers)
    sentences = _read_sentences(task, model, sites, corpus, found, settings)
    content["sentences"] = [_sentence(one, clusters) for one in sentences]
    say("testing by ablation and probes")
    content["ablation"] = run_ablations(
        task, model, rows, main, found, clusters[main.key], settings
    )
    content["probes"], content["probes_missing"] = run_probes(corpus, found, main, settings)
    content["search"] = run_search(query, corpus, found, main, settings)
    arrays = _arrays(sites, responses, clusters, found, sentences)
    return Inspection(content, arrays, responses, clusterings, sentences, found, corpus)


def _describe(
    task: Any,
    model: nn.Module,
    folder: Path | None,
    split: str | None,
    corpus: Corpus,
    found: Survey,
    settings: Inspecting,
) -> dict[str, Any]:
    """What was inspected, on what, how good it is there, and what the numbers mean."""
    return {
        "schema": SCHEMA,
        "seqcli": __version__,
        "model": describe_model(task, model, folder),
        "data": {"split": split, **describe_data(corpus, found)},
        "settings": asdict(settings),
        "notes": list(corpus.notes),
        "metric": {
            "name": metric_name(task),
            "value": found.outcome.metric(task),
            "loss": found.outcome.nats(),
        },
        "explain": numbers.EXPLAIN,
        "parts": _parts(corpus, found),
    }


def _read_sentences(
    task: Any,
    model: nn.Module,
    sites: Sequence[Site],
    corpus: Corpus,
    found: Survey,
    settings: Inspecting,
) -> list[Sentence]:
    """The texts that were asked for, or some of the corpus."""
    texts = settings.sentences or choose_sentences(corpus, found)
    options: dict[str, Any] = {}
    if task.name == "translate":
        options = {"beam": settings.beam, "prefix": settings.forced_prefix}
    return [read_sentence(task, model, sites, text, **options) for text in texts]


def choose_main(sites: Sequence[Site]) -> Site:
    """The site that the summary and the checks are about: the top layer's h, read forward."""
    return max(
        sites,
        key=lambda one: (
            one.layer.part != "encoder",
            one.layer.number,
            one.state == "h",
            not one.layer.reverse,
        ),
    )


def describe_model(task: Any, model: nn.Module, folder: Path | None) -> dict[str, Any]:
    """Task, cell, sizes, and the SHA-256 of the weights."""
    network = task.config.network
    return {
        "name": folder.name if folder else "model",
        "task": task.name,
        "cell": network.cell,
        "layers": network.layers,
        "hidden": network.hidden,
        "bidirectional": bool(getattr(network, "bidirectional", False)),
        "pool": getattr(network, "pool", None),
        "parameters": count_parameters(model),
        "checkpoint_sha256": hash_weights(model),
    }


def hash_weights(model: nn.Module) -> str:
    """SHA-256 of all parameters by name: the same weights, the same hash, wherever they lie."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def describe_data(corpus: Corpus, found: Survey) -> dict[str, Any]:
    """Origin, sizes, hash, and how much of the text the words followed make up."""
    return {
        "origin": corpus.rows.origin,
        "rows": len(corpus.rows),
        "examples": corpus.examples,
        "tokens": {name or "text": len(part.ids) for name, part in corpus.parts.items()},
        "sha256": hash_rows(corpus.rows),
        "coverage": {
            name or "text": {"tokens": round(words.coverage, 6), "left_out": words.left_out}
            for name, words in found.words.items()
        },
    }


def _cluster(
    model: nn.Module, found: Survey, sites: Sequence[Site], settings: Inspecting
) -> tuple[dict[str, Response], dict[str, dict[int, Clustering]], dict[str, int]]:
    responses, clusterings, chosen = {}, {}, {}
    for site in sites:
        one = found.responses[site.key].result(found.words[site.layer.part].shown)
        responses[site.key] = one
        clusterings[site.key], chosen[site.key] = cluster_site(model, site, one.mean, settings)
    return responses, clusterings, chosen


def cluster_site(
    model: nn.Module, site: Site, mean_WH: np.ndarray, settings: Comparing
) -> tuple[dict[int, Clustering], int]:
    """The clusterings of one site's responses by their number of clusters, and the number chosen.
    Where two labels are read off its h, the + poles are those that speak for the second."""
    toward = None
    if site.state == "h":
        top = max(layer.number for layer in list_layers(model))
        toward = label_direction(model, site.layer, top)
    return cluster_all(
        mean_WH,
        mode=settings.mode,
        seed=settings.seed,
        wanted=settings.clusters,
        toward=None if toward is None else toward.numpy(),
    )


def note_whole(site: Site) -> str:
    """What to know where there is one cluster."""
    return f"{site.title}: one word or one unit alone responds, so that nothing is clustered"


def _parts(corpus: Corpus, found: Survey) -> dict[str, Any]:
    parts = {}
    for part, words in found.words.items():
        ids = words.ids[words.shown]
        covered = float(words.counts[words.shown].sum() / len(corpus.parts[part].ids))
        parts[part] = {
            "words": [corpus.parts[part].vocabulary[number] for number in ids],
            "counts": words.counts[words.shown].tolist(),
            "sampled": words.kept[words.shown].tolist(),
            "coverage": covered,
        }
    return parts


def _site(
    site: Site,
    found: Survey,
    response: Response,
    clusterings: dict[int, Clustering],
    chosen: int,
    settings: Inspecting,
) -> dict[str, Any]:
    gathered = found.numbers[site.key]
    best = clusterings[chosen]
    units = {name: round_digits(values) for name, values in gathered.unit_values().items()}
    return {
        "title": site.title,
        "part": site.layer.part,
        "layer": site.layer.number,
        "direction": "reverse" if site.layer.reverse else "forward",
        "state": site.state,
        "units": site.layer.cell.hidden_size,
        "gates": say_gates(site.layer.cell),
        "numbers": {**gathered.values(), **numbers.response_sparsity(response.mean)},
        "intervals": gathered.intervals(seed=settings.seed),
        "unit_numbers": units,
        "clusters": {
            "count": chosen,
            "mode": settings.mode,
            "words": best.words.tolist(),
            "units": best.units.tolist(),
            "score": round_digits(best.score),
            "stability": best.stability,
            "silhouette": best.silhouette,
            "contrast": best.contrast,
            "links": {
                name: round_digits(values) for name, values in links(response.mean, best).items()
            },
            "tried": {
                str(count): [one.stability, one.silhouette, one.contrast]
                for count, one in clusterings.items()
            },
        },
        "response": {
            "mean": round_digits(response.mean),
            "telling": telling_units(response.mean),
        },
    }


def telling_units(mean_WH: np.ndarray, count: int = 20) -> list[int]:
    """The units whose response differs most between words: by falling sd over words."""
    return np.argsort(-mean_WH.std(axis=0), kind="stable")[:count].tolist()


def choose_sentences(corpus: Corpus, found: Survey) -> list[str]:
    """Examples to read when none are named: of middling length, right and wrong ones."""
    rows = corpus.rows
    if corpus.task.name == "lm":
        texts = [text for text in rows["text"] if 20 <= len(text) <= 60] or rows["text"]
        return [text for text in dict.fromkeys(texts) if text.strip()][: EXAMPLES - 2]
    key = {"classify": "text", "tag": "tokens", "translate": "source"}[corpus.task.name]
    texts = [" ".join(row) if isinstance(row, list) else row for row in rows[key]]
    if "pair" in rows.columns:
        texts = ["\t".join(both) for both in zip(texts, rows["pair"], strict=True)]
    long = np.array([min(len(text), 400) for text in texts])
    fit = np.flatnonzero((long >= np.percentile(long, 30)) & (long <= np.percentile(long, 80)))
    fit = fit if len(fit) else np.arange(len(texts))
    loss = (found.outcome.loss / np.maximum(found.outcome.known, 1))[fit]
    order = fit[np.argsort(loss, kind="stable")]
    places = np.unique(np.linspace(len(order) // 4, len(order) - 1, EXAMPLES).round().astype(int))
    return [texts[at] for at in order[places] if texts[at].strip()]


def _sentence(one: Sentence, clusters: dict[str, Clustering]) -> dict[str, Any]:
    glyphs = {
        key: {
            name: round_digits(values)
            for name, values in draw_glyphs(
                one.states[key], one.before[key], clusters[key].units, clusters[key].size
            )
            ._asdict()
            .items()
        }
        for key in one.states
    }
    return {**one.facts, "glyphs": glyphs}


def _arrays(
    sites: Sequence[Site],
    responses: dict[str, Response],
    clusters: dict[str, Clustering],
    found: Survey,
    sentences: Sequence[Sentence],
) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for site in sites:
        for name, value in responses[site.key]._asdict().items():
            arrays[f"{site.key}/{name}"] = value
        arrays[f"{site.key}/word_clusters"] = clusters[site.key].words
        arrays[f"{site.key}/unit_clusters"] = clusters[site.key].units
        for name, value in found.numbers[site.key].unit_values().items():
            arrays[f"{site.key}/units/{name}"] = value.astype(np.float32)
        for at, sentence in enumerate(sentences):
            arrays[f"{site.key}/sentence{at}"] = sentence.states[site.key]
    return arrays


def round_digits(values: np.ndarray) -> Any:
    """Five significant digits are more than any of these numbers carries."""
    array = np.asarray(values, dtype=np.float64)
    size = np.where(array == 0, 1, np.abs(array))
    scale = 10.0 ** (4 - np.floor(np.log10(size)))
    return (np.round(array * scale) / scale).tolist()


def write(found: Inspection, json_path: Path, arrays_path: Path) -> None:
    """The JSON and the arrays, each whole or not at all."""
    storage.write_json(json_path, found.content, indent=None)

    def write_arrays(path: Path) -> None:
        with path.open("wb") as file:  # a path would be given the ending .npz
            np.savez_compressed(file, **found.arrays)  # type: ignore[arg-type]

    storage.write_whole(arrays_path, write_arrays)
