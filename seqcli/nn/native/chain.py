"""The sums over all paths of labels, on the kernels (chain.h).

Dimensions: N tokens, B sequences, B1 = B + 1, L labels.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from seqcli.nn.native import library


def chains(
    own_NL: Tensor, first_L: Tensor, after_LL: Tensor, last_L: Tensor, offsets_B1: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The forward sums before_NL, the backward sums behind_NL, what each token but the first of its
    sequence gives to the backward sum of the one before it, next_NL, and log Z of each sequence,
    total_B.

    All exponentials of scores, float64 on the CPU; no gradients. Raises ValueError for shapes that
    do not fit and for empty sequences.
    """
    tokens, labels = own_NL.shape
    shapes = [tuple(part.shape) for part in (first_L, after_LL, last_L)]
    if shapes != [(labels,), (labels, labels), (labels,)] or offsets_B1[-1] != tokens:
        raise ValueError(f"weights {shapes} and offsets do not fit {tokens} tokens of {labels}")
    own_NL, offsets_B1 = own_NL.contiguous(), offsets_B1.contiguous()
    weights = first_L.contiguous(), last_L.contiguous(), after_LL.contiguous()
    turned_LL = after_LL.t().contiguous()
    found = [torch.empty_like(own_NL) for _ in range(3)]
    found.append(own_NL.new_empty(len(offsets_B1) - 1))
    tensors = (offsets_B1, own_NL, *weights, turned_LL, *found)
    names = [name for name, kind in library.Chain._fields_ if kind is ctypes.c_void_p]
    call = library.Chain(
        batch=len(offsets_B1) - 1,
        labels=labels,
        threads=torch.get_num_threads(),
        **{name: tensor.data_ptr() for name, tensor in zip(names, tensors, strict=True)},
    )
    if library.load().chains(call):
        raise ValueError("offsets must rise from 0 to the number of tokens, without a standstill")
    before_NL, behind_NL, next_NL, total_B = found
    return before_NL, behind_NL, next_NL, total_B
