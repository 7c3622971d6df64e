"""Beam search against an exhaustive search, and sampling against its definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from seqcli.config import LanguageNetwork, TranslateNetwork
from seqcli.nn.decode import Sampling, beam_search, draw, normalise, sample
from seqcli.nn.language import LanguageModel
from seqcli.nn.ragged import Ragged, ragged
from seqcli.nn.translator import Translator

BEGIN, END, VOCABULARY, LIMIT = 1, 2, 5, 3


def make_translator(attention: str = "general", cell: str = "gru") -> Translator:
    torch.manual_seed(3)
    network = TranslateNetwork(cell=cell, hidden=6, embedding=5, attention=attention, dropout=0.0)
    model = Translator(7, VOCABULARY, network).eval()
    with torch.no_grad():  # fresh weights are nearly uniform; make the choice matter
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model


SOURCES = [[3, 4, 2], [5, 2], [6, 6, 3, 4, 2]]


def encode(model, sources):
    return model.encode(ragged([torch.tensor(source) for source in sources]))


def log_probabilities(model, source, outputs):
    """log p of each output with its end mark, by teacher forcing."""
    sources = ragged([torch.tensor(source)] * len(outputs))
    reads = ragged([torch.tensor([BEGIN, *tokens]) for tokens in outputs])
    with torch.no_grad():
        scores = model(sources, reads)
    gold = torch.tensor([token for tokens in outputs for token in (*tokens, END)])
    nats = torch.nn.functional.cross_entropy(scores, gold, reduction="none")
    return [-float(one.sum()) for one in nats.split([len(tokens) + 1 for tokens in outputs])]


def all_outputs(limit):
    words = [token for token in range(VOCABULARY) if token != END]
    for length in range(limit):
        yield from itertools.product(words, repeat=length)


@pytest.mark.parametrize(
    ("attention", "cell"),
    [("none", "gru"), ("dot", "lstm"), ("general", "gru"), ("additive", "jordan")],
)
def test_wide_beam_finds_what_exhaustive_search_finds(attention, cell):
    model = make_translator(attention, cell)
    width = VOCABULARY**LIMIT
    found = beam_search(
        model, encode(model, SOURCES), beam=width, begin=BEGIN, end=END, limits=[LIMIT] * 3
    )
    for source, hypotheses in zip(SOURCES, found, strict=True):
        outputs = [list(tokens) for tokens in all_outputs(LIMIT)]
        values = log_probabilities(model, source, outputs)
        ranked = [
            (normalise(value, len(tokens) + 1, 1.0), tokens)
            for value, tokens in zip(values, outputs, strict=True)
        ]
        best = max(ranked)
        assert hypotheses[0].tokens == best[1]
        assert hypotheses[0].score == pytest.approx(best[0], abs=1e-4)


def test_beam_of_one_is_greedy():
    model = make_translator()
    found = beam_search(
        model, encode(model, SOURCES), beam=1, begin=BEGIN, end=END, limits=[9, 9, 9]
    )
    for source, (hypothesis, *_) in zip(SOURCES, found, strict=True):
        tokens: list[int] = []
        while len(tokens) < 9:
            with torch.no_grad():
                scores = model(
                    ragged([torch.tensor(source)]), ragged([torch.tensor([BEGIN, *tokens])])
                )
            token = int(scores[-1].argmax())
            if token == END:
                break
            tokens.append(token)
        assert hypothesis.tokens == tokens


@pytest.mark.parametrize("beam", [1, 3])
def test_search_does_not_depend_on_the_batch(beam):
    model = make_translator()
    together = beam_search(
        model, encode(model, SOURCES), beam=beam, begin=BEGIN, end=END, limits=[5, 6, 7]
    )
    for source, limit, expected in zip(SOURCES, [5, 6, 7], together, strict=True):
        (alone,) = beam_search(
            model, encode(model, [source]), beam=beam, begin=BEGIN, end=END, limits=[limit]
        )
        assert [one.tokens for one in alone] == [one.tokens for one in expected]
        for one, other in zip(alone, expected, strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)
            (truth,) = log_probabilities(model, source, [one.tokens])
            if len(one.tokens) < limit:  # at the limit the end mark is not drawn
                assert one.log_probability == pytest.approx(truth, abs=1e-4)


def test_length_penalty_of_wu_et_al():
    assert normalise(-6.0, 1, 1.0) == pytest.approx(-6.0)
    assert normalise(-6.0, 7, 1.0) == pytest.approx(-3.0)
    assert normalise(-6.0, 7, 0.0) == pytest.approx(-6.0)


def frequencies(logits, sampling, n=20_000):
    generator = torch.Generator().manual_seed(0)
    drawn = draw(torch.tensor(logits).repeat(n, 1), sampling, generator)
    return np.bincount(drawn.numpy(), minlength=len(logits)) / n


def test_draw_follows_temperature_and_cuts():
    logits = [2.0, 1.0, 0.0, -1.0]

    def chances(values):
        e = np.exp(values)
        return e / e.sum()

    np.testing.assert_allclose(
        frequencies(logits, Sampling()), chances(np.array(logits)), atol=0.015
    )
    np.testing.assert_allclose(
        frequencies(logits, Sampling(temperature=0.5)), chances(np.array(logits) * 2), atol=0.015
    )
    assert frequencies(logits, Sampling(temperature=0))[0] == 1
    assert frequencies(logits, Sampling(top_k=1))[0] == 1
    top2 = frequencies(logits, Sampling(top_k=2))
    assert top2[2] == top2[3] == 0
    # e² / Σ = 0.644: the first alone reaches 0.6, and 0.65 needs the second too
    assert frequencies(logits, Sampling(top_p=0.6))[0] == 1
    both = frequencies(logits, Sampling(top_p=0.65))
    assert both[1] > 0.2
    assert both[2] == 0


def test_sampling_step_by_step_equals_reading_at_once():
    torch.manual_seed(0)
    model = LanguageModel(9, LanguageNetwork(cell="lstm", hidden=7, embedding=5)).eval()
    generator = torch.Generator().manual_seed(1)
    prompt = [2, 4, 5]
    drawn = list(
        itertools.islice(sample(model, prompt, Sampling(temperature=0), generator=generator), 6)
    )
    whole = torch.tensor(prompt + drawn)
    with torch.no_grad():
        scores, _ = model(Ragged(whole, torch.tensor([0, len(whole)])), None)
    assert scores[len(prompt) - 1 : -1].argmax(dim=1).tolist() == drawn
    assert math.isfinite(float(scores.sum()))
