"""The native simple recurrent unit against the paper in double precision, finite differences and
itself."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
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
from seqcli.nn.native.sru import sru
from seqcli.nn.ragged import offsets, ragged

pytestmark = [
    pytest.mark.skipif(not status().available, reason=status().reason),
    pytest.mark.usefixtures("one_thread"),
]
LENGTHS = [3, 0, 1, 9, 5, 7, 2, 2, 11, 4]
PRECISIONS = ["fp32", "bf16"]
SCALE = 1.7


class Problem(NamedTuple):
    """One direction of one layer, with the gradients that flow into its outputs."""

    lengths: list[int]
    reverse: bool
    tensors: dict[str, Tensor]  # x, weight, v, bias and c
    dy: Tensor
    dlast: Tensor


def make_problem(lengths: list[int], *, inputs: int, hidden: int, reverse: bool = False) -> Problem:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    products = 3 if inputs == hidden else 4
    tensors = {
        "x": normal(sum(lengths), inputs),
        "weight": normal(products * hidden, inputs) / inputs**0.5,
        "v": normal(2 * hidden),
        "bias": normal(2 * hidden),
        "c": normal(len(lengths), hidden),
    }
    dy, dlast = normal(sum(lengths), hidden), normal(len(lengths), hidden)
    return Problem(lengths, reverse, tensors, dy, dlast)


def run_native(
    problem: Problem, tensors: dict[str, Tensor], precision: str = "fp32"
) -> tuple[Tensor, Tensor]:
    return sru(
        tensors["x"],
        offsets(torch.tensor(problem.lengths)),
        (tensors["weight"], tensors["v"], tensors["bias"]),
        tensors["c"],
        scale=SCALE,
        reverse=problem.reverse,
        precision=precision,
    )


def run_truth(problem: Problem, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Equations 3 to 7 of the paper, each sequence by itself, token by token."""
    hidden = tensors["c"].shape[1]
    (v_f, v_r), (b_f, b_r) = tensors["v"].split(hidden), tensors["bias"].split(hidden)
    outputs, lasts = [tensors["c"][:0]], []
    for b, x in enumerate(tensors["x"].split(problem.lengths)):
        c, own = tensors["c"][b], []
        for x_t in x.flip(0) if problem.reverse else x:
            u, a_f, a_r, *wide = (tensors["weight"] @ x_t).split(hidden)
            f = (a_f + v_f * c + b_f).sigmoid()
            r = (a_r + v_r * c + b_r).sigmoid()
            c = f * c + (1 - f) * u
            own.append(r * c + (1 - r) * SCALE * (wide[0] if wide else x_t))
        outputs += [y[None] for y in (reversed(own) if problem.reverse else own)]
        lasts.append(c)
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


@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (7, 1), (16, 16), (70, 70), (7, 50)])
@pytest.mark.parametrize("reverse", [False, True])
def test_agrees_with_the_paper(inputs, hidden, reverse, instruction_set):
    problem = make_problem(LENGTHS, inputs=inputs, hidden=hidden, reverse=reverse)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 2e-6, name


@pytest.mark.parametrize(("inputs", "hidden"), [(7, 1), (17, 17), (7, 64)])
def test_bf16_agrees_with_the_paper_to_its_rounding(inputs, hidden):
    if not status().bf16:
        pytest.skip("this processor has no bf16 products")
    problem = make_problem(LENGTHS, inputs=inputs, hidden=hidden)
    error, name = worst(results(problem, "bf16"), results(problem, None))
    assert 1e-5 < error < 0.015, name


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=15).filter(any),
    inputs=st.integers(1, 9),
    hidden=st.integers(1, 70),
    reverse=st.booleans(),
)
def test_any_shape_agrees_with_the_paper(lengths, inputs, hidden, reverse):
    problem = make_problem(lengths, inputs=inputs, hidden=hidden, reverse=reverse)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 5e-6, name


