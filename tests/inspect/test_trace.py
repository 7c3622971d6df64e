"""Traced states and gates against the reference steps of every cell."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from planted import RECURRENT, random_model, rows_of
from torch import Tensor, nn

from seqcli.errors import SeqcliError, UsageError
from seqcli.inspect.corpus import make_corpus
from seqcli.inspect.trace import (
    SQUASHED,
    cell_gates,
    choose_sites,
    complete,
    list_layers,
    list_sites,
    say_gates,
    watched,
)
from seqcli.nn.cells import CELLS
from seqcli.nn.ragged import Ragged

SMALL: dict[str, Any] = {"hidden": 6, "embedding": 5}


def walk(cell: Any, x_TI: Tensor, *, reverse: bool) -> list[tuple[Tensor, ...]]:
    """The state after each step of one sequence, one step at a time."""
    state = cell.initial(1)
    found: list[Any] = [None] * len(x_TI)
    order = range(len(x_TI))
    for t in reversed(order) if reverse else order:
        _, state = cell.step(x_TI[t : t + 1], state)
        found[t] = tuple(part[0] for part in state)
    return found


@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_decoder_that_is_fed_its_outputs(cell: str, layers: int) -> None:
    """It reads step by step, and is looked at as if at once: the same states and scores."""
    rows = rows_of("translate", 20)
    settings: dict[str, Any] = {"input_feeding": True, "cell": cell, "layers": layers}
    task, model = random_model("translate", rows, tokens="word", **settings, **SMALL)
    batch = make_corpus(task, rows, max_tokens=None).batches[0]
    decoder = [layer for layer in list_layers(model) if layer.part == "decoder"]
    with torch.no_grad():
        plain = batch.run(model, None).scores
        stepwise: dict[str, list[Tensor]] = {layer.key: [] for layer in decoder}
        for layer in decoder:
            run = layer.cell.sequence

            def record(*given: Any, run: Any = run, key: str = layer.key, **how: Any) -> Any:
                found = run(*given, **how)
                stepwise[key].append(found[0].values)
                return found

            layer.cell.sequence = record
        batch.run(model, None)  # whose last call is of all steps together
        for layer in decoder:
            del layer.cell.sequence
        with watched(decoder) as calls:
            seen = batch.run(model, None).scores
        for layer in decoder:
            complete(layer.cell, calls[layer.key], check=True)
    assert torch.allclose(seen, plain, atol=1e-5)
    for layer in decoder:
        call, steps = calls[layer.key], stepwise[layer.key][:-1]
        assert len(call.y.values) == len(batch.places["decoder"])
        lengths = call.y.lengths
        for step, y_RH in enumerate(steps):
            going = lengths > step
            assert torch.allclose(call.y.values[call.y.first()[going] + step], y_RH, atol=1e-5)


@pytest.mark.parametrize("cell", RECURRENT)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_are_those_of_the_reference_steps(cell: str, bidirectional: bool) -> None:
    rows = rows_of("classify", 20)
    task, model = random_model(
        "classify", rows, cell=cell, bidirectional=bidirectional, layers=2, **SMALL
    )
    batch = make_corpus(task, rows, max_tokens=None).batches[0]
    layers = list_layers(model)
    assert [layer.number for layer in layers] == ([1, 1, 2, 2] if bidirectional else [1, 2])
    with torch.no_grad(), watched(layers) as calls:
        batch.run(model, None)
        for layer in layers:
            call = calls[layer.key]
            steps = complete(layer.cell, call, check=True)
            at = 0
            for x_TI in call.x.split():
                for t, state in enumerate(walk(layer.cell, x_TI, reverse=layer.reverse)):
                    for letter, part in zip("hc", state, strict=False):
                        assert torch.allclose(steps.states[letter][at + t], part, atol=1e-5)
                at += len(x_TI)


def test_layers_run_as_before_after_watching() -> None:
    rows = rows_of("classify", 20)
    task, model = random_model("classify", rows, **SMALL)
    corpus = make_corpus(task, rows, max_tokens=None)
    before = corpus.batches[0].run(model, None).scores
    with watched(list_layers(model)):
        inside = corpus.batches[0].run(model, None).scores
    assert torch.equal(before, inside)
    assert not any("sequence" in vars(layer.cell) for layer in list_layers(model))


def test_forget_gate_has_its_bias() -> None:
    """A new LSTM's forget bias is 1: with all weights zero, the gate is σ(1) and not σ(0)."""
    rows = rows_of("classify", 20)
    task, model = random_model("classify", rows, cell="lstm", **SMALL)
    with torch.no_grad():
        model.recurrent.cells[0].weight_ih.zero_()
        model.recurrent.cells[0].weight_hh.zero_()
    layers = list_layers(model)
    with torch.no_grad(), watched(layers) as calls:
        make_corpus(task, rows, max_tokens=None).batches[0].run(model, None)
        steps = complete(layers[0].cell, calls["1.forward"], check=True)
    assert torch.allclose(steps.gates["f"], torch.sigmoid(torch.tensor(1.0)).expand(1, 6))
    assert torch.allclose(steps.gates["i"], torch.tensor(0.5).expand(1, 6))


