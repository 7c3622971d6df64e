"""Any cell over time: layers, both directions, dropout between layers, carried state.

The two directions of a layer read the same tokens, each from its own first to its own last:

    forward    a → b → c      reverse    a ← b ← c      y_n = [forward y_n ; reverse y_n]
               d → e                     d ← e

Dimensions: N tokens of a batch, B sequences, B1 = B + 1, D input features, H units.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from seqcli.errors import SeqcliError
from seqcli.nn import kernels
from seqcli.nn.cells import GRU, LSTM, Elman
from seqcli.nn.cells.cell import State
from seqcli.nn.dropout import Dropout, weights_dropped
from seqcli.nn.feed_forward import FeedForward
from seqcli.nn.ragged import Ragged, offsets

States = list[State]
"""The state of each cell: layer by layer, in a layer forward before reverse."""


class Recurrent(nn.Module):
    """Layers of recurrent cells. Results depend neither on padding nor on the rest of the batch.

    make_cell gives a new cell for a number of input features. Output: (N, H) or, in both
    directions, (N, 2H). dropout: of the features between layers, `locked` for whole sequences;
    weight_dropout: of the recurrent weights. bptt: steps that a gradient flows back, None for all
    of them.

    residual: a layer as wide as its input adds to it. layer_norm: each layer reads its input
    normalised (Ba et al. 2016), as deep stacks need it (Xiong et al. 2020); final_norm: so is the
    output of the stack. feed_forward: behind each layer stands a `FeedForward` this many times as
    wide as the layer.

        plain     x ── cell ── x'              residual, layer norm    x ─┬─ norm ── cell ─ + ── x'
                                                                          └─────────────────┘
    """

    def __init__(
        self,
        make_cell: Callable[[int], Any],
        input_size: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        locked: bool = False,
        weight_dropout: float = 0.0,
        residual: bool = False,
        layer_norm: bool = False,
        final_norm: bool = False,
        feed_forward: int = 0,
        bptt: int | None = None,
    ) -> None:
        super().__init__()
        self.directions = 2 if bidirectional else 1
        self.dropout = Dropout(dropout, locked=locked)
        self.weight_dropout = weight_dropout
        self.residual = residual
        self.bptt = bptt
        self.cells = nn.ModuleList()
        self.norms = nn.ModuleList()
        self.feed_forwards = nn.ModuleList()
        size = input_size
        for _ in range(layers):
            if layer_norm:
                self.norms.append(nn.LayerNorm(size))
            pair = [make_cell(size) for _ in range(self.directions)]
            self.cells.extend(pair)
            size = self.directions * pair[0].hidden_size
            if feed_forward:
                wide = FeedForward(size, feed_forward * size, dropout=dropout, locked=locked)
                self.feed_forwards.append(wide)
        self.norm = nn.LayerNorm(size) if final_norm else None
        self.output_size = size

    def initial(self, batch: int) -> States:
        """The state before the first token of each of B sequences."""
        return [cell.initial(batch) for cell in self.cells]  # type: ignore[operator]

    def forward(
        self, x: Ragged, states: States | None = None, *, final: bool = True
    ) -> tuple[Ragged, States]:
        """All layers over x (N, D); returns the top layer's outputs and every cell's last state.

        Without `final` the states returned are unspecified, which saves work on some paths.
        """
        if states is None:
            states = self.initial(x.batch)
        after: States = []
        for at in range(0, len(self.cells), self.directions):
            seen = x
            if self.norms:
                seen = x.with_values(self.norms[at // self.directions](x.values))
            if at:  # what goes past the layer stays whole
                seen = self.dropout(seen)
            cells = list(self.cells[at : at + self.directions])
            y_NH, last = self._layer(cells, seen, states[at : at + self.directions], final=final)
            after += last
            if self.residual and y_NH.shape == x.values.shape:
                y_NH = x.values + y_NH
            x = x.with_values(y_NH)
            if self.feed_forwards:
                x = self.feed_forwards[at // self.directions](x)
        if self.norm is not None:
            x = x.with_values(self.norm(x.values))
        return x, after

    def _layer(
        self, cells: list[Any], x: Ragged, states: States, *, final: bool
    ) -> tuple[Tensor, States]:
        """One layer in each of its directions: the outputs side by side, and the states after."""
        with ExitStack() as stack:
            for cell in cells:
                fraction = self.weight_dropout if self.training else 0.0
                stack.enter_context(weights_dropped(cell, fraction))
            whole = self.bptt is None or not self.training or int(x.lengths.max()) <= self.bptt
            kind = getattr(cells[0], "kernel", None)
            # Where somebody looks on at `sequence`, each direction runs by its own.
            watched = any("sequence" in vars(cell) for cell in cells)
            if whole and kind and len(cells) == 2 and not watched:
                both = kernels.layer(kind, x, [cell.weights for cell in cells], states)
                if both is not None:
                    return both[0].values, both[1]
            outputs, after = [], []
            for reverse, (cell, state) in enumerate(zip(cells, states, strict=True)):
                if whole:
                    y, last = cell.sequence(x, state, reverse=bool(reverse), final=final)
                else:
                    y, last = truncate(cell, x, state, reverse=bool(reverse), bptt=self.bptt)  # type: ignore[arg-type]
                outputs.append(y.values)
                after.append(last)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), after


def truncate(
    cell: Any, x: Ragged, state: State, *, reverse: bool, bptt: int
) -> tuple[Ragged, State]:
    """Truncated back-propagation through time: the state crosses blocks, its gradient does not.

        a b c | d e f | g        blocks of 3 steps; at each bar the state is detached

    Equals `cell.sequence` forward, and backward too when bptt covers x.
    """
    lengths_B = x.lengths
    outputs, places = [], []
    for begin in range(0, int(lengths_B.max()), bptt):
        block_B = (lengths_B - begin).clamp(min=0, max=bptt)
        rows = block_B.nonzero().squeeze(1)
        starts = x.offsets[1:] - begin - block_B if reverse else x.offsets[:-1] + begin
        bounds = offsets(block_B[rows])
        steps = torch.arange(int(bounds[-1])) - torch.repeat_interleave(bounds[:-1], block_B[rows])
        place_N = torch.repeat_interleave(starts[rows], block_B[rows]) + steps
        at = rows.to(x.values.device)
        part = Ragged(x.values[place_N.to(x.values.device)], bounds)
        before = tuple(tensor.detach() for tensor in state)
        y, after = cell.sequence(part, tuple(tensor[at] for tensor in before), reverse=reverse)
        state = tuple(old.index_copy(0, at, new) for old, new in zip(before, after, strict=True))
        outputs.append(y.values)
        places.append(place_N)
    back_N = torch.argsort(torch.cat(places)).to(x.values.device)
    return x.with_values(torch.cat(outputs)[back_N]), state


def detach(states: States) -> States:
    """The same states without their history: the end of a block of truncated BPTT."""
    return [tuple(part.detach() for part in state) for state in states]


def forget(states: States, fraction: float) -> States:
    """The same with each sequence's states back at the beginning, zero, with this probability."""
    batch = len(states[0][0])
    kept_B = torch.rand(batch) >= fraction
    if kept_B.all():
        return states
    kept_B = kept_B.to(states[0][0].device)
    return [
        tuple(part * kept_B.view(-1, *[1] * (part.dim() - 1)) for part in state) for state in states
    ]


