"""The command line from outside: how soon it starts, how many lines a second `predict` answers.

    python bench/commands.py [--rounds 5] [--lines 100000] [--json]

A classify model is trained on the bundled sample for one epoch; its speed does not depend on how
good it is. Lines a second: short sample texts from standard input to standard output, the whole
process, by the difference between a long input and a short one (start-up cancels out). Start-up:
`seqcli --help` against the time Python needs for `import typer`. Medians of rounds in which all
take turns. Wants an idle machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "test.jsonl"
SEQCLI = [sys.executable, "-m", "seqcli"]
FEW = 2_000


def seconds(command: list[str], text: bytes = b"") -> float:
    began = time.perf_counter()
    subprocess.run(command, input=text, capture_output=True, check=True, cwd=ROOT)
    return time.perf_counter() - began


def lines(count: int) -> bytes:
    """Sample texts, one a line, again and again."""
    texts = [json.loads(line)["text"] for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    return "".join(f"{texts[at % len(texts)]}\n" for at in range(count)).encode()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    few, many = lines(FEW), lines(FEW + options.lines)
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "model")
        seconds([*SEQCLI, "classify", "--epochs", "1", "--out", model])
        predict = [*SEQCLI, "predict", model]
        candidates = {
            "import typer": lambda: seconds([sys.executable, "-c", "import typer"]),
            "seqcli --help": lambda: seconds([*SEQCLI, "--help"]),
            "predict few lines": lambda: seconds(predict, few),
            "predict many lines": lambda: seconds(predict, many),
        }
        taken: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(options.rounds):
            for name, run in candidates.items():
                taken[name].append(run())
    found = {name: statistics.median(values) for name, values in taken.items()}
    figures = {
        "seconds": found,
        "help_times_typer": found["seqcli --help"] / found["import typer"],
        "lines_per_second": options.lines
        / (found["predict many lines"] - found["predict few lines"]),
        "words_per_line": len(few.split()) / FEW,
    }
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in found.items():
        print(f"{name:20}{value:8.2f} s")
    print(f"--help takes {figures['help_times_typer']:.1f} times as long as importing typer")
    print(
        f"predict answers {figures['lines_per_second']:,.0f} lines a second "
        f"({figures['words_per_line']:.1f} words each)"
    )


if __name__ == "__main__":
    main()
