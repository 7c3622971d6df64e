"""Which n-grams of a table come in texts, on the kernels (ngrams.h)."""

from __future__ import annotations

import torch
from torch import Tensor

from seqcli.nn.native import library
from seqcli.nn.native.lookup import Entries

# Dimensions: N tokens, B texts, B1 = B + 1, F n-grams, M found in a batch.


def find(
    values_N: Tensor,
    offsets_B1: Tensor,
    keys_F: Tensor,
    weight_F: Tensor,
    *,
    vocabulary: int,
    longest: int,
    before: int,
) -> Entries:
    """The places and values of each text's known n-grams, see `nn.ngrams`, on the CPU. before: the
    token that stands before a text. Raises ValueError for offsets that do not rise."""
    texts, room = len(offsets_B1) - 1, len(values_N) * longest
    places, x = torch.empty(room, dtype=torch.int64), torch.empty(room)
    bounds = torch.empty(texts + 1, dtype=torch.int64)
    parts = offsets_B1.contiguous(), values_N.contiguous(), keys_F, weight_F, places, x, bounds
    names = ("offsets", "values", "keys", "weights", "places", "x", "bounds")
    found = library.load().find_ngrams(
        library.Ngrams(
            batch=texts,
            tokens=len(values_N),
            size=len(keys_F),
            vocabulary=vocabulary,
            longest=longest,
            before=before,
            **{name: part.data_ptr() for name, part in zip(names, parts, strict=True)},
        )
    )
    if found < 0:
        raise ValueError("offsets must rise from 0 to the number of tokens")
    return Entries(places[:found], x[:found], bounds)
