"""Weights as the kernels want them, remembered for models that are no longer trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from seqcli.nn.native import library

_FROZEN: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def _prepared(weight: Tensor, key: tuple[Any, ...], prepare: Callable[[], Tensor]) -> Tensor:
    """prepare(), remembered while the weight lives, is unchanged and needs no gradient.

    A weight in training is never remembered: fused optimisers change it without leaving a trace.
    """
    if weight.requires_grad or weight.is_inference():
        return prepare()
    version = weight._version, weight.data_ptr()
    known = _FROZEN.setdefault(weight, {})
    if known.get(key, (None,))[0] != version:
        known[key] = version, prepare()
    return known[key][1]


def input_operand(w_ih: Tensor, *, bf16: bool) -> Tensor:
    """W_ih (K, I) as the type of the products."""
    if not bf16:
        return w_ih
    return _prepared(w_ih, ("operand",), lambda: w_ih.to(torch.bfloat16))


def panels(kind: str, w_hh: Tensor, *, bf16: bool, backward: bool) -> Tensor:
    """W_hh (K, H) in the panels of the kernels (panel.h)."""
    native = library.load()

    def pack() -> Tensor:
        number, hidden = library.KIND_NUMBERS[kind], w_hh.shape[1]
        dtype = torch.bfloat16 if bf16 else torch.float32
        packed = torch.empty(native.panel_elements(number, hidden, backward), dtype=dtype)
        weight = w_hh.contiguous()
        native.pack(
            *(number, hidden, bf16, backward),
            *(weight.data_ptr(), packed.data_ptr(), torch.get_num_threads()),
        )
        return packed

    return _prepared(w_hh, (kind, bf16, backward, native.instruction_set), pack)
