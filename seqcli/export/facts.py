"""What goes beside the graphs: the facts that the script needs, and a README.md."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from seqcli import __version__
from seqcli.data.tokens import Tokenizer
from seqcli.data.words import JOINER, PIECE, TAGGED
from seqcli.export.graph import Graph
from seqcli.export.padded import list_states
from seqcli.nn.recurrent import Recurrent
from seqcli.tasks.classify import LONGEST as LONGEST_TEXT
from seqcli.tasks.tag import LONGEST_WORD
from seqcli.tasks.translate import LONGEST as LONGEST_TRANSLATION

MEANINGS = {
    "tokens": "ids of the tokens; behind a row's length any id",
    "lengths": "how many tokens each row has, at least 1",
    "pair_tokens": "ids of the second text",
    "pair_lengths": "how many tokens it has",
    "characters": "ids of each token's characters",
    "character_lengths": "how many characters each token has",
    "condition": "what a text is written from: a label's number, or numbers",
    "token": "the last token written; at first 1, <bos>",
    "memory": "the source, as the encoder gives it",
    "keys": "what the source is compared with, as the encoder gives it",
    "summary": "the source in one vector, as the encoder gives it",
    "fed": "the output before; at first as the encoder gives it",
    "scores": "a score for each label; tag: for each tag of each token, before transitions",
    "probabilities": "calibrated probabilities",
    "tags": "the tag of each token; behind a row's length without meaning",
    "label_scores": "a score for each label of the sentence",
    "crf_first": "what the tag of a first token adds to the scores",
    "crf_after": "what a tag (column) after a tag (row) adds",
    "crf_last": "what the tag of a last token adds",
    "log_probabilities": "of each token of the vocabulary to come next",
    "attention": "how much of each source token was attended to",
}
STATE = "a state; zeros before the first token"
CARRIED = "a state, to be fed at the next step"


def collect(task: Any, model: nn.Module) -> dict[str, Any]:
    """The content of model.json."""
    return {"task": task.name, "seqcli": __version__, **COLLECTED[task.name](task, model)}


def describe_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """A tokenizer with everything that its counterpart in tokens.py needs."""
    facts = tokenizer.to_json()
    if tokenizer.kind == "word":
        joiner = JOINER if facts["joiner"] else ""
        facts = {**facts, "joiner": joiner, "pattern": PIECE.pattern}
    return facts


def _classify(task: Any, model: nn.Module) -> dict[str, Any]:
    decision = task.decision
    return {
        "pairs": task.pairs,
        "several": decision.several,
        "labels": decision.labels,
        "separator": decision.separator if decision.several else "",
        "temperature": decision.calibration.temperature,
        "thresholds": dict(decision.calibration.thresholds),
        "max_length": task.config.tokens.max_length or LONGEST_TEXT,
        "tokenizer": describe_tokenizer(task.tokenizer),
    }


def _tag(task: Any, model: Any) -> dict[str, Any]:
    return {
        "tags": task.tags,
        "scheme": task.scheme,
        "answers": task.tagset.to_json()["answers"],
        "labels": task.labels,
        "cut": task.cut,
        "pattern": TAGGED.pattern,
        "joined": task.joined,
        "longest_word": LONGEST_WORD,
        "characters": describe_tokenizer(task.characters) if model.spelling else None,
        "tokenizer": describe_tokenizer(task.tokenizer),
    }


def _lm(task: Any, model: Any) -> dict[str, Any]:
    return {
        "states": _list_states(model.recurrent, "state"),
        "condition": task.condition.to_json() if task.condition else None,
        "ngrams": task.ngrams.facts() if task.ngrams else None,
        "tokenizer": describe_tokenizer(task.tokenizer),
    }


def pack_counts(task: Any) -> dict[str, bytes]:
    """The counts beside a language model as a file of numpy's: `keys_1`, `own_1`, `rest_1`,
    `keys_2` and so on."""
    if task.name != "lm" or task.ngrams is None:
        return {}
    counts, packed = task.ngrams.counts()._asdict(), io.BytesIO()
    arrays = {
        f"{part}_{length}": array
        for part, all_lengths in counts.items()
        for length, array in enumerate(all_lengths, 1)
    }
    np.savez(packed, **arrays)
    return {"ngrams.npz": packed.getvalue()}


def _translate(task: Any, model: Any) -> dict[str, Any]:
    return {
        "max_length": task.config.tokens.max_length,
        "longest": LONGEST_TRANSLATION,
        "source": describe_tokenizer(task.source),
        "target": describe_tokenizer(task.target),
    }


def _list_states(recurrent: Recurrent, name: str) -> dict[str, Any]:
    return {
        part.name: {"shape": list(part.shape), "type": str(part.dtype)}
        for cell in list_states(recurrent, name)
        for part in cell
    }


COLLECTED = {"classify": _classify, "tag": _tag, "lm": _lm, "translate": _translate}


def describe(task: Any, folder: Path, graphs: Mapping[str, Graph], difference: float) -> str:
    """README.md of the folder."""
    lines = [
        f"# {folder.resolve().name} as ONNX",
        "",
        f"A `{task.name}` model of seqcli {__version__}. `predict.py` answers lines as `seqcli "
        "predict` does and shows how the graphs are used; it needs numpy and onnxruntime"
        + (" and tokenizers" if _has_pairs(task) else "")
        + ", not seqcli.",
        "",
        "```sh",
        "python predict.py < lines.txt",
        "```",
        "",
        "Any number of rows of any length can be answered at once. What stands behind a row's "
        "length never changes an answer. On random batches no score differed by more than "
        f"{difference:.1e} from the model's.",
        "",
        *_notes(task),
    ]
    for name, graph in graphs.items():
        lines += [f"## {name}.onnx", "", "| tensor | type | shape | meaning |", "|---|---|---|---|"]
        for way, values in (("in", graph.inputs), ("out", graph.outputs)):
            for tensor, dtype, shape in values:
                state = CARRIED if tensor.startswith("next_") or name == "encoder" else STATE
                meaning = MEANINGS.get(tensor, state)
                sizes = ", ".join(map(str, shape))
                lines.append(f"| {way} `{tensor}` | {dtype} | {sizes} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def _notes(task: Any) -> list[str]:
    """What else is to be known of graphs and predict.py."""
    if task.name == "translate":
        return ["predict.py writes the likeliest token at each step, as `--beam 1` does.", ""]
    if task.name == "tag" and task.tagset.answers:
        return [
            f"The tags of the graph are those of {task.scheme}, in which the network was trained; "
            f"predict.py writes them in {task.tagset.written}, as the data have them.",
            "",
        ]
    if task.name == "lm" and task.ngrams:
        return [
            "The graph is the network alone. predict.py mixes its probabilities with those of the "
            f"counts in ngrams.npz, which have a share of {task.ngrams.share:g}; `mix` there shows "
            "how, also for writing texts.",
            "",
        ]
    return []


def _has_pairs(task: Any) -> bool:
    """Whether some text is split into byte pairs."""
    names = ("tokenizer", "source", "target")
    return any(getattr(getattr(task, name, None), "kind", "") == "bpe" for name in names)
