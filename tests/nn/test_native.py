"""The native kernels against torch.nn in double precision, finite differences and themselves."""

from __future__ import annotations

import functools
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from checks import assert_any_strides, assert_slopes, new_tensors_poisoned, worst
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seqcli.nn.native import KINDS, ops, status
from seqcli.nn.ragged import offsets

pytestmark = [
    pytest.mark.skipif(not status().available, reason=status().reason),
    pytest.mark.usefixtures("one_thread"),
]
ROOT = Path(__file__).parents[2]
ALL_KINDS = sorted(KINDS)
LENGTHS = [3, 0, 1, 9, 5, 7, 2, 2, 11, 4]


class Problem(NamedTuple):
    """One direction of one layer, with the gradients that flow into its outputs."""

    kind: str
    lengths: list[int]
    reverse: bool
    tensors: dict[str, Tensor]  # x, weights and state by name
    dy: Tensor
    dlast: list[Tensor]


def make_problem(
    kind: str, lengths: list[int], *, inputs: int, hidden: int, reverse: bool = False, seed: int = 0
) -> Problem:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def uniform(*shape: int) -> Tensor:
        return (torch.rand(shape, generator=generator) * 2 - 1) / hidden**0.5

    width, batch, tokens = ops.GATES[kind] * hidden, len(lengths), sum(lengths)
    tensors = {"x": normal(tokens, inputs), "w_ih": uniform(width, inputs)}
    if kind not in ops.SCANS:
        tensors["w_hh"] = uniform(width, hidden)
    tensors["b_ih"] = uniform(width)
    if kind not in ops.SCANS:
        tensors["b_hh"] = uniform(width)
    tensors["h"] = normal(batch, hidden)
    if kind == "lstm":
        tensors["c"] = normal(batch, hidden)
    dlast = [normal(batch, hidden) for name in ("h", "c") if name in tensors]
    return Problem(kind, lengths, reverse, tensors, normal(tokens, hidden), dlast)


