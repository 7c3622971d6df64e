"""Running means of weights, against torch.optim.ASGD and the formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqcli.average import Average


def walk(model: nn.Module, average: Average, steps: int) -> list[Tensor]:
    """Move the weights at random; the first of them after each step."""
    seen = []
    for _ in range(steps):
        with torch.no_grad():
            for weight in model.parameters():
                weight += torch.randn_like(weight)
        average.update()
        seen.append(next(model.parameters()).detach().clone())
    return seen


def test_exponential_mean() -> None:
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    wanted = model.weight.detach().clone()
    average = Average(model, 0.8)
    for t, weight in enumerate(walk(model, average, 40), 1):
        kept = min(0.8, (1 + t) / (10 + t))
        wanted = kept * wanted + (1 - kept) * weight
    torch.testing.assert_close(average.mean[0], wanted)


def test_plain_mean_is_that_of_asgd() -> None:
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    average = Average(model, None)
    outside = torch.optim.ASGD(model.parameters(), lr=0.1, lambd=0, t0=0)
    for step in range(20):
        outside.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        outside.step()
        if step:  # that of torch begins with the weights after the second step
            average.update()
    torch.testing.assert_close(average.mean[0], outside.state[model.weight]["ax"])


def test_applied_for_a_block_only() -> None:
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    average = Average(model, None)
    seen = walk(model, average, 3)
    version = model.weight._version
    with average.applied():
        torch.testing.assert_close(model.weight.detach(), torch.stack(seen).mean(0))
        assert model.weight._version > version  # so that packed copies are made anew
    assert torch.equal(model.weight, seen[-1])


def test_restored_mean_goes_on() -> None:
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    average, later = Average(model, 0.9), Average(model, 0.9)
    walk(model, average, 5)
    later.restore([one.clone() for one in average.mean], average.updates)
    with torch.no_grad():
        model.weight.fill_(1)
    average.update()
    later.update()
    assert torch.equal(average.mean[0], later.mean[0])
    with pytest.raises(ValueError, match="another shape"):
        later.restore([torch.zeros(2)], 1)
