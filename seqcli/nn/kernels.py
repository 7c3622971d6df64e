"""What training and prediction spend their time on, by the fastest path there is.

On a CPU with the native library: recurrent layers without padding, gates fused with the recurrent
product; the loss of a vocabulary without its scores. Elsewhere: torch, recurrent layers on a padded
batch, never packed. Both give the same results to rounding. Under
`torch.autocast` with bfloat16 the matrix products take bfloat16 operands.

Dimensions: N tokens of a batch, B sequences, T steps of the longest, I input, H units, G gates.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._VF import gru, lstm, rnn_relu, rnn_tanh  # type: ignore[import-untyped]

from seqcli.nn import native
from seqcli.nn.native import cross, drop, ops
from seqcli.nn.native.jordan import jordan as native_jordan
from seqcli.nn.native.linear import linear as native_linear
from seqcli.nn.native.lookup import Entries, Reader, look_up
from seqcli.nn.native.mogrifier import mogrifier as native_mogrifier
from seqcli.nn.native.pool import pool as native_pool
from seqcli.nn.native.sru import sru as native_sru
from seqcli.nn.ragged import Padding, Ragged

State = tuple[Tensor, ...]
LIBRARY: dict[str, Callable[..., Any]] = {
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
    "gru": gru,
    "lstm": lstm,
}
LARGEST = 1 << 24
"""Scores that an evaluation holds at a time."""
LITTLE = 500_000
"""Multiply-adds of a layer below which its training is done soonest by torch, in fp32."""


def runs_natively(x: Tensor) -> bool:
    """Whether the native kernels take this tensor."""
    able = x.device.type == "cpu" and x.dtype != torch.float64
    return able and native.status().available


def precision() -> str:
    """The operands of matrix products on the CPU in this context."""
    return "bf16" if torch.is_autocast_enabled("cpu") else "fp32"


def sequence(
    kind: str,
    x: Ragged,
    weights: tuple[Tensor, ...],
    state: State,
    *,
    reverse: bool = False,
    final: bool = True,
) -> tuple[Ragged, State]:
    """All steps of a layer: x of (N, I) to y of (N, H), and the state after each last step.

    kind: rnn_tanh, rnn_relu, lstm, gru, mingru or minlstm. weights as torch.nn names and shapes
    them. With `reverse` each sequence runs from its last token to its first. Without `final` the
    returned state is unspecified.
    """
    if runs_natively(x.values):
        y_NH, last = ops.sequence(
            kind, x.values, x.offsets, weights, state, reverse=reverse, precision=precision()
        )
        return x.with_values(y_NH), last
    if not len(x.values):  # torch refuses no steps at all
        return x.with_values(x.values.new_zeros(0, state[0].shape[1])), state
    if kind in LIBRARY:
        return _padded(kind, x, weights, state, reverse=reverse, final=final)
    return _scan(kind, x, weights, state, reverse=reverse)


def jordan(
    x: Ragged, weights: tuple[Tensor, ...], y_BH: Tensor, *, relu: bool, reverse: bool
) -> tuple[Ragged, Tensor] | None:
    """One direction of Jordan's network by the native kernel: the outputs (N, H) and the last of
    them (B, H); None where that does not run. weights: see `native.jordan`."""
    if not runs_natively(x.values):
        return None
    y_NH, y_BH = native_jordan(
        *(x.values, x.offsets, weights, y_BH.float()),
        relu=relu,
        reverse=reverse,
        precision=precision(),
    )
    return x.with_values(y_NH), y_BH


def mogrifier(
    x: Ragged, weights: Sequence[Tensor], state: State, *, reverse: bool
) -> tuple[Ragged, State] | None:
    """One direction of a Mogrifier LSTM by the native kernel; None where that does not run.
    weights: see `native.mogrifier`."""
    if not runs_natively(x.values):
        return None
    h, c = (part.float() for part in state)
    y_NH, last = native_mogrifier(
        x.values, x.offsets, weights, (h, c), reverse=reverse, precision=precision()
    )
    return x.with_values(y_NH), last


def sru(
    x: Ragged,
    weights: tuple[Tensor, Tensor, Tensor],
    c_BH: Tensor,
    *,
    scale: float,
    reverse: bool = False,
) -> tuple[Ragged, Tensor] | None:
    """The outputs (N, H) of a simple recurrent unit and its memory (B, H) after each last step, by
    the native kernel; None where that does not run. weights and scale: see `native.sru`."""
    if not runs_natively(x.values):
        return None
    y_NH, c_BH = native_sru(
        x.values, x.offsets, weights, c_BH, scale=scale, reverse=reverse, precision=precision()
    )
    return x.with_values(y_NH), c_BH


def layer(
    kind: str, x: Ragged, weights: Sequence[tuple[Tensor, ...]], states: Sequence[State]
) -> tuple[Ragged, list[State]] | None:
    """Both directions of a layer by one call of the native kernel, see `sequence`: y (N, 2H) and
    the states after the last steps. None where that does not run."""
    if not runs_natively(x.values):
        return None
    y_NH, after = ops.layer(kind, x.values, x.offsets, weights, states, precision=precision())
    return x.with_values(y_NH), after


def linear(x_ND: Tensor, weight_KD: Tensor, bias_K: Tensor | None = None) -> Tensor:
    """x · weight^T + bias, (N, K).

    The native kernel packs frozen weights once, which makes single rows several times faster, and
    gives a row the same bits in any batch. It does not compute in float64: there, torch does.
    """
    if not runs_natively(x_ND):
        return F.linear(x_ND, weight_KD, bias_K)
    trained = torch.is_grad_enabled() and weight_KD.requires_grad
    if trained and len(x_ND) * weight_KD.numel() < LITTLE:
        with torch.autocast("cpu", enabled=False):
            return F.linear(x_ND.float(), weight_KD, bias_K)
    return native_linear(x_ND, weight_KD, bias_K, precision=precision())


def step_linear(x_BI: Tensor, weight_KI: Tensor, bias_K: Tensor | None = None) -> Tensor:
    """x · weight^T + bias, (B, K), of one step among many with the same weight: natively where that
    is packed but once, since it is frozen."""
    if weight_KI.requires_grad:
        return F.linear(x_BI, weight_KI, bias_K)
    return linear(x_BI, weight_KI, bias_K)


def sigmoid(x: Tensor) -> Tensor:
    """σ(x). torch's own rounds the last few numbers of a tensor otherwise than the rest, so that a
    result would depend on its place in a batch; its tanh does not."""
    return (1 + torch.tanh(x / 2)) / 2


def cross_entropy(
    x_ND: Tensor,
    weight_KD: Tensor,
    bias_K: Tensor | None,
    gold_N: Tensor,
    *,
    smoothing: float = 0.0,
    count: int | None = None,
) -> Tensor:
    """The summed −log softmax(x · weight^T + bias) at the gold numbers (N,), divided by `count`
    (default N: their mean). smoothing: the share of the target spread evenly over all K.

    The native kernel keeps no scores, and has their gradients when the forward pass ends.
    """
    if runs_natively(x_ND):
        return cross.cross_entropy(
            *(x_ND, weight_KD, bias_K, gold_N),
            smoothing=smoothing,
            count=count,
            precision=precision(),
        )
    scores_NK = F.linear(x_ND, weight_KD, bias_K).float()
    total = F.cross_entropy(scores_NK, gold_N, label_smoothing=smoothing, reduction="sum")
    return total / (len(gold_N) if count is None else count)


def nats(x_ND: Tensor, weight_KD: Tensor, bias_K: Tensor | None, gold_N: Tensor) -> Tensor:
    """(N,) −log softmax(x · weight^T + bias) at each gold number, in memory that does not grow with
    N · K unless gradients are wanted."""
    if torch.is_grad_enabled() and (x_ND.requires_grad or weight_KD.requires_grad):
        scores_NK = linear(x_ND, weight_KD, bias_K).float()
        return F.cross_entropy(scores_NK, gold_N, reduction="none")
    if runs_natively(x_ND):
        return cross.nats(x_ND, weight_KD, bias_K, gold_N, precision=precision())
    rows = max(1, LARGEST // len(weight_KD))
    parts = zip(x_ND.split(rows), gold_N.split(rows), strict=True)
    return torch.cat(
        [
            F.cross_entropy(F.linear(x, weight_KD, bias_K).float(), gold, reduction="none")
            for x, gold in parts
        ]
    )


def embed(weight_VE: Tensor, tokens: Tensor, reader: Reader | None = None) -> Tensor:
    """The vectors of tokens of any shape. reader: takes the gradients instead of the weight."""
    wanted = torch.is_grad_enabled() and weight_VE.requires_grad and runs_natively(weight_VE)
    if reader is None and not wanted:
        return F.embedding(tokens, weight_VE)
    found = look_up(weight_VE, Entries(tokens.reshape(-1).long().contiguous()), reader)
    return found.view(*tokens.shape, -1)


def sums(table_VE: Tensor, entries: Entries, reader: Reader | None = None) -> Tensor:
    """(B, E) sums of weighted rows of a table. reader: takes the gradients instead of the table."""
    if runs_natively(table_VE):
        return look_up(table_VE, entries, reader)
    places, weights, bounds = entries
    if bounds is None:
        bounds = torch.arange(len(places) + 1, device=places.device)
    return F.embedding_bag(
        places,
        table_VE,
        bounds.to(places.device),
        per_sample_weights=weights,
        mode="sum",
        include_last_offset=True,
    )


def dropout(x: Tensor, fraction: float) -> Tensor:
    """x in training with a fraction of its elements at zero and the others scaled up."""
    if runs_natively(x):
        return drop.dropout(x, fraction)
    return F.dropout(x, fraction)


def pool(x: Ragged, kind: str) -> Tensor:
    """(B, H) the mean or the largest (kind: mean, max) of each unit over the tokens of a sequence,
    none of which may be empty."""
    if runs_natively(x.values):
        return native_pool(x.values, x.offsets, kind)
    return torch.segment_reduce(x.values, kind, lengths=x.lengths.to(x.values.device))


def _padded(
    kind: str, x: Ragged, weights: tuple[Tensor, ...], state: State, *, reverse: bool, final: bool
) -> tuple[Ragged, State]:
    """torch's own layer on a right-padded batch. The padding never reaches a real token: it comes
    after the last step, and what it computes is dropped."""
    padding = Padding.of(x.offsets, reverse=reverse)
    x_BTI = padding.pad(x.values)
    y_BTH, *last = _layer(kind, x_BTI, weights, state)
    y = x.with_values(padding.unpad(y_BTH))
    if not final:
        return y, state
    h_BH = y.ends(state[0], reverse=reverse)
    if kind != "lstm":
        return y, (h_BH,)
    if bool((x.lengths == x.lengths[0]).all()):
        return y, (h_BH, last[1])
    return y, (h_BH, _last_memory(x_BTI, x.lengths, weights, state))


def _layer(
    kind: str, x_BTI: Tensor, weights: tuple[Tensor, ...], state: State
) -> tuple[Tensor, ...]:
    """torch's own layer in one direction: y (B, T, H), and the state (B, H) after step T."""
    first = tuple(part.unsqueeze(0) for part in state)
    # With biases, one layer, no dropout, whether gradients will be asked for (cuDNN refuses them
    # afterwards), one direction, batch first.
    call = list(weights), True, 1, 0.0, torch.is_grad_enabled(), False, True
    with contextlib.ExitStack() as stack:
        if x_BTI.is_cuda:
            # Autocast would give cuDNN halves, also where bfloat16 was asked for; its fp32 layers
            # are fast by themselves (TF32).
            stack.enter_context(torch.autocast("cuda", enabled=False))
            x_BTI = x_BTI.float()
            # It tells that it copies weights that do not lie side by side.
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single")
        y_BTH, *last = LIBRARY[kind](x_BTI, first if kind == "lstm" else first[0], *call)
    return y_BTH, *(part[0] for part in last)


