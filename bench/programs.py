"""Whole training programs: plain PyTorch, as it is commonly written, against seqcli's own loop.

    python bench/programs.py [--only lm] [--rounds 5] [--steps 5] [--threads 2] [--json]

Plain PyTorch: shuffled batches, packed sequences where lengths are unequal, torch.optim.Adam as it
comes, for lm gradient clipping. seqcli: the loop that `seqcli classify` and `seqcli lm` run, from
encoded rows to the update, clipping and start-up settings included. Both train the same network
(no dropout) on the same text, whose words are as frequent as those of a language; with an adaptive
or sampled softmax seqcli trains another one. Each candidate lives in a process of its own; they
take turns, and a figure is the median over rounds of `steps` updates. With one thread processor
time is measured, which other programs hardly change; with more, the clock, which wants an idle
machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

# torch is imported in the candidates' processes only, after seqcli's start-up settings.

Update = Iterator[int]
"""A training: each item is one update, and the tokens it read."""


class Program(NamedTuple):
    """What is trained. batch: texts of a batch, or streams of lm."""

    task: str
    cell: str
    vocabulary: int
    hidden: int
    layers: int
    batch: int
    candidates: tuple[str, ...]

    @property
    def name(self) -> str:
        layers = f", {self.layers} layers" if self.layers > 1 else ""
        return f"{self.task} {self.cell}, V {self.vocabulary:,}, H {self.hidden}{layers}"


SAME = ("plain", "fp32", "bf16")
OTHER = ("fp32 adaptive", "bf16 adaptive", "bf16 sampled")
PROGRAMS = [
    Program("classify", "lstm", 30_000, 128, 1, 64, SAME),
    Program("classify", "gru", 30_000, 128, 1, 64, SAME),
    Program("lm", "lstm", 10_000, 650, 2, 20, SAME),
    Program("lm", "lstm", 30_000, 256, 1, 32, (*SAME, *OTHER)),
]
LABELS = 4
BPTT = 35
TEXTS = 6_400


def draw_texts(program: Program) -> list[list[int]]:
    """Texts as word numbers: about 40 words each, every word at least once."""
    draw = random.Random(0)
    lengths = [min(max(round(draw.lognormvariate(3.6, 0.45)), 5), 180) for _ in range(TEXTS)]
    chances = [1 / (rank + 3) for rank in range(program.vocabulary)]
    words = draw.choices(range(program.vocabulary), chances, k=sum(lengths))
    words[: program.vocabulary] = range(program.vocabulary)
    draw.shuffle(words)
    left = iter(words)
    return [[next(left) for _ in range(length)] for length in lengths]


# ---- plain PyTorch ----


def plain_classify(program: Program) -> Update:
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

    size = program.hidden
    embedding = nn.Embedding(program.vocabulary, size)
    recurrent: Any = (nn.LSTM if program.cell == "lstm" else nn.GRU)(
        size, size, program.layers, batch_first=True, bidirectional=True
    )
    output = nn.Linear(2 * size, LABELS)
    model = nn.ModuleList([embedding, recurrent, output])
    optimizer = torch.optim.Adam(model.parameters())
    texts = [torch.tensor(text) for text in draw_texts(program)]
    labels = torch.randint(LABELS, (len(texts),))
    while True:
        for rows in torch.randperm(len(texts)).split(program.batch):
            chosen = [texts[row] for row in rows.tolist()]
            lengths = torch.tensor([len(text) for text in chosen])
            x = embedding(pad_sequence(chosen, batch_first=True))
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            _, last = recurrent(packed)
            h = last[0] if isinstance(last, tuple) else last
            optimizer.zero_grad()
            scores = output(torch.cat([h[-2], h[-1]], dim=1))
            F.cross_entropy(scores, labels[rows]).backward()
            optimizer.step()
            yield int(lengths.sum())


def plain_lm(program: Program) -> Update:
    import torch
    import torch.nn.functional as F
    from torch import nn

    size = program.hidden
    embedding = nn.Embedding(program.vocabulary, size)
    recurrent = nn.LSTM(size, size, program.layers, batch_first=True)
    output = nn.Linear(size, program.vocabulary)
    model = nn.ModuleList([embedding, recurrent, output])
    optimizer = torch.optim.Adam(model.parameters())
    tokens = torch.tensor([word for text in draw_texts(program) for word in text])
    streams = tokens[: len(tokens) // program.batch * program.batch].view(program.batch, -1)
    while True:
        state = None
        for begin in range(0, streams.shape[1] - 1 - BPTT, BPTT):
            read = streams[:, begin : begin + BPTT]
            gold = streams[:, begin + 1 : begin + 1 + BPTT]
            y, state = recurrent(embedding(read), state)
            state = tuple(part.detach() for part in state)
            optimizer.zero_grad()
            F.cross_entropy(output(y).flatten(0, 1), gold.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            yield read.numel()


# ---- seqcli ----


def seqcli_loop(program: Program, precision: str, softmax: str = "full") -> Update:
    """The loop of `seqcli classify` or `seqcli lm`."""
    from seqcli.config import make_config
    from seqcli.data.rows import Rows
    from seqcli.events import Step
    from seqcli.fit import Fit
    from seqcli.tasks import TASKS

    texts = draw_texts(program)
    size = program.hidden
    settings: dict[str, Any] = {"hidden": size, "embedding": size, "layers": program.layers}
    settings |= {"cell": program.cell, "dropout": 0.0, "tokens": "word", "learning_rate": 1e-3}
    settings |= {"patience": 0, "epochs": 1_000}
    if program.task == "classify":
        mean = sum(map(len, texts)) // len(texts)
        settings |= {"bidirectional": True, "pool": "last", "word_dropout": 0.0}
        settings |= {"batch_tokens": mean * program.batch}
        settings |= {"ngrams": False, "spelling": False, "adversarial": 0.0}  # the same network
    else:
        settings |= {"softmax": softmax, "tie": False, "streams": program.batch, "bptt": BPTT}
    draw = random.Random(0)
    columns = {"text": [" ".join(f"w{word}" for word in text) for text in texts]}
    if program.task == "classify":
        columns["label"] = [str(draw.randrange(LABELS)) for _ in texts]
    rows = Rows(columns, "drawn")
    task = TASKS[program.task].learn(make_config(program.task, settings), rows)
    fit = Fit(
        task, task.build(), task.encode(rows), lambda: {task.watched: 0.0}, precision=precision
    )
    for event in fit.events():
        if isinstance(event, Step):
            yield event.tokens


# ---- measuring ----


def serve(program: Program, candidate: str, threads: int, pipe: Connection) -> None:
    """A candidate's process: for each number of steps received, send tokens a second."""
    if candidate != "plain":
        from seqcli.startup import prepare

        prepare()
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if candidate != "plain":
        training = seqcli_loop(program, *candidate.split())
    else:
        training = (plain_classify if program.task == "classify" else plain_lm)(program)
    clock = time.thread_time if threads == 1 else time.perf_counter
    while steps := pipe.recv():
        began = clock()
        tokens = sum(next(training) for _ in range(steps))
        pipe.send(tokens / (clock() - began))


