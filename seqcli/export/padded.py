"""Right-padded batches, and what is carried from step to step, as values of a graph.

Dimensions: T steps, B sequences, D features.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from seqcli.export.graph import Graph, Value
from seqcli.nn.recurrent import Recurrent

State = tuple[Value, ...]


class Padded(NamedTuple):
    """A batch. values: (T, B, D), right-padded. lengths: (B,) int64. real: (T, B, 1), true at
    tokens. batch: (1,) B."""

    values: Value
    lengths: Value
    real: Value
    batch: Value

    def with_values(self, values: Value) -> Padded:
        """The same sequences with other features."""
        return self._replace(values=values)

    @property
    def graph(self) -> Graph:
        return self.values.graph


def pad(values: Value, lengths: Value) -> Padded:
    """A batch from (B, T, D) values and (B,) lengths."""
    graph = values.graph
    steps = graph("Unsqueeze", graph.range(graph.size(values, 1)), [1])
    real = graph("Unsqueeze", steps < lengths, [2])
    return Padded(swap(values), lengths, real, graph.size(values, 0))


def swap(x: Value) -> Value:
    """(T, B, D) to (B, T, D), or back."""
    return x.graph("Transpose", x, perm=[1, 0, 2])


def reverse(value: Value, x: Padded) -> Value:
    """(T, B, D) with each sequence of x from its last token to its first; padding stays behind."""
    return x.graph("ReverseSequence", value, x.lengths, batch_axis=1, time_axis=0)


# ------------------------------------------------------------------------- states in and out


class Part(NamedTuple):
    """A part of what a cell carries. shape: behind the batch; what is 0 grows by and by."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def list_states(recurrent: Recurrent, name: str) -> list[list[Part]]:
    """For each cell the parts of its state, called after it."""
    return [
        [
            Part(f"{name}_{number}_{at}", part.numpy().dtype, tuple(part.shape[1:]))
            for at, part in enumerate(cell.initial(1))  # type: ignore[operator]
        ]
        for number, cell in enumerate(recurrent.cells)
    ]


def first_states(recurrent: Recurrent, x: Padded) -> list[State]:
    """The state of each cell before the first token: zeros."""
    return [
        tuple(x.graph.zeros(x.batch, part.shape, part.dtype) for part in cell)
        for cell in list_states(recurrent, "state")
    ]


def take_states(graph: Graph, recurrent: Recurrent, name: str) -> list[State]:
    """An input for each part of the state of each cell."""
    return [
        tuple(graph.input(part.name, part.dtype, *_open(part, "")) for part in cell)
        for cell in list_states(recurrent, name)
    ]


def give_states(recurrent: Recurrent, name: str, states: list[State], *, prefix: str = "") -> None:
    """An output for each of them, their names behind a prefix."""
    for cell, state in zip(list_states(recurrent, name), states, strict=True):
        for part, value in zip(cell, state, strict=True):
            shape = _open(part, prefix)
            value.graph.output(prefix + part.name, value, part.dtype, *shape)


def _open(part: Part, prefix: str) -> list[int | str]:
    return ["batch", *(size or f"{prefix}{part.name}_past" for size in part.shape)]