# ------------------------------------------------------------------------- weights of torch.nn

TORCH = {nn.RNN: Elman, nn.LSTM: LSTM, nn.GRU: GRU}
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def torch_names(recurrent: Recurrent) -> list[tuple[Any, str]]:
    """Each cell, and what the names of its weights end in in torch.nn."""
    return [
        (
            cell,
            f"_l{at // recurrent.directions}" + ("_reverse" if at % recurrent.directions else ""),
        )
        for at, cell in enumerate(recurrent.cells)
    ]


def to_torch(recurrent: Recurrent) -> nn.RNNBase:
    """The same network as nn.RNN, nn.LSTM or nn.GRU (batch_first).

    Raises SeqcliError for a cell that torch.nn does not have.
    """
    cell: Any = recurrent.cells[0]
    kinds = [kind for kind, ours in TORCH.items() if type(cell) is ours]
    if not kinds:
        raise SeqcliError(f"torch.nn has no {type(cell).__name__} cell to give the weights to")
    if (
        recurrent.residual
        or recurrent.norms
        or recurrent.norm is not None
        or recurrent.feed_forwards
    ):
        raise SeqcliError(
            "torch.nn has no residual, normalised or feed-forward stack to give the weights to"
        )
    options = {"nonlinearity": cell.nonlinearity} if type(cell) is Elman else {}
    module = kinds[0](
        cell.input_size,
        cell.hidden_size,
        num_layers=len(recurrent.cells) // recurrent.directions,
        bidirectional=recurrent.directions == 2,
        dropout=recurrent.dropout.fraction if len(recurrent.cells) > recurrent.directions else 0.0,
        batch_first=True,
        **options,
    )
    tensors: dict[str, Tensor] = {
        name + suffix: getattr(cell, name).detach()
        for cell, suffix in torch_names(recurrent)
        for name in NAMES
    }
    module.load_state_dict(tensors)
    return module