@pytest.mark.parametrize("inputs", [3, 5])
def test_gradients_agree_with_finite_differences(inputs):
    problem = make_problem([4, 1, 6], inputs=inputs, hidden=5)
    gradients = results(problem, "fp32")

    def loss(tensors: dict[str, Tensor]) -> float:
        y, last = run_native(problem, tensors)
        pairs = (y, problem.dy), (last, problem.dlast)
        return sum((a.double() * b).sum().item() for a, b in pairs)

    assert_slopes(loss, problem.tensors, gradients)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("inputs", [7, 21])
def test_every_output_is_written(inputs, precision):
    problem = make_problem(LENGTHS, inputs=inputs, hidden=21)
    plain = results(problem, precision)
    with new_tensors_poisoned():
        poisoned = results(problem, precision)
    for name, tensor in plain.items():
        assert torch.equal(poisoned[name], tensor), name


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("hidden", [5, 40])
def test_a_sequence_does_not_see_the_rest_of_the_batch(hidden, precision):
    """Bit for bit in the kernels: rows of x with a single one make the product exact."""
    problem = make_problem([9, 2, 7, 7, 1, 4, 8, 3], inputs=5, hidden=hidden)
    tensors = problem.tensors
    tensors["x"] = F.one_hot(torch.arange(len(tensors["x"])) % 5, 5).float()
    together, last = run_native(problem, tensors, precision)
    parts = together.split(problem.lengths)
    for b, x in enumerate(tensors["x"].split(problem.lengths)):
        alone = problem._replace(lengths=[problem.lengths[b]])
        y, c = run_native(alone, {**tensors, "c": tensors["c"][b : b + 1], "x": x}, precision)
        assert torch.equal(y, parts[b])
        assert torch.equal(c[0], last[b])


def test_the_same_bits_every_time():
    problem = make_problem([60, 2, 33, 7, 41, 40] * 3, inputs=24, hidden=130)
    torch.set_num_threads(2)
    first = results(problem, "fp32")
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


def test_only_the_last_memory_is_used():
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


@pytest.mark.parametrize("inputs", [3, 5])
def test_operators_pass_torch_opcheck(inputs):
    problem = make_problem([2, 0, 3], inputs=inputs, hidden=5)
    x, *rest = (tensor.requires_grad_() for tensor in problem.tensors.values())
    starts = offsets(torch.tensor(problem.lengths))
    for bf16 in {False, status().bf16}:
        torch.library.opcheck(
            torch.ops.seqcli.sru.default, (True, bf16, True, SCALE, x, starts, *rest)
        )


def test_bad_input_is_refused():
    problem = make_problem([2, 3], inputs=4, hidden=6)
    with pytest.raises(ValueError, match="offsets"):
        run_native(problem._replace(lengths=[]), problem.tensors)
    for lengths in ([2, 4], [7, -2], [5]):
        with pytest.raises(ValueError, match="offsets"):
            run_native(problem._replace(lengths=lengths), problem.tensors)
    for name in ("x", "weight", "v", "bias"):
        smaller = problem.tensors[name][..., :-1]
        with pytest.raises(ValueError, match="weights of sru"):
            run_native(problem, {**problem.tensors, name: smaller})


def test_not_a_number_stays_visible():
    problem = make_problem([3, 2], inputs=4, hidden=6)
    problem.tensors["x"][1] = float("nan")
    y, _ = run_native(problem, problem.tensors)
    assert y[1:3].isnan().all()
    assert not y[[0, 3, 4]].isnan().any()


@pytest.mark.parametrize("reverse", [False, True])
def test_the_cell_on_torch_does_the_same(reverse, monkeypatch):
    cell = make_cell("sru", 6, 9)
    torch.nn.init.normal_(cell.v)
    x = ragged([torch.randn(length, 6) for length in LENGTHS])
    state = torch.randn(len(LENGTHS), 9), torch.randn(len(LENGTHS), 9)
    y, last = cell.sequence(x, state, reverse=reverse)
    monkeypatch.setattr(kernels, "runs_natively", lambda x: False)
    slow, slow_last = cell.sequence(x, state, reverse=reverse)
    torch.testing.assert_close(y.values, slow.values)
    for part, other in zip(last, slow_last, strict=True):
        torch.testing.assert_close(part, other)
