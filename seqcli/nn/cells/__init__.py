"""The recurrent cells, and two layers to compare them with, by the name that `--cell` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqcli.nn.cells.convolution import Convolution
from seqcli.nn.cells.elman import Elman
from seqcli.nn.cells.esn import EchoState
from seqcli.nn.cells.gru import GRU
from seqcli.nn.cells.jordan import Jordan
from seqcli.nn.cells.lstm import LSTM
from seqcli.nn.cells.minimal import MinGRU, MinLSTM
from seqcli.nn.cells.mogrifier import Mogrifier
from seqcli.nn.cells.parameters import spread_evenly
from seqcli.nn.cells.sru import SRU
from seqcli.nn.cells.transformer import Transformer

CELLS: dict[str, Callable[..., Any]] = {
    "rnn": Elman,
    "jordan": Jordan,
    "lstm": LSTM,
    "gru": GRU,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "sru": SRU,
    "mogrifier": Mogrifier,
    "esn": EchoState,
    "cnn": Convolution,
    "transformer": Transformer,
}


def make_cell(
    name: str,
    input_size: int,
    hidden_size: int,
    *,
    initialization: str = "orthogonal",
    **settings: Any,
) -> Any:
    """A cell of the table. Of the settings it is given those that its class names in `settings`."""
    kind: Any = CELLS[name]
    chosen = {key: settings[key] for key in kind.settings if key in settings}
    cell = kind(input_size, hidden_size, **chosen)
    if initialization == "uniform":
        spread_evenly(cell)
    return cell
