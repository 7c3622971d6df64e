"""Tags of the tokens of lines: python predict.py < lines.txt"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnxruntime
from schemes import Notation, spans
from tokens import HERE, Tokens, answer_lines, pad, read_facts

FACTS = read_facts()
TOKENS = Tokens(FACTS["tokenizer"])
CHARACTERS = Tokens(FACTS["characters"]) if FACTS["characters"] else None
WORD = re.compile(FACTS["pattern"], re.VERBOSE | re.IGNORECASE)
ANSWERS = Notation(*FACTS["answers"]) if FACTS["answers"] else None
SESSION = onnxruntime.InferenceSession(HERE / "model.onnx")


def split(line: str) -> list[str]:
    """The tokens of a line: words and marks, characters, or what stands between spaces."""
    if FACTS["cut"] == "words":
        return WORD.findall(line)
    chunks = line.split()
    return list("".join(chunks)) if FACTS["cut"] == "characters" else chunks


def run(sentences: list[list[str]]) -> dict[str, np.ndarray]:
    """All that the graph gives for some sentences, by name."""
    feeds: dict[str, Any] = {}
    feeds["tokens"], feeds["lengths"] = pad([TOKENS.encode_tokens(one) for one in sentences])
    if CHARACTERS:
        longest = max(map(len, sentences))
        padded = [word for one in sentences for word in [*one, *[" "] * (longest - len(one))]]
        rows = [CHARACTERS.encode(word or " ")[: FACTS["longest_word"]] for word in padded]
        letters, counts = pad(rows)
        feeds["characters"] = letters.reshape(len(sentences), longest, -1)
        feeds["character_lengths"] = counts.reshape(len(sentences), longest)
    names = [one.name for one in SESSION.get_outputs()]
    return dict(zip(names, SESSION.run(names, feeds), strict=True))


def answer(lines: list[str]) -> list[str]:
    """The tokens of each line with their tags, and before them its label if there are labels."""
    sentences = [split(line) for line in lines]
    filled = [at for at, sentence in enumerate(sentences) if sentence]
    answers = [""] * len(lines)
    if not filled:
        return answers
    found = run([sentences[at] for at in filled])
    for row, at in enumerate(filled):
        tokens = sentences[at]
        tags = [FACTS["tags"][number] for number in found["tags"][row, : len(tokens)]]
        if ANSWERS:  # the network's are in another scheme
            tags = ANSWERS.write(spans(tags), len(tags))
        pairs = zip(tokens, tags, strict=True)
        shown = "".join(tags) if FACTS["joined"] else " ".join(map("/".join, pairs))
        if FACTS["labels"]:
            label = FACTS["labels"][int(found["label_scores"][row].argmax())]
            shown = f"{label}\t{shown}"
        answers[at] = shown
    return answers


if __name__ == "__main__":
    answer_lines(answer)
