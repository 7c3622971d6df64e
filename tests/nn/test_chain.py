"""The kernels that pool states and that sum over paths, against torch and lists of all paths."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from seqcli.nn.native import status
from seqcli.nn.native.chain import chains
from seqcli.nn.native.pool import pool
from seqcli.nn.ragged import offsets

pytestmark = pytest.mark.skipif(not status().available, reason=status().reason)
LENGTHS = torch.tensor([3, 1, 7, 2])


def pool_by_torch(x_NH: Tensor, kind: str) -> Tensor:
    rows = x_NH.split(LENGTHS.tolist())
    return torch.stack([row.mean(0) if kind == "mean" else row.max(0).values for row in rows])


@pytest.mark.parametrize("kind", ["mean", "max"])
@pytest.mark.parametrize("width", [1, 16, 37])
@pytest.mark.usefixtures("instruction_set")
def test_pool_agrees_with_torch(kind: str, width: int) -> None:
    x_NH = torch.randn(int(LENGTHS.sum()), width, requires_grad=True)
    dy_BH = torch.randn(len(LENGTHS), width)
    found = pool(x_NH, offsets(LENGTHS), kind)
    (dx_NH,) = torch.autograd.grad(found, x_NH, dy_BH)
    truth = pool_by_torch(x_NH, kind)
    (expected_NH,) = torch.autograd.grad(truth, x_NH, dy_BH)
    torch.testing.assert_close(found, truth)
    torch.testing.assert_close(dx_NH, expected_NH)


def test_pool_passes_torch_opcheck_and_takes_any_strides() -> None:
    x_NH = torch.randn(9, int(LENGTHS.sum())).t().requires_grad_()
    for largest in (False, True):
        torch.library.opcheck(torch.ops.seqcli.pool.default, (x_NH, offsets(LENGTHS), largest))
    torch.testing.assert_close(pool(x_NH, offsets(LENGTHS), "max"), pool_by_torch(x_NH, "max"))


def test_pool_keeps_what_is_not_a_number_and_refuses_empty_sequences() -> None:
    x_NH = torch.tensor([[1.0, 2.0], [float("nan"), 3.0], [5.0, 4.0]])
    found = pool(x_NH, torch.tensor([0, 3]), "max")
    assert found[0, 0].isnan()
    assert found[0, 1] == 4
    for bounds in ([0, 0, 3], [0, 2], [1, 3]):
        with pytest.raises(ValueError, match="offsets"):
            pool(x_NH, torch.tensor(bounds), "max")


@pytest.mark.parametrize("labels", [1, 3, 11])
@pytest.mark.usefixtures("instruction_set")
def test_sums_over_paths_agree_with_all_paths(labels: int) -> None:
    """log Z and the marginals of every token, by listing all paths."""
    lengths = torch.tensor([2, 1, 3])
    own_NL = torch.rand(int(lengths.sum()), labels, dtype=torch.float64)
    first_L, last_L = torch.rand(2, labels, dtype=torch.float64)
    after_LL = torch.rand(labels, labels, dtype=torch.float64)
    found = chains(own_NL, first_L, after_LL, last_L, offsets(lengths))
    before_NL, behind_NL, next_NL, total_B = found
    begin = 0
    for row, length in enumerate(lengths.tolist()):
        own_TL = own_NL[begin : begin + length]
        share_TL = torch.zeros_like(own_TL)
        pairs_LL = torch.zeros_like(after_LL)
        for path in itertools.product(range(labels), repeat=length):
            weight = first_L[path[0]] * last_L[path[-1]]
            for t, label in enumerate(path):
                weight = weight * own_TL[t, label]
                weight = weight * (after_LL[path[t - 1], label] if t else 1)
            share_TL[torch.arange(length), list(path)] += weight
            for pair in itertools.pairwise(path):
                pairs_LL[pair] += weight
        whole = share_TL[0].sum()
        here = slice(begin, begin + length)
        torch.testing.assert_close(total_B[row], whole.log())
        torch.testing.assert_close(before_NL[here] * behind_NL[here], share_TL / whole)
        together_LL = before_NL[here][:-1].t() @ next_NL[here][1:] * after_LL
        torch.testing.assert_close(together_LL, pairs_LL / whole)
        assert not next_NL[begin].any()
        begin += length


def test_sums_over_paths_refuse_what_does_not_fit() -> None:
    own_NL, L = torch.rand(3, 2, dtype=torch.float64), torch.rand(2, dtype=torch.float64)
    after_LL = torch.rand(2, 2, dtype=torch.float64)
    for bounds in ([0, 2], [0, 3, 3], [0, 0, 3]):
        with pytest.raises(ValueError, match="offsets"):
            chains(own_NL, L, after_LL, L, torch.tensor(bounds))
    with pytest.raises(ValueError, match="fit"):
        chains(own_NL, L, after_LL[:1], L, torch.tensor([0, 3]))
