"""Beam search against an exhaustive search over a tiny vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from seqcli.config import TranslateNetwork
from seqcli.nn.beam import (
    NEVER,
    Extensions,
    Hypothesis,
    Search,
    beam_search,
    block,
    normalise,
)
from seqcli.nn.ensemble import Ensemble
from seqcli.nn.ragged import ragged
from seqcli.nn.translator import Source, Translator

BEGIN, END, VOCABULARY, LIMIT = 1, 2, 5, 3
SOURCES = [[3, 4, 2], [5, 2], [6, 6, 3, 4, 2]]


def make_translator(attention: str = "general", cell: str = "gru", seed: int = 3) -> Translator:
    torch.manual_seed(seed)
    network = TranslateNetwork(
        cell=cell,  # type: ignore[arg-type]
        hidden=6,
        embedding=5,
        attention=attention,  # type: ignore[arg-type]
        input_feeding=cell == "lstm",
        bridge="copy" if cell == "lstm" else "linear",
        dropout=0.0,
    )
    model = Translator(7, VOCABULARY, network).eval().requires_grad_(False)
    for parameter in model.parameters():  # fresh weights are nearly uniform: make choices matter
        parameter.mul_(2.0)
    return model


def encode(model: Translator, sources: Sequence[Sequence[int]]) -> Source:
    return model.encode(ragged([torch.tensor(source) for source in sources]))


def find(
    model: Translator,
    search: Search,
    limits: Sequence[int] = (LIMIT, LIMIT, LIMIT),
    sources: Sequence[Sequence[int]] = SOURCES,
) -> list[list[Hypothesis]]:
    return beam_search(
        model, encode(model, sources), search, begin=BEGIN, end=END, limits=list(limits)
    )


def read(
    model: Translator, source: Sequence[int], outputs: Sequence[Sequence[int]]
) -> list[tuple[float, float]]:
    """log p of each output with its end mark, by teacher forcing, and Σ log min(Σ attention, 1)."""
    encoded = encode(model, [source] * len(outputs))
    reads = ragged([torch.tensor([BEGIN, *tokens]) for tokens in outputs])
    scores, _, weights = model.decode(
        reads, encoded, model.start(encoded), hypotheses=reads.offsets
    )
    logs = scores.double().log_softmax(1)
    gold = torch.tensor([token for tokens in outputs for token in (*tokens, END)])
    each = logs[torch.arange(len(gold)), gold].split([len(tokens) + 1 for tokens in outputs])
    matrices = [None] * len(outputs) if weights is None else weights.split()
    covered = [
        0.0 if one is None else float(np.log(np.minimum(one.double().numpy().sum(0), 1)).sum())
        for one in matrices
    ]
    return [(float(one.sum()), cover) for one, cover in zip(each, covered, strict=True)]


def all_outputs(limit: int) -> Iterator[list[int]]:
    words = [token for token in range(VOCABULARY) if token != END]
    for length in range(limit):
        yield from map(list, itertools.product(words, repeat=length))


def repeats(tokens: Sequence[int], size: int) -> bool:
    runs = [tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1)]
    return len(set(runs)) < len(runs)


@pytest.mark.parametrize(
    ("attention", "cell", "limit", "wishes"),
    [
        ("none", "gru", 3, {}),
        ("dot", "lstm", 3, {}),
        ("additive", "jordan", 3, {}),
        ("general", "gru", 3, {"length_penalty": 0.0}),
        ("general", "gru", 3, {"coverage_penalty": 2.0}),
        ("additive", "lstm", 3, {"coverage_penalty": 1.0, "length_penalty": 0.6}),
        ("general", "gru", 3, {"min_length": 1}),
        ("none", "lstm", 3, {"min_length": 2}),
        ("general", "gru", 3, {"no_repeat": 1}),
        ("general", "gru", 4, {"no_repeat": 2, "coverage_penalty": 0.5, "min_length": 2}),
    ],
    ids=str,
)
def test_wide_beam_finds_what_exhaustive_search_finds(
    attention: str, cell: str, limit: int, wishes: dict[str, float]
) -> None:
    model = make_translator(attention, cell)
    search = Search(beam=VOCABULARY**limit, **wishes)  # type: ignore[arg-type]
    found = find(model, search, [limit] * 3)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        outputs = [
            tokens
            for tokens in all_outputs(limit)
            if len(tokens) >= search.min_length
            and not (search.no_repeat and repeats(tokens, search.no_repeat))
        ]
        truths = {}
        for (log, cover), tokens in zip(read(model, source, outputs), outputs, strict=True):
            score = normalise(log, len(tokens) + 1, search.length_penalty)
            truths[tuple(tokens)] = score + search.coverage_penalty * cover
        # All of them, each with its score; the order follows.
        assert {tuple(one.tokens) for one in hypotheses} == set(truths)
        for one in hypotheses:
            assert one.score == pytest.approx(truths[tuple(one.tokens)], abs=1e-4)
        ranks = [one.score for one in hypotheses]
        assert ranks == sorted(ranks, reverse=True)


def test_beam_of_one_is_greedy() -> None:
    model = make_translator()
    for source, (hypothesis, *_) in zip(SOURCES, find(model, Search(), [9, 9, 9]), strict=True):
        tokens: list[int] = []
        while len(tokens) < 9:
            scores = model(ragged([torch.tensor(source)]), ragged([torch.tensor([BEGIN, *tokens])]))
            token = int(scores[-1].argmax())
            if token == END:
                break
            tokens.append(token)
        assert hypothesis.tokens == tokens


@pytest.mark.parametrize(
    ("attention", "cell", "wishes"),
    [
        ("general", "gru", {}),
        ("none", "minlstm", {}),
        ("additive", "lstm", {"min_length": 3}),
        ("dot", "sru", {"length_penalty": 0.5}),
    ],
)
def test_greedy_search_is_the_general_one_of_width_one(
    attention: str, cell: str, wishes: dict[str, float]
) -> None:
    model = make_translator(attention, cell)
    sources, limits = SOURCES + SOURCES[:2], [5, 6, 9, 2, 3]
    lean = find(model, Search(**wishes), limits, sources)  # type: ignore[arg-type]
    # Runs that no output is long enough to repeat: no other outputs, and not greedy search.
    general = find(model, Search(no_repeat=20, **wishes), limits, sources)  # type: ignore[arg-type]
    for (one,), (other, *_) in zip(lean, general, strict=True):
        assert one.tokens == other.tokens
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)
        assert one.score == pytest.approx(other.score, abs=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(
    "wishes", [{}, {"no_repeat": 2}, {"no_repeat": 2, "coverage_penalty": 0.7}], ids=str
)
def test_search_does_not_depend_on_the_batch(
    beam: int, cell: str, wishes: dict[str, float]
) -> None:
    model = make_translator(cell=cell)
    search = Search(beam=beam, **wishes)  # type: ignore[arg-type]
    # Unequal limits, so that sentences are done one by one and those left move together.
    sources, limits = SOURCES + SOURCES[:2], [5, 6, 9, 2, 3]
    together = find(model, search, limits, sources)
    for source, limit, expected in zip(sources, limits, together, strict=True):
        (alone,) = find(model, search, [limit], [source])
        assert [one.tokens for one in alone] == [one.tokens for one in expected]
        for one, other in zip(alone, expected, strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)
            assert one.score == pytest.approx(other.score, abs=1e-5)
            if len(one.tokens) < limit:  # at the limit the end mark is not drawn
                ((truth, _),) = read(model, source, [one.tokens])
                assert one.log_probability == pytest.approx(truth, abs=1e-4)


def test_a_stuck_search_keeps_what_it_has() -> None:
    """No token twice, and no end before nine tokens: after four the vocabulary is used up."""
    model = make_translator()
    for hypotheses in find(model, Search(beam=2, no_repeat=1, min_length=9), [12] * 3):
        assert sorted(hypotheses[0].tokens) == [0, 1, 3, 4]


def test_length_penalty_of_wu_et_al() -> None:
    assert normalise(-6.0, 1, 1.0) == pytest.approx(-6.0)
    assert normalise(-6.0, 7, 1.0) == pytest.approx(-3.0)
    assert normalise(-6.0, 7, 0.0) == pytest.approx(-6.0)


def test_block_forbids_runs_that_would_come_again() -> None:
    paths = torch.tensor([[1, 2, 1], [3, 3, 3], [1, 2, 3]])
    logs = torch.zeros(3, 5)
    block(logs, paths, 2)
    assert [(row == NEVER).nonzero().flatten().tolist() for row in logs] == [[2], [3], []]


def test_ensemble_of_one_model_with_itself_is_that_model() -> None:
    model = make_translator()
    search = Search(beam=3, coverage_penalty=0.3)
    alone = find(model, search)
    both = Ensemble([model, model])
    source = both.encode(ragged([torch.tensor(source) for source in SOURCES]))
    found = beam_search(both, source, search, begin=BEGIN, end=END, limits=[LIMIT] * 3)
    for ours, theirs in zip(found, alone, strict=True):
        assert [one.tokens for one in ours] == [one.tokens for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)


def test_ensemble_averages_log_probabilities() -> None:
    models = [make_translator(seed=seed) for seed in (3, 4)]
    both = Ensemble(models)
    sources = ragged([torch.tensor(source) for source in SOURCES])
    targets = ragged([torch.tensor([BEGIN, 3]), torch.tensor([BEGIN]), torch.tensor([BEGIN, 4, 0])])
    logs = [model(sources, targets).double().log_softmax(1) for model in models]
    mean = (logs[0] + logs[1]) / 2
    torch.testing.assert_close(
        both(sources, targets).double().log_softmax(1), mean.log_softmax(1), atol=1e-5, rtol=1e-5
    )


def test_a_prefix_begins_every_output_whatever_its_probability() -> None:
    model = make_translator()
    search = Search(beam=VOCABULARY**4, prefix=(4, 3))
    for source, found in zip(SOURCES, find(model, search, [4] * 3), strict=True):
        wanted = [tokens for tokens in all_outputs(4) if tokens[:2] == [4, 3]]
        truths = dict(zip(map(tuple, wanted), read(model, source, wanted), strict=True))
        assert {tuple(one.tokens) for one in found} == set(truths)
        for one in found:
            log, _ = truths[tuple(one.tokens)]
            assert one.log_probability == pytest.approx(log, abs=1e-4)


def test_who_watches_sees_each_extension_and_which_live_on() -> None:
    model, beam, seen = make_translator(), 2, []

    def watch(weighed: Extensions, order_BK: torch.Tensor) -> None:
        seen.append((weighed.values[0], weighed.ends[0], order_BK[0]))

    source = encode(model, SOURCES[:1])
    search = Search(beam=beam)
    beam_search(model, source, search, begin=BEGIN, end=END, limits=[LIMIT], watch=watch)
    for step, (values, ends, order) in enumerate(seen):
        assert len(values) == (1 if step == 0 else beam) * (beam + 1)
        assert values.tolist() == sorted(values.tolist(), reverse=True)
        assert order.tolist() == [at for at, end in enumerate(ends.tolist()) if not end][:beam]
