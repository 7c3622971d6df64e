"""How fast each cell trains and predicts on this machine, and how fast torch.nn does.

One layer is run over one batch, forward and backward as in training, and forward alone as in
prediction. torch.nn runs the same network with the same weights in fp32, on the padded batch (made
beforehand) and on a packed one, and its better time counts. From both ends torch reads the padding
of shorter sequences first; it is timed all the same, which favours it.

All candidates take turns in each round, and a figure is the median over rounds. The work counted
is the products that real tokens need, nothing for padding; the peak is that of a large matrix
product with the same operands.
"""

from __future__ import annotations

import copy
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from seqcli.errors import SeqcliError, UsageError
from seqcli.nn.cells import make_cell
from seqcli.nn.device import autocast, choose_precision, describe, set_threads
from seqcli.nn.ragged import Ragged, offsets
from seqcli.nn.recurrent import Recurrent, to_torch

PASSES = {"train": 3, "predict": 1}
"""What is run, and its products as a multiple of those of the forward pass."""
SPREAD = 0.55
"""Deviation of the logarithm of unequal lengths, about that of sentences."""
GEMM = 1024
"""Rows and columns of the product that tells the peak: large enough to reach it."""
CPU = torch.device("cpu")
Run = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One layer and one batch. length: tokens of a sequence, on average where `unequal`."""

    hidden: int = 256
    input: int = 256
    batch: int = 32
    length: int = 32
    unequal: bool = True
    bidirectional: bool = False


def bench(
    shape: Shape,
    *,
    cells: Sequence[str],
    precision: str = "both",
    rounds: int = 5,
    threads: int | None = None,
) -> dict[str, Any]:
    """Figures of each cell: one row a cell, pass and precision.

    precision: fp32, bf16, or both, which leaves out bf16 where the processor lacks it (asked for
    by name, that is a UsageError). Returns the shape, the `machine`, `tokens` of the batch, `fill`
    (their share of the padded batch), `peak` (GFLOP/s of the matrix product, by precision) and
    `rows`; `times_torch` of a row is None where torch.nn has no such cell.
    """
    set_threads(threads)
    precisions = _precisions(precision)
    lengths_B = draw_lengths(shape)
    tokens = int(lengths_B.sum())
    x = Ragged(torch.randn(tokens, shape.input), offsets(lengths_B))
    networks = {cell: _network(cell, shape) for cell in cells}
    candidates: dict[tuple[str, ...], Run] = {("gemm", one): _product(one) for one in precisions}
    for cell, network in networks.items():
        candidates |= _list_passes(cell, network, x, precisions)
    taken = measure(candidates, rounds)
    peak = {one: 2 * GEMM**3 / taken["gemm", one] / 1e9 for one in precisions}
    rows = []
    for name, (cell, network) in itertools.product(PASSES, networks.items()):
        theirs = [taken[key] for key in taken if key[:3] == (name, cell, "torch")]
        for one in precisions:
            seconds = taken[name, cell, one]
            gflops = _count_flop(name, network, tokens) / seconds / 1e9
            rows.append(
                {
                    "pass": name,
                    "cell": cell,
                    "precision": one,
                    "tokens_per_second": tokens / seconds,
                    "gflops": gflops,
                    "share_of_peak": gflops / peak[one],
                    "times_torch": min(theirs) / seconds if theirs else None,
                }
            )
    return {
        "machine": describe(CPU, " and ".join(precisions)),
        "shape": asdict(shape),
        "rounds": rounds,
        "tokens": tokens,
        "fill": tokens / (len(lengths_B) * int(lengths_B.max())),
        "peak": peak,
        "rows": rows,
    }


def _list_passes(
    cell: str, network: Recurrent, x: Ragged, precisions: Sequence[str]
) -> dict[tuple[str, ...], Run]:
    """The passes of a cell: ours in each precision, those of torch.nn padded and packed."""
    runs: dict[tuple[str, ...], Run] = {}
    for name in PASSES:
        train = name == "train"
        for one in precisions:
            runs[name, cell, one] = _ours(network, x, one, train=train)
        for way, run in _torch(network, x, train=train).items():
            runs[name, cell, "torch", way] = run
    return runs


def _count_flop(name: str, network: Recurrent, tokens: int) -> float:
    """Floating-point operations of the matrix products of a pass over so many tokens."""
    weights = sum(one.numel() for one in network.state_dict().values() if one.dim() > 1)
    products = PASSES[name]
    if name == "train" and not list(network.parameters()):
        products -= 1  # a reservoir's weights have no gradients, only what flows through them
    return 2.0 * tokens * products * weights


def measure(candidates: dict[Any, Run], rounds: int) -> dict[Any, float]:
    """Median seconds of each candidate; they take turns in each round, after one to warm up.

    With one thread processor time is measured, which other programs hardly change; with more, the
    clock on the wall.
    """
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds: dict[Any, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, run in candidates.items():
            began = clock()
            run()
            seconds[name].append(clock() - began)
    return {name: statistics.median(taken[1:]) for name, taken in seconds.items()}


def draw_lengths(shape: Shape) -> Tensor:
    """(B,) lengths of the sequences, at least 1; unequal ones are evenly spaced quantiles of a
    log-normal distribution, as sentences nearly have, in random order."""
    if not shape.unequal:
        return torch.full((shape.batch,), shape.length)
    generator = torch.Generator().manual_seed(0)
    share_B = (torch.randperm(shape.batch, generator=generator) + 0.5) / shape.batch
    middle = math.log(shape.length) - SPREAD**2 / 2
    return (torch.special.ndtri(share_B) * SPREAD + middle).exp().round().clamp(min=1).long()


def _precisions(asked: str) -> list[str]:
    able = choose_precision("auto", CPU) == "bf16"
    if asked == "both":
        return ["fp32", "bf16"] if able else ["fp32"]
    if asked == "bf16" and not able:
        raise UsageError("--precision bf16: this processor does not multiply it; use fp32")
    return [asked]


def _network(cell: str, shape: Shape) -> Recurrent:
    def make(size: int) -> Any:
        return make_cell(cell, size, shape.hidden, nonlinearity="tanh")

    return Recurrent(make, shape.input, bidirectional=shape.bidirectional)


def _product(precision: str) -> Run:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(GEMM, GEMM).to(dtype), torch.randn(GEMM, GEMM).to(dtype)
    return lambda: torch.mm(a, b)


def _ours(network: Recurrent, x: Ragged, precision: str, *, train: bool) -> Run:
    """Our network on the ragged batch."""
    network = copy.deepcopy(network).requires_grad_(train).train(train)

    def run(x_NI: Tensor) -> Tensor:
        with autocast(CPU, precision):
            y, _ = network(x.with_values(x_NI), final=False)
        return y.values

    return _pass(network, run, x.values.clone(), train=train)


def _torch(network: Recurrent, x: Ragged, *, train: bool) -> dict[str, Run]:
    """The same network in torch.nn, padded and packed; nothing where torch.nn lacks the cell."""
    try:
        module = to_torch(network).requires_grad_(train).train(train)
    except SeqcliError:
        return {}
    x_BTI = pad_sequence(x.split(), batch_first=True)

    def padded(x_BTI: Tensor) -> Tensor:
        return module(x_BTI)[0]

    def packed(x_BTI: Tensor) -> Tensor:
        batch = pack_padded_sequence(x_BTI, x.lengths, batch_first=True, enforce_sorted=False)
        return module(batch)[0].data

    return {
        "padded": _pass(module, padded, x_BTI.clone(), train=train),
        "packed": _pass(module, packed, x_BTI.clone(), train=train),
    }


def _pass(
    module: torch.nn.Module, run: Callable[[Tensor], Tensor], x: Tensor, *, train: bool
) -> Run:
    """One forward pass or, in training, forward and backward to the weights and to x."""
    if not train:
        return torch.inference_mode()(lambda: run(x))
    x.requires_grad_()

    def step() -> None:
        x.grad = None
        module.zero_grad(set_to_none=True)
        y = run(x)
        y.backward(torch.ones_like(y))

    return step
