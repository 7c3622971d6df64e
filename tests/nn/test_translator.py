"""The encoder–decoder against its equations, step by step and sentence by sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from seqcli.config import TranslateNetwork
from seqcli.nn.ragged import Ragged, ragged
from seqcli.nn.translator import Translator

SOURCES = [[3, 4, 2], [5, 2], [6, 6, 3, 4, 2]]
READ = [[1, 3], [1, 4, 4, 0, 3], [1]]


def make(cell: str = "gru", **settings: Any) -> Translator:
    torch.manual_seed(5)
    network = TranslateNetwork(
        **{"cell": cell, "hidden": 6, "embedding": 4, "layers": 2, "dropout": 0.0, **settings}
    )
    model = Translator(7, 7, network).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.mul_(1.5)
    return model


def lay(rows: list[list[int]]) -> Ragged:
    return ragged([torch.tensor(row) for row in rows])


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def read_slowly(model: Translator, source: list[int], read: list[int]) -> np.ndarray:
    """(T, V) scores of one sentence: cells step by step, the rest in numpy."""
    p = {name: value.numpy() for name, value in model.named_parameters()}
    encoded = model.encode(lay([source]))
    memory, keys = encoded.memory.values.numpy(), encoded.keys.values.numpy()
    state = model.start(encoded)
    lower, upper = list(state.lower), list(state.upper)
    fed = np.zeros(model.output.out_features, dtype=np.float32)
    rows = []

    def step(cells: Any, states: list[Any], x: np.ndarray) -> np.ndarray:
        for at, cell in enumerate(cells):
            y, states[at] = cell.step(torch.from_numpy(x)[None], states[at])
            x = y[0].numpy()
        return x

    for token in read:
        e = p["target_embedding.weight"][token]
        x = [e, *([fed] if model.feeding else [])]
        if model.attention is None:
            context = encoded.summary_BH[0].numpy()
            x.append(context)
        h = step(model.lower.cells, lower, np.concatenate(x))
        if model.attention is not None:
            if model.attention.kind == "additive":
                asked = p["attention.query.weight"] @ h + p["attention.query.bias"]
                energy = np.tanh(asked + keys) @ p["attention.energy.weight"][0]
            else:
                energy = keys @ h
            context = softmax(energy) @ memory
        top = step(model.upper.cells, upper, np.concatenate([h, context]))
        joined = np.concatenate([top, context, e])
        fed = np.tanh(p["output.weight"] @ joined + p["output.bias"])
        vectors = p["target_embedding.weight"] if model.tie else p["head.weight"]
        rows.append(vectors @ fed + p["head.bias"])
    return np.stack(rows)


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("attention", ["none", "dot", "general", "additive"])
@pytest.mark.parametrize("bridge", ["none", "copy", "linear"])
def test_agrees_with_its_equations(attention: str, feeding: bool, bridge: str) -> None:
    cell = {"none": "rnn", "copy": "lstm", "linear": "gru"}[bridge]
    model = make(cell, attention=attention, input_feeding=feeding, bridge=bridge)
    found = model(lay(SOURCES), lay(READ)).split([len(read) for read in READ])
    for source, read, scores in zip(SOURCES, READ, found, strict=True):
        np.testing.assert_allclose(scores, read_slowly(model, source, read), atol=2e-5, rtol=1e-4)


def test_input_feeding_attends_in_the_order_of_sentences() -> None:
    model = make(input_feeding=True)
    source, read = model.encode(lay(SOURCES)), lay(READ)
    _, _, weights = model.decode(read, source, model.start(source), hypotheses=read.offsets)
    assert weights is not None
    for at, matrix in enumerate(weights.split()):
        one, alone = model.encode(lay([SOURCES[at]])), lay([READ[at]])
        _, _, own = model.decode(alone, one, model.start(one), hypotheses=alone.offsets)
        assert own is not None
        torch.testing.assert_close(matrix, own.split()[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(matrix.sum(1), torch.ones(len(READ[at])))


def test_input_feeding_learns() -> None:
    model = make(input_feeding=True).requires_grad_(True)
    gold = torch.tensor([3, 2, 4, 4, 0, 3, 2, 2])
    loss = model.loss(lay(SOURCES), lay(READ), gold, smoothing=0.0)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    # By finite differences, on the weights that only feeding leads through.
    weight = model.lower.cells[0].weight_ih
    slope = weight.grad[0, -1].item()
    values = []
    for shift in (1e-2, -2e-2):
        with torch.no_grad():
            weight[0, -1] += shift
        values.append(model.loss(lay(SOURCES), lay(READ), gold, smoothing=0.0).item())
    assert slope == pytest.approx((values[0] - values[1]) / 2e-2, abs=2e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "jordan", "mingru"])
def test_bridge_copies_where_the_encoder_ended(cell: str) -> None:
    model = make(cell, bridge="copy")
    source = model.encode(lay(SOURCES))
    state = model.start(source)
    x = model.source_embedding(lay(SOURCES).values)
    _, last = model.encoder(lay(SOURCES).with_values(x))
    layers = [*state.lower, *state.upper]
    for layer, encoder in zip(layers, (0, 1, 1), strict=True):  # three above, two below
        pair = zip(last[2 * encoder], last[2 * encoder + 1], strict=True)
        for part, (forward, reverse) in zip(layer, pair, strict=True):
            torch.testing.assert_close(part, (forward + reverse) / 2)


def test_bridge_of_none_starts_at_zero() -> None:
    model = make(bridge="none")
    state = model.start(model.encode(lay(SOURCES)))
    assert not any(
        part.any() for states in (state.lower, state.upper) for s in states for part in s
    )


def test_shared_embedding_is_one_parameter() -> None:
    model = make(share_vocabulary=True)
    names = model.state_dict().keys()
    assert "target_embedding.weight" in names
    assert not any(name.startswith("source_embedding") for name in names)
    ids = torch.tensor([3, 4])
    assert torch.equal(model.source_embedding(ids), model.target_embedding(ids))


def test_nats_are_minus_the_log_probability() -> None:
    model = make()
    gold = torch.tensor([3, 2, 4, 4, 0, 3, 2, 2])
    logs = model(lay(SOURCES), lay(READ)).double().log_softmax(1)
    expected = -logs[torch.arange(8), gold]
    found = model.nats(lay(SOURCES), lay(READ), gold).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    mean = model.loss(lay(SOURCES), lay(READ), gold, smoothing=0.25).item()
    smooth = 0.75 * expected.mean() - 0.25 * logs.mean()
    assert mean == pytest.approx(float(smooth), abs=1e-5)


@pytest.mark.parametrize(
    "settings", [{"residual": True, "layer_norm": True}, {"feed_forward": 16}, {}]
)
def test_attention_begins_spread_out(settings: dict[str, Any]) -> None:
    """Normalised queries of √hidden times their length would leave it on one token of many."""
    torch.manual_seed(6)
    cell = "gru" if settings else "transformer"
    network = TranslateNetwork(cell=cell, hidden=64, embedding=64, dropout=0.0, **settings)
    model = Translator(90, 90, network).eval()
    source = model.encode(lay([list(range(3, 83))]))
    tokens = lay([[1]])
    _, _, weights = model.write(
        tokens, source, model.start(source), hypotheses=torch.tensor([0, 1])
    )
    assert weights is not None
    assert weights.values.max() < 0.1
