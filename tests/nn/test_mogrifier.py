"""The native Mogrifier LSTM against the paper in double precision, finite differences, itself."""

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
from seqcli.nn.native.mogrifier import mogrifier
from seqcli.nn.native.ops import sequence
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
    reverse: bool
    tensors: dict[str, Tensor]  # x, h, c, the weights of an LSTM and the scales of the rounds
    dy: Tensor
    dlast: tuple[Tensor, Tensor]


def make_problem(
    lengths: list[int], *, inputs: int, hidden: int, rounds: int = 5, reverse: bool = False
) -> Problem:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    first = [normal(len(lengths), hidden) for _ in range(2)]
    tensors = {
        "x": normal(sum(lengths), inputs),
        "h": first[0],
        "c": first[1],
        "w_ih": normal(4 * hidden, inputs) / inputs**0.5,
        "w_hh": normal(4 * hidden, hidden) / hidden**0.5,
        "b_ih": normal(4 * hidden),
        "b_hh": normal(4 * hidden),
    }
    for number in range(rounds):
        shape = (hidden, inputs) if number % 2 else (inputs, hidden)
        tensors[f"scale{number}"] = normal(*shape) / shape[1] ** 0.5
    dlast = normal(len(lengths), hidden), normal(len(lengths), hidden)
    return Problem(lengths, reverse, tensors, normal(sum(lengths), hidden), dlast)


