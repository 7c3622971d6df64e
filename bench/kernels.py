"""The native kernels against torch.nn, one layer at a time.

    python bench/kernels.py [--rounds 7] [--threads 2] [--only lstm] [--patience 20] [--prepared]

Every figure is a median over rounds in which all candidates of a case take turns. With one thread
processor time is measured, which other programs hardly change; with more, the clock on the wall,
which wants an idle machine. A case is a few batches of sequences; "unequal" draws lengths from a
log-normal (median 22 tokens, 5 % above 55), as sentences have. torch runs each batch padded, and
packed; batches are random or "bucketed" (the 64 nearest in length of 1,920). Padded batches in both
directions give torch wrong results for shorter sequences (it reads the padding first) and are timed
all the same.

GFLOP/s count the multiplications and additions that real tokens need, nothing for padding; the
share is that of the best matrix product measured in the same run with the same operands.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
from seqcli.startup import prepare

if "--prepared" in sys.argv:  # must come before torch
    prepare()

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from seqcli.nn.native import ops, status
from seqcli.nn.ragged import offsets

MODULES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN}
GEMM = 1024


class Case(NamedTuple):
    """What is run: `train` is forward and backward with gradients of inputs and weights."""

    kind: str
    hidden: int
    lengths: str  # equal, unequal or bucketed
    batch: int = 64
    steps: int = 35
    directions: int = 1
    train: bool = True

    @property
    def name(self) -> str:
        way = "bi" if self.directions == 2 else "uni"
        what = "train" if self.train else "predict"
        return f"{what} {self.kind} {way} H{self.hidden} B{self.batch} {self.lengths}"


def draw_batches(case: Case) -> list[Tensor]:
    """Lengths of the sequences of one batch, or of three where they are unequal."""
    if case.lengths == "equal":
        return [torch.full((case.batch,), case.steps)]
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(30 * case.batch, generator=generator) * 0.55 + 3.1
    lengths = torch.exp(draw).round().clamp(2, 120).long()
    if case.lengths == "bucketed":
        lengths = lengths.sort().values
    batches = lengths.split(case.batch)
    return [batches[at] for at in (5, 15, 25)]


def flops(case: Case, lengths: list[Tensor]) -> float:
    """Multiplications and additions that the tokens of the batches need."""
    tokens = sum(int(part.sum()) for part in lengths)
    each = 2 * ops.GATES[case.kind] * case.hidden * case.hidden
    passes = 3 if case.train else 1
    recurrent = 0 if case.kind in ops.SCANS else each
    return tokens * case.directions * passes * (each + recurrent)


# ---- candidates ----


def torch_candidates(case: Case, lengths: list[Tensor]) -> dict[str, Callable[[], object]]:
    """torch.nn on padded and on packed batches."""
    module = MODULES.get(case.kind, nn.GRU)(
        case.hidden, case.hidden, bidirectional=case.directions == 2, batch_first=True
    )
    inputs = [
        torch.randn(int(part.sum()), case.hidden, requires_grad=case.train) for part in lengths
    ]
    wide = case.hidden * case.directions

    def padded() -> Iterator[tuple[Tensor, Tensor]]:
        for x, part in zip(inputs, lengths, strict=True):
            y = module(pad_sequence(x.split(part.tolist()), batch_first=True))[0]
            yield x, y

    def packed() -> Iterator[tuple[Tensor, Tensor]]:
        for x, part in zip(inputs, lengths, strict=True):
            x_BTI = pad_sequence(x.split(part.tolist()), batch_first=True)
            bundle = pack_padded_sequence(x_BTI, part, batch_first=True, enforce_sorted=False)
            yield x, module(bundle)[0].data

    gradient = torch.randn(max(int(part.max()) * len(part) for part in lengths), wide)

    def run(forward: Callable[[], Iterator[tuple[Tensor, Tensor]]]) -> Callable[[], object]:
        def step() -> None:
            with torch.set_grad_enabled(case.train):
                for x, y in forward():
                    if case.train:
                        module.zero_grad(set_to_none=True)
                        x.grad = None
                        y.backward(gradient[: y.numel() // wide].view(y.shape))

        return step

    candidates = {"torch padded": run(padded)}
    if case.lengths != "equal":
        candidates["torch packed"] = run(packed)
    return candidates


def native_candidates(case: Case, lengths: list[Tensor]) -> dict[str, Callable[[], object]]:
    """The kernels in both precisions."""
    hidden, width = case.hidden, ops.GATES[case.kind] * case.hidden
    shapes = [(width, hidden), (width, hidden), (width,), (width,)]
    shapes = [shapes[0], shapes[2]] if case.kind in ops.SCANS else shapes
    weights = [
        tuple(
            (torch.rand(shape) * 2 - 1).div_(hidden**0.5).requires_grad_(case.train)
            for shape in shapes
        )
        for _ in range(case.directions)
    ]
    bounds = [offsets(part) for part in lengths]
    inputs = [torch.randn(int(part.sum()), hidden, requires_grad=case.train) for part in lengths]
    gradient = torch.randn(max(len(x) for x in inputs), hidden * case.directions)
    states = 2 if case.kind == "lstm" else 1

    def run(precision: str) -> Callable[[], object]:
        def step() -> None:
            with torch.set_grad_enabled(case.train):
                for x, bound in zip(inputs, bounds, strict=True):
                    state = (torch.zeros(len(bound) - 1, hidden),) * states
                    outputs = [
                        ops.sequence(
                            *(case.kind, x, bound, weights[direction], state),
                            reverse=bool(direction),
                            precision=precision,
                        )[0]
                        for direction in range(case.directions)
                    ]
                    y = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)
                    if case.train:
                        x.grad = None
                        for weight in (w for direction in weights for w in direction):
                            weight.grad = None
                        y.backward(gradient[: len(y)])

        return step

    candidates = {"native fp32": run("fp32")}
    if status().bf16:
        candidates["native bf16"] = run("bf16")
    return candidates


def products() -> dict[str, Callable[[], object]]:
    """Large matrix products: the peak that shares refer to."""
    a, b = torch.randn(GEMM, GEMM), torch.randn(GEMM, GEMM)
    a16, b16 = a.bfloat16(), b.bfloat16()
    return {
        "gemm fp32": lambda: torch.mm(a, b),
        "gemm bf16": lambda: torch.mm(a16, b16),
    }


# ---- measuring ----


class Quiet:
    """Tells by a small matrix product whether other programs are using the processor."""

    def __init__(self, patience: float) -> None:
        self.patience = patience  # seconds to wait for one undisturbed measurement
        self.operand = torch.randn(640, 640)
        self.best = min(self.probe() for _ in range(20)) if patience else 0.0

    def probe(self) -> float:
        began = time.perf_counter()
        torch.mm(self.operand, self.operand)
        return time.perf_counter() - began

    def undisturbed(self) -> bool:
        seconds = min(self.probe(), self.probe())
        self.best = min(self.best, seconds)
        return seconds < 1.4 * self.best

    def seconds(self, run: Callable[[], object], clock: Callable[[], float]) -> float:
        """Time one run, again and again until nothing disturbed it or patience is at an end."""
        until = time.monotonic() + self.patience
        while True:
            ready = not self.patience or self.undisturbed()
            if ready or time.monotonic() > until:
                began = clock()
                run()
                taken = clock() - began
                if not self.patience or time.monotonic() > until or self.undisturbed():
                    return taken
            else:
                time.sleep(0.05)


def measure(
    candidates: dict[str, Callable[[], object]], rounds: int, quiet: Quiet
) -> dict[str, float]:
    """Median seconds of each candidate over rounds in which they take turns."""
    for run in candidates.values():
        run()
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            seconds[name].append(quiet.seconds(run, clock))
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def bench(case: Case, rounds: int, quiet: Quiet) -> dict[str, Any]:
    """Figures of one case."""
    lengths = draw_batches(case)
    work, tokens = flops(case, lengths), sum(int(part.sum()) for part in lengths)
    candidates = {**torch_candidates(case, lengths), **native_candidates(case, lengths)}
    taken = measure({**candidates, **products()}, rounds, quiet)
    peak = {name: 2 * GEMM**3 / taken[f"gemm {name}"] for name in ("fp32", "bf16")}
    best = min(taken[name] for name in candidates if name.startswith("torch"))
    padded = sum(int(part.max()) * len(part) for part in lengths)
    rows = {
        name: {
            "tokens_per_second": tokens / taken[name],
            "gflops": work / taken[name] / 1e9,
            "share_of_gemm": work / taken[name] / peak["bf16" if "bf16" in name else "fp32"],
            "times_torch": best / taken[name],
        }
        for name in candidates
    }
    return {"case": case.name, "tokens": tokens, "fill": tokens / padded, "results": rows}


CASES = [
    *(
        Case(kind, hidden, lengths, directions=directions)
        for kind in ("lstm", "gru", "rnn_tanh")
        for hidden in (128, 256, 512)
        for lengths in ("unequal", "bucketed")
        for directions in (1, 2)
        if directions == 1 or hidden == 256
    ),
    Case("lstm", 256, "equal", batch=32),
    Case("lstm", 512, "equal", steps=50),
    Case("gru", 256, "equal", batch=32),
    Case("gru", 512, "equal", steps=50),
    Case("mingru", 256, "equal", batch=8, steps=1024),
    *(
        Case(kind, hidden, "unequal", train=False)
        for kind in ("lstm", "gru", "rnn_tanh")
        for hidden in (128, 512)
    ),
    Case("lstm", 256, "equal", batch=1, steps=25, train=False),
    Case("gru", 256, "equal", batch=1, steps=25, train=False),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--prepared", action="store_true", help="all with seqcli's settings of memory and threads"
    )
    parser.add_argument(
        "--patience", type=float, default=0, help="seconds to wait for each undisturbed measurement"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    quiet = Quiet(options.patience)
    torch.manual_seed(0)
    if not options.json:
        print(f"{status()}\n{'':44}tokens/s  GFLOP/s  of GEMM  × torch")
    for case in CASES:
        if options.only not in case.name:
            continue
        figures = bench(case, options.rounds, quiet)
        if options.json:
            print(json.dumps(figures), flush=True)
            continue
        print(f"{figures['case']}, {figures['tokens']} tokens, fill {figures['fill']:.2f}")
        for name, row in figures["results"].items():
            print(
                f"    {name:36}{row['tokens_per_second']:12,.0f}{row['gflops']:9.0f}"
                f"{row['share_of_gemm']:9.0%}{row['times_torch']:9.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
