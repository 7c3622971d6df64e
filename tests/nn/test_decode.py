"""Sampling against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seqcli.config import LanguageNetwork
from seqcli.nn import native
from seqcli.nn.condition import Conditioning
from seqcli.nn.decode import Drawing, Sampling, draw
from seqcli.nn.language import LanguageModel
from seqcli.nn.ragged import Ragged
from seqcli.nn.texts import KernelTexts, PlainTexts, make_texts


def frequencies(logits, sampling, n=20_000):
    generator = torch.Generator().manual_seed(0)
    luck = torch.rand(n, generator=generator, dtype=torch.float64)
    drawn = draw(torch.tensor(logits).repeat(n, 1), sampling, luck)
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


def test_luck_finds_the_token_whose_share_it_falls_into():
    logits = torch.tensor([0.5, 0.2, 0.3]).log()
    luck = torch.tensor([0.0, 0.49, 0.51, 0.69, 0.71, 0.999], dtype=torch.float64)
    drawn = draw(logits.repeat(6, 1), Sampling(), luck)
    assert drawn.tolist() == [0, 0, 1, 1, 2, 2]
    # The likeliest come first where some are cut off: 0.5 and 0.3.
    for cut in (Sampling(top_k=2), Sampling(top_p=0.75)):
        assert draw(logits.repeat(6, 1), cut, luck).tolist() == [0, 0, 0, 2, 2, 2]


def test_what_has_no_chance_is_never_drawn():
    edges = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    for seed in range(50):
        logits = torch.randn(1, 40, generator=torch.Generator().manual_seed(seed))
        logits[:, [0, 1, 39]] = float("-inf")
        for sampling in (Sampling(), Sampling(top_p=0.5), Sampling(top_k=5), Sampling(0.0)):
            assert not {0, 1, 39} & set(draw(logits.repeat(2, 1), sampling, edges).tolist())


def test_a_nucleus_is_that_of_all_tokens_sorted():
    """Also one of more tokens than are looked at first."""
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(6, 3_000, generator=generator) * torch.tensor(
        [[0.0], [1], [2], [3], [5], [9]]
    )
    logits += torch.linspace(0, 1e-3, 3_000)  # no two alike
    luck = torch.rand(6, generator=generator, dtype=torch.float64)
    for top_p in (0.1, 0.9, 0.999):
        chance = logits.double().softmax(1)
        best, order = chance.sort(dim=1, descending=True)
        best[best.cumsum(1) - best >= top_p] = 0
        sums = best.cumsum(1)
        place = torch.searchsorted(sums, luck[:, None] * sums[:, -1:], right=True)
        wanted = order.gather(1, place).squeeze(1)
        assert draw(logits, Sampling(top_p=top_p), luck).tolist() == wanted.tolist()


def make(cell="lstm", *, conditioning=None, **settings):
    torch.manual_seed(0)
    network = LanguageNetwork(cell=cell, **{"hidden": 7, "embedding": 5, **settings})
    return LanguageModel(9, network, conditioning=conditioning).eval().requires_grad_(False)


def write(drawing, steps):
    """The tokens of each text."""
    return list(zip(*(drawing.draw() for _ in range(steps)), strict=True))


def luck(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("cell", ["lstm", "jordan"])
def test_sampling_step_by_step_equals_reading_at_once(cell):
    model, prompt = make(cell), [2, 4, 5]
    (drawn,) = write(Drawing(model, prompt, Sampling(temperature=0), generators=luck(1)), 6)
    whole = torch.tensor([*prompt, *drawn])
    with torch.no_grad():
        scores, _ = model(Ragged(whole, torch.tensor([0, len(whole)])), None)
    assert tuple(scores[len(prompt) - 1 : -1].argmax(dim=1).tolist()) == drawn
    assert math.isfinite(float(scores.sum()))


@pytest.mark.parametrize("cell", ["gru", "transformer", "sru"])
def test_texts_that_are_written_together_are_those_written_alone(cell):
    model = make(cell, layers=2, tie=False)
    both = Drawing(model, [2, 4], Sampling(), generators=luck(1, 2, 3), banned=(0,))
    together = write(both, 5)
    both.select([0, 2])
    rest = write(both, 4)
    for seed, begun, later in ((1, together[0], rest[0]), (3, together[2], rest[1])):
        alone = Drawing(model, [2, 4], Sampling(), generators=luck(seed), banned=(0,))
        assert write(alone, 9) == [(*begun, *later)]


def label_conditioning(output):
    return Conditioning(output, labels=3, numbers=0, width=4)


@pytest.mark.skipif(not native.status().available, reason=native.status().reason)
@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        ("gru", {"tie": False}),
        ("lstm", {"layers": 2, "tie": True}),
        ("mingru", {"layers": 3, "hidden": 5, "residual": True, "layer_norm": True}),
        ("gru", {"layers": 2, "hidden": 5, "feed_forward": 3}),
        ("rnn", {"conditioning": label_conditioning}),
    ],
    ids=["gru", "lstm", "mingru", "feed-forward", "rnn from a label"],
)
@torch.inference_mode()
def test_prepared_steps_are_the_general_ones_to_the_bit(cell, settings):
    model = make(cell, **settings)
    first = model.recurrent.initial(3)
    states = [tuple(torch.randn_like(part) for part in parts) for parts in first]
    given = torch.tensor([0, 2, 1]) if model.conditioning else None
    for condition in (None, given):
        ours, general = make_texts(model, states, condition), PlainTexts(model, states, condition)
        assert isinstance(ours, KernelTexts)
        rows = 3
        for chosen in ([0, 1, 2], [0, 2], [1]):
            tokens = torch.arange(rows) + rows
            assert torch.equal(ours.read(tokens), general.read(tokens))
            for one, other in zip(ours.states, general.states, strict=True):
                assert all(torch.equal(*parts) for parts in zip(one, other, strict=True))
            for texts in (ours, general):
                texts.select(torch.tensor(chosen))
            rows = len(chosen)
