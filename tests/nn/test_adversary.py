"""Worst-case nudges: against the gradients of both passes by hand."""

from __future__ import annotations

import torch
from torch import nn

from seqcli.nn.adversary import Adversary
from seqcli.nn.dropout import Embedding


class Sum(nn.Module):
    """Vectors, and a readout that is not linear in them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = Embedding(7, 4)
        self.read = nn.Linear(4, 1)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.read(self.embedding(tokens))).square().mean()


def test_gradients_are_those_of_both_passes() -> None:
    tokens = torch.tensor([1, 4, 4, 6])
    model, twin = Sum(), Sum()
    loss = Adversary(model, 0.2).backward(lambda: model(tokens))

    x = twin.embedding(tokens)
    first = torch.tanh(twin.read(x)).square().mean()
    (g,) = torch.autograd.grad(first, x, retain_graph=True)
    r = 0.2 * x.detach().norm() * g / g.norm()
    second = torch.tanh(twin.read(x + r)).square().mean()
    (first + second).backward()
    assert loss == first
    assert second > first
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_frozen_vectors_are_nudged_and_stay() -> None:
    tokens = torch.tensor([1, 2])
    model = Sum()
    model.embedding.weight.requires_grad_(False)
    seen = []
    model.read.register_forward_hook(lambda module, inputs, out: seen.append(inputs[0].detach()))
    Adversary(model, 0.5).backward(lambda: model(tokens))
    assert model.embedding.weight.grad is None
    moved = (seen[1] - seen[0]).norm() / seen[0].norm()
    assert abs(float(moved) - 0.5) < 1e-5


def test_no_gradient_no_nudge() -> None:
    """Ties of zero do not become numbers that are none."""
    model = Sum()
    nn.init.zeros_(model.read.weight)
    nn.init.zeros_(model.read.bias)
    Adversary(model, 0.5).backward(lambda: model(torch.tensor([1, 2])))
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())
