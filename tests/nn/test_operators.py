"""The operators as torch checks them: schema, fake implementation, gradients, compilation."""

from __future__ import annotations

import pytest
import torch
from layers import HIGHWAY, LAYERS, RECURRENT, make_problem, split

from seqcli.nn.native import status
from seqcli.nn.ragged import offsets

pytestmark = [
    pytest.mark.skipif(not status().available, reason=status().reason),
    pytest.mark.usefixtures("one_thread"),
]
LENGTHS = [2, 0, 3]
NAMED = {layer.name: layer for layer in LAYERS}
STARTS = offsets(torch.tensor(LENGTHS))
PRECISIONS = sorted({False, status().bf16})


def make_arguments(name, inputs=3):
    """x, the state and the weights, which all want a gradient."""
    problem = make_problem(NAMED[name], LENGTHS, inputs=inputs, hidden=5)
    for tensor in problem.tensors.values():
        tensor.requires_grad_()
    return split(problem.layer, problem.tensors)


@pytest.mark.parametrize("bf16", PRECISIONS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("kind", list(RECURRENT))
def test_recurrent(kind, directions, bf16):
    x, state, weights = make_arguments(kind)
    arguments = x, STARTS, weights * directions, state * directions
    operator = torch.ops.seqcli.recurrent.default
    torch.library.opcheck(operator, (kind, False, bf16, True, *arguments))


@pytest.mark.parametrize("bf16", PRECISIONS)
@pytest.mark.parametrize("relu", [False, True])
def test_alternate(relu, bf16):
    _, (first,), (_, even, odd, *_) = make_arguments("jordan_tanh")
    into = torch.randn(2 * sum(LENGTHS), 5, requires_grad=True)
    arguments = into, 2 * STARTS, even, odd, first
    torch.library.opcheck(torch.ops.seqcli.alternate.default, (relu, True, bf16, True, *arguments))


@pytest.mark.parametrize("bf16", PRECISIONS)
@pytest.mark.parametrize("inputs", [3, 5])
def test_sru(inputs, bf16):
    x, state, weights = make_arguments("sru", inputs)
    arguments = x, STARTS, *weights, *state
    torch.library.opcheck(torch.ops.seqcli.sru.default, (True, bf16, True, HIGHWAY, *arguments))


@pytest.mark.parametrize("bf16", PRECISIONS)
def test_mogrifier(bf16):
    x, state, weights = make_arguments("mogrifier")
    arguments = x, STARTS, *state, weights
    torch.library.opcheck(torch.ops.seqcli.mogrifier.default, (True, bf16, True, *arguments))
