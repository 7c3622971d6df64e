"""Sums of rows of a table on the kernels, against torch in double precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checks import assert_slopes, new_tensors_poisoned
from torch import Tensor

from seqcli.nn import kernels
from seqcli.nn.native import status
from seqcli.nn.native.lookup import Entries, look_up

pytestmark = pytest.mark.skipif(not status().available, reason=status().reason)


def make(size: int, width: int, lengths: list[int] | None, *, count: int = 0) -> tuple:
    """A table, entries of sums of these lengths (None: `count` of one each), and gradients."""
    generator = torch.Generator().manual_seed(size + width)
    entries = count if lengths is None else sum(lengths)
    places = torch.randint(size, (entries,), generator=generator)
    table = torch.randn(size, width, generator=generator)
    found = Entries(places)
    if lengths is not None:
        offsets = torch.tensor([0, *lengths]).cumsum(0)
        found = Entries(places, torch.randn(entries, generator=generator), offsets)
    return table, found, torch.randn(found.sums, width, generator=generator)


def ours(table: Tensor, entries: Entries, dy: Tensor) -> list[Tensor]:
    table = table.clone().requires_grad_()
    y = look_up(table, entries)
    y.backward(dy)
    return [y.detach(), table.grad]


def truth(table: Tensor, entries: Entries, dy: Tensor) -> list[Tensor]:
    table = table.double().requires_grad_()
    rows = table[entries.places]
    if entries.weights is None:
        y = rows
    else:
        weighted = rows * entries.weights.double()[:, None]
        y = torch.segment_reduce(weighted, "sum", lengths=entries.offsets.diff())
    y.backward(dy.double())
    return [y.detach(), table.grad]


SHAPES = [(1, 1, [1]), (9, 7, [3, 0, 2]), (40, 33, [5] * 30), (300, 130, None), (5000, 128, None)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_torch(shape, instruction_set):
    case = make(*shape, count=2000)
    for found, wanted in zip(ours(*case), truth(*case), strict=True):
        torch.testing.assert_close(found, wanted.float(), rtol=1e-5, atol=1e-5)


def test_gradients_agree_with_finite_differences():
    table, entries, dy = make(9, 7, [3, 0, 2])
    _, gradient = ours(table, entries, dy)
    assert_slopes(
        lambda parts: float((look_up(parts["table"], entries) * dy).sum()),
        {"table": table},
        {"dtable": gradient},
    )


def test_every_output_is_written():
    case = make(40, 33, [5, 0, 7])
    plain = ours(*case)
    with new_tensors_poisoned():
        poisoned = ours(*case)
    assert all(torch.equal(one, other) for one, other in zip(plain, poisoned, strict=True))


def test_threads_change_nothing():
    case = make(5000, 128, None, count=2000)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(ours(*case))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    wanted = F.embedding(case[1].places, case[0])
    assert torch.equal(found[0][0], wanted)


@pytest.mark.parametrize(
    "entries",
    [
        Entries(torch.tensor([0, 4])),
        Entries(torch.tensor([-1])),
        Entries(torch.tensor([0, 1]), torch.ones(2), torch.tensor([0, 1])),
        Entries(torch.tensor([0, 1]), torch.ones(2), torch.tensor([0, 3, 2])),
    ],
    ids=["beyond", "before", "short", "falling"],
)
def test_entries_that_do_not_fit_are_refused(entries):
    with pytest.raises(IndexError):
        look_up(torch.zeros(4, 3), entries)
    with pytest.raises(IndexError):
        look_up(torch.zeros(4, 3, requires_grad=True), entries)


def test_passes_torch_opcheck():
    for lengths in ([3, 0, 2], None):
        table, entries, _ = make(9, 7, lengths, count=4)
        torch.library.opcheck(torch.ops.seqcli.look_up.default, (table, *entries))


def test_without_the_kernels_torch_gives_the_same(monkeypatch):
    for lengths in ([3, 0, 2], None):
        table, entries, dy = make(9, 7, lengths, count=4)
        found = []
        for able in (True, False):
            monkeypatch.setattr(kernels, "runs_natively", lambda x, able=able: able)
            weight = table.clone().requires_grad_()
            y = kernels.sums(weight, entries)
            y.backward(dy)
            found.append((y.detach(), weight.grad))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)


def test_a_reader_gets_the_gradients_and_the_table_none():
    table, entries, dy = make(9, 7, [3, 0, 2])
    heard = []

    class Listener:
        def read(self, places: Tensor) -> None:
            heard.append(places)

        def take(self, dy: Tensor, entries: Entries) -> None:
            heard.append((dy, entries))

    table.requires_grad_()
    look_up(table, entries, Listener()).backward(dy)
    places, (taken, of) = heard
    assert table.grad is None
    assert torch.equal(places, entries.places)
    assert torch.equal(taken, dy)
    assert torch.equal(of.places, entries.places)
