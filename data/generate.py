"""Make the bundled corpus from its grammar: `python data/generate.py [--out DIR]`.

Reproduces train.jsonl, validation.jsonl and test.jsonl byte for byte, with the standard library
only. A shape of grammar.py is derived in English and Chinese at once (derive.py), set among the
words that people put around a request, and its English is roughened (noise.py); the Chinese stays
clean.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from derive import Derivation, Dice, Pair, Rule, Word, read_rules
from grammar import INTENTS, SHAPES
from noise import roughen
from phrases import (
    ACTS,
    CLOSERS,
    OPENERS,
    ORDER_CONTRASTS,
    ORDERS,
    PHRASES,
    SITUATIONS,
    WISH_CONTRASTS,
    WISHES,
)

SEED = 1212
# Each part of the corpus, its split and its rows. Of the test split, one part has shapes that are
# held out, one has values that are held out, and one has neither.
PARTS = {
    "train": ("train", 6000),
    "validation": ("validation", 750),
    "shape": ("test", 180),
    "value": ("test", 250),
    "seen": ("test", 320),
}
HELD_OUT_EVERY = 5
CONTRASTS = 0.12  # the share of shapes that name two acts and mean one
WORLDS = {"rail": 55, "air": 45}
MARKS = {"?": "？", "!": "！", ".": "。", ",": "，"}


class Row(NamedTuple):
    label: str
    words: list[Word]
    chinese: str

    @property
    def text(self) -> str:
        """The tokens joined by spaces, with none before a punctuation mark."""
        return re.sub(r" ([.,?!])", r"\1", " ".join(word.token for word in self.words))

    @property
    def key(self) -> str:
        """What makes two sentences the same: their letters and digits."""
        return re.sub(r"\W", "", self.text.lower())

    def to_json(self) -> str:
        fields = {
            "text": self.text,
            "label": self.label,
            "tokens": [word.token for word in self.words],
            "tags": [word.tag for word in self.words],
            "chinese": self.chinese,
        }
        return json.dumps(fields, ensure_ascii=False)


def read_all(*tables: Mapping[str, str]) -> dict[str, list[Rule]]:
    """The rules of several tables, by name."""
    rules: dict[str, list[Rule]] = {}
    for table in tables:
        for name, text in table.items():
            rules[name] = rules.get(name, []) + read_rules(text)
    return rules


PHRASE_RULES = read_all(PHRASES)
SHAPE_RULES = read_all(SHAPES)
CONTRAST_RULES = (
    (read_rules(ORDER_CONTRASTS), read_all(ACTS, ORDERS)),
    (read_rules(WISH_CONTRASTS), read_all(ACTS, WISHES)),
)
OPENER_RULES = read_rules(OPENERS)
CLOSER_RULES = read_rules(CLOSERS)
SITUATION_RULES = {
    label: [
        rule
        for barred, text in SITUATIONS.items()
        for rule in read_rules(text)
        if label not in ("other", "complain", barred)
    ]
    for label in INTENTS
}


def shapes_of(shapes: list[Rule], *, held_out: bool) -> list[Rule]:
    """Every fifth shape, which is for the test split alone, or all others."""
    return [
        shape
        for place, shape in enumerate(shapes, start=1)
        if (place % HELD_OUT_EVERY == 0) == held_out
    ]


def derive(label: str, dice: Dice, *, part: str) -> tuple[Pair, Derivation]:
    """A request with the intent `label`, for a part of the corpus."""
    shapes, phrases = SHAPE_RULES[label], PHRASE_RULES
    contrasts = [(frames, acts) for frames, acts in CONTRAST_RULES if label in acts]
    if contrasts and dice.chance(CONTRASTS):
        shapes, acts = dice.pick(contrasts)
        other = dice.pick([name for name in acts if name != label])
        phrases = {**phrases, "wanted": acts[label], "unwanted": acts[other]}
    shape = dice.pick(shapes_of(shapes, held_out=part == "shape"))
    derivation = Derivation(
        dice,
        world=shape.world or dice.weighted(WORLDS),
        phrases=phrases,
        held_out=part == "value",
    )
    return punctuate(agree(derivation.expand(shape))), derivation


def agree(pair: Pair) -> Pair:
    """The pair with "an" for "a" before a vowel."""
    english = list(pair.english)
    for place, (word, follower) in enumerate(pairwise(pair.english)):
        if word.token == "a" and follower.token[0].lower() in "aeiou":
            english[place] = Word("an", word.tag)
    return Pair(english, pair.chinese)


def punctuate(pair: Pair) -> Pair:
    """The pair with its final mark, the same in both languages."""
    english, chinese = pair
    mark = english[-1].token
    if mark in MARKS:
        english = english[:-1]
    else:
        before = [",", *(word.token for word in english)]
        asks = any(
            earlier in (",", "so") and word.token in ("can", "could")
            for earlier, word in zip(before, english, strict=False)
        )
        mark = "?" if asks else "."
    return Pair([*english, Word(mark)], chinese + MARKS[mark])


def frame(pair: Pair, label: str, dice: Dice) -> Pair:
    """The request after a greeting and what led to it, and before thanks; each there or not."""

    def aside(rules: list[Rule], probability: float) -> Pair:
        if not rules or not dice.chance(probability):
            return Pair([], "")
        derivation = Derivation(dice, world="", phrases=PHRASE_RULES)
        return punctuate(derivation.expand(dice.pick(rules)))

    parts = (
        aside(OPENER_RULES, 0.12),
        aside(SITUATION_RULES[label], 0.15),
        pair,
        aside(CLOSER_RULES if label != "complain" else [], 0.1),
    )
    return Pair(
        [word for part in parts for word in part.english], "".join(p.chinese for p in parts)
    )


def rows(part: str, size: int, dice: Dice, seen: set[str]) -> Iterator[Row]:
    """`size` rows of which none is in `seen`, to which they are added."""
    while size:
        label = dice.weighted(INTENTS)
        pair, derivation = derive(label, dice, part=part)
        if part == "value" and not derivation.surprises:
            continue
        english, chinese = frame(pair, label, dice)
        row = Row(label, roughen(english, dice), chinese)
        if row.key not in seen:
            seen.add(row.key)
            size -= 1
            yield row


def generate() -> dict[str, list[Row]]:
    """All splits by name."""
    dice, seen = Dice(SEED), set[str]()
    splits: dict[str, list[Row]] = {split: [] for split, _ in PARTS.values()}
    for part, (split, size) in PARTS.items():
        splits[split] += rows(part, size, dice, seen)
    splits["test"] = dice.shuffle(splits["test"])
    return splits


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for split, table in generate().items():
        lines = "".join(row.to_json() + "\n" for row in table)
        (out / f"{split}.jsonl").write_bytes(lines.encode())


if __name__ == "__main__":
    main()
