"""ONNX graphs that are written like the equations they hold.

A graph is a list of nodes whose inputs and outputs are named; here each named tensor is a `Value`,
so that `(1 - z) * n + z * h` makes four nodes. What is a number or a tensor becomes a constant of
the graph, kept once however often it is used.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

OPSET, MLOPSET, IR = 17, 4, 8
"""Versions of 2022: operators that every runtime since then has."""
ML = "ai.onnx.ml"
FLOAT, INTEGER = np.dtype("float32"), np.dtype("int64")


class Value:
    """A tensor of a graph, known by its name."""

    __slots__ = ("graph", "name")

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    def __add__(self, other: Operand) -> Value:
        return self.graph("Add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return self.graph("Add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return self.graph("Sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.graph("Sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.graph("Mul", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self.graph("Mul", other, self)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph("Div", self, other)

    def __matmul__(self, other: Operand) -> Value:
        return self.graph("MatMul", self, other)

    def __lt__(self, other: Operand) -> Value:  # type: ignore[misc]
        return self.graph("Less", self, other)

    def __gt__(self, other: Operand) -> Value:  # type: ignore[misc]
        return self.graph("Greater", self, other)


Operand = Value | torch.Tensor | np.ndarray | float | int | list[Any]


class Port(NamedTuple):
    """What a graph is given or gives; a dimension that is a word may have any size."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]


class Graph:
    """The nodes of a graph, or of the body of a loop in one."""

    def __init__(self, parent: Graph | None = None) -> None:
        self.root: Graph = parent.root if parent else self
        self.nodes: list[Any] = []
        if parent is None:
            self.numbers = itertools.count()
            self.inputs: list[Port] = []
            self.outputs: list[Port] = []
            self.constants: list[Any] = []
            self.known: dict[bytes, Value] = {}

    def __call__(self, kind: str, *inputs: Operand | None, **attributes: Any) -> Value:
        """A node with one output. None: an input that is left out."""
        return self.several(kind, 1, *inputs, **attributes)[0]

    def several(
        self, kind: str, count: int, *inputs: Operand | None, domain: str = "", **attributes: Any
    ) -> list[Value]:
        """A node with so many outputs."""
        from onnx import helper

        names = ["" if one is None else self.value(one).name for one in inputs]
        outputs = [self._new(kind) for _ in range(count)]
        self.nodes.append(
            helper.make_node(
                kind, names, [one.name for one in outputs], domain=domain, **attributes
            )
        )
        return outputs

    def value(self, given: Operand) -> Value:
        """A number or tensor as a constant: floats as float32, integers as int64."""
        if isinstance(given, Value):
            return given
        array = given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else given
        array = np.asarray(array)
        if array.dtype.kind == "f":
            array = array.astype(FLOAT)
        elif array.dtype.kind in "iu" and array.dtype != np.int32:
            array = array.astype(INTEGER)
        return self._keep(array)

    def _keep(self, array: np.ndarray) -> Value:
        from onnx import numpy_helper

        root = self.root
        key = hashlib.blake2b(f"{array.dtype} {array.shape} ".encode() + array.tobytes()).digest()
        if key not in root.known:
            found = root.known[key] = Value(root, f"constant_{len(root.known)}")
            root.constants.append(numpy_helper.from_array(array.copy(order="C"), found.name))
        return root.known[key]

    def _new(self, kind: str) -> Value:
        return Value(self, f"{kind.lower()}_{next(self.root.numbers)}")

    # ------------------------------------------------------------------------------- interface

    def input(self, name: str, dtype: np.dtype[Any], *shape: int | str) -> Value:
        """What the graph is given."""
        self.inputs.append(Port(name, dtype, shape))
        return Value(self, name)

    def output(self, name: str, value: Value, dtype: np.dtype[Any], *shape: int | str) -> None:
        """What the graph gives."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [value.name], [name]))
        self.outputs.append(Port(name, dtype, shape))

    def build(self, name: str, producer: str) -> Any:
        """The model, checked. Its size is what the constants make it."""
        import onnx
        from onnx import helper

        inputs, outputs = (
            [
                helper.make_tensor_value_info(
                    one.name, helper.np_dtype_to_tensor_dtype(one.dtype), one.shape
                )
                for one in tensors
            ]
            for tensors in (self.inputs, self.outputs)
        )
        whole = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, MLOPSET)]
        model = helper.make_model(
            whole, opset_imports=versions, ir_version=IR, producer_name=producer
        )
        onnx.checker.check_model(model)
        return model

    # ------------------------------------------------------------------------------- operators

    def linear(self, x: Value, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Value:
        """x · weight^T + bias over the last dimension."""
        y = x @ weight.detach().t()
        return y if bias is None else y + bias

    def cast(self, x: Value, dtype: Any) -> Value:
        from onnx import helper

        return self("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def size(self, x: Value, axis: int) -> Value:
        """(1,) one dimension of x."""
        return self("Shape", x, start=axis, end=axis + 1)

    def concat(self, parts: Sequence[Operand], axis: int) -> Value:
        return self("Concat", *parts, axis=axis) if len(parts) > 1 else self.value(parts[0])

    def slice(self, x: Value, begin: Operand, end: Operand, axis: int) -> Value:
        """x from begin to end, each a number or a value (1,), along an axis."""
        bounds = ([one] if isinstance(one, int) else one for one in (begin, end))
        return self("Slice", x, *bounds, [axis])

    def range(self, end: Value) -> Value:
        """0, 1, … below end (1,)."""
        return self("Range", 0, self("Squeeze", end), 1)

    def where(self, condition: Value, one: Operand, other: Operand) -> Value:
        return self("Where", condition, one, other)

    def zeros(self, batch: Value, shape: Sequence[int], dtype: np.dtype[Any] = FLOAT) -> Value:
        """(B, *shape) for a batch size (1,)."""
        return self("Expand", np.zeros((1, *shape), dtype), self.concat([batch, list(shape)], 0))

    def normalise(self, norm: torch.nn.LayerNorm, x: Value) -> Value:
        """Layer normalisation over the last dimension."""
        return self("LayerNormalization", x, norm.weight, norm.bias, axis=-1, epsilon=norm.eps)

    def scan(
        self,
        states: Sequence[Value],
        xs: Sequence[Value],
        step: Callable[[Graph, list[Value], list[Value]], tuple[list[Value], list[Value]]],
        *,
        backward: bool = False,
    ) -> tuple[list[Value], list[Value]]:
        """Walk along the first dimension of xs: `step` takes a graph, the states and a slice of
        each x, and gives the next states and what to lay in a row. The last states and the rows.

        backward: from the last slice to the first; the rows are in the order of xs.
        """
        from onnx import helper

        body = Graph(self)
        before = [body._new("state") for _ in states]
        slices = [body._new("slice") for _ in xs]
        after, rows = step(body, before, slices)
        # A value of outside, or one given twice, is not an output of the body's own.
        results = [body("Identity", value) for value in (*after, *rows)]
        names = [
            [helper.make_empty_tensor_value_info(value.name) for value in values]
            for values in ([*before, *slices], results)
        ]
        way = int(backward)
        found = self.several(
            "Scan",
            len(results),
            *states,
            *xs,
            body=helper.make_graph(
                body.nodes, f"body_{next(self.root.numbers)}", names[0], names[1]
            ),
            num_scan_inputs=len(xs),
            scan_input_directions=[way] * len(xs),
            scan_output_directions=[way] * len(rows),
        )
        return found[: len(states)], found[len(states) :]
