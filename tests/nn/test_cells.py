"""Cells and `Recurrent` against torch.nn, against numpy, and against themselves."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seqcli.nn import kernels
from seqcli.nn.cells import CELLS, make_cell
from seqcli.nn.cells.cell import unroll
from seqcli.nn.cells.esn import radius
from seqcli.nn.native import status
from seqcli.nn.ragged import Ragged, ragged
from seqcli.nn.recurrent import NAMES, TORCH, Recurrent, to_torch, torch_names

LENGTHS = [5, 1, 7, 3]
GATED = ["lstm", "gru", "mingru", "minlstm", "sru", "mogrifier"]


def random_batch(lengths: list[int], size: int, *, seed: int = 0) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    return ragged([torch.randn(length, size, generator=generator) for length in lengths])


def carried_state(cell: Any, batch: int) -> tuple[torch.Tensor, ...]:
    """A state that a cell may carry: that after two random tokens."""
    _, state = cell.sequence(
        random_batch([2] * batch, cell.input_size, seed=9), cell.initial(batch)
    )
    return tuple(part.detach() for part in state)


def from_torch(module: nn.RNNBase) -> Recurrent:
    """The same network as a `Recurrent`."""
    kind: Any = TORCH[type(module)]
    options = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
    recurrent = Recurrent(
        lambda size: kind(size, module.hidden_size, **options),
        module.input_size,
        layers=module.num_layers,
        bidirectional=module.bidirectional,
        dropout=module.dropout,
    )
    with torch.no_grad():
        for cell, suffix in torch_names(recurrent):
            for name in NAMES:
                getattr(cell, name).copy_(getattr(module, name + suffix))
    return recurrent


def each_alone(module: nn.Module, x: Ragged) -> torch.Tensor:
    """torch.nn's outputs for each sequence by itself, in double precision: no padding anywhere."""
    outputs = [module(one.double()[None])[0][0] for one in x.split()]
    return torch.cat(outputs)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    "module", [nn.RNN(6, 9), nn.RNN(6, 9, nonlinearity="relu"), nn.LSTM(6, 9), nn.GRU(6, 9)]
)
def test_agrees_with_torch_forward_and_backward(module, layers, bidirectional):
    torch.manual_seed(0)
    options = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
    oracle = type(module)(6, 9, layers, bidirectional=bidirectional, batch_first=True, **options)
    recurrent = from_torch(oracle)
    oracle = oracle.double()
    x = random_batch(LENGTHS, 6)
    values = x.values.clone().requires_grad_()
    y, _ = recurrent(x.with_values(values))
    weight = torch.randn(y.values.shape)
    (y.values * weight).sum().backward()

    truth_x = x.with_values(x.values.double().requires_grad_())
    truth = each_alone(oracle, truth_x)
    (truth * weight).sum().backward()
    torch.testing.assert_close(y.values.double(), truth, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values.grad.double(), truth_x.values.grad, atol=1e-5, rtol=1e-5)
    ours = to_torch(recurrent)
    for cell_name, parameter in oracle.named_parameters():
        torch.testing.assert_close(
            dict(ours.named_parameters())[cell_name].double(), parameter, atol=1e-6, rtol=0
        )
    gradients = {
        name: parameter.grad.double()
        for (_, name), parameter in zip(
            _torch_parameter_order(recurrent), recurrent.parameters(), strict=True
        )
    }
    for name, parameter in oracle.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-5)


