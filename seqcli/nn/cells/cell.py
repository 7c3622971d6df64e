"""What a recurrent cell is, and the slow way to run any of them over time.

Dimensions: N tokens of a batch, B sequences, I input features, H units.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch
from torch import Tensor

from seqcli.nn.ragged import Ragged

State = tuple[Tensor, ...]
"""What a cell carries from step to step: tensors (B, H), the visible state h first."""


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


def unroll(cell: Cell, x: Ragged, state: State, *, reverse: bool = False) -> tuple[Ragged, State]:
    """Run `cell.step` over ragged sequences without padding.

    The sequences are ordered by falling length, so that those still running at a step are the
    first rows:

        t    0 1 2 3
        b0   a b c d      step 0 takes a e g, step 1 takes b f h, step 2 takes c i, step 3 takes d
        b2   g h i
        b1   e f
    """
    lengths_B = x.lengths
    order_B = torch.argsort(lengths_B, descending=True, stable=True)
    sorted_B = lengths_B[order_B]
    first_B = (x.offsets[1:] - 1 if reverse else x.offsets[:-1])[order_B]
    device = x.values.device
    running = tuple(part[order_B.to(device)] for part in state)
    ended: list[State] = []
    outputs, places = [], []
    active = len(order_B)
    for t in range(int(sorted_B[0]) if active else 0):
        still = int((sorted_B[:active] > t).sum())
        if still < active:
            ended.append(tuple(part[still:] for part in running))
            running = tuple(part[:still] for part in running)
            active = still
        place = first_B[:active] + (-t if reverse else t)
        y, running = cell.step(x.values[place.to(device)], running)
        outputs.append(y)
        places.append(place)
    ended.append(running)
    back_B = torch.argsort(order_B).to(device)
    final = tuple(
        torch.cat([part[i] for part in reversed(ended)])[back_B] for i in range(len(state))
    )
    if not outputs:
        return x.with_values(x.values.new_zeros(0, cell.hidden_size)), final
    back_N = torch.argsort(torch.cat(places)).to(device)
    return x.with_values(torch.cat(outputs)[back_N]), final
