"""What several networks are made of: token vectors, recurrent layers, word dropout."""

from __future__ import annotations

import torch
from torch import nn

from seqcli.config import Network
from seqcli.data.tokens import UNK
from seqcli.nn.cells import make_cell
from seqcli.nn.dropout import Dropout, Embedding
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import Recurrent


def make_recurrent(
    network: Network,
    input_size: int,
    *,
    bidirectional: bool = False,
    hidden: int | None = None,
    layers: int | None = None,
    bptt: int | None = None,
) -> Recurrent:
    """The recurrent layers that a configuration asks for, over input_size features."""

    def make(size: int) -> nn.Module:
        return make_cell(network.cell, size, hidden or network.hidden, **vars(network))

    return Recurrent(
        make,
        input_size,
        layers=layers or network.layers,
        bidirectional=bidirectional,
        dropout=network.dropout,
        locked=network.locked_dropout,
        weight_dropout=network.weight_dropout,
        residual=network.residual,
        layer_norm=network.layer_norm,
        bptt=bptt,
    )


def make_dropout(network: Network) -> Dropout:
    """Dropout of features, as a configuration asks for it."""
    return Dropout(network.dropout, locked=network.locked_dropout)


def make_embedding(size: int, width: int, *, dropout: float = 0.0) -> Embedding:
    """Vectors of unit expected length, so that no token starts out louder than another. dropout:
    fraction of the types that are left out in training."""
    embedding = Embedding(size, width, dropout=dropout)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding


def drop_words(tokens: Ragged, fraction: float, *, training: bool) -> Ragged:
    """Replace a fraction of token ids by the unknown token (Iyyer et al. 2015), so that its vector
    is trained and no single word is leant on."""
    if not training or fraction == 0:
        return tokens
    dropped_N = torch.rand(len(tokens.values), device=tokens.values.device) < fraction
    return tokens.with_values(tokens.values.masked_fill(dropped_N, UNK))