def run_native(
    problem: Problem, tensors: dict[str, Tensor], precision: str = "fp32"
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    x, h, c, *weights = tensors.values()
    starts = offsets(torch.tensor(problem.lengths))
    return mogrifier(x, starts, weights, (h, c), reverse=problem.reverse, precision=precision)


def run_truth(problem: Problem, tensors: dict[str, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Equations 1 to 3 of the paper, each sequence by itself, token by token."""
    x_ND, h_BH, c_BH, w_ih, w_hh, b_ih, b_hh, *scales = tensors.values()
    outputs, lasts = [h_BH[:0]], []
    for b, x in enumerate(x_ND.split(problem.lengths)):
        h, c, own = h_BH[b], c_BH[b], []
        for x_t in x.flip(0) if problem.reverse else x:
            for number, scale in enumerate(scales, 1):
                if number % 2:
                    x_t = 2 * (scale @ h).sigmoid() * x_t
                else:
                    h = 2 * (scale @ x_t).sigmoid() * h
            i, f, g, o = (w_ih @ x_t + b_ih + w_hh @ h + b_hh).chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            own.append(h)
        outputs += [y[None] for y in (reversed(own) if problem.reverse else own)]
        lasts.append((h, c))
    last_h, last_c = (torch.stack(part) for part in zip(*lasts, strict=True))
    return torch.cat(outputs), (last_h, last_c)


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
    loss = (y * problem.dy).sum()
    loss = loss + sum((one * d).sum() for one, d in zip(last, problem.dlast, strict=True))
    gradients = torch.autograd.grad(loss, list(tensors.values()))
    named = {f"d{name}": part for name, part in zip(tensors, gradients, strict=True)}
    return {"y": y.detach(), "h": last[0].detach(), "c": last[1].detach(), **named}


@pytest.mark.parametrize(
    ("inputs", "hidden", "rounds"), [(1, 1, 5), (7, 1, 4), (16, 16, 2), (70, 21, 1), (9, 70, 6)]
)
@pytest.mark.parametrize("reverse", [False, True])
def test_agrees_with_the_paper(inputs, hidden, rounds, reverse, instruction_set):
    shape = {"inputs": inputs, "hidden": hidden, "rounds": rounds}
    problem = make_problem(LENGTHS, **shape, reverse=reverse)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 5e-6, name


def test_without_rounds_it_is_an_lstm():
    problem = make_problem(LENGTHS, inputs=7, hidden=19, rounds=0)
    x, h, c, *weights = problem.tensors.values()
    starts = offsets(torch.tensor(LENGTHS))
    y, last = run_native(problem, problem.tensors)
    same, same_last = sequence(
        "lstm", x, starts, tuple(weights), (h, c), reverse=False, precision="fp32"
    )
    for one, other in zip((y, *last), (same, *same_last), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("inputs", "hidden"), [(7, 3), (17, 17), (7, 64)])
def test_bf16_agrees_with_the_paper_to_its_rounding(inputs, hidden):
    if not status().bf16:
        pytest.skip("this processor has no bf16 products")
    problem = make_problem(LENGTHS, inputs=inputs, hidden=hidden)
    error, name = worst(results(problem, "bf16"), results(problem, None))
    assert 1e-5 < error < 0.03, name


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=15).filter(any),
    inputs=st.integers(1, 40),
    hidden=st.integers(1, 40),
    rounds=st.integers(0, 6),
    reverse=st.booleans(),
)
def test_any_shape_agrees_with_the_paper(lengths, inputs, hidden, rounds, reverse):
    shape = {"inputs": inputs, "hidden": hidden, "rounds": rounds}
    problem = make_problem(lengths, **shape, reverse=reverse)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 1e-5, name


def test_gradients_agree_with_finite_differences():
    problem = make_problem([4, 1, 6], inputs=3, hidden=5)
    gradients = results(problem, "fp32")

    def loss(tensors: dict[str, Tensor]) -> float:
        y, last = run_native(problem, tensors)
        pairs = zip((y, *last), (problem.dy, *problem.dlast), strict=True)
        return sum((a.double() * b).sum().item() for a, b in pairs)

    assert_slopes(loss, problem.tensors, gradients)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_output_is_written(precision):
    problem = make_problem(LENGTHS, inputs=7, hidden=21)
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
        first = {name: problem.tensors[name][b : b + 1] for name in ("h", "c")}
        alone = problem._replace(lengths=[problem.lengths[b]])
        y, own = run_native(alone, {**problem.tensors, **first, "x": x}, precision)
        assert torch.equal(y, parts[b])
        assert all(torch.equal(one[0], part[b]) for one, part in zip(own, last, strict=True))


def test_the_same_bits_every_time_and_with_any_threads():
    problem = make_problem([60, 2, 33, 7, 41, 40] * 3, inputs=24, hidden=130)
    alone = results(problem, "fp32")
    torch.set_num_threads(2)
    first = results(problem, "fp32")
    assert all(torch.equal(first[name], alone[name]) for name in ("y", "h", "c", "dx"))
    for _ in range(3):
        again = results(problem, "fp32")
        assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inference_gives_what_training_gives(precision):
    problem = make_problem(LENGTHS, inputs=7, hidden=33)
    trained = results(problem, precision)
    with torch.inference_mode():
        y, last = run_native(problem, problem.tensors, precision)
    for found, name in zip((y, *last), ("y", "h", "c"), strict=True):
        assert torch.equal(found, trained[name])


def test_only_the_last_state_is_used():
    problem = make_problem(LENGTHS, inputs=4, hidden=6)._replace(dy=torch.zeros(()))
    tensors = {name: tensor.clone().requires_grad_() for name, tensor in problem.tensors.items()}
    _, last = run_native(problem, tensors)
    loss = sum((one * d).sum() for one, d in zip(last, problem.dlast, strict=True))
    gradients = torch.autograd.grad(loss, list(tensors.values()))
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


def test_operators_pass_torch_opcheck():
    problem = make_problem([2, 0, 3], inputs=3, hidden=5)
    x, h, c, *weights = (tensor.requires_grad_() for tensor in problem.tensors.values())
    starts = offsets(torch.tensor(problem.lengths))
    for bf16 in {False, status().bf16}:
        torch.library.opcheck(
            torch.ops.seqcli.mogrifier.default, (True, bf16, True, x, starts, h, c, weights)
        )


def test_bad_input_is_refused():
    problem = make_problem([2, 3], inputs=4, hidden=6)
    with pytest.raises(ValueError, match="offsets"):
        run_native(problem._replace(lengths=[]), problem.tensors)
    for lengths in ([2, 4], [7, -2], [5]):
        with pytest.raises(ValueError, match="offsets"):
            run_native(problem._replace(lengths=lengths), problem.tensors)
    for name in ("x", "w_ih", "w_hh", "b_hh", "scale0", "scale3"):
        smaller = problem.tensors[name][..., :-1]
        with pytest.raises(ValueError, match="weights of mogrifier"):
            run_native(problem, {**problem.tensors, name: smaller})


def test_not_a_number_stays_visible():
    problem = make_problem([3, 2], inputs=4, hidden=6)
    problem.tensors["x"][1] = float("nan")
    y, _ = run_native(problem, problem.tensors)
    assert y[1:3].isnan().all()
    assert not y[[0, 3, 4]].isnan().any()


@pytest.mark.parametrize("reverse", [False, True])
def test_the_cell_on_torch_does_the_same(reverse, monkeypatch):
    cell = make_cell("mogrifier", 6, 9)
    x = ragged([torch.randn(length, 6) for length in LENGTHS])
    state = torch.randn(len(LENGTHS), 9), torch.randn(len(LENGTHS), 9)
    y, last = cell.sequence(x, state, reverse=reverse)
    monkeypatch.setattr(kernels, "runs_natively", lambda x: False)
    slow, slow_last = cell.sequence(x, state, reverse=reverse)
    torch.testing.assert_close(y.values, slow.values)
    for part, other in zip(last, slow_last, strict=True):
        torch.testing.assert_close(part, other)
