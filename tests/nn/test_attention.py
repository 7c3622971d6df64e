"""Attention, pooling and ragged batches against short numpy readings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from checks import new_tensors_poisoned, worst
from torch import Tensor

from seqcli.nn.attention import Attention
from seqcli.nn.native import status
from seqcli.nn.native.attention import attend
from seqcli.nn.pooling import Pool
from seqcli.nn.ragged import Padding, Ragged, offsets, ragged

LENGTHS = [3, 1, 5]


def random_batch(lengths: list[int], size: int, seed: int = 0) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    return ragged([torch.randn(length, size, generator=generator) for length in lengths])


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # the kernel's and torch's
@pytest.mark.parametrize("asked", [[2, 4, 1], [0, 3, 0], [3, 0, 0]])
@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
def test_attention_agrees_with_numpy(kind, asked, dtype):
    torch.manual_seed(0)
    attention = Attention(kind, 4).to(dtype)
    queries, memory = random_batch(asked, 4, 1), random_batch(LENGTHS, 4, 2)
    queries = queries.with_values(queries.values.to(dtype))
    memory = memory.with_values(memory.values.to(dtype))
    context_MH, told = attention(queries, attention.keys(memory), memory)
    p = {name: value.detach().numpy() for name, value in attention.named_parameters()}
    expected = []
    for b, (qs, ms) in enumerate(zip(queries.split(), memory.split(), strict=True)):
        for t, q in enumerate(qs.numpy()):
            keys = ms.numpy()
            if kind == "dot":
                scores = keys @ q
            elif kind == "general":
                scores = keys @ p["key.weight"].T @ q
            else:
                sums = keys @ p["key.weight"].T + p["query.weight"] @ q + p["query.bias"]
                scores = np.tanh(sums) @ p["energy.weight"][0]
            weights = softmax(scores)
            np.testing.assert_allclose(told.split()[b][t], weights, atol=1e-6)
            row = told.rows()[len(expected)]
            np.testing.assert_allclose(row[: len(keys)], weights, atol=1e-6)
            assert not row[len(keys) :].any()
            expected.append(weights @ keys)
    np.testing.assert_allclose(context_MH.detach(), np.stack(expected), atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])
def test_pooling_agrees_with_numpy(kind, bidirectional):
    torch.manual_seed(0)
    pool = Pool(kind, 6, bidirectional=bidirectional)
    h = random_batch(LENGTHS, 6)
    found_BH = pool(h).detach().numpy()
    p = {name: value.detach().numpy() for name, value in pool.named_parameters()}
    for found, one in zip(found_BH, h.split(), strict=True):
        states = one.numpy()
        if kind == "mean":
            expected = states.mean(axis=0)
        elif kind == "max":
            expected = states.max(axis=0)
        elif kind == "attention":
            hidden = np.tanh(states @ p["project.weight"].T + p["project.bias"])
            expected = softmax(hidden @ p["query.weight"][0]) @ states
        elif bidirectional:
            expected = np.concatenate([states[-1, :3], states[0, 3:]])
        else:
            expected = states[-1]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_padding_by_hand():
    index, mask = Padding.of(torch.tensor([0, 3, 5]))
    assert index.tolist() == [[0, 1, 2], [3, 4, 3]]
    assert mask.tolist() == [[True, True, True], [True, True, False]]
    index, mask = Padding.of(torch.tensor([0, 3, 5]), reverse=True)
    assert index.tolist() == [[2, 1, 0], [4, 3, 3]]
    assert mask.tolist() == [[True, True, True], [True, True, False]]


def test_select_takes_sequences_in_any_order():
    x = random_batch(LENGTHS, 2)
    chosen = x.select(torch.tensor([2, 0]))
    assert chosen.lengths.tolist() == [5, 3]
    parts = x.split()
    torch.testing.assert_close(chosen.values, torch.cat([parts[2], parts[0]]))


# ------------------------------------------------------------------------------------- natively

native = pytest.mark.skipif(not status().available, reason=status().reason)


def attention_results(
    queries: list[int], keys: list[int], depth: int, width: int, *, additive: bool, native: bool
) -> dict[str, Tensor]:
    """Context, weights and gradients: of the kernels in float32, or of torch in double."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"q": (sum(queries), depth), "k": (sum(keys), depth), "v": (sum(keys), width)}
    shapes |= {"e": (depth,)} if additive else {}
    parts = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    parts = {name: (p if native else p.double()).requires_grad_() for name, p in parts.items()}
    gradient = torch.randn(sum(queries), width, generator=generator)
    if native:
        q_offsets, kv_offsets = offsets(torch.tensor(queries)), offsets(torch.tensor(keys))
        inputs = parts["q"], q_offsets, parts["k"], parts["v"], kv_offsets
        context, weights = attend(*inputs, parts.get("e"))
    else:

        def scores(q: Tensor, k: Tensor) -> Tensor:
            return torch.tanh(q[:, None] + k) @ parts["e"] if additive else q @ k.T

        split = zip(
            *(parts["q"].split(queries), parts["k"].split(keys), parts["v"].split(keys)),
            strict=True,
        )
        found = [((w := torch.softmax(scores(q, k), 1)) @ v, w.flatten()) for q, k, v in split]
        context, weights = (torch.cat(column) for column in zip(*found, strict=True))
    gradients = torch.autograd.grad(context, list(parts.values()), gradient.to(context.dtype))
    named = dict(zip((f"d{name}" for name in parts), gradients, strict=True))
    return {"context": context.detach(), "weights": weights.detach(), **named}


@native
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("additive", [False, True])
@pytest.mark.parametrize(("depth", "width"), [(1, 1), (7, 20), (64, 33)])
def test_attention_agrees_with_torch(depth, width, additive, instruction_set):
    shapes = [3, 0, 8, 13, 1], [4, 2, 0, 9, 21], depth, width
    ours = attention_results(*shapes, additive=additive, native=True)
    error, name = worst(ours, attention_results(*shapes, additive=additive, native=False))
    assert error < 2e-6, name
    with new_tensors_poisoned():
        poisoned = attention_results(*shapes, additive=additive, native=True)
    assert all(torch.equal(ours[name], poisoned[name]) for name in ours)


@native
def test_attention_passes_torch_opcheck_and_refuses_what_does_not_fit():
    q, k, v = (torch.randn(rows, 3, requires_grad=True) for rows in (4, 5, 5))
    queries, keys = torch.tensor([0, 1, 4]), torch.tensor([0, 3, 5])
    pairs = torch.tensor([0, 3, 9])
    for energy in (None, torch.randn(3, requires_grad=True)):
        arguments = (q, k, v, energy, queries, keys, pairs, 9)
        torch.library.opcheck(torch.ops.seqcli.attend.default, arguments)
    for bad in (q[:-1], k[:, :-1]), (q, k[:-1]), (q[:, :0], k[:, :0]):
        with pytest.raises(ValueError, match=r"fit together|offsets"):
            attend(bad[0], queries, bad[1], v, keys)
