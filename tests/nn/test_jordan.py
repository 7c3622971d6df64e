"""Jordan's network on the kernels against its equations in double precision, finite differences,
itself."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from checks import (
    assert_any_strides,
    assert_own_gradients,
    assert_slopes,
    new_tensors_poisoned,
    worst,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.cells import make_cell
from seqcli.nn.native import status
from seqcli.nn.native.jordan import jordan
from seqcli.nn.ragged import offsets, ragged

pytestmark = [
    pytest.mark.skipif(not status().available, reason=status().reason),
    pytest.mark.usefixtures("one_thread"),
]
LENGTHS = [3, 0, 1, 9, 5, 7, 2, 2, 11, 4]
PRECISIONS = ["fp32", "bf16"]


class Problem(NamedTuple):
    """One direction of one layer, with the gradients that flow into its outputs."""

    lengths: list[int]
    relu: bool
    reverse: bool
    tensors: dict[str, Tensor]  # x, the first output and the weights in the order of the cell
    dy: Tensor
    dlast: Tensor


def make_problem(
    lengths: list[int], *, inputs: int, hidden: int, relu: bool = False, reverse: bool = False
) -> Problem:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    tensors = {
        "x": normal(sum(lengths), inputs),
        "first": normal(len(lengths), hidden),
        "w_ih": normal(hidden, inputs) / inputs**0.5,
        "w_yh": normal(hidden, hidden) / hidden**0.5,
        "w_hy": normal(hidden, hidden) / hidden**0.5,
        "b_ih": normal(hidden),
        "b_yh": normal(hidden),
        "b_hy": normal(hidden),
    }
    dy, dlast = normal(sum(lengths), hidden), normal(len(lengths), hidden)
    return Problem(lengths, relu, reverse, tensors, dy, dlast)


def run_native(
    problem: Problem, tensors: dict[str, Tensor], precision: str = "fp32"
) -> tuple[Tensor, Tensor]:
    x, first, *weights = tensors.values()
    starts = offsets(torch.tensor(problem.lengths))
    options = {"relu": problem.relu, "reverse": problem.reverse, "precision": precision}
    return jordan(x, starts, tuple(weights), first, **options)


def run_truth(problem: Problem, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The equations, each sequence by itself, token by token."""
    x_ND, first_BH, w_ih, w_yh, w_hy, b_ih, b_yh, b_hy = tensors.values()
    squash = torch.relu if problem.relu else torch.tanh
    outputs, lasts = [first_BH[:0]], []
    for b, x in enumerate(x_ND.split(problem.lengths)):
        y, own = first_BH[b], []
        for x_t in x.flip(0) if problem.reverse else x:
            h = squash(w_ih @ x_t + b_ih + w_yh @ y + b_yh)
            y = torch.tanh(w_hy @ h + b_hy)
            own.append(y)
        outputs += [y[None] for y in (reversed(own) if problem.reverse else own)]
        lasts.append(y)
    return torch.cat(outputs), torch.stack(lasts)


def results(problem: Problem, precision: str | None) -> dict[str, Tensor]:
    """Outputs and gradients by name: of the kernels, or for None of the truth in double."""
    tensors = {
        name: (tensor.double() if precision is None else tensor.clone()).requires_grad_()
        for name, tensor in problem.tensors.items()
    }
    if precision is None:
        y, last = run_truth(problem, tensors)
    else:
        y, last = run_native(problem, tensors, precision)
    loss = (y * problem.dy).sum() + (last * problem.dlast).sum()
    gradients = torch.autograd.grad(loss, list(tensors.values()))
    named = {f"d{name}": part for name, part in zip(tensors, gradients, strict=True)}
    return {"y": y.detach(), "last": last.detach(), **named}


@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (7, 1), (16, 16), (70, 21), (9, 130)])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_agrees_with_its_equations(inputs, hidden, relu, reverse, instruction_set):
    problem = make_problem(LENGTHS, inputs=inputs, hidden=hidden, relu=relu, reverse=reverse)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 5e-6, name


@pytest.mark.parametrize("hidden", [3, 17, 64])
@pytest.mark.parametrize("relu", [False, True])
def test_bf16_agrees_with_the_equations_to_its_rounding(hidden, relu):
    if not status().bf16:
        pytest.skip("this processor has no bf16 products")
    problem = make_problem(LENGTHS, inputs=7, hidden=hidden, relu=relu)
    error, name = worst(results(problem, "bf16"), results(problem, None))
    assert 1e-5 < error < 0.06, name


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=15).filter(any),
    inputs=st.integers(1, 40),
    hidden=st.integers(1, 40),
    relu=st.booleans(),
    reverse=st.booleans(),
)
def test_any_shape_agrees_with_the_equations(lengths, inputs, hidden, relu, reverse):
    problem = make_problem(lengths, inputs=inputs, hidden=hidden, relu=relu, reverse=reverse)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 1e-5, name


def test_gradients_agree_with_finite_differences():
    problem = make_problem([4, 1, 6], inputs=3, hidden=5)
    gradients = results(problem, "fp32")

    def loss(tensors: dict[str, Tensor]) -> float:
        y, last = run_native(problem, tensors)
        pairs = (y, problem.dy), (last, problem.dlast)
        return sum((a.double() * b).sum().item() for a, b in pairs)

    assert_slopes(loss, problem.tensors, gradients)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("reverse", [False, True])
