"""The kernels that pool states and that sum over paths, against torch and lists of all paths."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from seqcli.nn.crf import CRF
from seqcli.nn.native import status
from seqcli.nn.native.chain import chains, nats
from seqcli.nn.native.pool import pool
from seqcli.nn.ragged import Ragged, offsets

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


def list_paths(scores_TL: Tensor, first_L: Tensor, after_LL: Tensor, last_L: Tensor) -> Tensor:
    """The score of every path over one sequence, by the definition."""
    length, labels = scores_TL.shape
    found = []
    for path in itertools.product(range(labels), repeat=length):
        score = scores_TL[torch.arange(length), list(path)].sum()
        score = score + first_L[path[0]] + last_L[path[-1]]
        found.append(score + sum(after_LL[pair] for pair in itertools.pairwise(path)))
    return torch.stack(found)


def draw(labels: int, lengths: Tensor) -> list[Tensor]:
    tokens = int(lengths.sum())
    shapes = [(tokens, labels), (labels,), (labels, labels), (labels,)]
    return [2 * torch.randn(shape) for shape in shapes]


@pytest.mark.parametrize("labels", [1, 3, 11])
@pytest.mark.usefixtures("instruction_set")
def test_sums_over_paths_and_gradients_agree_with_all_paths(labels: int) -> None:
    """log Z, the distance to a path, and the gradients of both, each sequence weighed otherwise."""
    lengths = torch.tensor([2, 1, 3])
    weight_B = torch.tensor([1.0, -0.5, 3.0], dtype=torch.float64)
    parts = [part.requires_grad_() for part in draw(labels, lengths)]
    wide = [part.detach().double().requires_grad_() for part in parts]
    gold_N = torch.randint(labels, (int(lengths.sum()),))
    gold = gold_N.split(lengths.tolist())
    rows = wide[0].split(lengths.tolist())
    totals_B = torch.stack([list_paths(row, *wide[1:]).logsumexp(0) for row in rows])
    scores_B = torch.stack(
        [
            list_paths(row, *wide[1:]).view([labels] * len(row))[tuple(path.tolist())]
            for row, path in zip(rows, gold, strict=True)
        ]
    )
    for path_N, truth_B in ((None, totals_B), (gold_N, totals_B - scores_B)):
        found_B = nats(*parts, offsets(lengths), path_N)
        torch.testing.assert_close(found_B, truth_B, rtol=1e-6, atol=1e-6)
        found = torch.autograd.grad(found_B, parts, weight_B)
        truth = torch.autograd.grad(truth_B, wide, weight_B, retain_graph=True, allow_unused=True)
        for one, other in zip(found, truth, strict=True):
            other = torch.zeros_like(one) if other is None else other.float()
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """torch's number of threads, for the time of a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3], indirect=True)
@pytest.mark.usefixtures("threads")
def test_a_large_batch_agrees_with_the_sums_in_torch() -> None:
    """Enough work for several threads, each of which has its own sums."""
    lengths = torch.randint(1, 40, (60,))
    parts = [part.requires_grad_() for part in draw(37, lengths)]
    gold_N = torch.randint(37, (int(lengths.sum()),))
    wide = [part.detach().double().requires_grad_() for part in parts]
    crf = CRF([str(label) for label in range(37)], None)
    crf.first, crf.after, crf.last = map(torch.nn.Parameter, wide[1:])
    wide[1:] = [crf.first, crf.after, crf.last]
    truth_B = crf.nats(Ragged(wide[0], offsets(lengths)), gold_N)
    truth = torch.autograd.grad(truth_B.sum(), wide)
    found_B = nats(*parts, offsets(lengths), gold_N)
    torch.testing.assert_close(found_B, truth_B, rtol=1e-6, atol=1e-6)
    found = torch.autograd.grad(found_B.sum(), parts, retain_graph=True)
    for one, other in zip(found, truth, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-5, atol=1e-5)
    again = torch.autograd.grad(found_B.sum(), parts)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))


def test_forward_and_backward_sums_give_the_marginals() -> None:
    lengths = torch.tensor([4, 1])
    parts = draw(3, lengths)
    sums = chains(*parts, offsets(lengths))
    share_NL = sums.before_NL * sums.behind_NL
    torch.testing.assert_close(share_NL.sum(1), torch.ones(5, dtype=torch.float64))
    scores = parts[0].requires_grad_()
    (slope_NL,) = torch.autograd.grad(nats(*parts, offsets(lengths), None).sum(), scores)
    torch.testing.assert_close(share_NL.float(), slope_NL)
    assert not sums.next_NL[[0, 4]].any()


def test_scores_far_apart_stay_finite() -> None:
    """Differences of 600 nats, and labels that nothing may follow."""
    scores_NL = torch.tensor([[600.0, 0.0], [0.0, 600.0], [-600.0, 0.0]]).requires_grad_()
    first_L, last_L = torch.zeros(2), torch.zeros(2)
    after_LL = torch.tensor([[0.0, -1e4], [0.0, 0.0]])
    gold_N = torch.tensor([0, 0, 0])
    found = nats(scores_NL, first_L, after_LL, last_L, torch.tensor([0, 3]), gold_N)
    # 0 is followed by 0 alone: best are 1 1 1 with 600 and 0 0 0 with 0, which is gold.
    torch.testing.assert_close(found, torch.tensor([600.0], dtype=torch.float64))
    (slope_NL,) = torch.autograd.grad(found.sum(), scores_NL)
    torch.testing.assert_close(slope_NL, torch.tensor([[-1.0, 1.0]] * 3))


def test_sums_over_paths_refuse_what_does_not_fit() -> None:
    scores_NL, first_L, after_LL, last_L = parts = draw(2, torch.tensor([3]))
    for bounds in ([0, 2], [0, 3, 3], [0, 0, 3]):
        with pytest.raises(ValueError, match="offsets"):
            chains(*parts, torch.tensor(bounds))
    bounds = torch.tensor([0, 3])
    with pytest.raises(ValueError, match="fit"):
        chains(scores_NL, first_L, after_LL[:1], last_L, bounds)
    with pytest.raises(ValueError, match="fit"):
        chains(*parts, bounds, torch.tensor([0, 1]))
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match="gold label"):
            chains(*parts, bounds, torch.tensor([0, wrong, 1]))