def _last_memory(
    x_BTI: Tensor, lengths_B: Tensor, weights: tuple[Tensor, ...], state: State
) -> Tensor:
    """c after the last real step, which torch does not keep for a padded batch: run each distinct
    length by itself. Asked for only where an LSTM's state is carried on from unequal lengths."""
    parts, rows = [], []
    for length in torch.unique(lengths_B).tolist():
        chosen = (lengths_B == length).nonzero().squeeze(1)
        at = chosen.to(x_BTI.device)
        first = tuple(part[at] for part in state)
        c_BH = first[1]
        if length:
            *_, c_BH = _layer("lstm", x_BTI[at, :length], weights, first)
        parts.append(c_BH)
        rows.append(chosen)
    return torch.cat(parts)[torch.argsort(torch.cat(rows)).to(x_BTI.device)]


def _scan(
    kind: str, x: Ragged, weights: tuple[Tensor, ...], state: State, *, reverse: bool
) -> tuple[Ragged, State]:
    """The min cells: all gates in one product, then h' = keep ⊙ h + new along time."""
    device = x.values.device
    weight_GI, bias_G = weights
    gates = F.linear(x.values, weight_GI, bias_G).float().chunk(2 if kind == "mingru" else 3, dim=1)
    candidate_NH = torch.where(gates[-1] >= 0, gates[-1] + 0.5, torch.sigmoid(gates[-1]))
    if kind == "mingru":
        share_NH = torch.sigmoid(gates[0])
    else:
        f_NH, i_NH = torch.sigmoid(gates[0]), torch.sigmoid(gates[1])
        share_NH = i_NH / (f_NH + i_NH)
    scan, _ = find_scan(device.type)
    if scan is not None:
        offsets_B1 = x.offsets.to(device)
        parts = 1 - share_NH, share_NH * candidate_NH, state[0], offsets_B1
        y = x.with_values(scan(*parts, reverse=reverse))
        return y, (y.ends(state[0], reverse=reverse),)
    padding = Padding.of(x.offsets, reverse=reverse)
    # Where a sequence has ended its share is zero, so that its state stays what it was.
    share_BTH = padding.pad(share_NH) * padding.real_BT.to(device)[:, :, None]
    new_TBH = (share_BTH * padding.pad(candidate_NH)).unbind(1)
    keep_TBH = (1 - share_BTH).unbind(1)
    h_BH = state[0]
    steps = []
    for keep_BH, new_BH in zip(keep_TBH, new_TBH, strict=True):
        h_BH = torch.addcmul(new_BH, keep_BH, h_BH)
        steps.append(h_BH)
    return x.with_values(padding.unpad(torch.stack(steps, dim=1))), (h_BH,)


