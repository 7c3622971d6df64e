"""Recurrent layers a step at a time, for decoding: the same numbers as `Recurrent`, from kernel
calls that are prepared once.

Dimensions: C rows that there is room for, R ≤ C rows of a step, I inputs, H units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqcli.nn.kernels import precision
from seqcli.nn.native.step import Layer, Product
from seqcli.nn.recurrent import Recurrent, States


def can_step(recurrent: Recurrent) -> bool:
    """Whether the kernels can run all cells of these layers, and these read in one direction."""
    kinds = [getattr(cell, "kernel", None) for cell in recurrent.cells]
    return recurrent.directions == 1 and all(kinds) and not recurrent.training


class Steps:
    """Reads x_CI and writes y_CH, which the caller owns. states: with C rows, replaced at each
    step. y may lie over x."""

    def __init__(self, recurrent: Recurrent, x_CI: Tensor, y_CH: Tensor, states: States) -> None:
        self.states = states
        self.works: list[Callable[[int], object]] = []
        last = len(recurrent.cells) - 1
        bf16 = precision() == "bf16"
        for at, (cell, state) in enumerate(zip(recurrent.cells, states, strict=True)):
            known: Any = cell
            read_CI = x_CI
            if recurrent.norms:
                read_CI = torch.empty(x_CI.shape)
                self._normalise(recurrent.norms[at], x_CI, read_CI)
            out_CH = y_CH if at == last else torch.empty(y_CH.shape)
            layer = Layer(known.kernel, known.weights, read_CI, out_CH, state=state, bf16=bf16)
            self.works.append(layer.run)
            if recurrent.residual and out_CH.shape == x_CI.shape:
                self._add(x_CI, out_CH)
            if recurrent.feed_forwards:
                self._widen(recurrent.feed_forwards[at], out_CH, bf16=bf16)
            x_CI = out_CH
        if recurrent.norm is not None:
            self._normalise(recurrent.norm, y_CH, y_CH)

    def run(self, rows: int) -> None:
        """Take a step with the first R rows."""
        for work in self.works:
            work(rows)

    def _normalise(self, norm: nn.Module, x_CI: Tensor, to_CI: Tensor) -> None:
        self.works.append(lambda rows: to_CI[:rows].copy_(norm(x_CI[:rows])))

    def _widen(self, forward: Any, x_CH: Tensor, *, bf16: bool) -> None:
        """Add to x what a `FeedForward` makes of it."""
        read_CH = torch.empty(x_CH.shape)
        self._normalise(forward.norm, x_CH, read_CH)
        wide = Product(read_CH, forward.wide.weight, forward.wide.bias, bf16=bf16)
        narrow = Product(wide.y_CK, forward.narrow.weight, forward.narrow.bias, bf16=bf16)
        self.works += [wide.run, lambda rows: wide.y_CK[:rows].relu_(), narrow.run]
        self._add(narrow.y_CK, x_CH)

    def _add(self, x_CH: Tensor, to_CH: Tensor) -> None:
        self.works.append(lambda rows: to_CH[:rows].add_(x_CH[:rows]))
