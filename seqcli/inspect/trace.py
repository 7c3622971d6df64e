"""Every state of every recurrent layer while a model reads.

The model runs as it always does; each cell's `sequence` is watched, so the states h are those the
model computes, whatever surrounds the layers. What the fast path does not return (an LSTM's memory
c, the gates) is computed anew from h with the cell's own equations, for all tokens at once, and
checked against the reference step.

Dimensions: N tokens of a batch, B sequences, I input features, H units of a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.errors import SeqcliError, UsageError
from seqcli.nn.cells import GRU, LSTM, SRU, MinGRU, MinLSTM
from seqcli.nn.cells.cell import State, has_hidden_states, unroll
from seqcli.nn.ragged import Ragged
from seqcli.nn.translator import Translator

TOLERANCE = 1e-4
"""Largest difference between a state and its reference step, relative to 1 + |state|."""


class Layer(NamedTuple):
    """One cell of a model: a layer in one direction.

    part: "" where a model has one recurrent network, else encoder or decoder. number: from 1.
    """

    part: str
    number: int
    reverse: bool
    cell: Any

    @property
    def key(self) -> str:
        """encoder.1.reverse or 2.forward."""
        direction = "reverse" if self.reverse else "forward"
        return ".".join(filter(None, (self.part, str(self.number), direction)))


class Site(NamedTuple):
    """One state of one layer: what every view is about."""

    layer: Layer
    state: str

    @property
    def key(self) -> str:
        """The layer's key and the state's letter."""
        return f"{self.layer.key}.{self.state}"

    @property
    def title(self) -> str:
        """For reading: "encoder layer 1, reverse, h"."""
        words = [f"{self.layer.part} layer {self.layer.number}".strip()]
        words += ["reverse"] if self.layer.reverse else []
        return ", ".join([*words, self.state])


class Call(NamedTuple):
    """What a cell was asked and what it gave: the arguments and the output of `sequence`."""

    x: Ragged
    state: State
    y: Ragged
    reverse: bool


class Steps(NamedTuple):
    """All states of one layer over a batch, in the order of its tokens.

    states and before: by letter, (N, H): after each token, and before it in the order of reading.
    gates: by letter, (N, H); empty for a cell without gates. kept: (N, H) the share of the old
    state that is kept, or None where the cell has no such gate.
    """

    states: dict[str, Tensor]
    before: dict[str, Tensor]
    gates: dict[str, Tensor]
    kept: Tensor | None


def list_layers(model: nn.Module) -> list[Layer]:
    """The cells of a model, from the input upward. Raises SeqcliError for what cannot be traced."""
    networks: list[tuple[str, Any, int]]
    if isinstance(model, Translator):
        networks = [("encoder", model.encoder, 0), ("decoder", model.lower, 0)]
        networks.append(("decoder", model.upper, len(model.lower.cells)))
    elif hasattr(model, "recurrent"):
        networks = [("", model.recurrent, 0)]
    else:
        raise SeqcliError(f"{type(model).__name__} has no recurrent layers to look into")
    layers = []
    for part, network, below in networks:
        for at, cell in enumerate(network.cells):
            number, direction = divmod(at, network.directions)
            layers.append(Layer(part, below + number + 1, bool(direction), cell))
    for layer in layers:
        if not all(callable(getattr(layer.cell, name, None)) for name in ("step", "sequence")):
            raise SeqcliError(
                f"a {type(layer.cell).__name__} cell cannot be traced: it has no reference step"
            )
        if not has_hidden_states(layer.cell):
            raise SeqcliError(
                f"a {type(layer.cell).__name__} has no hidden state to look into; inspect and "
                f"compare are for recurrent cells, and `evaluate` compares any two models"
            )
    return layers


def list_sites(layers: Iterable[Layer]) -> list[Site]:
    """Every state of the layers: h, and c where the cell has a second one."""
    return [
        Site(layer, letter) for layer in layers for letter in "hc"[: len(layer.cell.initial(1))]
    ]


def choose_sites(
    sites: Sequence[Site], *, layer: str | None, direction: str | None, state: str | None
) -> list[Site]:
    """The sites that the options name: layer "2" or "encoder.1", direction, state h or c.

    Raises UsageError where there is no such layer, direction or state.
    """
    found = list(sites)
    for option, value, read in (
        ("layer", layer, lambda site: (str(site.layer.number), _full_number(site.layer))),
        ("direction", direction, lambda site: ("reverse" if site.layer.reverse else "forward",)),
        ("state", state, lambda site: (site.state,)),
    ):
        if value is None:
            continue
        kept = [site for site in found if value in read(site)]
        if not kept:
            there = ", ".join(dict.fromkeys(read(site)[-1] for site in found))
            raise UsageError(f"--{option} {value}: this model has only {there}")
        found = kept
    return found


def _full_number(layer: Layer) -> str:
    return f"{layer.part}.{layer.number}" if layer.part else str(layer.number)


# ------------------------------------------------------------------------------------- watching


@contextmanager
def replaced(cell: Any, sequence: Callable[..., tuple[Ragged, State]]) -> Iterator[None]:
    """The cell with another `sequence` for a while; may be nested."""
    outer = vars(cell).get("sequence")
    cell.sequence = sequence
    try:
        yield
    finally:
        del cell.sequence  # the method of its class shows again
        if outer is not None:
            cell.sequence = outer


@contextmanager
def watched(layers: Sequence[Layer]) -> Iterator[dict[str, Call]]:
    """The calls of the layers' cells, by key, while the model runs; the last call of each."""
    calls: dict[str, Call] = {}

    def watch(layer: Layer) -> Callable[..., tuple[Ragged, State]]:
        run = layer.cell.sequence

        def sequence(
            x: Ragged, state: State, *, reverse: bool = False, final: bool = True
        ) -> tuple[Ragged, State]:
            y, after = run(x, state, reverse=reverse, final=final)
            calls[layer.key] = Call(x, state, y, reverse)
            return y, after

        return sequence

    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(replaced(layer.cell, watch(layer)))
        yield calls


