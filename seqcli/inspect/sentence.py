"""One text through a model: its states, what each step adds, and the glyphs that show them.

Dimensions: T tokens, H units, K unit clusters, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.data.rows import Rows
from seqcli.data.sequences import Sequences, bounds_of
from seqcli.data.tokens import EOS, UNK
from seqcli.errors import UsageError
from seqcli.inspect import contribution
from seqcli.inspect.corpus import show_vocabulary
from seqcli.inspect.trace import Call, Layer, Site, complete, list_layers, watched
from seqcli.nn.ragged import to_ragged

LONGEST = 120  # tokens of a sentence on the page
LETTERS = 2_000  # and of its text
LABELS = 6  # the likeliest ones of a text


class Sentence(NamedTuple):
    """A text as the model read it. facts: JSON-able; states and before: by site, (T, H)."""

    facts: dict[str, Any]
    states: dict[str, np.ndarray]
    before: dict[str, np.ndarray]


@torch.no_grad()
def read_sentence(
    task: Any, model: nn.Module, sites: Sequence[Site], text: str, **options: Any
) -> Sentence:
    """Read one text from a zero state. Raises UsageError for a text without tokens."""
    if not text.strip():
        raise UsageError("--sentence is empty; give it some words")
    layers = list_layers(model)
    if task.name == "translate":
        from seqcli.inspect.translate import read_translation

        facts, calls = read_translation(task, model, layers, text, **options)
    else:
        read = {"classify": _read_text, "tag": _read_tags, "lm": _read_next}[task.name]
        facts, calls = read(task, model, layers, text)
    states, before = {}, {}
    for site in sites:
        cell = next(layer.cell for layer in layers if layer.key == site.layer.key)
        steps = complete(cell, calls[site.layer.key], check=True)
        states[site.key] = steps.states[site.state].numpy()
        before[site.key] = steps.before[site.state].numpy()
    return Sentence({"text": shorten(text), **facts}, states, before)


def shorten(text: str) -> str:
    """A text for reading: no page shows more of it than its first tokens."""
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"


def _limit(tokens: Sequences, facts: dict[str, Any]) -> Sequences:
    if len(tokens.values) > LONGEST:
        facts["note"] = f"the first {LONGEST} of {len(tokens.values)} tokens"
    return tokens.head(LONGEST)


def _strings(tokenizer: Any, ids: np.ndarray, surface: Sequence[str]) -> list[str]:
    """Tokens for reading; an unknown one shows what stood there, where that is known."""
    vocabulary = show_vocabulary(tokenizer)
    if len(surface) != len(ids):
        return [vocabulary[number] for number in ids]
    return [
        f"{word}?" if number == UNK else vocabulary[number]
        for number, word in zip(ids, surface, strict=True)
    ]


def _read_text(
    task: Any, model: Any, layers: Sequence[Layer], text: str
) -> tuple[dict[str, Any], dict[str, Call]]:
    facts: dict[str, Any] = {}
    rows = task.read([text])
    whole = task.encode_rows(rows)
    tokens = whole.head(LONGEST // len(whole))
    if len(tokens.values) < len(whole.values):
        most = f", {LONGEST // 2} of a text at most" if task.pairs else ""
        facts["note"] = f"the first {len(tokens.values)} of {len(whole.values)} tokens{most}"
    batch = to_ragged(tokens)
    with watched(layers) as calls:
        scores_L = model(batch)[0].float()
    p_L = task.decision.probabilities(scores_L[None])[0]
    shown = p_L.argsort(descending=True, stable=True)[:LABELS]
    by_prefix_TL = task.decision.probabilities(model(to_ragged(_prefixes(tokens))).float())
    found = (
        None if task.pairs else contribution.of_text(model, batch, _top(layers, calls), scores_L)
    )
    if found is None:
        found = contribution.by_gradients(model, batch, scores_L)
    facts |= {
        "tokens": {"": _read_strings(task, rows, tokens)},
        "prediction": _say(task, p_L),
        "probability": float(p_L[shown[0]]),
        "labels": [task.labels[int(at)] for at in shown],
        "scores": scores_L[shown].tolist(),
        "prefixes": by_prefix_TL[:, shown].tolist(),
        "contributions": {
            "values": found.values[:, shown].tolist(),
            "bias": found.bias[shown].tolist(),
            "exact": found.exact,
            "method": found.method,
        },
    }
    return facts, calls


def _prefixes(tokens: Sequences) -> Sequences:
    """Every prefix as a text of its own, so that reading from the end and pooling are right. Of a
    pair the prefixes of the first beside the whole second, then the other way round."""
    parts, lengths = [], []
    for side, length in enumerate(tokens.lengths.tolist()):
        for end in range(1, length + 1):
            for at in range(len(tokens)):
                parts.append(tokens.row(at)[: end if at == side else None])
                lengths.append(len(parts[-1]))
    return Sequences(np.concatenate(parts), bounds_of(lengths))


def _read_strings(task: Any, rows: Rows, tokens: Sequences) -> list[str]:
    """The tokens of a text, or of both of a pair, for reading."""
    found, ids = [], task.ids(tokens)
    for at, column in enumerate(rows.columns.values()):
        surface = task.tokenizer.split(column[0])[: tokens.lengths[at]]
        found += _strings(task.tokenizer, ids.row(at), surface)
    return found


def _say(task: Any, p_L: Tensor) -> str:
    """What the model answers, with the probability of each label that it says."""
    chosen = task.decision.choose(p_L[None].numpy())[0]
    numbers = np.flatnonzero(chosen) if task.decision.several else [int(chosen)]
    said = [f"{task.labels[number]} ({float(p_L[number]):.1%})" for number in numbers]
    return ", ".join(said) or "no label"


def _read_tags(
    task: Any, model: Any, layers: Sequence[Layer], text: str
) -> tuple[dict[str, Any], dict[str, Call]]:
    facts: dict[str, Any] = {}
    rows = task.read([text])
    if len(rows["tokens"][0]) > LONGEST:
        facts["note"] = f"the first {LONGEST} of {len(rows['tokens'][0])} tokens"
        rows["tokens"][0] = rows["tokens"][0][:LONGEST]
    batch = task.encode(rows).take(np.array([0]))
    with watched(layers) as calls:
        emitted, _ = task.emit(model, batch)
    p_TL = torch.softmax(task.weigh(model, emitted), dim=1)
    p_TL, best_TL = p_TL.topk(min(3, p_TL.shape[1]))
    facts |= {
        "tokens": {"": rows["tokens"][0]},
        "best": _best(p_TL, best_TL, task.tags),
        **_pairs(model, layers, calls, emitted.values),
    }
    return facts, calls


def _read_next(
    task: Any, model: Any, layers: Sequence[Layer], text: str
) -> tuple[dict[str, Any], dict[str, Call]]:
    facts: dict[str, Any] = {}
    tokens = _limit(task.tokenizer.encode([text]), facts)
    ids = np.concatenate([[EOS], tokens.values])
    with watched(layers) as calls:
        scores_TV, _ = model(to_ragged(Sequences.of([ids])), None)
    all_TV = torch.softmax(scores_TV.float(), dim=1)
    p_TL, best_TL = all_TV.topk(min(5, all_TV.shape[1]))
    vocabulary = show_vocabulary(task.tokenizer)
    following = all_TV[torch.arange(len(ids) - 1), torch.from_numpy(ids[1:].astype("int64"))]
    facts |= {
        "tokens": {"": [vocabulary[number] for number in ids]},
        "best": _best(p_TL, best_TL, vocabulary),
        "following": following.tolist(),
        **_pairs(model, layers, calls, scores_TV.float()),
    }
    return facts, calls


def _best(p_TL: Tensor, best_TL: Tensor, names: Sequence[str]) -> list[list[list[Any]]]:
    return [
        [[names[number], round(value, 5)] for number, value in zip(numbers, values, strict=True)]
        for numbers, values in zip(best_TL.tolist(), p_TL.tolist(), strict=True)
    ]


def _pairs(
    model: Any, layers: Sequence[Layer], calls: dict[str, Call], scores_TL: Tensor
) -> dict[str, Any]:
    top_TH = _top(layers, calls)
    both = any(layer.reverse for layer in layers)
    found_TT = contribution.of_tokens(model, top_TH, scores_TL, bidirectional=both)
    if found_TT is None:
        return {}
    return {"pairs": [[round(value, 4) for value in row] for row in found_TT.tolist()]}


def _top(layers: Sequence[Layer], calls: dict[str, Call]) -> Tensor:
    """(T, H) outputs of the top layer, both directions side by side."""
    top = max(layer.number for layer in layers)
    return torch.cat([calls[layer.key].y.values for layer in layers if layer.number == top], dim=1)


# ---------------------------------------------------------------------------------------- glyphs


class Glyphs(NamedTuple):
    """(T, K) sums over the units of each cluster: positive and negative states, how much they rose
    and fell since the last step, and how far the two overlap (kept): Σ min(|s_t|, |s_{t−1}|) over
    units that keep their sign, and that as a share of Σ |s_{t−1}|. size: (K,) units."""

    positive: np.ndarray
    negative: np.ndarray
    rise: np.ndarray
    fall: np.ndarray
    kept: np.ndarray
    kept_rate: np.ndarray
    size: np.ndarray


def draw_glyphs(
    state_TH: np.ndarray, before_TH: np.ndarray, units_H: np.ndarray, count: int
) -> Glyphs:
    """Sums of one text at one site for the unit clusters `units_H` (−1: none)."""
    member_HK = (units_H[:, None] == np.arange(count)).astype(float)
    change = state_TH - before_TH
    kept = np.minimum(np.abs(state_TH), np.abs(before_TH)) * (state_TH * before_TH > 0)
    old = np.abs(before_TH) @ member_HK
    kept_TK = kept @ member_HK
    return Glyphs(
        np.maximum(state_TH, 0) @ member_HK,
        np.minimum(state_TH, 0) @ member_HK,
        np.maximum(change, 0) @ member_HK,
        np.minimum(change, 0) @ member_HK,
        kept_TK,
        np.divide(kept_TK, old, out=np.zeros_like(kept_TK), where=old > 0),
        member_HK.sum(axis=0),
    )
