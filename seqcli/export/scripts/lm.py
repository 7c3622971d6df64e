"""How likely lines are: python predict.py < lines.txt writes the log-probability of each line, its
perplexity and how many tokens it has, the end counted.

Where texts are written from a condition, a line is the condition (a label, or numbers with commas
between; of an image the bytes of its 16 × 16 pixels, red, green, blue, row by row), a tab and the
text.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnxruntime
from backoff import Backoff
from tokens import EOS, HERE, Tokens, answer_lines, pad, read_facts

FACTS = read_facts()
TOKENS = Tokens(FACTS["tokenizer"])
SESSION = onnxruntime.InferenceSession(HERE / "model.onnx")
NGRAMS = FACTS["ngrams"]
"""The share and the sizes of the counts beside the network, if there are any."""


def start(batch: int) -> dict[str, np.ndarray]:
    """The states before the first token: zeros."""
    states = FACTS["states"].items()
    return {name: np.zeros((batch, *one["shape"]), one["type"]) for name, one in states}


def step(
    tokens: np.ndarray, lengths: np.ndarray, states: dict[str, np.ndarray], **condition: Any
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(B, T) ids and the states before to (B, T, V) log-probabilities of the token after each, and
    the states after. Feed what is drawn, and those states, to write a text token by token; with
    NGRAMS, mix them with what the counts say of texts that end so:

        runs = COUNTS.begin(batch)
        runs = COUNTS.extend(runs, tokens)  # at each step
        logs = mix(logs, COUNTS.distribution(runs))
    """
    names = ["log_probabilities", *(f"next_{name}" for name in states)]
    logs, *after = SESSION.run(names, {"tokens": tokens, "lengths": lengths, **states, **condition})
    return logs, dict(zip(states, after, strict=True))


def read_counts() -> Backoff:
    """The counts of the model, from its file."""
    lengths = range(1, len(NGRAMS["sizes"]) + 1)
    with np.load(HERE / "ngrams.npz") as file:
        parts = [
            [file[f"{part}_{length}"] for length in lengths] for part in ("keys", "own", "rest")
        ]
    return Backoff(*parts)


def mix(logs: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Log-probabilities of network and counts together."""
    share = NGRAMS["share"]
    counted = np.log(chances, dtype=np.float64) + math.log(share)
    return np.logaddexp(logs + math.log1p(-share), counted)


COUNTS = read_counts() if NGRAMS else None


def encode_condition(texts: list[str]) -> dict[str, np.ndarray]:
    """What texts are written from, as the graph takes it."""
    facts = FACTS["condition"]
    if facts["kind"] == "label":
        numbers = {label: number for number, label in enumerate(facts["labels"])}
        if unknown := [text for text in texts if text not in numbers]:
            raise ValueError(f"no text was trained on with the condition {unknown[0]!r}")
        return {"condition": np.array([numbers[text] for text in texts], dtype=np.int64)}
    rows = [[float(part) for part in text.replace(",", " ").split()] for text in texts]
    if wrong := [row for row in rows if len(row) != len(facts["mean"])]:
        raise ValueError(f"{len(wrong[0])} numbers, and the model takes {len(facts['mean'])}")
    scaled = (np.array(rows) - facts["mean"]) / facts["deviation"]
    return {"condition": scaled.astype(np.float32)}


def answer(lines: list[str]) -> list[str]:
    """Log-probability, perplexity and tokens of each line."""
    condition = {}
    if FACTS["condition"]:
        if not all("\t" in line for line in lines):
            raise ValueError("write what the text is written from, a tab and the text")
        given, lines = map(list, zip(*(line.split("\t", 1) for line in lines), strict=True))
        condition = encode_condition(given)
    gold = [TOKENS.encode(line, eos=True) for line in lines]
    read, lengths = pad([[EOS, *row[:-1]] for row in gold])
    logs, _ = step(read, lengths, start(len(lines)), **condition)
    answers = []
    for log, row in zip(logs, gold, strict=True):
        found = log[range(len(row)), row].astype(np.float64)
        if COUNTS is not None:
            found = mix(found, COUNTS.chances(np.array([EOS, *row]), np.array([0]))[1:])
        total = float(found.sum())
        answers.append(f"{total:.6f}\t{math.exp(min(-total / len(row), 700)):.6f}\t{len(row)}")
    return answers


if __name__ == "__main__":
    answer_lines(answer)
