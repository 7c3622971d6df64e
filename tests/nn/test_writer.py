"""Steps of decoding from prepared kernel calls, against the same steps taken in general."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqcli.config import TranslateNetwork
from seqcli.nn import native
from seqcli.nn.cells import CELLS
from seqcli.nn.ensemble import Ensemble
from seqcli.nn.likely import likeliest
from seqcli.nn.ragged import Ragged, ragged
from seqcli.nn.recurrent import Recurrent, to_torch
from seqcli.nn.steps import Steps, can_step
from seqcli.nn.translator import Source, Translator
from seqcli.nn.writer import KernelWriter, PlainWriter, Writer, make_writer

needs_kernels = pytest.mark.skipif(not native.status().available, reason=native.status().reason)
SOURCES = ragged([torch.tensor(source) for source in ([3, 4, 2], [5, 2], [6, 6, 3, 4, 2])])
VOCABULARY, CAPACITY = 9, 6


def make(cell: str = "gru", **settings: object) -> Translator:
    torch.manual_seed(5)
    network = TranslateNetwork(cell=cell, hidden=19, embedding=19, dropout=0.0, **settings)  # type: ignore[arg-type]
    return Translator(7, VOCABULARY, network).eval().requires_grad_(False)


def write(writer: Writer) -> list[Tensor]:
    """Scores and attention while hypotheses are copied, exchanged and dropped."""
    moves: list[tuple[list[int], list[int]]] = [
        ([0, 0, 1, 1, 2, 2], [0, 1, 2]),
        ([1, 0, 2, 2, 4, 5], [0, 1, 2]),
        ([0, 0, 5, 4], [0, 2]),
        ([3, 2], [1]),
    ]
    found, rows = [], 3
    for step, (chosen, going) in enumerate(moves):
        scores = writer.read(torch.arange(step, step + rows) % VOCABULARY)
        found.append(scores.clone())
        if writer.weights is not None:
            found.append(writer.weights.rows())
        writer.select(torch.tensor(chosen), torch.tensor(going))
        rows = len(chosen)
    return [*found, writer.read(torch.full((rows,), 4)).clone()]


@needs_kernels
@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        ("gru", {"attention": "general"}),
        ("lstm", {"attention": "dot", "layers": 2, "input_feeding": True}),
        ("rnn", {"attention": "additive", "bridge": "copy", "tie": True}),
        ("mingru", {"attention": "none", "input_feeding": True}),
        ("minlstm", {"attention": "none", "bridge": "none"}),
        ("gru", {"attention": "general", "layers": 3, "residual": True, "layer_norm": True}),
        ("lstm", {"attention": "general", "layers": 3, "residual": True, "feed_forward": 2}),
    ],
    ids=str,
)
@pytest.mark.parametrize("bf16", [False, True])
@torch.inference_mode()
def test_prepared_steps_are_the_general_ones_to_the_bit(
    cell: str, settings: dict[str, object], bf16: bool
) -> None:
    model = make(cell, **settings)
    with torch.autocast("cpu", enabled=bf16, dtype=torch.bfloat16):
        source = model.encode(SOURCES)
        writer = make_writer(model, source, capacity=CAPACITY)
        assert isinstance(writer, KernelWriter)
        for ours, general in zip(write(writer), write(PlainWriter(model, source)), strict=True):
            assert torch.equal(ours, general)


@needs_kernels
@pytest.mark.parametrize("bf16", [False, True])
@torch.inference_mode()
def test_chosen_tokens_are_those_of_the_scores(bf16: bool) -> None:
    models = [make(attention="general"), make("lstm", attention="none", tie=True)]
    with torch.autocast("cpu", enabled=bf16, dtype=torch.bfloat16):
        for model in (*models, Ensemble(models)):
            source = model.encode(SOURCES)
            writer, other = (make_writer(model, source, capacity=3) for _ in range(2))
            for count, without in ((1, None), (4, 2), (1, 2), (VOCABULARY + 1, None)):
                tokens_R = torch.tensor([1, 4, count % VOCABULARY])
                logs_RV = other.read(tokens_R).log_softmax(1)
                found = writer.choose(tokens_R, count, without=without)
                wanted = likeliest(logs_RV, count, without=without)
                assert torch.equal(found.tokens_RT, wanted.tokens_RT)
                torch.testing.assert_close(found.logs_RT, wanted.logs_RT)


def torch_steps(model: Translator, source: Source, tokens: Tensor) -> Tensor:
    """The scores after `tokens`, all sentences at the same, from plain torch.nn layers."""
    lower, upper = to_torch(model.lower), to_torch(model.upper)
    found = []
    for memory_SH, keys_SH in zip(source.memory.split(), source.keys.split(), strict=True):
        e_TE = nn.functional.embedding(tokens, model.target_embedding.weight)
        first = model.bridge(memory_SH.mean(0, keepdim=True)).tanh().chunk(2, dim=1)
        h_TH, _ = lower(e_TE, first[0])
        context_TH = (h_TH @ keys_SH.T).softmax(1) @ memory_SH
        up_TH, _ = upper(torch.cat([h_TH, context_TH], 1), first[1])
        out_TE = model.output(torch.cat([up_TH, context_TH, e_TE], 1)).tanh()
        found.append(nn.functional.linear(out_TE, model.vectors(), model.head.bias))
    return torch.stack(found)


@torch.inference_mode()
def test_steps_are_those_of_torch() -> None:
    model = make(attention="general", bridge="linear")
    source = model.encode(SOURCES)
    writer = make_writer(model, source, capacity=3)
    tokens = torch.tensor([1, 4, 3, 8, 0])
    ours = torch.stack([writer.read(token.expand(3)).clone() for token in tokens], dim=1)
    torch.testing.assert_close(ours, torch_steps(model, source, tokens), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_an_ensemble_writes_the_mean_of_its_parts() -> None:
    models = [make("gru"), make("sru"), make("gru", attention="none")]
    both = Ensemble(models)
    together = write(make_writer(both, both.encode(SOURCES), capacity=CAPACITY))
    parts = [
        write(make_writer(model, model.encode(SOURCES), capacity=CAPACITY)) for model in models
    ]
    logs = [[one for one in part if one.shape[1] == VOCABULARY] for part in parts]
    scores = [one for one in together if one.shape[1] == VOCABULARY]
    for ours, *theirs in zip(scores, *logs, strict=True):
        mean = torch.stack([one.log_softmax(1) for one in theirs]).mean(0)
        torch.testing.assert_close(ours, mean)


def test_what_the_kernels_do_not_know_is_written_in_general() -> None:
    for name, kind in CELLS.items():
        known = name in ("rnn", "lstm", "gru", "mingru", "minlstm")
        assert can_step(Recurrent(lambda size, kind=kind: kind(size, 4), 4).eval()) == known
    assert not can_step(make().lower.train())
    assert not can_step(make().encoder)


@needs_kernels
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "mingru", "minlstm"])
@torch.inference_mode()
def test_steps_go_on_from_a_state(kind: str) -> None:
    torch.manual_seed(1)
    layers = Recurrent(lambda size: CELLS[kind](size, 7), 5, layers=2, final_norm=True).eval()
    x = Ragged(torch.randn(4 * 3, 5), torch.arange(0, 13, 4))
    first = [tuple(torch.randn_like(part) for part in state) for state in layers.initial(3)]
    whole, last = layers(x, first)
    x_CI, y_CH = torch.empty(3, 5), torch.empty(3, 7)
    states = [tuple(part.clone() for part in state) for state in first]
    steps = Steps(layers, x_CI, y_CH, states)
    for step in range(4):
        x_CI.copy_(x.values[step::4])
        steps.run(3)
        assert torch.equal(y_CH, whole.values[step::4])
    for ours, theirs in zip(states, last, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