def _torch_parameter_order(recurrent: Recurrent) -> list[tuple[int, str]]:
    names = []
    for at in range(len(recurrent.cells)):
        layer, direction = divmod(at, recurrent.directions)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            names.append((at, f"{name}_l{layer}" + ("_reverse" if direction else "")))
    return names


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", list(CELLS))
def test_sequence_equals_steps(name, reverse):
    torch.manual_seed(1)
    cell = make_cell(name, 4, 5, nonlinearity="tanh")
    x = random_batch(LENGTHS, 4)
    state = carried_state(cell, len(LENGTHS))
    y, last = cell.sequence(x, state, reverse=reverse)
    for b, (one, expected) in enumerate(zip(x.split(), y.split(), strict=True)):
        carried = tuple(part[b : b + 1] for part in state)
        steps = range(len(one) - 1, -1, -1) if reverse else range(len(one))
        for t in steps:
            out, carried = cell.step(one[t : t + 1], carried)
            torch.testing.assert_close(expected[t : t + 1], out, atol=1e-6, rtol=1e-5)
        for part, whole in zip(carried, last, strict=True):
            # Of a transformer: as much as this sequence has, the newest last.
            own = whole[b : b + 1, whole.shape[1] - part.shape[1] :]
            torch.testing.assert_close(own, part, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", list(CELLS))
def test_split_and_carry_equals_whole(name):
    torch.manual_seed(2)
    recurrent = Recurrent(lambda size: make_cell(name, size, 5, nonlinearity="tanh"), 4, layers=2)
    whole = random_batch([8, 8, 8], 4)
    y, last = recurrent(whole)
    head = ragged([one[:3] for one in whole.split()])
    tail = ragged([one[3:] for one in whole.split()])
    first, carried = recurrent(head)
    second, ended = recurrent(tail, carried)
    joined = torch.cat(
        [torch.cat(pair) for pair in zip(first.split(), second.split(), strict=True)]
    )
    torch.testing.assert_close(joined, y.values, atol=1e-6, rtol=1e-5)
    for state, other in zip(last, ended, strict=True):
        for part, again in zip(state, other, strict=True):
            torch.testing.assert_close(part, again, atol=1e-6, rtol=1e-5)


@pytest.mark.skipif(not status().available, reason=status().reason)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("name", "nonlinearity"),
    [*product(["rnn", "jordan"], ["tanh", "relu"]), *product(GATED, ["tanh"])],
)
def test_the_kernels_do_what_torch_does(name, nonlinearity, reverse, monkeypatch):
    torch.manual_seed(4)
    cell = make_cell(name, 6, 9, nonlinearity=nonlinearity)
    for weight in cell.parameters():  # some begin as zeros
        nn.init.normal_(weight, std=0.3)
    x = random_batch(LENGTHS, 6)
    state = carried_state(cell, len(LENGTHS))

    def run():
        x.values.grad = None
        cell.zero_grad()
        y, last = cell.sequence(x, state, reverse=reverse)
        (y.values.sin().sum() + sum(part.sin().sum() for part in last)).backward()
        return [y.values, *last, x.values.grad, *(weight.grad for weight in cell.parameters())]

    x.values.requires_grad_()
    found = run()
    monkeypatch.setattr(kernels, "runs_natively", lambda x: False)
    for ours, slow in zip(found, run(), strict=True):
        torch.testing.assert_close(ours, slow, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", list(CELLS))
def test_result_does_not_depend_on_the_rest_of_the_batch(name, bidirectional):
    torch.manual_seed(3)
    recurrent = Recurrent(
        lambda size: make_cell(name, size, 6, nonlinearity="tanh"),
        4,
        layers=2,
        bidirectional=bidirectional,
    )
    x = random_batch(LENGTHS, 4)
    y, _ = recurrent(x)
    for one, together in zip(x.split(), y.split(), strict=True):
        alone, _ = recurrent(ragged([one]))
        torch.testing.assert_close(alone.values, together, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", [name for name in CELLS if name != "transformer"])
def test_truncation_as_long_as_the_text_is_full_backpropagation(name, bidirectional):
    def gradients(bptt):
        torch.manual_seed(4)
        recurrent = Recurrent(
            lambda size: make_cell(name, size, 5, nonlinearity="tanh"),
            4,
            bidirectional=bidirectional,
            bptt=bptt,
        )
        x = random_batch(LENGTHS, 4)
        x.values.requires_grad_()
        y, _ = recurrent(x)
        y.values.square().sum().backward()
        wanted = [x.values, *recurrent.parameters()]
        return y.values.detach(), [parameter.grad for parameter in wanted]

    full_y, full = gradients(None)
    for bptt in (max(LENGTHS), max(LENGTHS) + 3):
        for one, other in zip(full, gradients(bptt)[1], strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    short_y, short = gradients(2)
    torch.testing.assert_close(short_y, full_y, atol=1e-6, rtol=1e-5)
    if name not in ("mingru", "minlstm", "cnn"):  # theirs differ too, but by less
        assert any(not torch.allclose(one, other) for one, other in zip(full, short, strict=True))


def test_truncated_gradient_equals_blocks_by_hand():
    torch.manual_seed(5)
    recurrent = Recurrent(lambda size: make_cell("gru", size, 5, nonlinearity="tanh"), 4, bptt=3)
    x = random_batch([7], 4)
    y, _ = recurrent(x)
    y.values.square().sum().backward()
    found = [parameter.grad.clone() for parameter in recurrent.parameters()]
    recurrent.zero_grad()
    cell, state = recurrent.cells[0], recurrent.cells[0].initial(1)
    for block in x.values.split(3):
        state = tuple(part.detach() for part in state)
        for one in block:
            out, state = cell.step(one[None], state)
            out.square().sum().backward(retain_graph=True)
    for one, parameter in zip(found, recurrent.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, atol=1e-5, rtol=1e-4)


def test_jordan_agrees_with_a_numpy_reading():
    torch.manual_seed(6)
    cell = make_cell("jordan", 3, 4, nonlinearity="tanh")
    x = random_batch([6], 3)
    found, _ = cell.sequence(x, cell.initial(1))
    p = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    y = np.zeros(4)
    for t, x_t in enumerate(x.values.numpy()):
        h = np.tanh(p["weight_ih"] @ x_t + p["bias_ih"] + p["weight_yh"] @ y + p["bias_yh"])
        y = np.tanh(p["weight_hy"] @ h + p["bias_hy"])
        np.testing.assert_allclose(found.values[t].detach().numpy(), y, atol=1e-6)


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_minimal_cells_agree_with_a_numpy_reading_of_the_paper(name):
    torch.manual_seed(7)
    cell = make_cell(name, 3, 4, nonlinearity="tanh")
    x = random_batch([6], 3)
    found, _ = cell.sequence(x, cell.initial(1))
    weight, bias = (tensor.detach().numpy().astype(np.float64) for tensor in cell.weights)

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    h = np.zeros(4)
    for t, x_t in enumerate(x.values.numpy()):
        parts = np.split(weight @ x_t + bias, 2 if name == "mingru" else 3)
        candidate = np.where(parts[-1] >= 0, parts[-1] + 0.5, sigmoid(parts[-1]))
        if name == "mingru":
            keep, write = 1 - sigmoid(parts[0]), sigmoid(parts[0])
        else:
            f, i = sigmoid(parts[0]), sigmoid(parts[1])
            keep, write = f / (f + i), i / (f + i)
        h = keep * h + write * candidate
        np.testing.assert_allclose(found.values[t].detach().numpy(), h, atol=1e-6)


def test_gates_of_minlstm_that_vanish_together_still_share() -> None:
    """Of 3·10⁻⁹ and 8·10⁻⁹ as of any others; and of such that no float32 holds."""
    cell = make_cell("minlstm", 1, 2, nonlinearity="tanh")
    f, i = np.array([-19.0, -150.0]), np.array([-18.0, -149.0])
    with torch.no_grad():
        cell.weight.zero_()
        cell.bias.copy_(torch.from_numpy(np.concatenate([f, i, [0.5, 0.5]])))
    (found,) = cell.step(torch.zeros(1, 1), (torch.zeros(1, 2),))[1]
    wanted = 1.0 / (1 + np.exp(f - i))
    np.testing.assert_allclose(found[0].detach().numpy(), wanted, atol=1e-6)


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def as_numpy(cell: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in cell.state_dict().items()}


@pytest.mark.parametrize("input_size", [4, 3])
def test_sru_agrees_with_a_numpy_reading_of_the_paper(input_size: int) -> None:
    torch.manual_seed(8)
    cell = make_cell("sru", input_size, 4)
    nn.init.normal_(cell.v)
    nn.init.normal_(cell.bias)
    x = random_batch([6], input_size)
    found, (_, last) = cell.sequence(x, cell.initial(1))
    p = as_numpy(cell)
    w = p["weight"].reshape(-1, 4, input_size)
    (v_f, v_r), (b_f, b_r) = p["v"].reshape(2, 4), p["bias"].reshape(2, 4)
    c = np.zeros(4)
    for t, x_t in enumerate(x.values.double().numpy()):
        f = sigmoid(w[1] @ x_t + v_f * c + b_f)
        r = sigmoid(w[2] @ x_t + v_r * c + b_r)
        c = f * c + (1 - f) * (w[0] @ x_t)
        h = r * c + (1 - r) * np.sqrt(3) * (x_t if input_size == 4 else w[3] @ x_t)
        np.testing.assert_allclose(found.values[t].detach().numpy(), h, atol=1e-5)
    np.testing.assert_allclose(last[0].detach().numpy(), c, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_sru_are_those_of_its_steps(reverse: bool) -> None:
    torch.manual_seed(9)
    cell = make_cell("sru", 3, 4).double()
    x = random_batch(LENGTHS, 3)
    first = torch.rand(len(LENGTHS), 4, dtype=torch.double, requires_grad=True)
    values = x.values.double().requires_grad_()
    weight = torch.randn(16, 4, dtype=torch.double)

    def gradients(run: Any) -> list[torch.Tensor]:
        y, (h, c) = run(x.with_values(values), (torch.zeros_like(first), first))
        ((y.values * weight).sum() + h.square().sum() + c.sin().sum()).backward()
        wanted = (values, first, *cell.parameters())
        found = [part.grad for part in wanted]
        for part in wanted:
            part.grad = None
        return found

    fast = gradients(lambda x, state: cell.sequence(x, state, reverse=reverse))
    slow = gradients(lambda x, state: unroll(cell, x, state, reverse=reverse))
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
def test_mogrifier_agrees_with_a_numpy_reading_of_the_paper(rounds: int) -> None:
    torch.manual_seed(10)
    cell = make_cell("mogrifier", 3, 4, rounds=rounds)
    x = random_batch([6], 3)
    found, _ = cell.sequence(x, cell.initial(1))
    p = as_numpy(cell)
    h, c = np.zeros(4), np.zeros(4)
    for t, x_t in enumerate(x.values.double().numpy()):
        for i in range(1, rounds + 1):
            if i % 2:
                x_t = 2 * sigmoid(p[f"scales.{i - 1}"] @ h) * x_t
            else:
                h = 2 * sigmoid(p[f"scales.{i - 1}"] @ x_t) * h
        a = p["weight_ih"] @ x_t + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"]
        i_t, f, g, o = a.reshape(4, 4)
        c = sigmoid(f) * c + sigmoid(i_t) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(found.values[t].detach().numpy(), h, atol=1e-6)


@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_echo_state_network_agrees_with_a_numpy_reading(leak: float) -> None:
    torch.manual_seed(11)
    cell = make_cell("esn", 3, 40, leak=leak, spectral_radius=0.8, sparsity=0.7)
    p = as_numpy(cell)
    largest = np.abs(np.linalg.eigvals(p["weight_hh"])).max()
    np.testing.assert_allclose(largest, 0.8, rtol=5e-3)
    assert 0.6 < (p["weight_hh"] == 0).mean() < 0.8
    x = random_batch([6], 3)
    found, _ = cell.sequence(x, cell.initial(1))
    h = np.zeros(40)
    for t, x_t in enumerate(x.values.double().numpy()):
        new = np.tanh(p["weight_ih"] @ x_t + p["weight_hh"] @ h + p["bias_hh"])
        h = (1 - leak) * h + leak * new
        np.testing.assert_allclose(found.values[t].numpy(), h, atol=1e-5)


def test_spectral_radius_is_that_of_the_eigenvalues() -> None:
    for seed, size in ((0, 5), (1, 60), (2, 300)):
        weight = torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
        truth = np.abs(np.linalg.eigvals(weight.double().numpy())).max()
        assert radius(weight) == pytest.approx(truth, rel=3e-3)
    assert radius(torch.zeros(3, 3)) == 0.0
    nilpotent = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert radius(nilpotent) == 0.0


def test_a_reservoir_is_not_trained() -> None:
    cell = make_cell("esn", 3, 8)
    assert not list(cell.parameters())
    values = random_batch(LENGTHS, 3)
    y, _ = cell.sequence(values, cell.initial(4))
    assert not y.values.requires_grad
    asked = values.with_values(values.values.clone().requires_grad_())
    y, _ = cell.sequence(asked, cell.initial(4))
    y.values.sum().backward()
    assert asked.values.grad is not None


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", list(CELLS))
def test_empty_sequences_keep_their_state(name: str, reverse: bool) -> None:
    torch.manual_seed(12)
    cell = make_cell(name, 4, 5)
    whole = random_batch([3, 2], 4)
    x = Ragged(whole.values, torch.tensor([0, 0, 3, 3, 5, 5]))
    state = carried_state(cell, 5)
    y, last = cell.sequence(x, state, reverse=reverse)
    alone, ended = cell.sequence(whole, tuple(part[[1, 3]] for part in state), reverse=reverse)
    torch.testing.assert_close(y.values, alone.values)
    for part, before, after in zip(last, state, ended, strict=True):
        kept = part.shape[1] - before.shape[1]  # a transformer's: the newest last
        torch.testing.assert_close(part[[0, 2, 4], kept:], before[[0, 2, 4]])
        torch.testing.assert_close(part[[1, 3]], after)
    none = Ragged(whole.values[:0], torch.tensor([0, 0, 0, 0, 0, 0]))
    y, last = cell.sequence(none, state, reverse=reverse)
    assert y.values.shape == (0, 5)
    for part, before in zip(last, state, strict=True):
        torch.testing.assert_close(part, before)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_convolution_agrees_with_torch_forward_and_backward(width: int, reverse: bool) -> None:
    torch.manual_seed(13)
    cell = make_cell("cnn", 3, 5, width=width)
    nn.init.normal_(cell.bias)
    oracle = nn.Conv1d(3, 5, width)
    oracle.load_state_dict(cell.state_dict())
    x = random_batch(LENGTHS, 3)
    weight = torch.randn(sum(LENGTHS), 5)
    y, _ = cell.sequence(x, cell.initial(4), reverse=reverse)
    (y.values * weight).sum().backward()
    outputs = []
    for one in x.split():
        read = one.flip(0) if reverse else one
        padded = nn.functional.pad(read.t(), (width - 1, 0))
        found = torch.relu(oracle(padded[None])[0].t())
        outputs.append(found.flip(0) if reverse else found)
    truth = torch.cat(outputs)
    (truth * weight).sum().backward()
    torch.testing.assert_close(y.values, truth, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(cell.weight.grad, oracle.weight.grad, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(cell.bias.grad, oracle.bias.grad, atol=1e-5, rtol=1e-5)


def torch_layer(cell: Any) -> nn.TransformerEncoderLayer:
    """torch's own layer with the weights of a cell whose heads have as many features as it."""
    layer = nn.TransformerEncoderLayer(
        8, 2, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    pairs = {
        "self_attn.in_proj_": cell.ask,
        "self_attn.out_proj.": cell.attended,
        "linear1.": cell.wide,
        "linear2.": cell.narrow,
        "norm1.": cell.norm_attention,
        "norm2.": cell.norm_wide,
    }
    layer.load_state_dict(
        {
            name + kind: getattr(own, kind)
            for name, own in pairs.items()
            for kind in ("weight", "bias")
        }
    )
    return layer


@pytest.mark.parametrize("window", [3, 256])
@pytest.mark.parametrize("causal", [False, True])
def test_transformer_agrees_with_torch_where_positions_are_left_out(
    causal: bool, window: int
) -> None:
    torch.manual_seed(14)
    cell = make_cell("transformer", 8, 8, heads=2, causal=causal, window=window)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.5)
    cell.turns.zero_()  # no angle: the product of a query and a key is what it is
    oracle = torch_layer(cell)
    x = random_batch(LENGTHS, 8)
    weight = torch.randn(sum(LENGTHS), 8)
    y, _ = cell.sequence(x, cell.initial(4))
    (y.values * weight).sum().backward()
    outputs = []
    for one in x.split():
        away = torch.arange(len(one))[:, None] - torch.arange(len(one))
        closed = away.abs() >= window
        outputs.append(oracle(one[None], src_mask=closed | (away < 0) if causal else closed)[0])
    truth = torch.cat(outputs)
    (truth * weight).sum().backward()
    torch.testing.assert_close(y.values, truth, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        cell.ask.weight.grad, oracle.self_attn.in_proj_weight.grad, atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(
        cell.wide.weight.grad, oracle.linear1.weight.grad, atol=1e-4, rtol=1e-4
    )


def test_positions_turn_as_in_the_paper() -> None:
    """Pairs of features as complex numbers, turned by place · 10000^(−2i/D)."""
    torch.manual_seed(15)
    cell = make_cell("transformer", 8, 8, heads=1)
    x = torch.randn(1, 1, 5, 8)
    places = torch.tensor([-3, 0, 1, 7, 100])
    found = cell._turn(x, places).numpy()[0, 0]
    whole = x.numpy()[0, 0, :, :4] + 1j * x.numpy()[0, 0, :, 4:]
    truth = whole * np.exp(1j * places.numpy()[:, None] * 10_000.0 ** (-2 * np.arange(4) / 8))
    np.testing.assert_allclose(found[:, :4] + 1j * found[:, 4:], truth, atol=1e-5)


def test_a_transformer_tells_the_order_of_tokens() -> None:
    torch.manual_seed(16)
    cell = make_cell("transformer", 8, 8, causal=False)
    x = random_batch([4], 8)
    y, _ = cell.sequence(x, cell.initial(1))
    flipped, _ = cell.sequence(x.with_values(x.values.flip(0)), cell.initial(1))
    assert not torch.allclose(y.values.flip(0), flipped.values, atol=1e-3)


def test_a_long_text_is_attended_to_in_blocks() -> None:
    """Far more tokens than the window: in one call as step by step."""
    torch.manual_seed(17)
    cell = make_cell("transformer", 4, 6, window=4).eval()
    x = random_batch([23, 9], 4)
    with torch.no_grad():
        whole, state = cell.sequence(x, cell.initial(2))
        steps, after = unroll(cell, random_batch([23], 4), cell.initial(1))
    torch.testing.assert_close(whole.split()[0], steps.values, atol=1e-5, rtol=1e-5)
    assert state[0].shape[1] == after[0].shape[1] == 3
