"""Dropout on the kernels: the mask of each seed looks like independent coin flips."""

from __future__ import annotations

import math

import pytest
import torch

from seqcli.nn.native import status
from seqcli.nn.native.drop import dropout

pytestmark = pytest.mark.skipif(not status().available, reason=status().reason)


def kept(seed: int, shape: tuple[int, ...], fraction: float) -> torch.Tensor:
    """1 where an element is kept."""
    torch.manual_seed(seed)
    return (dropout(torch.ones(shape), fraction) != 0).float()


def far(count: float, draws: int, chance: float) -> float:
    """How many standard deviations a count of successes is from its mean."""
    return abs(count - draws * chance) / math.sqrt(draws * chance * (1 - chance))


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.5, 0.9])
def test_shape_of_each_mask(fraction, instruction_set):
    mask = kept(1, (500, 400), fraction)
    chance = 1 - fraction
    assert far(float(mask.sum()), mask.numel(), chance) < 4
    # Whole rows and columns, neighbours, and the same place in the masks of two seeds.
    for sums in (mask.sum(0), mask.sum(1)):
        draws = mask.numel() / len(sums)
        z = (sums - draws * chance) / math.sqrt(draws * chance * fraction)
        assert abs(float((z**2).mean()) - 1) < 5 * math.sqrt(2 / len(sums))
    other = kept(2, (500, 400), fraction)
    for a, b in (
        (mask[:, 1:], mask[:, :-1]),
        (mask[1:], mask[:-1]),
        (mask[:, 64:], mask[:, :-64]),
        (mask, other),
    ):
        assert far(float((a * b).sum()), a.numel(), chance**2) < 6


def test_gradient_has_the_mask_of_the_values():
    x = torch.randn(30, 77, requires_grad=True)
    y = dropout(x, 0.4)
    gradient = torch.randn(77, 30).t()  # of other strides
    y.backward(gradient)
    torch.testing.assert_close(y, torch.where(y == 0, 0.0, x / 0.6))
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, gradient / 0.6))
    assert 0.3 < float((y == 0).float().mean()) < 0.5


def test_the_mask_does_not_depend_on_threads_or_instruction_set(instruction_set):
    before = torch.get_num_threads()
    masks = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        masks.append(kept(5, (600, 301), 0.2))
    torch.set_num_threads(before)
    assert torch.equal(*masks)
    assert masks[0].flatten()[:24].tolist() == [  # as the definition gives, in Python integers
        float(element_bits(seed_of(5), i) >= int(0.2 * 2**32)) for i in range(24)
    ]


def seed_of(seed: int) -> int:
    torch.manual_seed(seed)
    return int(torch.randint(1 << 62, ()))


def element_bits(seed: int, i: int) -> int:
    """drop.h, in Python integers."""

    def mix(x: int) -> int:
        x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
        x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
        return x ^ (x >> 16)

    return mix((mix(i ^ (seed % 2**32)) + (seed >> 32)) % 2**32)


def test_passes_torch_opcheck_and_refuses_what_makes_no_sense():
    torch.library.opcheck(torch.ops.seqcli.dropout.default, (torch.randn(3, 5), 0.3, 7))
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError, match="cannot be dropped"):
            dropout(torch.ones(3), wrong)
