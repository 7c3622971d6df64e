"""Cells and `Recurrent` against torch.nn, against numpy, and against themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqcli.nn.cells import CELLS, make_cell
from seqcli.nn.ragged import Ragged, ragged
from seqcli.nn.recurrent import Recurrent, from_torch, to_torch

LENGTHS = [5, 1, 7, 3]


def random_batch(lengths: list[int], size: int, *, seed: int = 0) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    return ragged([torch.randn(length, size, generator=generator) for length in lengths])


def each_alone(module: nn.Module, x: Ragged) -> torch.Tensor:
    """torch.nn's outputs for each sequence by itself, in double precision: no padding anywhere."""
    outputs = [module(one.double()[None])[0][0] for one in x.split()]
    return torch.cat(outputs)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    "module", [nn.RNN(6, 9), nn.RNN(6, 9, nonlinearity="relu"), nn.LSTM(6, 9), nn.GRU(6, 9)]
)
def test_agrees_with_torch_forward_and_backward(module, layers, bidirectional):
    torch.manual_seed(0)
    options = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
    oracle = type(module)(6, 9, layers, bidirectional=bidirectional, batch_first=True, **options)
    recurrent = from_torch(oracle)
    oracle = oracle.double()
    x = random_batch(LENGTHS, 6)
    values = x.values.clone().requires_grad_()
    y, _ = recurrent(x.with_values(values))
    weight = torch.randn(y.values.shape)
    (y.values * weight).sum().backward()

    truth_x = x.with_values(x.values.double().requires_grad_())
    truth = each_alone(oracle, truth_x)
    (truth * weight).sum().backward()
    torch.testing.assert_close(y.values.double(), truth, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values.grad.double(), truth_x.values.grad, atol=1e-5, rtol=1e-5)
    ours = to_torch(recurrent)
    for cell_name, parameter in oracle.named_parameters():
        torch.testing.assert_close(
            dict(ours.named_parameters())[cell_name].double(), parameter, atol=1e-6, rtol=0
        )
    gradients = {
        name: parameter.grad.double()
        for (_, name), parameter in zip(
            _torch_parameter_order(recurrent), recurrent.parameters(), strict=True
        )
    }
    for name, parameter in oracle.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-5)


