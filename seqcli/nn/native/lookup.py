"""Sums of rows of a table of vectors on the kernels (rows.h), such as the vectors of words.

Dimensions: V rows of E features, B sums, B1 = B + 1, M entries of all sums.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library
from seqcli.nn.native.ops import OPERATORS


class Entries(NamedTuple):
    """Which rows make up each sum: their places (M,), int64; their weights (M,), float32, or None
    for 1; and where the entries of each sum begin (B + 1,), int64, None where each has one. All
    contiguous."""

    places: Tensor
    weights: Tensor | None = None
    offsets: Tensor | None = None

    @property
    def sums(self) -> int:
        """B."""
        return len(self.places) if self.offsets is None else len(self.offsets) - 1


class Reader(Protocol):
    """An object that is told which rows of a table are read, and that takes their gradients."""

    def read(self, places: Tensor) -> None:
        """These rows are about to be read."""

    def take(self, dy: Tensor, entries: Entries) -> None:
        """The gradients (B, E) of sums."""


def look_up(table: Tensor, entries: Entries, reader: Reader | None = None) -> Tensor:
    """(B, E) float32, on the CPU: y_b = Σ_m w_m · table[place_m]. Gradients go to the table alone,
    or to its reader. Raises IndexError for places that the table does not have."""
    if reader is not None:
        reader.read(entries.places)
    if torch.is_grad_enabled() and table.requires_grad:
        return _LookUp.apply(table, reader, *entries)
    return torch.ops.seqcli.look_up.default(table.detach(), *entries)


def call(table: Tensor, y: Tensor, entries: Entries, **fields: Any) -> None:
    """Run the kernel. Raises IndexError for entries that do not fit."""
    places, weights, offsets = entries
    found = library.load().look_up(
        library.Lookup(
            batch=len(y),
            entries=len(places),
            size=fields.pop("size", len(table)),
            width=table.shape[1],
            threads=torch.get_num_threads(),
            offsets=None if offsets is None else offsets.data_ptr(),
            places=places.data_ptr(),
            weights=None if weights is None else weights.data_ptr(),
            table=table.data_ptr(),
            y=y.data_ptr(),
            **fields,
        )
    )
    if found:
        raise IndexError("index out of range in the table, or offsets that do not rise")


def _forward(
    table: Tensor, places: Tensor, weights: Tensor | None, offsets: Tensor | None
) -> Tensor:
    entries = Entries(places.contiguous(), weights, offsets)
    y = torch.empty(entries.sums, table.shape[1])
    call(table.contiguous(), y, entries)
    return y


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, reader: Reader | None, *entries: Tensor | None) -> Tensor:
        ctx.save_for_backward(*entries)
        ctx.reader, ctx.shape = reader, table.shape
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.seqcli.look_up.default(table, *entries)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        entries, dtable = Entries(*ctx.saved_tensors), None
        if ctx.reader is not None:
            ctx.reader.take(dy, entries)
        else:
            dtable = torch.zeros(ctx.shape)
            call(dtable, dy.contiguous(), entries, backward=True)
        return dtable, None, None, None, None


OPERATORS.define("look_up(Tensor table, Tensor places, Tensor? weights, Tensor? offsets) -> Tensor")
OPERATORS.impl("look_up", _forward, "CPU")
torch.library.register_fake(
    "seqcli::look_up",
    lambda table, places, weights, offsets: table.new_empty(
        Entries(places, weights, offsets).sums, table.shape[1]
    ),
    lib=OPERATORS,
)
