"""The likeliest tokens of a vocabulary on the kernels, against torch in double precision."""

from __future__ import annotations

import pytest
import torch
from checks import new_tensors_poisoned
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqcli.nn.likely import likeliest
from seqcli.nn.native import status
from seqcli.nn.native.step import Choice, Product

pytestmark = pytest.mark.skipif(not status().available, reason=status().reason)


def make(rows: int, depth: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """x, weights and bias."""
    generator = torch.Generator().manual_seed(rows + width)
    return (
        torch.randn(rows, depth, generator=generator),
        torch.randn(width, depth, generator=generator) / depth**0.5,
        torch.randn(width, generator=generator),
    )


def ours(
    parts: tuple[Tensor, Tensor, Tensor | None],
    count: int,
    *,
    bf16: bool = False,
    without: int | None = None,
) -> tuple[Tensor, Tensor]:
    return Choice(*parts, bf16=bf16).run(len(parts[0]), count, without=without)


def check(parts: tuple[Tensor, Tensor, Tensor], count: int, **options) -> None:
    """The tokens have the scores of the true ones, in order, and each its log-probability."""
    x, weight, bias = parts
    without, bf16 = options.get("without"), options.get("bf16", False)
    if bf16:
        x, weight = x.bfloat16(), weight.bfloat16()
    logs_RV = (x.double() @ weight.double().T + bias.double()).log_softmax(1)
    logs_RT, tokens_RT = ours(parts, count, **options)
    torch.testing.assert_close(logs_RT.double(), logs_RV.gather(1, tokens_RT), atol=1e-5, rtol=1e-5)
    if without is not None:
        assert not (tokens_RT == without).any()
        logs_RV[:, without] = -torch.inf
    wanted = logs_RV.sort(dim=1, descending=True).values[:, :count]
    torch.testing.assert_close(logs_RT.double(), wanted, atol=1e-5, rtol=1e-5)
    assert all(len(set(row)) == len(row) for row in tokens_RT.tolist())


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (97, 33, 130), (200, 16, 4001)])
def test_tokens_and_log_probabilities_agree_with_torch(shape, instruction_set):
    parts, width = make(*shape), shape[-1]
    check(parts, 1)
    check(parts, min(6, width))
    if width > 1:
        check(parts, min(6, width - 1), without=width // 2)
    if instruction_set == "avx512bf16":
        check(parts, min(6, width), bf16=True)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    rows=st.integers(1, 40),
    depth=st.integers(1, 20),
    width=st.integers(2, 600),
    count=st.integers(1, 50),
)
def test_any_shape_agrees_with_torch(rows, depth, width, count):
    parts = make(rows, depth, width)
    check(parts, count)
    check(parts, min(count, width - 1), without=count % width)


def test_of_equal_scores_the_lower_token_comes_first(instruction_set):
    weight = torch.ones(1500, 3)
    weight[[40, 41, 700, 1400]] = 2.0
    x = torch.tensor([[1.0, 1.0, 1.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]])
    _, tokens = ours((x, weight, None), 6)
    best = [40, 41, 700, 1400, 0, 1]
    assert tokens.tolist() == [best, best, [0, 1, 2, 3, 4, 5]]
    _, tokens = ours((x, weight, None), 3, without=41)
    assert tokens.tolist() == [[40, 700, 1400], [40, 700, 1400], [0, 1, 2]]


@pytest.mark.parametrize("bf16", [False, True])
def test_neither_threads_nor_other_rows_change_a_bit(bf16):
    bf16 = bf16 and status().bf16
    parts = make(130, 24, 3000)
    x, *rest = parts
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(ours(parts, 5, bf16=bf16))
    finally:
        torch.set_num_threads(before)
    alone = [ours((x[row : row + 1], *rest), 5, bf16=bf16) for row in range(130)]
    found.append(tuple(torch.cat(part) for part in zip(*alone, strict=True)))
    for logs, tokens in found[1:]:
        assert torch.equal(logs, found[0][0])
        assert torch.equal(tokens, found[0][1])


@pytest.mark.parametrize("bf16", [False, True])
def test_they_are_those_of_the_scores_that_are_kept(bf16):
    """The same sums: the order is that of the scores to the bit."""
    parts = make(50, 31, 900)
    bf16 = bf16 and status().bf16
    scores = Product(*parts, bf16=bf16).run(50)
    logs, tokens = ours(parts, 7, bf16=bf16)
    wanted = scores.sort(dim=1, descending=True, stable=True)
    assert torch.equal(tokens, wanted.indices[:, :7])
    torch.testing.assert_close(logs, scores.log_softmax(1).gather(1, tokens))
    other = likeliest(scores.log_softmax(1), 1)
    assert torch.equal(other.tokens_RT, tokens[:, :1])


def test_every_output_is_written():
    parts = make(70, 9, 50)
    plain = ours(parts, 4)
    with new_tensors_poisoned():
        poisoned = ours(parts, 4)
    assert all(torch.equal(one, other) for one, other in zip(plain, poisoned, strict=True))


def test_all_tokens_can_be_asked_for_and_one_left_out():
    parts = make(3, 4, 5)
    logs, tokens = ours(parts, 9, without=2)
    assert logs.shape == (3, 5)
    assert (logs[:, 4] == -torch.inf).all()
    assert [sorted(row[:4]) for row in tokens.tolist()] == [[0, 1, 3, 4]] * 3


def test_extreme_scores_neither_overflow_nor_vanish():
    x = torch.eye(2)
    weight = torch.tensor([[1e4, -1e4], [-1e4, 500.0], [0.0, 400.0]])
    logs, tokens = ours((x, weight, None), 3)
    assert tokens.tolist() == [[0, 2, 1], [1, 2, 0]]
    torch.testing.assert_close(logs, torch.tensor([[0.0, -1e4, -2e4], [0.0, -100.0, -10_500.0]]))


def test_not_a_number_stays_visible():
    parts = make(4, 3, 70)
    parts[0][1, 2] = float("nan")
    logs, tokens = ours(parts, 2)
    assert logs.isnan().all(dim=1).tolist() == [False, True, False, False]
    assert ((tokens >= 0) & (tokens < 70)).all()