def ask(candidate: str, worker: Any, pipe: Connection, steps: int) -> float:
    """Tokens a second of a number of steps in a candidate's process."""
    try:
        pipe.send(steps)
        return pipe.recv()
    except (EOFError, OSError):
        worker.join()
        raise SystemExit(
            f"the process of {candidate!r} ended with {worker.exitcode} (-9: memory ran out; all "
            f"candidates of a program need about 1.5 GB each)"
        ) from None


def compare(program: Program, *, rounds: int, steps: int, threads: int) -> dict[str, float]:
    """Median tokens a second of each candidate."""
    context = multiprocessing.get_context("spawn")
    workers = {}
    for candidate in program.candidates:
        ours, theirs = context.Pipe()
        arguments = program, candidate, threads, theirs
        worker = context.Process(target=serve, args=arguments, daemon=True)
        worker.start()
        theirs.close()  # so that a worker that dies is noticed
        workers[candidate] = worker, ours
        ask(candidate, worker, ours, 2)  # warm up
    speeds: dict[str, list[float]] = {candidate: [] for candidate in workers}
    for _ in range(rounds):
        for candidate, (worker, pipe) in workers.items():
            speeds[candidate].append(ask(candidate, worker, pipe, steps))
    for worker, pipe in workers.values():
        pipe.send(0)
        worker.join()
    return {candidate: statistics.median(found) for candidate, found in speeds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="updates a round")
    parser.add_argument("--threads", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--only", default="", help="run the programs whose name contains this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for program in PROGRAMS:
        if options.only not in program.name:
            continue
        speeds = compare(
            program, rounds=options.rounds, steps=options.steps, threads=options.threads
        )
        ratios = {candidate: speed / speeds["plain"] for candidate, speed in speeds.items()}
        if options.json:
            figures = {"tokens_per_second": speeds, "times_plain": ratios}
            print(json.dumps({"program": program.name, **figures}), flush=True)
            continue
        print(f"{program.name:44}tokens/s  × plain")
        for candidate, speed in speeds.items():
            print(f"    {candidate:36}{speed:12,.0f}{ratios[candidate]:9.2f}", flush=True)


if __name__ == "__main__":
    main()
