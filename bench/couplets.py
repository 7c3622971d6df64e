"""Characters of the second lines of couplets guessed right, by counting and by trained models.

    python bench/couplets.py TRAIN.tsv TEST.tsv [--tagger MODEL] [--translator MODEL]

Each line of the files holds the two lines of a couplet, of equal length, with a tab between them.
*Alone*: the whole answer is written from the first line, or from nothing. *Led*: each character is
guessed knowing the true ones before it, as the perplexity of a language model does.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from seqcli.config import Request
from seqcli.startup import prepare

if __name__ == "__main__":  # must come before torch
    prepare()

import torch

from seqcli.bundle import load
from seqcli.data.rows import Rows
from seqcli.tasks.translate import teach

START = "\n"
Couplet = tuple[str, str]
Guess = Callable[[str, str], str]
"""The next character of an answer, from the one before it and the one that it faces."""
Counts = defaultdict[str, Counter[str]]
Likeliest = defaultdict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description="Couplets: counted and trained answers.")
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--tagger", type=Path, help="a model of seqcli tag")
    parser.add_argument("--translator", type=Path, help="a model of seqcli translate")
    options = parser.parse_args()

    train, test = read(options.train), read(options.test)
    bigram, facing, both = count(train)
    print(f"{'':>44}  alone    led")
    for name, guess in {
        "bigram of second lines": lambda before, faced: bigram[before],
        "the usual answer of a character": lambda before, faced: facing[faced],
        "the same, knowing the character before": lambda before, faced: (
            both[before + faced] or facing[faced]
        ),
    }.items():
        print(f"{name:>44} {alone(guess, test):6.1%} {led(guess, test):6.1%}")
    if options.tagger:
        print(f"{'seqcli tag':>44} {tagged(options.tagger, test):6.1%}      –")
    if options.translator:
        print(f"{'seqcli translate':>44}      – {translated(options.translator, test):6.1%}")


def read(path: Path) -> list[Couplet]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(first, second) for first, _, second in (line.partition("\t") for line in lines)]


def count(couplets: Iterable[Couplet]) -> tuple[Likeliest, Likeliest, Likeliest]:
    """The likeliest character after one before it, facing one, and both."""
    counts: tuple[Counts, ...] = (defaultdict(Counter), defaultdict(Counter), defaultdict(Counter))
    for first, second in couplets:
        for before, faced, here in zip(START + second, first, second, strict=False):
            for table, key in zip(counts, (before, faced, before + faced), strict=True):
                table[key][here] += 1
    after, facing, both = (
        defaultdict(str, {key: seen.most_common(1)[0][0] for key, seen in table.items()})
        for table in counts
    )
    return after, facing, both


def alone(guess: Guess, couplets: Iterable[Couplet]) -> float:
    """The share of right characters where each guess is read before the next."""
    right = total = 0
    for first, second in couplets:
        before = START
        for faced, here in zip(first, second, strict=True):
            before = guess(before, faced)
            right += before == here
            total += 1
    return right / total


def led(guess: Guess, couplets: Iterable[Couplet]) -> float:
    """The share of right characters where the true one is read before the next."""
    pairs = [
        guess(before, faced) == here
        for first, second in couplets
        for before, faced, here in zip(START + second, first, second, strict=False)
    ]
    return sum(pairs) / len(pairs)


def tagged(model: Path, couplets: list[Couplet]) -> float:
    """The share of right characters of a tagger's answers."""
    task, network, _ = load(model)
    rows = Rows({"tokens": [list(first) for first, _ in couplets]}, "couplets")
    answers = task.answer(network, rows, Request())
    pairs = [
        guess == here
        for answer, (_, second) in zip(answers, couplets, strict=True)
        for guess, here in zip(answer.record["tags"], second, strict=True)
    ]
    return sum(pairs) / len(pairs)


@torch.inference_mode()
def translated(model: Path, couplets: list[Couplet]) -> float:
    """The share of right characters of a translator that is led; the end mark is not counted."""
    task, network, _ = load(model)
    first, second = (list(side) for side in zip(*couplets, strict=True))
    right = total = 0
    for start in range(0, len(first), 100):
        part = slice(start, start + 100)
        rows = Rows({"source": first[part], "target": second[part]}, "couplets")
        source, read, gold_M = teach(task.encode(rows), torch.device("cpu"))
        hits_M = network(source, read).argmax(1) == gold_M
        right += int(hits_M.sum()) - int(hits_M[read.offsets[1:] - 1].sum())
        total += len(gold_M) - len(rows)
    return right / total


if __name__ == "__main__":
    main()