def test_every_output_is_written(precision, reverse):
    problem = make_problem(LENGTHS, inputs=7, hidden=21, reverse=reverse)
    plain = results(problem, precision)
    with new_tensors_poisoned():
        poisoned = results(problem, precision)
    for name, tensor in plain.items():
        assert torch.equal(poisoned[name], tensor), name


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_sequence_does_not_see_the_rest_of_the_batch(precision):
    """Bit for bit."""
    problem = make_problem([9, 2, 7, 7, 1, 4, 8, 3], inputs=5, hidden=40)
    together, last = run_native(problem, problem.tensors, precision)
    parts = together.split(problem.lengths)
    for b, x in enumerate(problem.tensors["x"].split(problem.lengths)):
        alone = problem._replace(lengths=[problem.lengths[b]])
        own = {"x": x, "first": problem.tensors["first"][b : b + 1]}
        y, own_last = run_native(alone, {**problem.tensors, **own}, precision)
        assert torch.equal(y, parts[b])
        assert torch.equal(own_last[0], last[b])


def test_the_same_bits_every_time_and_with_any_threads():
    problem = make_problem([60, 2, 33, 7, 41, 40] * 3, inputs=24, hidden=130)
    alone = results(problem, "fp32")
    torch.set_num_threads(2)
    first = results(problem, "fp32")
    assert all(torch.equal(first[name], alone[name]) for name in ("y", "last", "dx"))
    for _ in range(3):
        again = results(problem, "fp32")
        assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inference_gives_what_training_gives(precision):
    problem = make_problem(LENGTHS, inputs=7, hidden=33)
    trained = results(problem, precision)
    with torch.inference_mode():
        y, last = run_native(problem, problem.tensors, precision)
    assert torch.equal(y, trained["y"])
    assert torch.equal(last, trained["last"])


def test_only_the_last_output_is_used():
    problem = make_problem(LENGTHS, inputs=4, hidden=6)._replace(dy=torch.zeros(()))
    tensors = {name: tensor.clone().requires_grad_() for name, tensor in problem.tensors.items()}
    _, last = run_native(problem, tensors)
    gradients = torch.autograd.grad((last * problem.dlast).sum(), list(tensors.values()))
    truth = results(problem, None)
    for name, gradient in zip(tensors, gradients, strict=True):
        torch.testing.assert_close(gradient.double(), truth[f"d{name}"], atol=1e-5, rtol=1e-4)


def test_a_gradient_may_have_any_strides_and_weights_may_be_frozen():
    problem = make_problem(LENGTHS, inputs=6, hidden=6)
    x = problem.tensors["x"].requires_grad_()
    assert_any_strides(run_native(problem, problem.tensors)[0], x)


def test_gradients_do_not_share_memory():
    problem = make_problem([3, 2], inputs=4, hidden=6)
    tensors = {name: tensor.clone().requires_grad_() for name, tensor in problem.tensors.items()}
    assert_own_gradients(run_native(problem, tensors)[0], tensors.values())


@pytest.mark.parametrize("relu", [False, True])
def test_operators_pass_torch_opcheck(relu):
    problem = make_problem([2, 0, 3], inputs=5, hidden=5)
    _, first, _, even, odd, *_ = (part.requires_grad_() for part in problem.tensors.values())
    inputs = torch.randn(10, 5, requires_grad=True)
    starts = 2 * offsets(torch.tensor(problem.lengths))
    for bf16 in {False, status().bf16}:
        torch.library.opcheck(
            torch.ops.seqcli.alternate.default,
            (relu, True, bf16, True, inputs, starts, even, odd, first),
        )


def test_bad_input_is_refused():
    problem = make_problem([2, 3], inputs=4, hidden=6)
    with pytest.raises(ValueError, match="offsets"):
        run_native(problem._replace(lengths=[]), problem.tensors)
    for lengths in ([2, 4], [7, -2], [5]):
        with pytest.raises(ValueError, match="offsets"):
            run_native(problem._replace(lengths=lengths), problem.tensors)
    for name in ("x", "w_ih", "w_yh", "w_hy", "b_hy"):
        smaller = problem.tensors[name][..., :-1]
        with pytest.raises(ValueError, match="weights of jordan"):
            run_native(problem, {**problem.tensors, name: smaller})


def test_not_a_number_stays_visible():
    problem = make_problem([3, 2], inputs=4, hidden=6)
    problem.tensors["x"][1] = float("nan")
    y, _ = run_native(problem, problem.tensors)
    assert y[1:3].isnan().all()
    assert not y[[0, 3, 4]].isnan().any()


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_cell_on_torch_does_the_same(nonlinearity, reverse, monkeypatch):
    cell = make_cell("jordan", 6, 9, nonlinearity=nonlinearity)
    x = ragged([torch.randn(length, 6) for length in LENGTHS])
    state = (torch.randn(len(LENGTHS), 9),)
    y, (last,) = cell.sequence(x, state, reverse=reverse)
    monkeypatch.setattr(kernels, "runs_natively", lambda x: False)
    slow, (slow_last,) = cell.sequence(x, state, reverse=reverse)
    torch.testing.assert_close(y.values, slow.values)
    torch.testing.assert_close(last, slow_last)
