"""Where the time of a training step goes, in each task with its default network.

    python bench/steps.py [--steps 40] [--threads 2] [--precision bf16] [--wide] [--json]

Trains on the bundled sample, or with --wide on drawn words (vocabulary 30,000) with 256 units and
batches of 2,560 tokens. "Kernels" are the calls of the native kernels but for those of the
optimiser, by the clock around each, and torch's matrix products, by its profiler; all else is
Python, data, the optimiser, small torch operations and metrics. The time of a step is taken without
the profiler. Wants an idle machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from seqcli.startup import prepare

if __name__ == "__main__":  # must come before torch
    prepare()

import torch
from programs import Program, draw_texts
from torch.profiler import ProfilerActivity, profile

from seqcli.config import make_config
from seqcli.data.load import load
from seqcli.data.rows import Rows
from seqcli.events import Step
from seqcli.fit import Fit
from seqcli.nn.native import library
from seqcli.tasks import TASKS

PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")
KERNELS = (
    *("run", "pack", "linear", "cross", "drop", "pool", "look_up", "chains", "chains_backward"),
    *("attend_forward", "attend_backward", "sru_forward", "sru_backward"),
    *("mogrifier_forward", "mogrifier_backward"),
)
WIDE = {"hidden": 256, "embedding": 256}


def draw_rows(task: str) -> Rows:
    """Rows of drawn words that serve a task."""
    texts = draw_texts(Program(task, "gru", 30_000, 256, 1, 64, ()))
    words = [[f"w{word}" for word in text] for text in texts]
    lines = [" ".join(row) for row in words]
    columns: dict[str, list[Any]] = {
        "classify": {"text": lines, "label": [str(len(row) % 4) for row in words]},
        "tag": {"tokens": words, "tags": [[f"t{len(word) % 9}" for word in row] for row in words]},
        "translate": {"source": lines, "target": lines},
        "lm": {"text": lines},
    }[task]
    return Rows(columns, "drawn")


def watch_kernels() -> list[float]:
    """A list to which each call of a native kernel adds its seconds from now on."""
    native, seconds = library.load(), []

    def watched(kernel: Callable[..., int]) -> Callable[..., int]:
        def run(*arguments: Any) -> int:
            began = time.perf_counter()
            found = kernel(*arguments)
            seconds.append(time.perf_counter() - began)
            return found

        return run

    for name in KERNELS:
        setattr(native, name, watched(getattr(native, name)))
    return seconds


def measure(
    task: str, native: list[float], *, steps: int, precision: str, wide: bool
) -> dict[str, float]:
    """Milliseconds of a step, and the shares of them. native: what `watch_kernels` gives."""
    settings: dict[str, Any] = {"epochs": 1_000, "patience": 0}
    if wide:
        settings |= WIDE | ({"tokens": "word"} if task != "tag" else {})
        settings |= {"batch_tokens": 2_560} if task != "lm" else {"streams": 64}
    config = make_config(task, settings)
    rows = draw_rows(task) if wide else load(task, config.data).train
    torch.manual_seed(0)
    learned = TASKS[task].learn(config, rows)
    judge = {learned.watched: 0.0}
    fit = Fit(learned, learned.build(), learned.encode(rows), lambda: judge, precision=precision)
    updates = (event for event in fit.events() if isinstance(event, Step))
    list(islice(updates, 5))
    native.clear()
    began = time.perf_counter()
    tokens = sum(event.tokens for event in islice(updates, steps))
    seconds, kernels = time.perf_counter() - began, sum(native)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        seen = sum(event.tokens for event in islice(updates, steps))
    products = sum(
        event.self_cpu_time_total for event in found.key_averages() if event.key in PRODUCTS
    )
    share = (kernels + products / 1e6 * tokens / seen) / seconds
    return {
        "milliseconds": seconds / steps * 1e3,
        "tokens_per_step": tokens / steps,
        "tokens_per_second": tokens / seconds,
        "outside_kernels": 1 - share,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", default="bf16", choices=("fp32", "bf16"))
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--only", default="", help="the task whose name contains this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    native = watch_kernels()
    for task in TASKS:
        if options.only not in task:
            continue
        figures = measure(
            task, native, steps=options.steps, precision=options.precision, wide=options.wide
        )
        if options.json:
            print(json.dumps({"task": task, **figures}), flush=True)
            continue
        print(
            f"{task:10}{figures['milliseconds']:8.1f} ms a step of "
            f"{figures['tokens_per_step']:,.0f} tokens, {figures['tokens_per_second']:,.0f} "
            f"tokens/s, {figures['outside_kernels']:.0%} outside of kernels",
            flush=True,
        )


if __name__ == "__main__":
    main()
