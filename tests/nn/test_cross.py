"""The loss of a vocabulary on the kernels, against torch in double precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checks import new_tensors_poisoned
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.native import cross, status

pytestmark = pytest.mark.skipif(not status().available, reason=status().reason)


def make(tokens: int, depth: int, width: int, *, bias: bool = True) -> tuple[list[Tensor], Tensor]:
    """x, weights and bias, and gold numbers."""
    generator = torch.Generator().manual_seed(tokens + width)
    parts = [
        torch.randn(tokens, depth, generator=generator),
        torch.randn(width, depth, generator=generator) / depth**0.5,
        *([torch.randn(width, generator=generator)] if bias else []),
    ]
    return parts, torch.randint(width, (tokens,), generator=generator)


def ours(parts: list[Tensor], gold: Tensor, **options) -> list[Tensor]:
    """Loss and gradients of the kernels."""
    parts = [part.clone().requires_grad_() for part in parts]
    loss = cross.cross_entropy(*(*parts, None)[:3], gold, **{"precision": "fp32", **options})
    return [loss.detach(), *torch.autograd.grad(loss, parts)]


def truth(parts: list[Tensor], gold: Tensor, *, smoothing: float = 0.0) -> list[Tensor]:
    parts = [part.double().requires_grad_() for part in parts]
    loss = F.cross_entropy(F.linear(*parts), gold, label_smoothing=smoothing)
    return [loss.detach(), *torch.autograd.grad(loss, parts)]


def worst(got: list[Tensor], wanted: list[Tensor]) -> float:
    pairs = zip(got, wanted, strict=True)
    return max(float((one - other).norm() / (other.norm() + 0.1)) for one, other in pairs)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (97, 33, 130), (60, 16, 4001)])
def test_loss_and_gradients_agree_with_torch(shape, instruction_set):
    for smoothing, bias in ((0.0, True), (0.1, False)):
        parts, gold = make(*shape, bias=bias)
        wanted = truth(parts, gold, smoothing=smoothing)
        assert worst(ours(parts, gold, smoothing=smoothing), wanted) < 2e-6
        if instruction_set == "avx512bf16":
            found = ours(parts, gold, smoothing=smoothing, precision="bf16")
            assert worst(found, wanted) < 0.01


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(tokens=st.integers(1, 40), depth=st.integers(1, 20), width=st.integers(1, 200))
def test_any_shape_agrees_with_torch(tokens, depth, width):
    parts, gold = make(tokens, depth, width)
    assert worst(ours(parts, gold), truth(parts, gold)) < 5e-6


def test_every_token_is_settled_on_several_threads_and_the_same_every_time():
    parts, gold = make(333, 24, 700)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        first, again = ours(parts, gold), ours(parts, gold)
    finally:
        torch.set_num_threads(before)
    assert worst(first, truth(parts, gold)) < 2e-6
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_every_output_is_written():
    parts, gold = make(70, 9, 50)
    plain = ours(parts, gold)
    with new_tensors_poisoned():
        poisoned = ours(parts, gold)
    assert all(torch.equal(one, other) for one, other in zip(plain, poisoned, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_token_does_not_see_the_others(precision):
    parts, gold = make(60, 12, 300)
    together = cross.nats(*parts, gold, precision=precision)
    alone = [
        cross.nats(parts[0][n : n + 1], *parts[1:], gold[n : n + 1], precision=precision)
        for n in range(60)
    ]
    assert torch.equal(torch.cat(alone), together)
    loss = cross.cross_entropy(*parts, gold, precision=precision)
    torch.testing.assert_close(loss, together.mean())


def test_count_and_later_factors_scale_loss_and_gradients():
    parts, gold = make(8, 5, 11)
    plain, shared = ours(parts, gold), ours(parts, gold, count=32)
    for one, other in zip(plain, shared, strict=True):
        torch.testing.assert_close(other * 4, one)
    x = parts[0].clone().requires_grad_()
    (3 * cross.cross_entropy(x, *parts[1:], gold, precision="fp32")).backward()
    torch.testing.assert_close(x.grad, 3 * plain[1])


def test_extreme_scores_neither_overflow_nor_vanish():
    x, gold = torch.eye(3), torch.tensor([0, 1, 2])
    weight = torch.tensor([[1e4, -1e4, -1e4], [-1e4, -1e4, 500.0], [0.0, -2e4, 400.0]])
    found = cross.nats(x, weight, None, gold, precision="fp32")
    torch.testing.assert_close(found, F.cross_entropy(x @ weight.T, gold, reduction="none"))


def test_not_a_number_stays_visible():
    parts, gold = make(4, 3, 70)
    parts[0][1, 2] = float("nan")
    found = cross.nats(*parts, gold, precision="fp32")
    assert found.isnan().tolist() == [False, True, False, False]


def test_passes_torch_opcheck_and_refuses_what_does_not_fit():
    (x, weight, bias), gold = make(5, 3, 9)
    for bf16, keep in ((False, True), (status().bf16, False)):
        torch.library.opcheck(
            torch.ops.seqcli.cross_entropy.default, (x, weight, bias, gold, 0.1, 5, bf16, keep)
        )
    for bad in ((x[:-1], bias, gold), (x, bias[1:], gold), (x[:, 1:], bias, gold)):
        with pytest.raises(ValueError, match="do not fit"):
            cross.cross_entropy(bad[0], weight, bad[1], bad[2], precision="fp32")
    for wrong in (-1, 9):
        with pytest.raises(ValueError, match="outside the vocabulary of 9"):
            cross.nats(x, weight, bias, torch.full_like(gold, wrong), precision="fp32")


def test_without_the_kernels_torch_gives_the_same(monkeypatch):
    parts, gold = make(20, 6, 40)
    leaves = [part.clone().requires_grad_() for part in parts]
    loss = kernels.cross_entropy(*leaves, gold, smoothing=0.2, count=10)
    monkeypatch.setattr(kernels, "runs_natively", lambda x: False)
    other = kernels.cross_entropy(*leaves, gold, smoothing=0.2, count=10)
    torch.testing.assert_close(loss, other)
    torch.testing.assert_close(
        kernels.nats(*parts, gold), cross.nats(*parts, gold, precision="fp32")
    )
    torch.testing.assert_close(
        torch.autograd.grad(kernels.nats(*leaves, gold).mean(), leaves),
        tuple(truth(parts, gold)[1:]),
        check_dtype=False,
    )
    for one, two in zip(
        torch.autograd.grad(loss, leaves), torch.autograd.grad(other, leaves), strict=True
    ):
        torch.testing.assert_close(one, two)
