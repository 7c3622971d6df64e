"""The operator `recurrent`, of rnn, lstm, gru and the min cells, beyond what all layers owe."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from layers import RECURRENT, make_problem, results, run_native, split
from torch import Tensor, nn

from seqcli.nn.native import ops, status
from seqcli.nn.ragged import offsets

pytestmark = [
    pytest.mark.skipif(not status().available, reason=status().reason),
    pytest.mark.usefixtures("one_thread"),
]
LENGTHS = [3, 0, 1, 9, 5, 7, 2, 2, 11, 4]


@pytest.mark.parametrize("kind", sorted(ops.SCANS))
def test_a_scan_is_cut_up_for_more_threads_than_sequences(kind):
    """Into strips of 256 units, 128 or 64, which change no bit of what they do not sum up."""
    problem = make_problem(RECURRENT[kind], [70, 45], inputs=24, hidden=300)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 5, 12):
            torch.set_num_threads(threads)
            found.append(results(problem, "fp32"))
    finally:
        torch.set_num_threads(before)
    for name in ("y", "last h", "dx", "dh"):
        assert all(torch.equal(found[0][name], other[name]) for other in found[1:]), name
    for name in ("dw_ih", "db_ih"):
        for other in found:
            torch.testing.assert_close(other[name], found[0][name], atol=1e-4, rtol=1e-4)


def test_frozen_weights_are_packed_once_and_again_after_a_change():
    problem = make_problem(RECURRENT["lstm"], LENGTHS, inputs=4, hidden=6)
    before, _ = run_native(problem, problem.tensors)
    assert torch.equal(run_native(problem, problem.tensors)[0], before)
    problem.tensors["w_hh"].mul_(2)
    fresh = {name: tensor.clone() for name, tensor in problem.tensors.items()}
    after, _ = run_native(problem, problem.tensors)
    assert torch.equal(after, run_native(problem, fresh)[0])
    assert not torch.equal(after, before)


def test_autocast_does_not_change_the_precision_asked_for():
    problem = make_problem(RECURRENT["lstm"], LENGTHS, inputs=4, hidden=6)
    plain = results(problem, "fp32")
    with torch.autocast("cpu", torch.bfloat16):
        cast = results(problem, "fp32")
    assert all(torch.equal(plain[name], cast[name]) for name in plain)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", list(RECURRENT))
def test_both_directions_together_are_what_each_is_alone(kind, precision):
    layer, starts = RECURRENT[kind], offsets(torch.tensor(LENGTHS))
    pair = [
        make_problem(layer, LENGTHS, inputs=5, hidden=19, reverse=reverse, seed=int(reverse))
        for reverse in (False, True)
    ]

    def gradients(run):
        tensors = [{n: t.clone().requires_grad_() for n, t in one.tensors.items()} for one in pair]
        x = tensors[0]["x"]
        parts = [split(layer, own)[1:] for own in tensors]
        y, last = run(x, [tuple(weights) for _, weights in parts], [state for state, _ in parts])
        total = (y * torch.cat([one.dy for one in pair], 1)).sum()
        for own, one in zip(last, pair, strict=True):
            total = total + sum((a * b).sum() for a, b in zip(own, one.dlast, strict=True))
        total.backward()
        return y, last, [{n: t.grad for n, t in own.items()} for own in tensors]

    def together(x, weights, states):
        return ops.layer(kind, x, starts, weights, states, precision=precision)

    def alone(x, weights, states):
        found = [
            ops.sequence(kind, x, starts, *own, reverse=reverse, precision=precision)
            for reverse, *own in zip((False, True), weights, states, strict=True)
        ]
        return torch.cat([y for y, _ in found], 1), [last for _, last in found]

    ours, truth = gradients(together), gradients(alone)
    assert torch.equal(ours[0], truth[0])
    for own, other in zip(ours[1], truth[1], strict=True):
        assert all(map(torch.equal, own, other))
    for own, other in zip(ours[2], truth[2], strict=True):
        for name in own.keys() - {"x"}:
            assert torch.equal(own[name], other[name]), name
    torch.testing.assert_close(ours[2][0]["x"], truth[2][0]["x"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_character_model_learns_as_with_torch(kind):
    """300 updates on Python's own library: the same validation loss in fp32 and bf16."""
    torch.set_num_threads(2)
    folder = Path(sysconfig.get_path("stdlib"))
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))[:60])
    codes = torch.frombuffer(bytearray(text), dtype=torch.uint8).long().clamp(max=127)
    steps, batch, hidden = 32, 24, 96
    starts = offsets(torch.full((batch,), steps))

    def train(path: str) -> float:
        torch.manual_seed(0)
        embedding, output = nn.Embedding(128, 48), nn.Linear(hidden, 128)
        layer = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](48, hidden, batch_first=True)
        modules = nn.ModuleList([embedding, output, layer])
        optimiser = torch.optim.Adam(modules.parameters(), 3e-3)
        generator = torch.Generator().manual_seed(1)
        state = (torch.zeros(batch, hidden),) * (2 if kind == "lstm" else 1)

        def loss(low: int, high: int) -> Tensor:
            begin = torch.randint(low, high - steps - 1, (batch, 1), generator=generator)
            window = codes[begin + torch.arange(steps + 1)]
            x = embedding(window[:, :-1])
            if path == "torch":
                y = layer(x)[0].flatten(0, 1)
            else:
                weights = tuple(layer.parameters())
                y, _ = ops.sequence(
                    *(kind, x.flatten(0, 1), starts, weights, state),
                    reverse=False,
                    precision=path,
                )
            return F.cross_entropy(output(y), window[:, 1:].flatten())

        split = int(len(codes) * 0.95)
        for _ in range(300):
            optimiser.zero_grad()
            loss(0, split).backward()
            nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
            optimiser.step()
        with torch.no_grad():
            return sum(loss(split, len(codes)).item() for _ in range(20)) / 20

    truth = train("torch")
    assert train("fp32") == pytest.approx(truth, abs=0.005)
    if status().bf16:
        assert train("bf16") == pytest.approx(truth, abs=0.005)