@functools.cache
def find_scan(device: str) -> tuple[Callable[..., Tensor] | None, str]:
    """The scan in Triton for a type of device, or None and why it cannot be used there.

    It is tried once on a few numbers: where the machine's compiler fails, or computes something
    else, layers run without it.
    """
    if device != "cuda":
        return None, "torch sees no GPU of NVIDIA or AMD"
    try:
        from seqcli.nn.triton_scan import scan

        right = scans_rightly(scan, device)
    except ImportError:
        return None, "Triton is not installed"
    except Exception as error:  # whatever a compiler or driver may raise
        return None, f"Triton fails here ({' '.join(str(error).split())[:200]})"
    return (scan, "") if right else (None, "Triton computes wrong numbers here")


@torch.inference_mode(False)
@torch.enable_grad()
def scans_rightly(scan: Callable[..., Tensor], device: str) -> bool:
    """Whether a scan gives the states and gradients of two sequences that are computed by hand."""
    a_NH = torch.tensor([[0.5], [2.0], [3.0]], device=device, requires_grad=True)
    b_NH, first_BH = torch.ones(3, 1, device=device), torch.ones(2, 1, device=device)
    h_NH = scan(a_NH, b_NH, first_BH, torch.tensor([0, 2, 3], device=device), reverse=False)
    (da_NH,) = torch.autograd.grad(h_NH.sum(), a_NH)
    found = [*h_NH.flatten().tolist(), *da_NH.flatten().tolist()]
    return found == [1.5, 4.0, 4.0, 3.0, 1.5, 1.0]
