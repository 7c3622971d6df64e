"""The CRF against the enumeration of all paths, and its gradients against finite differences."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from seqcli.data.schemes import can_follow
from seqcli.nn.crf import CRF, NEVER, forward_backward
from seqcli.nn.ragged import Ragged, TimeOrder, ragged

TAGS = ["O", "B-A", "I-A", "E-A", "S-A"]
SCHEMES = (None, "BIO", "BIOES")
LENGTHS = (3, 1, 5, 2, 5)
WIDE = torch.float64


def make_crf(scheme: str | None) -> CRF:
    torch.manual_seed(0)
    crf = CRF(TAGS[:3] if scheme == "BIO" else TAGS, scheme)
    for weight in crf.parameters():
        torch.nn.init.normal_(weight)
    return crf.requires_grad_(False)


def make_scores(crf: CRF, lengths: tuple[int, ...] = LENGTHS, *, seed: int = 1) -> Ragged:
    torch.manual_seed(seed)
    return ragged([3 * torch.randn(length, len(crf.first)) for length in lengths])


def all_paths(crf: CRF, own_TL: Tensor) -> list[tuple[float, tuple[int, ...]]]:
    """Every path and its score, best first, by the definition."""
    first_L, after_LL, last_L = (weight.double() for weight in crf.weights())
    found = []
    for path in itertools.product(range(len(first_L)), repeat=len(own_TL)):
        score = first_L[path[0]] + last_L[path[-1]]
        score = score + sum(own_TL[at, tag].double() for at, tag in enumerate(path))
        score = score + sum(after_LL[a, b] for a, b in itertools.pairwise(path))
        found.append((float(score), path))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_agrees_with_all_paths(scheme: str | None) -> None:
    crf = make_crf(scheme)
    scores = make_scores(crf)
    total_B = crf.log_partition(scores)
    marginal = crf.marginals(scores).exp().split(LENGTHS)
    decoded = crf.decode(scores).split(LENGTHS)
    best = crf.decode_best(scores, 7)
    for row, own_TL in enumerate(scores.split()):
        paths = all_paths(crf, own_TL)
        total = float(torch.tensor([score for score, _ in paths], dtype=WIDE).logsumexp(0))
        assert float(total_B[row]) == pytest.approx(total, abs=1e-5)
        assert tuple(decoded[row].tolist()) == paths[0][1]
        legal = [(score, path) for score, path in paths if score > NEVER / 2]
        assert [tuple(path.tags) for path in best[row]] == [path for _, path in legal[:7]]
        expected = [score - total for score, _ in legal[:7]]
        assert [path.log_probability for path in best[row]] == pytest.approx(expected, abs=1e-4)
        for at, tag in itertools.product(range(len(own_TL)), range(len(crf.first))):
            chance = sum(math.exp(score - total) for score, path in paths if path[at] == tag)
            assert float(marginal[row][at, tag]) == pytest.approx(chance, abs=1e-5)
        gold_T = torch.tensor(legal[-1][1])
        nats = float(crf.nats(ragged([own_TL]), gold_T))
        assert nats == pytest.approx(total - legal[-1][0], abs=1e-5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradients_agree_with_finite_differences(scheme: str | None) -> None:
    crf = make_crf(scheme).double().requires_grad_()
    scores = make_scores(crf)
    inputs = [scores.values.double().requires_grad_(), *crf.parameters()]

    def totals(values_NL: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(("first", "after", "last"), weights, strict=True))
        call = (Ragged(values_NL, scores.offsets),)
        return torch.func.functional_call(
            Total(crf), {f"crf.{n}": w for n, w in named.items()}, call
        )

    assert torch.autograd.gradcheck(totals, inputs)
    # The gradient of log Z with respect to a token's scores is its marginals.
    values = scores.values.clone().requires_grad_()
    (slope,) = torch.autograd.grad(
        make_crf(scheme).log_partition(Ragged(values, scores.offsets)).sum(), values
    )
    torch.testing.assert_close(
        slope, make_crf(scheme).marginals(scores).exp(), atol=1e-6, rtol=1e-5
    )


class Total(torch.nn.Module):
    """log Z as the forward of a module, for functional_call."""

    def __init__(self, crf: CRF) -> None:
        super().__init__()
        self.crf = crf

    def forward(self, scores: Ragged) -> Tensor:
        return self.crf.log_partition(scores)


def test_marginals_have_gradients() -> None:
    crf = make_crf("BIO").double()
    scores = make_scores(crf, (3, 2))
    values = scores.values.double().requires_grad_()

    def function(values_NL: Tensor) -> Tensor:
        time = TimeOrder.of(Ragged(values_NL, scores.offsets))
        sums = forward_backward(time.arrange(values_NL), *crf.weights(), time)
        return (sums.before_NL * sums.behind_NL).to(WIDE)

    assert torch.autograd.gradcheck(function, [values])


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_never_leaves_the_scheme(scheme: str) -> None:
    """However much the scores speak for it."""
    crf = make_crf(scheme)
    scores = make_scores(crf, (1, 2, 9, 30))
    scores = scores.with_values(scores.values * 30)
    names = TAGS[:3] if scheme == "BIO" else TAGS
    paths = [row.tolist() for row in crf.decode(scores).split(scores.lengths.tolist())]
    paths += [path.tags for row in crf.decode_best(scores, 4) for path in row]
    for path in paths:
        tags = ["O", *(names[tag] for tag in path), "O"]
        assert all(can_follow(a, b, scheme) for a, b in itertools.pairwise(tags)), tags


def test_long_sequences_do_not_round() -> None:
    """Without transitions each token has its own best tag, however many come before it."""
    crf = CRF(TAGS, None)
    scores = make_scores(crf, (4_000, 10))
    scores = scores.with_values(scores.values + 1_000)
    assert torch.equal(crf.decode(scores), scores.values.argmax(1))


def test_one_tag_more_than_probable() -> None:
    """Scores 500 apart: a sum of float32 probabilities would be lost."""
    crf = make_crf(None)
    scores = make_scores(crf)
    scores = scores.with_values(scores.values * 100)
    gold_N = torch.zeros(len(scores.values), dtype=torch.int64)
    nats_B = crf.nats(scores, gold_N)
    assert nats_B.isfinite().all()
    for row, own_TL in enumerate(scores.split()):
        paths = all_paths(crf, own_TL)
        total = float(torch.tensor([score for score, _ in paths], dtype=WIDE).logsumexp(0))
        (score,) = (score for score, path in paths if not any(path))
        assert float(nats_B[row]) == pytest.approx(total - score, rel=1e-6)


def test_no_path_at_all_is_answered() -> None:
    """One token, and every tag needs a neighbour: the least wrong is taken, nothing is NaN."""
    crf = CRF(["B-A", "E-A"], "BIOES")
    scores = ragged([torch.randn(1, 2), torch.randn(2, 2)])
    assert crf.decode(scores)[1:].tolist() == [0, 1]
    assert crf.log_partition(scores).isfinite().all()
    assert [len(found) for found in crf.decode_best(scores, 3)] == [1, 1]


def test_paths_do_not_depend_on_a_constant_of_all_tags() -> None:
    crf = make_crf("BIO")
    scores = ragged([torch.randn(200, len(crf.first))])
    paths = crf.decode_best(scores, 3)[0]
    assert len(paths) == 3
    moved = crf.decode_best(scores.with_values(scores.values - 60), 3)[0]
    assert [path.tags for path in moved] == [path.tags for path in paths]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_does_not_depend_on_the_batch(scheme: str | None) -> None:
    crf = make_crf(scheme)
    scores = make_scores(crf)
    together = crf.log_partition(scores), crf.marginals(scores), crf.decode(scores)
    order = torch.tensor([3, 0, 4, 2, 1])
    parts = [crf_of(crf, scores.select(order[at : at + 1])) for at in range(len(LENGTHS))]
    rows = dict(zip(order.tolist(), parts, strict=True))
    torch.testing.assert_close(together[0], torch.cat([rows[at][0] for at in range(5)]))
    torch.testing.assert_close(together[1], torch.cat([rows[at][1] for at in range(5)]))
    assert torch.equal(together[2], torch.cat([rows[at][2] for at in range(5)]))


def crf_of(crf: CRF, scores: Ragged) -> tuple[Tensor, Tensor, Tensor]:
    return crf.log_partition(scores), crf.marginals(scores), crf.decode(scores)


def test_a_chain_is_learned() -> None:
    """Tags that only their neighbours tell: x x x x is a b a b."""
    crf = CRF(["a", "b"], None)
    head = torch.nn.Parameter(torch.zeros(1, 2))
    optimizer = torch.optim.Adam([*crf.parameters(), head], lr=0.1)
    lengths = torch.tensor([4, 7, 2])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    gold_N = torch.cat([torch.arange(length) % 2 for length in lengths.tolist()])
    for _ in range(60):
        scores = Ragged(head.expand(len(gold_N), 2), offsets)
        loss = crf.nats(scores, gold_N).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.5
    assert torch.equal(crf.decode(scores), gold_N)