# ---------------------------------------------------------------------------- from h to the rest


def shift(y: Ragged, first_BH: Tensor, *, reverse: bool) -> Tensor:
    """(N, H) the state before each token: that of its neighbour, `first_BH` at a sequence's start.

    forward   s0 h_a h_b        reverse   h_b h_c s0
    """
    before_NH = torch.roll(y.values, -1 if reverse else 1, 0)
    full_B = (y.lengths > 0).to(first_BH.device)
    ends_B = (y.last() if reverse else y.first())[full_B]
    before_NH[ends_B] = first_BH[full_B].to(before_NH.dtype)
    return before_NH


def complete(cell: Any, call: Call, *, check: bool) -> Steps:
    """All states and gates of a call. With `check`, every state is compared with the cell's
    reference step from the state before; raises SeqcliError where they differ."""
    h_NH = call.y.values
    before = {"h": shift(call.y, call.state[0], reverse=call.reverse)}
    states = {"h": h_NH}
    remembers = len(call.state) > 1
    if remembers and not isinstance(cell, LSTM):
        states["c"] = _by_steps(cell, call)
        before["c"] = _shift_memory(call, states["c"])
    gates, kept = cell_gates(cell, call.x.values, before)
    if remembers and isinstance(cell, LSTM):
        states["c"] = _memory(call, gates)
        before["c"] = _shift_memory(call, states["c"])
    if check:
        _compare(cell, call.x.values, states, before)
    return Steps(states, before, gates, kept)


def _shift_memory(call: Call, c_NH: Tensor) -> Tensor:
    return shift(call.y.with_values(c_NH), call.state[1], reverse=call.reverse)


