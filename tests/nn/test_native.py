"""What the kernels of every recurrent layer owe: agreement with torch.nn or the paper in double
precision, and with finite differences; and answers that depend on nothing else."""

from __future__ import annotations

import functools

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
from layers import (
    LAYERS,
    Layer,
    Tensors,
    away_from_jumps,
    make_problem,
    results,
    run_native,
    split,
    weigh,
)

from seqcli.nn.native import status

pytestmark = [
    pytest.mark.skipif(not status().available, reason=status().reason),
    pytest.mark.usefixtures("one_thread"),
]
LENGTHS = [3, 0, 1, 9, 5, 7, 2, 2, 11, 4]
SHAPES = [(1, 1, True), (7, 1, False), (16, 16, False), (70, 21, True), (7, 50, True)]
"""Inputs, hidden units and whether in reverse: a single unit, fewer than a vector holds, exactly
those, and no multiple of them."""
each_layer = pytest.mark.parametrize("layer", LAYERS, ids=str)
each_precision = pytest.mark.parametrize("precision", ["fp32", "bf16"])


@functools.cache
def truth(layer: Layer, inputs: int, hidden: int, reverse: bool) -> Tensors:
    shape = {"inputs": inputs, "hidden": hidden, "reverse": reverse}
    return results(make_problem(layer, LENGTHS, **shape), None)


@each_layer
def test_agrees_with_its_equations(layer, instruction_set):
    for shape in SHAPES:
        inputs, hidden, reverse = shape
        problem = make_problem(layer, LENGTHS, inputs=inputs, hidden=hidden, reverse=reverse)
        error, name = worst(results(problem, "fp32"), truth(layer, *shape))
        assert error < 5e-6, (name, shape)


@each_layer
def test_bf16_agrees_with_the_equations_to_its_rounding(layer):
    if not status().bf16:
        pytest.skip("this processor has no bf16 products")
    for inputs, hidden, reverse in ((7, 3, True), (17, 17, False), (7, 64, True)):
        shape = {"inputs": inputs, "hidden": hidden, "reverse": reverse}
        problem = away_from_jumps(make_problem(layer, LENGTHS, **shape))
        error, name = worst(results(problem, "bf16"), results(problem, None))
        assert 1e-5 < error < 0.03, (name, shape)


@each_layer
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=15).filter(any),
    inputs=st.integers(1, 40),
    hidden=st.integers(1, 70),
    reverse=st.booleans(),
)
def test_any_shape_agrees_with_the_equations(layer, lengths, inputs, hidden, reverse):
    problem = make_problem(layer, lengths, inputs=inputs, hidden=hidden, reverse=reverse)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 1e-5, name


@each_layer
@pytest.mark.parametrize("inputs", [3, 5])
def test_gradients_agree_with_finite_differences(layer, inputs):
    problem = away_from_jumps(make_problem(layer, [4, 1, 6], inputs=inputs, hidden=5))

    def loss(tensors: Tensors) -> float:
        y, last = run_native(problem, tensors)
        return weigh(problem, (y.double(), tuple(part.double() for part in last))).item()

    assert_slopes(loss, problem.tensors, results(problem, "fp32"))


@each_precision
@each_layer
def test_every_output_is_written(layer, precision):
    for inputs, reverse in ((7, False), (21, True)):
        problem = make_problem(layer, LENGTHS, inputs=inputs, hidden=21, reverse=reverse)
        plain = results(problem, precision)
        with new_tensors_poisoned():
            poisoned = results(problem, precision)
        for name, tensor in plain.items():
            assert torch.equal(poisoned[name], tensor), name


@each_precision
@each_layer
@pytest.mark.parametrize("hidden", [5, 40])
def test_a_sequence_does_not_see_the_rest_of_the_batch(layer, hidden, precision):
    problem = make_problem(layer, [9, 2, 7, 7, 1, 4, 8, 3], inputs=5, hidden=hidden)
    together, last = run_native(problem, problem.tensors, precision)
    x_NI, state, _ = split(layer, problem.tensors)
    parts = together.split(problem.lengths)
    for b, x in enumerate(x_NI.split(problem.lengths)):
        alone = problem._replace(lengths=[problem.lengths[b]])
        first = {name: part[b : b + 1] for name, part in zip(layer.states, state, strict=True)}
        y, own = run_native(alone, {**problem.tensors, "x": x, **first}, precision)
        assert torch.equal(y, parts[b])
        assert all(torch.equal(one[0], part[b]) for one, part in zip(own, last, strict=True))


