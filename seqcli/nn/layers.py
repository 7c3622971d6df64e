"""Building blocks of several networks: token vectors, recurrent layers, word dropout."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from seqcli.config import Network
from seqcli.data.tokens import UNK
from seqcli.nn.cells import CELLS, make_cell
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
    """The recurrent layers that a configuration asks for, over input_size features.

    A transformer sees both ways by itself, and is residual and normalised as it is.
    """
    kind: Any = CELLS[network.cell]
    whole = "causal" in kind.settings
    settings = {**vars(network), "causal": not bidirectional}

    def make(size: int) -> nn.Module:
        return make_cell(network.cell, size, hidden or network.hidden, **settings)

    return Recurrent(
        make,
        input_size,
        layers=layers or network.layers,
        bidirectional=bidirectional and not whole,
        dropout=network.dropout,
        locked=network.locked_dropout,
        weight_dropout=network.weight_dropout,
        residual=network.residual and not whole,
        layer_norm=network.layer_norm and not whole,
        final_norm=whole or (network.residual and network.layer_norm),
        feed_forward=0 if whole else network.feed_forward,
        bptt=None if whole else bptt,
    )


def make_dropout(network: Network) -> Dropout:
    """Dropout of features as configured."""
    return Dropout(network.dropout, locked=network.locked_dropout)


def make_embedding(
    network: Network, size: int, *, width: int | None = None, dropout: float | None = None
) -> Embedding:
    """Vectors of unit expected length, so that no token starts out louder than another.

    width and dropout (the fraction of types left out): the configuration's unless given. Below an
    echo state network they stay as they are, so that nothing has to flow back through it.
    """
    width = network.embedding if width is None else width
    dropout = network.embedding_dropout if dropout is None else dropout
    embedding = Embedding(size, width, dropout=dropout)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    trained = network.cell != "esn" if network.train_embedding is None else network.train_embedding
    return embedding.requires_grad_(trained)


def drop_words(tokens: Ragged, fraction: float, *, training: bool) -> Ragged:
    """Replace a fraction of token ids by the unknown token (Iyyer et al. 2015), so that its vector
    is trained and the network does not rely on single words."""
    if not training or fraction == 0:
        return tokens
    dropped_N = torch.rand(len(tokens.values), device=tokens.values.device) < fraction
    return tokens.with_values(tokens.values.masked_fill(dropped_N, UNK))
