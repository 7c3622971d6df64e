"""What several tests of the kernels check alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor


@contextmanager
def new_tensors_poisoned() -> Iterator[None]:
    """Fill new tensors with NaN, so that what a kernel leaves unwritten shows."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def assert_slopes(
    loss: Callable[[dict[str, Tensor]], float],
    tensors: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
) -> None:
    """Each tensor's gradient, under its name behind a d, against the finite difference of the loss
    along a drawn direction."""
    generator, step = torch.Generator().manual_seed(1), 1e-2
    for name, tensor in tensors.items():
        direction = torch.randn(tensor.shape, generator=generator)
        direction /= direction.norm()
        up = loss({**tensors, name: tensor + step * direction})
        down = loss({**tensors, name: tensor - step * direction})
        exact = (gradients[f"d{name}"] * direction).sum().item()
        assert (up - down) / (2 * step) == pytest.approx(exact, abs=2e-3, rel=2e-3), name


def assert_any_strides(y: Tensor, leaf: Tensor) -> None:
    """The gradient of `leaf` is the same whatever the strides of that of y, of 6 columns."""
    wide = torch.randn(len(y), 20)
    plain = torch.autograd.grad(y, leaf, wide[:, 3:9].clone(), retain_graph=True)
    for strided in (wide[:, 3:9], wide[:, 3:9].t().contiguous().t()):
        assert torch.equal(torch.autograd.grad(y, leaf, strided, retain_graph=True)[0], plain[0])


def assert_own_gradients(y: Tensor, leaves: Iterable[Tensor]) -> None:
    """No two gradients share memory: clipping scales them in place, shared memory twice."""
    leaves = list(leaves)
    y.sum().backward()
    places = {leaf.grad.untyped_storage().data_ptr() for leaf in leaves if leaf.grad is not None}
    assert len(places) == len(leaves)


def worst(ours: dict[str, Tensor], truth: dict[str, Tensor]) -> tuple[float, str]:
    """The largest error of any result, relative to its norm, and whose it is."""
    assert ours.keys() == truth.keys()
    return max(
        (((ours[name].double() - truth[name]).norm() / (truth[name].norm() + 0.1)).item(), name)
        for name in truth
    )