def run_native(
    problem: Problem, tensors: dict[str, Tensor], precision: str = "fp32"
) -> tuple[Tensor, tuple[Tensor, ...]]:
    return ops.sequence(
        problem.kind,
        tensors["x"],
        offsets(torch.tensor(problem.lengths)),
        tuple(tensors[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh") if name in tensors),
        tuple(tensors[name] for name in ("h", "c") if name in tensors),
        reverse=problem.reverse,
        precision=precision,
    )


def run_truth(problem: Problem, tensors: dict[str, Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Each sequence by itself: torch.nn, or the equations of Feng et al. step by step."""
    outputs, lasts = [], []
    for b, x in enumerate(tensors["x"].split(problem.lengths)):
        steps = x.flip(0) if problem.reverse else x
        first = tuple(tensors[name][b] for name in ("h", "c") if name in tensors)
        run = min_steps if problem.kind in ops.SCANS else torch_steps
        y, last = run(problem.kind, steps, first, tensors) if len(x) else (steps[:, :0], first)
        outputs.append((y.flip(0) if problem.reverse else y) if len(x) else first[0][None][:0])
        lasts.append(last)
    return torch.cat(outputs), tuple(torch.stack(parts) for parts in zip(*lasts, strict=True))


def torch_steps(
    kind: str, x: Tensor, first: tuple[Tensor, ...], tensors: dict[str, Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    module = {"lstm": nn.LSTM, "gru": nn.GRU}.get(kind, nn.RNN)
    options = {"nonlinearity": kind[4:]} if module is nn.RNN else {}
    layer = module(x.shape[1], len(first[0]), **options).double()
    names = {"weight_ih_l0": "w_ih", "weight_hh_l0": "w_hh", "bias_ih_l0": "b_ih"}
    weights = {name: tensors[ours] for name, ours in {**names, "bias_hh_l0": "b_hh"}.items()}
    state = tuple(part[None] for part in first)
    y, last = torch.func.functional_call(layer, weights, (x, state if kind == "lstm" else state[0]))
    return y, tuple(part[0] for part in (last if kind == "lstm" else (last,)))


def min_steps(
    kind: str, x: Tensor, first: tuple[Tensor, ...], tensors: dict[str, Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    h, outputs = first[0], []
    for gates in F.linear(x, tensors["w_ih"], tensors["b_ih"]):
        *gates, v = gates.split(len(h))
        candidate = torch.where(v >= 0, v + 0.5, v.sigmoid())
        if kind == "mingru":
            (z,) = (gate.sigmoid() for gate in gates)
        else:
            f, i = (gate.sigmoid() for gate in gates)
            z = i / (f + i)
        h = (1 - z) * h + z * candidate
        outputs.append(h)
    return torch.stack(outputs), (h,)


def differentiate(
    problem: Problem, outputs: tuple[Tensor, tuple[Tensor, ...]], tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    y, last = outputs
    loss = (y * problem.dy).sum() + sum(
        (part * weight).sum() for part, weight in zip(last, problem.dlast, strict=True)
    )
    return dict(zip(tensors, torch.autograd.grad(loss, list(tensors.values())), strict=True))


def results(problem: Problem, precision: str | None) -> dict[str, Tensor]:
    """Outputs and gradients by name: of the kernels, or for None of the truth in double."""
    tensors = {
        name: (tensor.double() if precision is None else tensor.clone()).requires_grad_()
        for name, tensor in problem.tensors.items()
    }
    if precision is None:
        outputs = run_truth(problem, tensors)
    else:
        outputs = run_native(problem, tensors, precision)
    named = {"y": outputs[0], **{f"last{i}": part for i, part in enumerate(outputs[1])}}
    gradients = differentiate(problem, outputs, tensors)
    return {
        **{name: tensor.detach() for name, tensor in named.items()},
        **{f"d{name}": gradient for name, gradient in gradients.items()},
    }


def away_from_kinks(problem: Problem) -> Problem:
    """The same with sums inside the gates far from zero, where relu and the candidate of the min
    cells have a kink: rounding or a finite step across it changes the gradient for good."""
    tensors = problem.tensors
    tensors["x"] *= 0.1
    tensors["h"] *= 0.1
    tensors["b_ih"] = tensors["b_ih"].sign()
    return problem


@functools.cache
def truth(kind: str, hidden: int, reverse: bool) -> dict[str, Tensor]:
    return results(make_problem(kind, LENGTHS, inputs=7, hidden=hidden, reverse=reverse), None)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_agrees_with_torch(kind, instruction_set):
    for hidden, reverse in ((1, True), (16, False), (50, True)):
        problem = make_problem(kind, LENGTHS, inputs=7, hidden=hidden, reverse=reverse)
        error, name = worst(results(problem, "fp32"), truth(kind, hidden, reverse))
        assert error < 2e-6, (name, hidden)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_bf16_agrees_with_torch_to_its_rounding(kind):
    if not status().bf16:
        pytest.skip("this processor has no bf16 products")
    for hidden, reverse in ((1, True), (17, False), (64, True)):
        problem = make_problem(kind, LENGTHS, inputs=7, hidden=hidden, reverse=reverse)
        if kind in ("rnn_relu", *ops.SCANS):
            problem = away_from_kinks(problem)
        error, name = worst(results(problem, "bf16"), results(problem, None))
        assert error < 0.015, (name, hidden)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    kind=st.sampled_from(ALL_KINDS),
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=15).filter(any),
    inputs=st.integers(1, 9),
    hidden=st.integers(1, 70),
    reverse=st.booleans(),
)
def test_any_shape_agrees_with_torch(kind, lengths, inputs, hidden, reverse):
    problem = make_problem(kind, lengths, inputs=inputs, hidden=hidden, reverse=reverse)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 5e-6, name


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_gradients_agree_with_finite_differences(kind):
    problem = away_from_kinks(make_problem(kind, [4, 1, 6], inputs=3, hidden=5))
    gradients = results(problem, "fp32")

    def loss(tensors: dict[str, Tensor]) -> float:
        y, last = run_native(problem, tensors)
        parts = [(y, problem.dy), *zip(last, problem.dlast, strict=True)]
        return sum((a.double() * b).sum().item() for a, b in parts)

    assert_slopes(loss, problem.tensors, gradients)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_output_is_written(kind, precision):
    problem = make_problem(kind, LENGTHS, inputs=7, hidden=21)
    plain = results(problem, precision)
    with new_tensors_poisoned():
        poisoned = results(problem, precision)
    for name, tensor in plain.items():
        assert torch.equal(poisoned[name], tensor), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_sequence_does_not_see_the_rest_of_the_batch(kind, precision):
    """Bit for bit in the kernels: rows of x with a single one make the product with W_ih exact."""
    problem = make_problem(kind, [9, 2, 7, 7, 1, 4, 8, 3], inputs=5, hidden=40)
    tensors = problem.tensors
    tensors["x"] = F.one_hot(torch.arange(len(tensors["x"])) % 5, 5).float()
    together, last = run_native(problem, tensors, precision)
    parts = together.split(problem.lengths)
    for b, x in enumerate(tensors["x"].split(problem.lengths)):
        own = {name: tensors[name][b : b + 1] for name in ("h", "c") if name in tensors}
        alone = problem._replace(lengths=[problem.lengths[b]])
        y, state = run_native(alone, {**tensors, **own, "x": x}, precision)
        assert torch.equal(y, parts[b])
        assert all(torch.equal(a[0], z[b]) for a, z in zip(state, last, strict=True))


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_same_bits_every_time(kind):
    problem = make_problem(kind, [60, 2, 33, 7, 41, 40] * 3, inputs=24, hidden=48)
    torch.set_num_threads(2)
    first = results(problem, "fp32")
    for _ in range(3):
        again = results(problem, "fp32")
        assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("kind", sorted(ops.SCANS))
def test_a_scan_is_cut_up_for_more_threads_than_sequences(kind):
    """Into strips of 256 units, 128 or 64, which change no bit of what they do not sum up."""
    problem = make_problem(kind, [70, 45], inputs=24, hidden=300)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 5, 12):
            torch.set_num_threads(threads)
            found.append(results(problem, "fp32"))
    finally:
        torch.set_num_threads(before)
    for name in ("y", "last0", "dx", "dh"):
        assert all(torch.equal(found[0][name], other[name]) for other in found[1:]), name
    for name in ("dw_ih", "db_ih"):
        for other in found:
            torch.testing.assert_close(other[name], found[0][name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_inference_gives_what_training_gives(kind, precision):
    problem = make_problem(kind, LENGTHS, inputs=7, hidden=33)
    trained = results(problem, precision)
    with torch.inference_mode():
        y, last = run_native(problem, problem.tensors, precision)
    assert torch.equal(y, trained["y"])
    assert all(torch.equal(part, trained[f"last{i}"]) for i, part in enumerate(last))


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_only_the_last_state_is_used(kind):
    problem = make_problem(kind, LENGTHS, inputs=4, hidden=6)._replace(dy=torch.zeros(()))
    tensors = {name: tensor.clone().requires_grad_() for name, tensor in problem.tensors.items()}
    _, last = run_native(problem, tensors)
    loss = sum((a * b).sum() for a, b in zip(last, problem.dlast, strict=True))
    gradients = torch.autograd.grad(loss, list(tensors.values()))
    truth = results(problem, None)
    for name, gradient in zip(tensors, gradients, strict=True):
        torch.testing.assert_close(gradient.double(), truth[f"d{name}"], atol=1e-5, rtol=1e-4)


def test_a_gradient_may_have_any_strides():
    problem = make_problem("gru", LENGTHS, inputs=4, hidden=6)
    tensors = {name: tensor.clone().requires_grad_() for name, tensor in problem.tensors.items()}
    y, _ = run_native(problem, tensors)
    assert_any_strides(y, tensors["w_hh"])
    ones = torch.autograd.grad(y.sum(), tensors["w_hh"], retain_graph=True)
    assert torch.equal(ones[0], torch.autograd.grad(y, tensors["w_hh"], torch.ones(y.shape))[0])


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_gradients_do_not_share_memory(kind):
    """Clipping scales them in place: shared memory would be scaled twice."""
    problem = make_problem(kind, [3, 2], inputs=4, hidden=6)
    tensors = {name: tensor.clone().requires_grad_() for name, tensor in problem.tensors.items()}
    run_native(problem, tensors)[0].sum().backward()
    places = {tensor.grad.untyped_storage().data_ptr() for tensor in tensors.values()}
    assert len(places) == len(tensors)


def test_frozen_weights_are_packed_once_and_again_after_a_change():
    problem = make_problem("lstm", LENGTHS, inputs=4, hidden=6)
    before, _ = run_native(problem, problem.tensors)
    assert torch.equal(run_native(problem, problem.tensors)[0], before)
    problem.tensors["w_hh"].mul_(2)
    fresh = {name: tensor.clone() for name, tensor in problem.tensors.items()}
    after, _ = run_native(problem, problem.tensors)
    assert torch.equal(after, run_native(problem, fresh)[0])
    assert not torch.equal(after, before)


def test_autocast_does_not_change_the_precision_asked_for():
    problem = make_problem("lstm", LENGTHS, inputs=4, hidden=6)
    plain = results(problem, "fp32")
    with torch.autocast("cpu", torch.bfloat16):
        cast = results(problem, "fp32")
    assert all(torch.equal(plain[name], cast[name]) for name in plain)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_both_directions_together_are_what_each_is_alone(kind, precision):
    pair = [
        make_problem(kind, LENGTHS, inputs=5, hidden=19, reverse=reverse, seed=int(reverse))
        for reverse in (False, True)
    ]
    bounds = offsets(torch.tensor(LENGTHS))

    def split(tensors):
        weights = tuple(
            tensors[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh") if name in tensors
        )
        return weights, tuple(tensors[name] for name in ("h", "c") if name in tensors)

    def gradients(run):
        tensors = [{n: t.clone().requires_grad_() for n, t in one.tensors.items()} for one in pair]
        y, last = run(tensors)
        total = (y * torch.cat([one.dy for one in pair], 1)).sum()
        for own, one in zip(last, pair, strict=True):
            total = total + sum((a * b).sum() for a, b in zip(own, one.dlast, strict=True))
        total.backward()
        return y, last, [{n: t.grad for n, t in own.items()} for own in tensors]

    def together(tensors):
        weights, states = zip(*map(split, tensors), strict=True)
        x = tensors[0]["x"]
        return ops.layer(kind, x, bounds, weights, states, precision=precision)

    def alone(tensors):
        found = [
            ops.sequence(
                kind, tensors[0]["x"], bounds, *split(own), reverse=at, precision=precision
            )
            for at, own in zip((False, True), tensors, strict=True)
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


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_operators_pass_torch_opcheck(kind):
    problem = make_problem(kind, [2, 0, 3], inputs=3, hidden=5)
    tensors = {name: tensor.requires_grad_() for name, tensor in problem.tensors.items()}
    weights = [tensors[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh") if name in tensors]
    states = [tensors[name] for name in ("h", "c") if name in tensors]
    bounds = offsets(torch.tensor(problem.lengths))
    for bf16 in (False, status().bf16):
        for directions in (1, 2):
            arguments = tensors["x"], bounds, weights * directions, states * directions
            torch.library.opcheck(
                torch.ops.seqcli.recurrent.default, (kind, False, bf16, True, *arguments)
            )


def test_bad_input_is_refused():
    problem = make_problem("gru", [2, 3], inputs=4, hidden=6)
    tensors = problem.tensors
    with pytest.raises(ValueError, match="batch is empty"):
        run_native(problem._replace(lengths=[]), tensors)
    for lengths in ([2, 4], [7, -2], [5]):
        with pytest.raises(ValueError, match=r"offsets|state"):
            run_native(problem._replace(lengths=lengths), tensors)
    with pytest.raises(ValueError, match="weights of gru"):
        run_native(problem, {**tensors, "w_hh": tensors["w_hh"][:-1]})
    with pytest.raises(ValueError, match="state of gru"):
        run_native(problem, {**tensors, "h": tensors["h"][:, :-1]})
    y, _ = run_native(problem, {name: t.requires_grad_() for name, t in tensors.items()})
    (gradient,) = torch.autograd.grad(y.sum(), tensors["x"], create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        gradient.sum().backward()


def test_not_a_number_stays_visible():
    for kind in ALL_KINDS:
        problem = make_problem(kind, [3, 2], inputs=4, hidden=6)
        problem.tensors["x"][1] = float("nan")
        y, _ = run_native(problem, problem.tensors)
        assert y[1:3].isnan().all()
        assert not y[[0, 3, 4]].isnan().any()


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
