"""The recurrent cells, by the name that `--cell` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqcli.nn.cells.elman import Elman
from seqcli.nn.cells.gru import GRU
from seqcli.nn.cells.jordan import Jordan
from seqcli.nn.cells.lstm import LSTM
from seqcli.nn.cells.minimal import MinGRU, MinLSTM

CELLS: dict[str, Callable[..., Any]] = {
    "rnn": Elman,
    "jordan": Jordan,
    "lstm": LSTM,
    "gru": GRU,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
}


def make_cell(name: str, input_size: int, hidden_size: int, *, nonlinearity: str) -> Any:
    """A cell of the table; only rnn and jordan have a choice of nonlinearity."""
    if name in ("rnn", "jordan"):
        return CELLS[name](input_size, hidden_size, nonlinearity)
    return CELLS[name](input_size, hidden_size)
