"""What a recurrent cell is, and the slow way to run any of them over time.

Dimensions: N tokens of a batch, B sequences, I input features, H units.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch
from torch import Tensor

from seqcli.nn.ragged import Ragged, TimeOrder

State = tuple[Tensor, ...]
"""What a cell carries from step to step: tensors (B, H), the visible state h first; of layers that
are no recurrent cells, tensors (B, ...)."""


class Stepper(Protocol):
    """Anything that can be run over time; see `Cell`."""

    @property
    def hidden_size(self) -> int: ...

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]: ...


class Cell(Protocol):
    """One layer in one direction.

    `step` is the reference: its code has the letters and the order of the equations in the
    docstring. `sequence` is the fast path and always equals the steps.
    """

    equations: ClassVar[str]
    settings: ClassVar[tuple[str, ...]]
    """Names of the settings its constructor takes besides the sizes."""
    recurrent_weights: ClassVar[tuple[str, ...]]
    """Names of the weights between states, which weight dropout acts on."""
    input_size: int
    hidden_size: int

    def initial(self, batch: int) -> State:
        """The state before the first token: zeros (B, H)."""
        ...

    def step(self, x_BI: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: (B, I) and the state to the output (B, H) and the next state."""
        ...

    def sequence(
        self, x: Ragged, state: State, *, reverse: bool = False, final: bool = True
    ) -> tuple[Ragged, State]:
        """All steps of all sequences, each from its own first token to its last.

        With `reverse` from its last to its first. The state returned is the one after a
        sequence's last step; without `final` it may be anything (some paths save work).
        """
        ...


def has_hidden_states(cell: Cell) -> bool:
    """Whether all that a cell carries is states (B, H), which others can begin or look into. A
    convolution and a transformer carry inputs and keys instead."""
    return all(part.shape[1:] == (cell.hidden_size,) for part in cell.initial(1))


def unroll(
    cell: Stepper, x: Ragged, state: State, *, reverse: bool = False
) -> tuple[Ragged, State]:
    """Run `cell.step` over ragged sequences without padding, all sequences of a step together."""
    time = TimeOrder.of(x, reverse=reverse)
    running = tuple(part[time.order_B] for part in state)
    ended: list[State] = []
    outputs = []
    x_ND = x.values.float() if x.values.dtype == torch.bfloat16 else x.values
    # A step has few rows: on a CPU its products take longer with bfloat16 operands.
    with torch.autocast("cpu", enabled=False):
        for x_BI in time.arrange(x_ND).split(time.counts):
            active = len(x_BI)
            if active < len(running[0]):
                ended.append(tuple(part[active:] for part in running))
                running = tuple(part[:active] for part in running)
            y_BH, running = cell.step(x_BI, running)
            outputs.append(y_BH)
    ended.append(running)
    back_B = torch.argsort(time.order_B)
    final = tuple(
        torch.cat([part[i] for part in reversed(ended)])[back_B] for i in range(len(state))
    )
    if not outputs:
        return x.with_values(x.values.new_zeros(0, cell.hidden_size)), final
    return x.with_values(time.restore(torch.cat(outputs))), final