@each_layer
def test_the_same_bits_every_time_and_with_any_threads(layer):
    """Sums over all tokens, which weights' gradients are, are cut up by the number of threads."""
    problem = make_problem(layer, [60, 2, 33, 7, 41, 40] * 3, inputs=24, hidden=130)
    alone = results(problem, "fp32")
    torch.set_num_threads(2)
    first = results(problem, "fp32")
    for name in ("y", "dx", *(f"last {state}" for state in layer.states)):
        assert torch.equal(first[name], alone[name]), name
    for _ in range(3):
        again = results(problem, "fp32")
        assert all(torch.equal(first[name], again[name]) for name in first)


@each_precision
@each_layer
def test_inference_gives_what_training_gives(layer, precision):
    problem = make_problem(layer, LENGTHS, inputs=7, hidden=33)
    trained = results(problem, precision)
    with torch.inference_mode():
        y, last = run_native(problem, problem.tensors, precision)
    assert torch.equal(y, trained["y"])
    for name, part in zip(layer.states, last, strict=True):
        assert torch.equal(part, trained[f"last {name}"])


@each_layer
def test_only_the_last_state_is_used(layer):
    problem = make_problem(layer, LENGTHS, inputs=4, hidden=6)._replace(dy=torch.zeros(()))
    ours, exact = results(problem, "fp32"), results(problem, None)
    for name in ours.keys() - {"y"}:
        torch.testing.assert_close(ours[name].double(), exact[name], atol=1e-5, rtol=1e-4)


@each_layer
def test_a_gradient_may_have_any_strides_and_weights_may_be_frozen(layer):
    problem = make_problem(layer, LENGTHS, inputs=6, hidden=6)
    x = problem.tensors["x"].requires_grad_()
    assert_any_strides(run_native(problem, problem.tensors)[0], x)


@each_layer
def test_gradients_do_not_share_memory(layer):
    problem = make_problem(layer, [3, 2], inputs=4, hidden=6)
    tensors = {name: tensor.clone().requires_grad_() for name, tensor in problem.tensors.items()}
    assert_own_gradients(run_native(problem, tensors)[0], tensors.values())


@each_layer
def test_bad_input_is_refused(layer):
    problem = make_problem(layer, [2, 3], inputs=4, hidden=6)
    tensors = problem.tensors
    with pytest.raises(ValueError, match=r"batch is empty|offsets"):
        run_native(problem._replace(lengths=[]), tensors)
    for lengths in ([2, 4], [7, -2], [5]):
        with pytest.raises(ValueError, match=r"offsets|state"):
            run_native(problem._replace(lengths=lengths), tensors)
    for name in tensors.keys() - {*layer.states}:
        with pytest.raises(ValueError, match=f"weights of {layer.name.removesuffix('_relu')[:6]}"):
            run_native(problem, {**tensors, name: tensors[name][..., :-1]})


@each_layer
def test_a_second_derivative_is_refused(layer):
    problem = make_problem(layer, [2, 3], inputs=4, hidden=6)
    tensors = {name: tensor.requires_grad_() for name, tensor in problem.tensors.items()}
    y, _ = run_native(problem, tensors)
    (gradient,) = torch.autograd.grad(y.sum(), tensors["x"], create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
        gradient.sum().backward()


@each_layer
def test_not_a_number_stays_visible(layer):
    problem = make_problem(layer, [3, 2], inputs=4, hidden=6)
    problem.tensors["x"][1] = float("nan")
    y, _ = run_native(problem, problem.tensors)
    assert y[1:3].isnan().all()
    assert not y[[0, 3, 4]].isnan().any()
