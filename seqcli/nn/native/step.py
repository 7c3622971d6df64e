"""Kernel calls of one step of decoding, prepared once.

Decoding takes thousands of small steps, in which finding weights, making tensors and describing a
call to C would cost more than the call. Here all of that is done once: a part reads and writes
memory that stays where it is, and a step only says how many rows there are. The numbers are, to the
bit, those of the operators of whole sequences.

Dimensions: C rows that there is room for, R ≤ C rows of a step, B sentences, I inputs, H units,
K outputs, N keys, V vocabulary, T tokens that are chosen.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqcli.nn.native import library, packing
from seqcli.nn.native.walk import SCANS


class Operand:
    """Rows x_CI, float32 of any stride, as products take them."""

    def __init__(self, x_CI: Tensor, *, bf16: bool) -> None:
        self.x_CI = x_CI
        self.read_CI = torch.empty(x_CI.shape, dtype=torch.bfloat16) if bf16 else x_CI

    def fill(self, rows: int) -> None:
        """Take what the first R rows are now."""
        if self.read_CI is not self.x_CI:
            self.read_CI[:rows].copy_(self.x_CI[:rows])


class Product:
    """y_CK = x · weight^T + bias. x_CI: float32, rows of any stride. operand: y has the type of the
    products, else float32."""

    def __init__(
        self,
        x_CI: Tensor,
        weight_KI: Tensor,
        bias_K: Tensor | None = None,
        *,
        bf16: bool,
        operand: bool = False,
    ) -> None:
        dtype = torch.bfloat16 if bf16 else torch.float32
        self.x = Operand(x_CI, bf16=bf16)
        kept = dtype if operand else torch.float32
        self.y_CK = torch.empty(len(x_CI), len(weight_KI), dtype=kept)
        self.bias_K = None if bias_K is None else bias_K.contiguous()
        self.panels = packing.panels("rows of", weight_KI, bf16=bf16)
        self.call = library.Linear(
            depth=weight_KI.shape[1],
            width=weight_KI.shape[0],
            bf16=bf16,
            threads=torch.get_num_threads(),
            x_stride=self.x.read_CI.stride(0),
            y_operand=self.y_CK.dtype == dtype,
            x=self.x.read_CI.data_ptr(),
            panels=self.panels.data_ptr(),
            bias=None if self.bias_K is None else self.bias_K.data_ptr(),
            y=self.y_CK.data_ptr(),
        )
        self.run_call = library.load().linear

    def run(self, rows: int) -> Tensor:
        """(R, K) the product, in memory that the next step writes anew."""
        self.x.fill(rows)
        self.call.tokens = rows
        self.run_call(self.call)
        return self.y_CK[:rows]


class Choice:
    """The likeliest tokens by the scores x · weight^T + bias, which are not kept (choice.h)."""

    def __init__(
        self, x_CI: Tensor, weight_VI: Tensor, bias_V: Tensor | None = None, *, bf16: bool
    ) -> None:
        self.x = Operand(x_CI, bf16=bf16)
        self.bias_V = None if bias_V is None else bias_V.contiguous()
        self.panels = packing.panels("rows of", weight_VI, bf16=bf16)
        self.call = library.Choice(
            depth=weight_VI.shape[1],
            width=weight_VI.shape[0],
            bf16=bf16,
            threads=torch.get_num_threads(),
            x_stride=self.x.read_CI.stride(0),
            x=self.x.read_CI.data_ptr(),
            panels=self.panels.data_ptr(),
            bias=None if self.bias_V is None else self.bias_V.data_ptr(),
        )
        self.run_call = library.load().choose

    def run(self, rows: int, count: int, *, without: int | None = None) -> tuple[Tensor, Tensor]:
        """(R, T) log-probabilities and tokens of the T likeliest, best first and of equals the
        lower; as many as asked for, or as there are. `without` is left out, though it has its share
        of the probability; where it has to stand nevertheless, the log-probability is −∞."""
        count = min(count, self.call.width)
        logs_RT = torch.empty(rows, count)
        tokens_RT = torch.empty(rows, count, dtype=torch.int64)
        self.x.fill(rows)
        self.call.rows, self.call.count = rows, count
        self.call.without = -1 if without is None else without
        self.call.logs, self.call.tokens = logs_RT.data_ptr(), tokens_RT.data_ptr()
        self.run_call(self.call)
        return logs_RT, tokens_RT


class Layer:
    """One step of a recurrent layer of a kind that the kernels know: y_CH from x_CI and the state,
    tensors (C, H), which the step replaces."""

    def __init__(
        self,
        kind: str,
        weights: tuple[Tensor, ...],
        x_CI: Tensor,
        y_CH: Tensor,
        *,
        state: tuple[Tensor, ...],
        bf16: bool,
    ) -> None:
        capacity, hidden = y_CH.shape
        scan = kind in SCANS
        w_ih, *w_hh = weights[: 1 if scan else 2]
        self.state = state
        self.product = Product(x_CI, w_ih, bf16=bf16, operand=True)
        self.memory: dict[str, Any] = {
            "offsets": torch.arange(capacity + 1),
            "inputs": self.product.y_CK,
            "h_first": state[0],
            "h_last": state[0],
            "y": y_CH,
        }
        biases = [bias.contiguous() for bias in weights[len(w_hh) + 1 :]]
        self.memory |= dict(zip(("b_ih", "b_hh"), biases, strict=False))
        if w_hh:
            panels = packing.panels("hidden", w_hh[0], bf16=bf16, kind=kind)
            before = torch.empty(capacity, hidden, dtype=panels.dtype)
            self.memory |= {"panels": panels, "before": before}
        if len(state) > 1:
            self.memory |= {"c_first": state[1], "c_last": state[1]}
        self.calls = (library.Recurrent * 1)()
        self.call = self.calls[0]
        numbers = {
            "kind": library.KIND_NUMBERS[kind],
            "hidden": hidden,
            "bf16": bf16,
            "threads": torch.get_num_threads(),
            "y_stride": y_CH.stride(0),
        }
        for name, value in numbers.items():
            setattr(self.call, name, value)
        for name, tensor in self.memory.items():
            setattr(self.call, name, tensor.data_ptr())
        self.run_calls = library.load().run

    def run(self, rows: int) -> None:
        """Take the step."""
        self.product.run(rows)
        self.call.batch = self.call.tokens = rows
        self.run_calls("forward", self.calls)


class Attending:
    """Attention of q_CH over the keys and values (N, H) of each sentence, additive with an energy:
    contexts (C, H). Which rows are whose, `group` tells."""

    def __init__(
        self,
        q_CH: Tensor,
        k_NH: Tensor,
        v_NH: Tensor,
        key_offsets_B1: Tensor,
        energy_H: Tensor | None = None,
    ) -> None:
        width = v_NH.shape[1]
        self.context_CH = torch.empty(len(q_CH), width)
        self.keys_B = key_offsets_B1.diff()
        self.memory = [q_CH, k_NH.contiguous(), v_NH.contiguous(), key_offsets_B1.contiguous()]
        q, k, v, keys = (tensor.data_ptr() for tensor in self.memory)
        self.energy_H = None if energy_H is None else energy_H.contiguous()
        self.call = library.Attention(
            batch=len(self.keys_B),
            depth=k_NH.shape[1],
            width=width,
            threads=torch.get_num_threads(),
            q=q,
            k=k,
            v=v,
            keys=keys,
            energy=None if self.energy_H is None else self.energy_H.data_ptr(),
            context=self.context_CH.data_ptr(),
        )
        self.run_call = library.load().attend_forward

    def group(self, queries_B1: Tensor) -> None:
        """queries_B1: offsets of the rows of each sentence."""
        self.queries_B1 = queries_B1
        pairs_B = (queries_B1.diff() * self.keys_B).cumsum(0)
        self.pairs_B1 = torch.cat([pairs_B.new_zeros(1), pairs_B])
        self.weights_P = torch.empty(int(self.pairs_B1[-1]))
        self.call.queries = self.queries_B1.data_ptr()
        self.call.pairs = self.pairs_B1.data_ptr()
        self.call.weights = self.weights_P.data_ptr()

    def run(self, rows: int) -> Tensor:
        """(R, H) contexts; `weights_P` holds the weights, until the next step."""
        self.run_call(self.call)
        return self.context_CH[:rows]