def test_states_do_not_leak_between_texts() -> None:
    """Before the first token of a text the state is zero, whatever text stood before it."""
    rows = rows_of("classify", 20)
    task, model = random_model("classify", rows, cell="lstm", bidirectional=True, **SMALL)
    layers = list_layers(model)
    with torch.no_grad(), watched(layers) as calls:
        make_corpus(task, rows, max_tokens=None).batches[0].run(model, None)
        for layer in layers:
            call = calls[layer.key]
            steps = complete(layer.cell, call, check=False)
            first = call.y.last() if layer.reverse else call.y.first()
            assert not steps.before["h"][first].any()
            assert not steps.before["c"][first].any()


def test_language_model_carries_its_state() -> None:
    """From block to block the state before the first token is the one after the last."""
    rows = rows_of("lm", 600)
    task, model = random_model("lm", rows, cell="lstm", tokens="word", **SMALL)
    corpus = make_corpus(task, rows, max_tokens=None)
    assert len(corpus.batches) > 1
    layers, state, last = list_layers(model), None, None
    with torch.no_grad():
        for batch in corpus.batches:
            with watched(layers) as calls:
                state = batch.run(model, state).state
            steps = complete(layers[0].cell, calls["1.forward"], check=True)
            y = calls["1.forward"].y
            if last is not None:
                assert torch.equal(steps.before["h"][y.first()], last)
            assert last is not None or not steps.before["h"][y.first()].any()
            last = steps.states["h"][y.last()]


class Odd(nn.Module):
    """A cell of two states that this project does not know."""

    def __init__(self, faithful: bool) -> None:
        super().__init__()
        self.faithful = faithful
        self.hidden_size = 3

    def initial(self, batch: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(batch, 3), torch.zeros(batch, 3)

    def step(self, x: Tensor, state: Any) -> Any:
        c = 0.5 * state[1] + x
        h = torch.tanh(c) + (0.0 if self.faithful else 0.1)
        return h, (h, c)

    def sequence(self, x: Ragged, state: Any, *, reverse: bool = False, final: bool = True) -> Any:
        parts = []
        for part in x.split():
            c, found = torch.zeros(3), []
            for row in part:
                c = 0.5 * c + row
                found.append(torch.tanh(c))
            parts.append(torch.stack(found))
        return x.with_values(torch.cat(parts)), state


def trace_odd(cell: nn.Module) -> Any:
    model = nn.Module()
    model.recurrent = nn.Module()
    model.recurrent.cells = nn.ModuleList([cell])
    model.recurrent.directions = 1
    layers = list_layers(model)
    x = Ragged(torch.randn(5, 3), torch.tensor([0, 2, 5]))
    with watched(layers) as calls:
        cell.sequence(x, cell.initial(2))
    return complete(cell, calls["1.forward"], check=True)


def test_an_unknown_cell_is_traced_by_its_steps() -> None:
    steps = trace_odd(Odd(faithful=True))
    assert torch.allclose(torch.tanh(steps.states["c"]), steps.states["h"])
    assert not steps.gates
    assert steps.kept is None


def test_a_cell_whose_steps_disagree_is_refused() -> None:
    with pytest.raises(SeqcliError, match="Odd does not give the states"):
        trace_odd(Odd(faithful=False))


def test_a_cell_without_steps_is_refused() -> None:
    model = nn.Module()
    model.recurrent = nn.Module()
    model.recurrent.cells = nn.ModuleList([nn.Linear(2, 2)])
    model.recurrent.directions = 1
    with pytest.raises(SeqcliError, match="Linear cell cannot be traced"):
        list_layers(model)
    with pytest.raises(SeqcliError, match="no recurrent layers"):
        list_layers(nn.Linear(2, 2))


def test_sites_are_chosen_by_name() -> None:
    _, model = random_model("translate", rows_of("translate", 6), cell="lstm", **SMALL)
    sites = list_sites(list_layers(model))
    assert [site.key for site in sites][:2] == ["encoder.1.forward.h", "encoder.1.forward.c"]
    options: dict[str, Any] = {"layer": None, "direction": None, "state": None}
    found = choose_sites(sites, **{**options, "layer": "encoder.1", "direction": "reverse"})
    assert [site.key for site in found] == ["encoder.1.reverse.h", "encoder.1.reverse.c"]
    assert {site.state for site in choose_sites(sites, **{**options, "state": "c"})} == {"c"}
    with pytest.raises(UsageError, match=r"--layer 7: .*encoder.1, decoder.1, decoder.2"):
        choose_sites(sites, **{**options, "layer": "7"})
    rnn = random_model("classify", rows_of("classify", 20), cell="rnn", **SMALL)[1]
    with pytest.raises(UsageError, match="--state c: this model has only h"):
        choose_sites(list_sites(list_layers(rnn)), **{**options, "state": "c"})


@pytest.mark.parametrize("cell", ["cnn", "transformer"])
def test_what_has_no_hidden_state_is_refused(cell: str) -> None:
    _, model = random_model("classify", rows_of("classify", 20), cell=cell, **SMALL)
    with pytest.raises(SeqcliError, match="no hidden state to look into"):
        list_layers(model)


@pytest.mark.parametrize("cell", RECURRENT)
def test_every_gate_says_what_it_does_when_open(cell: str) -> None:
    made = CELLS[cell](3, 4)
    before = dict(zip("hc", made.initial(2), strict=False))
    gates, _ = cell_gates(made, torch.zeros(2, 3), before)
    assert set(say_gates(made)) == set(gates) - SQUASHED
