"""The native linear layer against torch, and the packing of its weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.native import packing, status
from seqcli.nn.native.linear import linear
from seqcli.nn.native.ops import sum_outer
from seqcli.nn.native.packing import fill_up

pytestmark = [
    pytest.mark.skipif(not status().available, reason=status().reason),
    pytest.mark.usefixtures("one_thread"),
]


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (1, 64, 130), (100, 33, 65), (7, 40, 64)])
def test_linear_agrees_with_torch(shape, instruction_set):
    tokens, depth, width = shape
    generator = torch.Generator().manual_seed(0)
    parts = {
        "x": torch.randn(tokens, depth, generator=generator),
        "weight": torch.randn(width, depth, generator=generator) / depth**0.5,
        "bias": torch.randn(width, generator=generator),
    }
    gradient = torch.randn(tokens, width, generator=generator)
    exact = {name: part.double().requires_grad_() for name, part in parts.items()}
    truth = F.linear(**{"input" if n == "x" else n: part for n, part in exact.items()})
    exact_gradients = torch.autograd.grad(truth, list(exact.values()), gradient.double())
    for precision in ("fp32", "bf16") if instruction_set == "avx512bf16" else ("fp32",):
        ours = {name: part.clone().requires_grad_() for name, part in parts.items()}
        y = linear(ours["x"], ours["weight"], ours["bias"], precision=precision)
        gradients = torch.autograd.grad(y, list(ours.values()), gradient)
        pairs = zip((y, *gradients), (truth, *exact_gradients), strict=True)
        for got, wanted in pairs:
            error = (got - wanted).norm() / (wanted.norm() + 0.1)
            assert error < (2e-6 if precision == "fp32" else 0.01)
        frozen = linear(parts["x"], parts["weight"], parts["bias"], precision=precision)
        assert torch.equal(frozen, y)
        rows = [
            linear(row[None], parts["weight"], parts["bias"], precision=precision)
            for row in parts["x"]
        ]
        assert torch.equal(torch.cat(rows), y)  # whatever rows surround a row


def test_linear_passes_torch_opcheck_and_refuses_what_does_not_fit():
    x, weight, bias = (torch.randn(s, requires_grad=True) for s in ((5, 7), (9, 7), (9,)))
    for bf16 in {False, status().bf16}:
        torch.library.opcheck(torch.ops.seqcli.linear.default, (x, weight, bias, bf16))
    for bad in ((x[:, :-1], bias), (x, bias[:-1]), (x[0], bias)):
        with pytest.raises(ValueError, match="does not fit"):
            linear(bad[0], weight, bad[1], precision="fp32")


def test_a_sum_over_any_number_of_tokens_takes_few_shapes(monkeypatch):
    """Torch compiles a kernel for each shape of bf16 operands, and keeps it."""
    seen, product = set(), torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b: seen.add((b.dtype, len(b))) or product(a, b))
    for tokens in range(1, 200):
        parts = torch.randn(tokens, 7), torch.randn(tokens, 5)
        d, x = (part.bfloat16() for part in parts)
        exact = d.double().t() @ x.double()
        torch.testing.assert_close(sum_outer(d, x).double(), exact, rtol=2**-8, atol=1e-2)
        torch.testing.assert_close(sum_outer(*parts), parts[0].t() @ parts[1])
        filled = torch.zeros(fill_up(tokens, d.dtype), 7, dtype=d.dtype)
        filled[:tokens] = d
        assert torch.equal(sum_outer(filled, x), sum_outer(d, x))
        assert torch.equal(sum_outer(filled, x, first=3), sum_outer(d, x).roll(-3, 0))
    assert {rows for dtype, rows in seen if dtype == torch.bfloat16} == {64, 128, 192, 256}


def test_weights_in_training_are_packed_once_while_nothing_changes_them(monkeypatch):
    weight = torch.randn(6, 5, requires_grad=True)
    masked = weight * torch.ones(6, 1)  # memory that may serve another tensor next
    packed: list[str] = []
    pack = packing._pack

    def count(matrix: str, *arguments, **options) -> Tensor:
        packed.append(matrix)
        return pack(matrix, *arguments, **options)

    monkeypatch.setattr(packing, "_pack", count)
    for times in (1, 2):
        with packing.unchanged():
            for _ in range(3):
                found = packing.panels("rows of", weight, bf16=False)
                packing.panels("columns of", weight, bf16=False)
        assert len(packed) == 2 * times
    with torch.no_grad():
        weight.data.add_(1)  # no trace of a change
    assert not torch.equal(packing.panels("rows of", weight, bf16=False), found)
    with packing.unchanged():
        packing.panels("rows of", masked, bf16=False)
        packing.panels("rows of", masked, bf16=False)
    assert len(packed) == 7


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_little_layer_trains_as_any_other(precision):
    x, weight, bias = (torch.randn(s, requires_grad=True) for s in ((5, 7), (9, 7), (9,)))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        found = kernels.linear(x, weight, bias)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, F.linear(x, weight, bias))