def cell_gates(
    cell: Any, x_NI: Tensor, before: dict[str, Tensor]
) -> tuple[dict[str, Tensor], Tensor | None]:
    """The gates of a known cell for inputs and states before, and the share of the state kept."""
    if isinstance(cell, LSTM):
        gates = dict(zip("ifgo", cell.gates(x_NI, before["h"]), strict=True))
        return gates, gates["f"]
    if isinstance(cell, GRU):
        gates = dict(zip("rzn", cell.gates(x_NI, before["h"]), strict=True))
        return gates, gates["z"]
    if isinstance(cell, SRU):
        gates = dict(zip("fr", cell.gates(x_NI, before["c"]), strict=True))
        return gates, gates["f"]
    if isinstance(cell, MinGRU):
        z = torch.sigmoid(F.linear(x_NI, cell.weight, cell.bias).chunk(2, dim=1)[0])
        return {"z": z}, 1 - z
    if isinstance(cell, MinLSTM):
        f, i = torch.sigmoid(F.linear(x_NI, cell.weight, cell.bias)).chunk(3, dim=1)[:2]
        return {"i": i, "f": f}, f / (f + i)
    return {}, None


SQUASHED = {"g", "n"}
"""Letters of candidates, in (-1, 1), that are shown with the gates but open and close nothing."""

SENSES: dict[type, dict[str, str]] = {
    LSTM: {
        "i": "1 writes the candidate",
        "f": "1 keeps the old memory",
        "o": "1 shows the memory",
    },
    GRU: {"r": "1 lets the old state in", "z": "1 keeps the old state"},
    SRU: {"f": "1 keeps the old memory", "r": "1 shows the memory, 0 the input"},
    MinGRU: {"z": "1 writes the candidate"},
    MinLSTM: {"i": "writes i / (f + i)", "f": "keeps f / (f + i)"},
}


def say_gates(cell: Any) -> dict[str, str]:
    """What each gate of a cell does when it is open, by letter. The same letter may do the opposite
    in another cell."""
    return next((senses for kind, senses in SENSES.items() if isinstance(cell, kind)), {})


class _Memory(NamedTuple):
    """c' = f ⊙ c + i ⊙ g as a cell whose input is f and i ⊙ g side by side."""

    hidden_size: int

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        f, new = x_BI.chunk(2, dim=1)
        c_BH = f * state[0] + new
        return c_BH, (c_BH,)


def _memory(call: Call, gates: dict[str, Tensor]) -> Tensor:
    """(N, H) an LSTM's c from its gates, in order of time."""
    x = call.x.with_values(torch.cat([gates["f"], gates["i"] * gates["g"]], dim=1))
    cell: Any = _Memory(call.state[1].shape[1])
    return unroll(cell, x, (call.state[1],), reverse=call.reverse)[0].values


class _Recorder(NamedTuple):
    """A cell whose output is its whole state."""

    cell: Any

    @property
    def hidden_size(self) -> int:
        return self.cell.hidden_size

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        _, after = self.cell.step(x_BI, state)
        return torch.cat(after[:2], dim=1), after


def _by_steps(cell: Any, call: Call) -> Tensor:
    """(N, H) the second state of any cell with two, step by step."""
    recorder: Any = _Recorder(cell)
    both = unroll(recorder, call.x, call.state, reverse=call.reverse)[0].values
    return both.split([part.shape[1] for part in call.state[:2]], dim=1)[1]


def _compare(cell: Any, x_NI: Tensor, states: dict[str, Tensor], before: dict[str, Tensor]) -> None:
    y_NH, after = cell.step(x_NI, tuple(before.values()))
    pairs = zip((y_NH, *after), (states["h"], *states.values()), strict=False)
    for made, true in pairs:
        worst = float(((made - true).abs() / (1 + true.abs())).max())
        if not worst <= TOLERANCE:
            raise SeqcliError(
                f"the reference step of {type(cell).__name__} does not give the states that the "
                f"model computes (largest difference {worst:.2g}); this cell cannot be traced"
            )
