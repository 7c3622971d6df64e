"""Labels of lines: python predict.py < lines.txt"""

from __future__ import annotations

import numpy as np
import onnxruntime
from tokens import HERE, Tokens, answer_lines, pad, read_facts

FACTS = read_facts()
TOKENS = Tokens(FACTS["tokenizer"])
SESSION = onnxruntime.InferenceSession(HERE / "model.onnx")


def probabilities(lines: list[str]) -> np.ndarray:
    """(lines, labels) the probability of each label. Of pairs a line has both, a tab between."""
    feeds = {}
    sides = [line.partition("\t")[::2] if FACTS["pairs"] else (line,) for line in lines]
    for prefix, texts in zip(("", "pair_"), zip(*sides, strict=True), strict=False):
        rows = [TOKENS.encode(text)[: FACTS["max_length"]] for text in texts]
        feeds[f"{prefix}tokens"], feeds[f"{prefix}lengths"] = pad(rows)
    return SESSION.run(["probabilities"], feeds)[0]


def choose(probabilities: np.ndarray) -> list[int]:
    """The numbers of the labels that are said for one line."""
    labels, thresholds = FACTS["labels"], FACTS["thresholds"]
    if FACTS["several"]:
        limits = [thresholds.get(label, 0.5) for label in labels]
        return np.flatnonzero(probabilities.astype(np.float64) >= limits).tolist()
    for label, threshold in thresholds.items():
        rare = labels.index(label)
        return [rare if float(probabilities[rare]) >= threshold else 1 - rare]
    return [int(probabilities.argmax())]


def answer(lines: list[str]) -> list[str]:
    """The label of each line, or its labels with the separator between."""
    chosen = map(choose, probabilities(lines))
    return [FACTS["separator"].join(FACTS["labels"][one] for one in some) for some in chosen]


if __name__ == "__main__":
    answer_lines(answer)
