"""Sampling against its definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch

from seqcli.config import LanguageNetwork
from seqcli.nn.decode import Sampling, draw, sample
from seqcli.nn.language import LanguageModel
from seqcli.nn.ragged import Ragged


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
    tokens = sample(model, prompt, Sampling(temperature=0), generator=generator)
    drawn = [token for token, _ in itertools.islice(tokens, 6)]
    whole = torch.tensor(prompt + drawn)
    with torch.no_grad():
        scores, _ = model(Ragged(whole, torch.tensor([0, len(whole)])), None)
    assert scores[len(prompt) - 1 : -1].argmax(dim=1).tolist() == drawn
    assert math.isfinite(float(scores.sum()))
