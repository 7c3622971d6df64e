"""Translations of lines, word by word the likeliest: python predict.py < lines.txt"""

from __future__ import annotations

import numpy as np
import onnxruntime
from tokens import BOS, EOS, HERE, Tokens, answer_lines, pad, read_facts

FACTS = read_facts()
SOURCE, TARGET = Tokens(FACTS["source"]), Tokens(FACTS["target"])
ENCODER = onnxruntime.InferenceSession(HERE / "encoder.onnx")
DECODER = onnxruntime.InferenceSession(HERE / "decoder.onnx")


def run(
    session: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """All that a graph gives, by name; of what is there only its own inputs are fed."""
    names = [one.name for one in session.get_outputs()]
    own = {one.name: feeds[one.name] for one in session.get_inputs()}
    return dict(zip(names, session.run(names, own), strict=True))


def write(text: str) -> list[int]:
    """The likeliest next token, again and again."""
    tokens, lengths = pad([[*SOURCE.encode(text, eos=True)[:-1][: FACTS["max_length"]], EOS]])
    memory = {"lengths": lengths, **run(ENCODER, {"tokens": tokens, "lengths": lengths})}
    written: list[int] = []
    token = BOS
    while len(written) < max(min(3 * int(lengths[0]) + 20, FACTS["longest"]), 20):
        found = run(DECODER, {"token": np.array([token]), **memory})
        token = int(found["log_probabilities"][0].argmax())
        if token == EOS:
            break
        written.append(token)
        memory |= {name.removeprefix("next_"): value for name, value in found.items()}
    return written


def answer(lines: list[str]) -> list[str]:
    """The translation of each line."""
    return [TARGET.decode(write(line)) if line.strip() else "" for line in lines]


if __name__ == "__main__":
    answer_lines(answer)
