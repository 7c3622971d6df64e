"""The native kernels as torch operators, with gradients.

`layer` runs one or both directions of a recurrent layer over a ragged batch. The gradients of
weights are torch's products over all tokens; the kernels do the rest (walk.py).

The operators are registered by hand rather than with `torch.library.custom_op`, which costs
four times as much a call: small batches come thousands of times a second.

Dimensions: N tokens, B sequences, B1 = B + 1, I inputs, H hidden units, G gates, K = G · H.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library, walk
from seqcli.nn.native.packing import fill_up
from seqcli.nn.native.walk import GATES, KEPT, SCANS, Direction


def sequence(
    kind: str,
    x_ND: Tensor,
    offsets_B1: Tensor,
    weights: tuple[Tensor, ...],
    state: tuple[Tensor, ...],
    *,
    reverse: bool,
    precision: str,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One direction of a layer, see `layer`. reverse: run each sequence from its last token."""
    y_NH, (last,) = layer(
        kind, x_ND, offsets_B1, [weights], [state], reverse=reverse, precision=precision
    )
    return y_NH, last


def layer(
    kind: str,
    x_ND: Tensor,
    offsets_B1: Tensor,
    weights: Sequence[tuple[Tensor, ...]],
    states: Sequence[tuple[Tensor, ...]],
    *,
    reverse: bool = False,
    precision: str,
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """One recurrent layer over a ragged batch, on the CPU: one direction, or with two sets of
    weights and states both, forward first.

    kind: one of `native.KINDS`. x_ND: (N, I) tokens end to end. offsets_B1: (B + 1,) int64 starts
    of the sequences, rising from 0 to N; a sequence may be empty. weights, float32: (w_ih (K, I),
    w_hh (K, H), b_ih (K,), b_hh (K,)) as torch.nn names and orders them (i f g o; r z n), or for
    mingru (z, candidate) and minlstm (f, i, candidate) (w (K, I), b (K,)). states, float32:
    (h (B, H),), and c (B, H) for lstm. reverse: run a single direction from each last token.
    precision: fp32, or bf16 for bf16 operands with fp32 sums where the processor has them (fp32
    elsewhere).

    Returns y (N, H), or (N, 2H) for both directions, float32, and the states after the last steps
    (in reverse: at the first token). Weights that need no gradient are packed once and remembered
    until they change. Raises ValueError for an empty batch and for shapes or offsets that do not
    fit.
    """
    if len(offsets_B1) < 2:
        raise ValueError("the batch is empty: at least one sequence is needed")
    _check(kind, x_ND, offsets_B1, weights, states)
    x_ND = x_ND if x_ND.dtype == torch.float32 else x_ND.float()
    bf16 = precision == "bf16" and library.load().bf16
    all_weights, all_states = sum(weights, ()), sum(states, ())
    tensors = (x_ND, *all_weights, *all_states)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    y, *rest = torch.ops.seqcli.recurrent.default(
        kind, reverse, bf16, keep, x_ND, offsets_B1, all_weights, all_states
    )
    size = len(states[0])
    return y, [tuple(rest[at * size : (at + 1) * size]) for at in range(len(states))]


def _check(
    kind: str,
    x: Tensor,
    offsets: Tensor,
    weights: Sequence[tuple[Tensor, ...]],
    states: Sequence[tuple[Tensor, ...]],
) -> None:
    """Raise ValueError for shapes and types with which a kernel would leave its memory."""
    batch, hidden = len(offsets) - 1, weights[0][-1].shape[0] // GATES[kind]
    width = GATES[kind] * hidden
    shapes = [(width, x.shape[1]), (width, hidden), (width,), (width,)]
    if kind in SCANS:
        shapes = [shapes[0], shapes[2]]
    count = 2 if kind == "lstm" else 1
    for own in weights:
        if [tuple(tensor.shape) for tensor in own] != shapes:
            raise ValueError(f"the weights of {kind} must have the shapes {shapes}")
    for state in states:
        if [tuple(tensor.shape) for tensor in state] != [(batch, hidden)] * count:
            raise ValueError(f"the state of {kind} must be {count} of shape {(batch, hidden)}")
    if offsets.dtype != torch.int64:
        raise ValueError("offsets must be int64")


def sum_outer(d_NK: Tensor, x_ND: Tensor, *, first: int = 0) -> Tensor:
    """(K, D) the sum over tokens of d ⊗ x, a weight's gradient: float32 from operands as they are,
    autocast or not. Either may have been filled up to `fill_up` rows by zeros. first: the column of
    d that comes first, those before it last.

    For each new shape of bf16 operands torch compiles a kernel, which takes as long as the product
    and stays in memory, and batches of texts have any number of tokens.
    """
    rows = fill_up(max(len(d_NK), len(x_ND)), d_NK.dtype)
    d_NK, x_ND = (
        F.pad(part, (0, 0, 0, rows - len(part))) if len(part) < rows else part
        for part in (d_NK, x_ND)
    )
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            found_KD = torch.mm(d_NK.t(), x_ND)
    else:
        found_KD = torch.mm(d_NK.t(), x_ND)
    return turn(found_KD, first) if first else found_KD.float()


def turn(x: Tensor, first: int) -> Tensor:
    """x in float32, its rows from `first` on before the others."""
    found = torch.empty(x.shape)
    found[: len(x) - first], found[len(x) - first :] = x[first:], x[:first]
    return found


class _Recurrent(torch.autograd.Function):
    """Gradients: the backward kernel for what depends on time, products over all tokens for the
    rest."""

    @staticmethod
    def forward(
        ctx: Any, kind: str, reverse: bool, bf16: bool, count: int, x: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        """rest: offsets, `count` weights, and the states."""
        offsets, weights, states = rest[0], rest[1 : count + 1], rest[count + 1 :]
        with torch._C._AutoDispatchBelowAutograd():
            outputs = torch.ops.seqcli.recurrent.default(
                kind, reverse, bf16, True, x, offsets, weights, states
            )
        kept = outputs[1 + len(states) :]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*kept)
        x_operand = kept.pop() if bf16 else x
        ctx.save_for_backward(x_operand, outputs[0], *rest, *kept)
        ctx.options = kind, reverse, bf16, count, len(states)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, *gradients: Tensor | None) -> tuple[Any, ...]:
        kind, reverse, bf16, count, states_count = ctx.options
        x, y, offsets, *rest = ctx.saved_tensors
        weights, states = rest[:count], rest[count : count + states_count]
        kept = rest[count + states_count :]
        _, _, _, _, needs_x, _, *needs = ctx.needs_input_grad
        needs_weights, needs_states = needs[:count], needs[count:]
        with torch._C._AutoDispatchBelowAutograd():
            found = torch.ops.seqcli.recurrent_backward.default(
                *(kind, reverse, bf16, any(needs_states), needs_x),
                *(offsets, weights, states, y, kept, dy, gradients[:states_count]),
            )
        dfirst, found = found[:states_count], found[states_count:]
        dweights: list[Tensor | None] = []
        directions = walk.list_directions(kind, reverse, weights, states)
        each = count // len(directions)
        for at, own in enumerate(directions):
            wanted = needs_weights[at * each : (at + 1) * each]
            before = kept[at * len(KEPT[kind])]
            dweights += _weight_gradients(kind, own, x, before, *found[2 * at : 2 * at + 2], wanted)  # type: ignore[call-arg]
        return (
            *(None, None, None, None, found[-1] if needs_x else None, None),
            *dweights,
            *(d if need else None for d, need in zip(dfirst, needs_states, strict=True)),
        )


