"""Ragged attention, by dot product or additive, as a torch operator with gradients (kernels:
attend.h).

Dimensions: M queries and N keys of a batch, B sequences, B1 = B + 1, D features of a query and
key, E of a value, P pairs of a query and a key of the same sequence.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqcli.nn.native import library
from seqcli.nn.native.ops import OPERATORS


def attend(
    q_MD: Tensor,
    q_offsets_B1: Tensor,
    k_ND: Tensor,
    v_NE: Tensor,
    kv_offsets_B1: Tensor,
    energy_D: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Softmax-weighted means of each sequence's values, for each of its queries, on the CPU.

    q_MD (M, D), k_ND (N, D), v_NE (N, E): float32, sequences end to end; offsets: (B + 1,) int64.
    Scores are plain dot products (scale the queries if that is wanted), or with energy_D
    energy · tanh(q + k), where queries and keys come projected (Bahdanau et al. 2015). A query of a
    sequence without keys gets zeros.

    Returns context_ME and weights_P, the (queries, keys) weights of each sequence end to end
    (constants: no gradient flows through them). Raises ValueError for shapes or offsets that do
    not fit.
    """
    pairs_B1 = (q_offsets_B1.diff() * kv_offsets_B1.diff()).cumsum(0)
    pairs_B1 = torch.cat([pairs_B1.new_zeros(1), pairs_B1])
    fits = (
        q_MD.shape[1] == k_ND.shape[1]
        and len(k_ND) == len(v_NE) == int(kv_offsets_B1[-1])
        and len(q_MD) == int(q_offsets_B1[-1])
        and len(q_offsets_B1) == len(kv_offsets_B1) > 1
        and q_offsets_B1.dtype == kv_offsets_B1.dtype == torch.int64
        and (energy_D is None or energy_D.shape == k_ND.shape[1:])
    )
    if not fits:
        raise ValueError("queries, keys, values and their offsets do not fit together")
    q_MD, k_ND, v_NE = (part.float() for part in (q_MD, k_ND, v_NE))
    energy_D = None if energy_D is None else energy_D.float()
    context_ME, weights_P = torch.ops.seqcli.attend.default(
        *(q_MD, k_ND, v_NE, energy_D),
        *(q_offsets_B1, kv_offsets_B1, pairs_B1, int(pairs_B1[-1])),
    )
    return context_ME, weights_P


Inputs = tuple[Tensor, Tensor, Tensor, Tensor | None]  # q, k, v and the energy, if any


def _call(
    function: Any, inputs: Inputs, offsets: tuple[Tensor, ...], **tensors: Tensor | None
) -> None:
    names = ("q", "k", "v", "energy", "queries", "keys", "pairs")
    tensors.update(zip(names, (*inputs, *offsets), strict=True))
    given = {name: part.contiguous() for name, part in tensors.items() if part is not None}
    call = library.Attention(
        batch=len(given["queries"]) - 1,
        depth=given["q"].shape[1],
        width=given["v"].shape[1],
        threads=torch.get_num_threads(),
        **{name: part.data_ptr() for name, part in given.items()},
    )
    if function(call):
        raise ValueError("offsets must rise from 0")


def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    energy: Tensor | None,
    queries: Tensor,
    keys: Tensor,
    pairs: Tensor,
    total: int,
) -> tuple[Tensor, Tensor]:
    context, weights = q.new_empty(len(q), v.shape[1]), q.new_empty(total)
    found = {"context": context, "weights": weights}
    _call(library.load().attend_forward, (q, k, v, energy), (queries, keys, pairs), **found)
    return context, weights


def _forward_shapes(q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape[0], v.shape[1]), q.new_empty(rest[-1])


def _backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    energy: Tensor | None,
    queries: Tensor,
    keys: Tensor,
    pairs: Tensor,
    weights: Tensor,
    dcontext: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dq, dk, dv = (part.new_empty(part.shape) for part in (q, k, v))
    denergy_BD = q.new_empty(len(queries) - 1 if energy is not None else 0, q.shape[1])
    _call(
        library.load().attend_backward,
        (q, k, v, energy),
        (queries, keys, pairs),
        weights=weights,
        dcontext=dcontext.contiguous(),
        dscores=torch.empty_like(weights),
        dq=dq,
        dk=dk,
        dv=dv,
        denergy=denergy_BD,
    )
    return dq, dk, dv, denergy_BD.sum(0)


def _backward_shapes(q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return *(part.new_empty(part.shape) for part in (q, k, v)), q.new_empty(q.shape[1])


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        with torch._C._AutoDispatchBelowAutograd():
            context, weights = torch.ops.seqcli.attend.default(*arguments)
        ctx.save_for_backward(*arguments[:-1], weights)
        ctx.mark_non_differentiable(weights)
        return context, weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dcontext: Tensor, _: Tensor) -> tuple[Any, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            gradients = torch.ops.seqcli.attend_backward.default(*ctx.saved_tensors, dcontext)
        *others, denergy = gradients
        return *others, denergy if ctx.needs_input_grad[3] else None, None, None, None, None


def _differentiable(*arguments: Any) -> tuple[Tensor, Tensor]:
    learns = any(part is not None and part.requires_grad for part in arguments[:4])
    if learns and torch.is_grad_enabled():
        return _Attend.apply(*arguments)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.ops.seqcli.attend.default(*arguments)


_OFFSETS = "Tensor queries, Tensor keys, Tensor pairs"
_TENSORS = f"Tensor q, Tensor k, Tensor v, Tensor? energy, {_OFFSETS}"
OPERATORS.define(f"attend({_TENSORS}, SymInt total) -> (Tensor, Tensor)")
OPERATORS.define(
    f"attend_backward({_TENSORS}, Tensor weights, Tensor dcontext)"
    " -> (Tensor, Tensor, Tensor, Tensor)"
)
OPERATORS.impl("attend", _forward, "CPU")
OPERATORS.impl("attend", _differentiable, "AutogradCPU")
OPERATORS.impl("attend_backward", _backward, "CPU")
torch.library.register_fake("seqcli::attend", _forward_shapes, lib=OPERATORS)
torch.library.register_fake("seqcli::attend_backward", _backward_shapes, lib=OPERATORS)