def _torch_parameter_order(recurrent: Recurrent) -> list[tuple[int, str]]:
    names = []
    for at in range(len(recurrent.cells)):
        layer, direction = divmod(at, recurrent.directions)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            names.append((at, f"{name}_l{layer}" + ("_reverse" if direction else "")))
    return names


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", list(CELLS))
def test_sequence_equals_steps(name, reverse):
    torch.manual_seed(1)
    cell = make_cell(name, 4, 5, nonlinearity="tanh")
    x = random_batch(LENGTHS, 4)
    state = tuple(torch.rand(len(LENGTHS), 5) for _ in cell.initial(1))
    y, last = cell.sequence(x, state, reverse=reverse)
    for b, (one, expected) in enumerate(zip(x.split(), y.split(), strict=True)):
        carried = tuple(part[b : b + 1] for part in state)
        steps = range(len(one) - 1, -1, -1) if reverse else range(len(one))
        for t in steps:
            out, carried = cell.step(one[t : t + 1], carried)
            torch.testing.assert_close(expected[t : t + 1], out, atol=1e-6, rtol=1e-5)
        for part, whole in zip(carried, last, strict=True):
            torch.testing.assert_close(whole[b : b + 1], part, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", list(CELLS))
def test_split_and_carry_equals_whole(name):
    torch.manual_seed(2)
    recurrent = Recurrent(lambda size: make_cell(name, size, 5, nonlinearity="tanh"), 4, layers=2)
    whole = random_batch([8, 8, 8], 4)
    y, last = recurrent(whole)
    head = ragged([one[:3] for one in whole.split()])
    tail = ragged([one[3:] for one in whole.split()])
    first, carried = recurrent(head)
    second, ended = recurrent(tail, carried)
    joined = torch.cat(
        [torch.cat(pair) for pair in zip(first.split(), second.split(), strict=True)]
    )
    torch.testing.assert_close(joined, y.values, atol=1e-6, rtol=1e-5)
    for state, other in zip(last, ended, strict=True):
        for part, again in zip(state, other, strict=True):
            torch.testing.assert_close(part, again, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", list(CELLS))
def test_result_does_not_depend_on_the_rest_of_the_batch(name, bidirectional):
    torch.manual_seed(3)
    recurrent = Recurrent(
        lambda size: make_cell(name, size, 6, nonlinearity="tanh"),
        4,
        layers=2,
        bidirectional=bidirectional,
    )
    x = random_batch(LENGTHS, 4)
    y, _ = recurrent(x)
    for one, together in zip(x.split(), y.split(), strict=True):
        alone, _ = recurrent(ragged([one]))
        torch.testing.assert_close(alone.values, together, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", list(CELLS))
def test_truncation_as_long_as_the_text_is_full_backpropagation(name, bidirectional):
    def gradients(bptt):
        torch.manual_seed(4)
        recurrent = Recurrent(
            lambda size: make_cell(name, size, 5, nonlinearity="tanh"),
            4,
            bidirectional=bidirectional,
            bptt=bptt,
        )
        y, _ = recurrent(random_batch(LENGTHS, 4))
        y.values.square().sum().backward()
        return y.values.detach(), [parameter.grad for parameter in recurrent.parameters()]

    full_y, full = gradients(None)
    for bptt in (max(LENGTHS), max(LENGTHS) + 3):
        for one, other in zip(full, gradients(bptt)[1], strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    short_y, short = gradients(2)
    torch.testing.assert_close(short_y, full_y, atol=1e-6, rtol=1e-5)
    if name not in ("mingru", "minlstm"):  # theirs differ too, but by less
        assert any(not torch.allclose(one, other) for one, other in zip(full, short, strict=True))


def test_truncated_gradient_equals_blocks_by_hand():
    torch.manual_seed(5)
    recurrent = Recurrent(lambda size: make_cell("gru", size, 5, nonlinearity="tanh"), 4, bptt=3)
    x = random_batch([7], 4)
    y, _ = recurrent(x)
    y.values.square().sum().backward()
    found = [parameter.grad.clone() for parameter in recurrent.parameters()]
    recurrent.zero_grad()
    cell, state = recurrent.cells[0], recurrent.cells[0].initial(1)
    for block in x.values.split(3):
        state = tuple(part.detach() for part in state)
        for one in block:
            out, state = cell.step(one[None], state)
            out.square().sum().backward(retain_graph=True)
    for one, parameter in zip(found, recurrent.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, atol=1e-5, rtol=1e-4)


def test_jordan_agrees_with_a_numpy_reading():
    torch.manual_seed(6)
    cell = make_cell("jordan", 3, 4, nonlinearity="tanh")
    x = random_batch([6], 3)
    found, _ = cell.sequence(x, cell.initial(1))
    p = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    y = np.zeros(4)
    for t, x_t in enumerate(x.values.numpy()):
        h = np.tanh(p["weight_ih"] @ x_t + p["bias_ih"] + p["weight_yh"] @ y + p["bias_yh"])
        y = np.tanh(p["weight_hy"] @ h + p["bias_hy"])
        np.testing.assert_allclose(found.values[t].detach().numpy(), y, atol=1e-6)


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_minimal_cells_agree_with_a_numpy_reading_of_the_paper(name):
    torch.manual_seed(7)
    cell = make_cell(name, 3, 4, nonlinearity="tanh")
    x = random_batch([6], 3)
    found, _ = cell.sequence(x, cell.initial(1))
    weight, bias = (tensor.detach().numpy().astype(np.float64) for tensor in cell.weights)

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    h = np.zeros(4)
    for t, x_t in enumerate(x.values.numpy()):
        parts = np.split(weight @ x_t + bias, 2 if name == "mingru" else 3)
        candidate = np.where(parts[-1] >= 0, parts[-1] + 0.5, sigmoid(parts[-1]))
        if name == "mingru":
            keep, write = 1 - sigmoid(parts[0]), sigmoid(parts[0])
        else:
            f, i = sigmoid(parts[0]), sigmoid(parts[1])
            keep, write = f / (f + i), i / (f + i)
        h = keep * h + write * candidate
        np.testing.assert_allclose(found.values[t].detach().numpy(), h, atol=1e-6)