def _weight_gradients(
    kind: str,
    own: Direction,
    x: Tensor,
    before: Tensor,
    dgates: Tensor,
    dbias: Tensor,
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of a direction's weights, in their order, those that are wanted.

    before: (N, H) the state that each token starts from, as an operand; it, x and dgates may have
    been filled up.
    """
    (width, _), hidden = own.w_ih.shape, own.h.shape[1]
    skip = dgates.shape[1] - width
    first = hidden if kind == "gru" else 0  # its recurrent gradients stand in the order n r z
    found: list[Tensor | None] = [None] * len(wanted)
    if wanted[0]:
        found[0] = sum_outer(dgates[:, skip:], x)
    # Copies: two parameters must not share the memory of their gradients.
    if own.w_hh is None:
        found[1] = dbias.clone() if wanted[1] else None
        return found
    for at, needed in enumerate(wanted[1:], 1):
        if not needed:
            continue
        if at == 1:
            found[at] = sum_outer(dgates[:, :width], before, first=first)
        elif at == 2:
            found[at] = dbias[skip:].clone()
        else:
            found[at] = turn(dbias[:width], first)
    return found


def _differentiable(
    kind: str,
    reverse: bool,
    bf16: bool,
    keep: bool,
    x: Tensor,
    offsets: Tensor,
    weights: list[Tensor],
    states: list[Tensor],
) -> tuple[Tensor, ...]:
    if keep:
        return _Recurrent.apply(kind, reverse, bf16, len(weights), x, offsets, *weights, *states)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.seqcli.recurrent.default(
            kind, reverse, bf16, keep, x, offsets, weights, states
        )


OPERATORS = torch.library.Library("seqcli", "DEF")
OPERATORS.define(
    "recurrent(str kind, bool reverse, bool bf16, bool keep, Tensor x, Tensor offsets, "
    "Tensor[] weights, Tensor[] states) -> Tensor[]"
)
OPERATORS.define(
    "recurrent_backward(str kind, bool reverse, bool bf16, bool wants_first, bool wants_x, "
    "Tensor offsets, Tensor[] weights, Tensor[] states, Tensor y, Tensor[] kept, Tensor? dy, "
    "Tensor?[] dlast) -> Tensor[]"
)
OPERATORS.impl("recurrent", walk.forward, "CPU")
OPERATORS.impl("recurrent", _differentiable, "AutogradCPU")
OPERATORS.impl("recurrent_backward", walk.backward, "CPU")
torch.library.register_fake("seqcli::recurrent", walk.forward_shapes, lib=OPERATORS)
torch.library.register_fake("seqcli::recurrent_backward", walk.backward_shapes, lib=OPERATORS)
