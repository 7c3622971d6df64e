"""What a recurrent cell is, and the slow way to run any of them over time.

Dimensions: N tokens of a batch, B sequences, I input features, H units.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from seqcli.nn.ragged import Ragged, pad_index

State = tuple[Tensor, ...]
"""What a cell carries from step to step: tensors (B, H), the visible state h first; of layers that
are no recurrent cells, tensors (B, ...)."""


class Steps(Protocol):
    """What can be run over time: see `Cell`."""

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


class TimeOrder(NamedTuple):
    """The tokens of a ragged batch step by step, without padding.

    The sequences are ordered by falling length, so that those still running at a step are the
    first rows:

        t    0 1 2 3
        b0   a b c d      step 0 takes a e g, step 1 takes b f h, step 2 takes c i, step 3 takes d
        b2   g h i
        b1   e f

    place_N: where each token of that order stands in the batch. counts: the sequences of each step.
    order_B: the sequences by falling length.
    """

    place_N: Tensor
    counts: list[int]
    order_B: Tensor

    def arrange(self, values_ND: Tensor) -> Tensor:
        """Values by token of the batch in the order of steps."""
        return values_ND[self.place_N]

    def restore(self, values_ND: Tensor) -> Tensor:
        """Values in the order of steps by token of the batch."""
        return values_ND[torch.argsort(self.place_N)]


def order_by_time(x: Ragged, *, reverse: bool) -> TimeOrder:
    """The order of x's tokens by step, on the device of its values."""
    order_B = torch.argsort(x.lengths, descending=True, stable=True)
    index_BT, mask_BT = pad_index(x.offsets, reverse=reverse)
    index_TB, mask_TB = index_BT[order_B].t(), mask_BT[order_B].t()
    device = x.values.device
    counts: list[int] = mask_TB.sum(1).tolist()
    return TimeOrder(index_TB[mask_TB].to(device), counts, order_B.to(device))


def unroll(cell: Steps, x: Ragged, state: State, *, reverse: bool = False) -> tuple[Ragged, State]:
    """Run `cell.step` over ragged sequences without padding, all sequences of a step together."""
    time = order_by_time(x, reverse=reverse)
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
