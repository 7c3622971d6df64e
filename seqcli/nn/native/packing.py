"""Weights packed as the kernels need them, and cached once a model is no longer trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from seqcli.nn.native import library

_FROZEN: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
_during_update: WeakTensorKeyDictionary | None = None


ROWS = 64
"""bf16 products over tokens take a multiple of these (see ops.sum_outer)."""


def fill_up(tokens: int, dtype: torch.dtype) -> int:
    """The rows in which a product over so many tokens takes them."""
    return -(-tokens // ROWS) * ROWS if dtype == torch.bfloat16 else tokens


def new_operand(tokens: int, width: int, dtype: torch.dtype) -> Tensor:
    """(N, width) to be written, and zeros behind up to `fill_up` rows."""
    found = torch.empty(fill_up(tokens, dtype), width, dtype=dtype)
    if len(found) > tokens:
        found[tokens:] = 0
    return found


def to_operand(x_ND: Tensor, bf16: bool) -> Tensor:
    """x as products take it: as it is, or a copy in bf16, filled up."""
    if not bf16 or x_ND.dtype == torch.bfloat16:
        return x_ND
    tokens, width = x_ND.shape
    found = new_operand(tokens, width, torch.bfloat16)
    found[:tokens] = x_ND
    return found


@contextmanager
def unchanged() -> Iterator[None]:
    """While it lasts no weight changes: also those in training are packed only once."""
    global _during_update
    _during_update = WeakTensorKeyDictionary()
    try:
        yield
    finally:
        _during_update = None


def panels(matrix: str, weight: Tensor, *, bf16: bool, kind: str = "lstm") -> Tensor:
    """A weight packed for the products of the kernels (panel.h).

    matrix: a name of `library.MATRIX_NUMBERS`; for the hidden ones, weight is W_hh of `kind`.
    A weight that needs no gradient is packed once and remembered while it lives and is unchanged.
    One in training is not, but for `unchanged`: fused optimisers change it without leaving a trace.
    """
    memory = _FROZEN if not weight.requires_grad else _during_update if weight.is_leaf else None
    if memory is None or weight.is_inference():
        return _pack(matrix, weight, bf16=bf16, kind=kind)
    key = matrix, kind, bf16, library.load().instruction_set
    version = weight._version, weight.data_ptr()
    known = memory.setdefault(weight, {})
    if known.get(key, (None,))[0] != version:
        known[key] = version, _pack(matrix, weight, bf16=bf16, kind=kind)
    return known[key][1]


def _pack(matrix: str, weight: Tensor, *, bf16: bool, kind: str) -> Tensor:
    native, weight = library.load(), weight.contiguous()
    height, across = weight.shape
    call = library.Packing(
        matrix=library.MATRIX_NUMBERS[matrix],
        kind=library.KIND_NUMBERS[kind],
        width=across if matrix == "columns of" else height,
        depth=height if matrix == "columns of" else across,
        bf16=bf16,
        threads=torch.get_num_threads(),
        w=weight.data_ptr(),
    )
    dtype = torch.bfloat16 if bf16 else torch.float32
    packed = torch.empty(native.panel_elements(call), dtype=dtype)
    call.panels = packed.data_ptr()
    native.pack(call)
    return packed


def linear(
    x_ND: Tensor, panels: Tensor, width: int, *, dtype: torch.dtype, bias: Tensor | None = None
) -> Tensor:
    """(N, width) product of x, float32 or bfloat16 like the panels, with a packed matrix.

    dtype: of the result; float32, or that of x.
    """
    if x_ND.stride(1) != 1:
        x_ND = x_ND.contiguous()
    tokens, depth = x_ND.shape
    y = torch.empty(tokens, width, dtype=dtype)
    bias = None if bias is None else bias.contiguous()
    call = library.Linear(
        tokens=tokens,
        depth=depth,
        width=width,
        bf16=panels.dtype == torch.bfloat16,
        threads=torch.get_num_threads(),
        x_stride=x_ND.stride(0),
        y_operand=dtype == x_ND.dtype,
        x=x_ND.data_ptr(),
        panels=panels.data_ptr(),
        bias=None if bias is None else bias.data_ptr(),
        y=y.data_ptr(),
    )
    library.load().linear(call)
    return y
