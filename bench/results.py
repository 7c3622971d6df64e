"""The table of results: each row's command over several seeds, as markdown.

    python bench/results.py DATA [--only NAME] [--seeds 3] [--extra '--limit 200'] > rows.md

DATA holds one folder a data set, with the names of ROWS. A row is the mean ± deviation of the test
score over the seeds and the mean time of a training, and under the table stand the commands.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """command: of the training, DATA standing for the folder. judge: options of evaluate where the
    score is not that of the training. percent: whether scores are fractions."""

    name: str
    command: str
    scores: tuple[str, ...]
    judge: str = ""
    percent: bool = True


def _splits(folder: str, train: str, validation: str, test: str) -> str:
    return " ".join(
        f"--{split} DATA/{folder}/{name}"
        for split, name in (("train", train), ("validation", validation), ("test", test))
    )


CSV = ("train.csv", "valid.csv", "test.csv")
ROWS = [
    Row("TREC-6", f"classify {_splits('trec6', *CSV)}", ("accuracy",)),
    Row("SST-2", f"classify {_splits('sst2', 'train.csv', 'dev.csv', 'test.csv')}", ("accuracy",)),
    Row("waimai", f"classify {_splits('waimai_10k', *CSV)}", ("accuracy",)),
    Row(
        "ATIS intents",
        f"classify {_splits('atis', 'intent_train.csv', 'intent_valid.csv', 'intent_test.csv')}",
        ("accuracy",),
    ),
    Row("ATIS slots", f"tag {_splits('atis', 'train.tsv', 'valid.tsv', 'test.tsv')}", ("span_f1",)),
    Row(
        "UD English EWT, UPOS",
        "tag --tags-column upos "
        + _splits("ud_english_ewt", *(f"en_ewt-ud-{n}.conllu" for n in ("train", "dev", "test"))),
        ("token_accuracy",),
    ),
    Row(
        "Multi30k en→de",
        "translate DATA/multi30k_en_de --source en --target de --test test_2016_flickr",
        ("bleu", "chrf"),
        judge="--beam 5",
    ),
    Row(
        "tiny Shakespeare",
        "lm DATA/tinyshakespeare/input.txt --tokens character",
        ("nats_per_character",),
        percent=False,
    ),
    Row(
        "WikiText-2",
        f"lm {_splits('wikitext2', 'train.txt', 'valid.txt', 'test.txt')} --tokens word",
        ("perplexity",),
        percent=False,
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", action="append", help="name of a row; again for each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--extra", default="", help="options added to every training")
    asked = parser.parse_args()
    chosen = [row for row in ROWS if not asked.only or row.name in asked.only]
    print("| data | measure | mean ± deviation | seeds | a training |")
    print("|---|---|---|---|---|")
    for row in chosen:
        for line in run_row(row, asked.data, asked.seeds, asked.extra):
            print(line, flush=True)
    print("\n```sh")
    for row in chosen:
        command = f"seqcli {row.command} --seeds {asked.seeds} {asked.extra}".strip()
        print(f"# {row.name}{f'; then evaluate {row.judge}' if row.judge else ''}\n{command}")
    print("```")


def run_row(row: Row, data: Path, seeds: int, extra: str) -> list[str]:
    """The lines of one row: one a score."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "m"
        command = [one.replace("DATA", str(data)) for one in shlex.split(f"{row.command} {extra}")]
        began = time.monotonic()
        found = call([*command, "--seeds", str(max(seeds, 2)), "--out", str(out), "--json"])
        minutes = (time.monotonic() - began) / 60 / max(seeds, 2)
        runs = [one["scores"]["test"] for one in found["seeds"]]
        if row.judge:
            runs = [
                call(["evaluate", one["folder"], *shlex.split(row.judge), "--json"])["scores"]
                for one in found["seeds"]
            ]
    lines = []
    for name in row.scores:
        values = [one[name] * (100 if row.percent else 1) for one in runs]
        mean = sum(values) / len(values)
        deviation = (sum((one - mean) ** 2 for one in values) / (len(values) - 1)) ** 0.5
        lines.append(
            f"| {row.name} | {name.replace('_', ' ')} | {mean:.2f} ± {deviation:.2f} | "
            f"{len(values)} | {minutes:.1f} min |"
        )
    return lines


def call(arguments: list[str]) -> Any:
    """The JSON that a command of seqcli prints."""
    done = subprocess.run(
        [sys.executable, "-m", "seqcli", *arguments], stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
