"""CKA, matching and paired tests on cases with a known answer; claims on made-up numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import tiny

from seqcli.data.rows import Rows
from seqcli.inspect import claims
from seqcli.inspect.corpus import make_corpus
from seqcli.inspect.similarity import compare_ratios, linear_cka, match_units
from seqcli.inspect.trace import list_layers, list_sites
from seqcli.tasks.classify import Classify

DRAW = np.random.default_rng(0)


def test_cka_does_not_see_rotation_and_scale() -> None:
    one = DRAW.normal(size=(200, 5))
    turn = np.linalg.qr(DRAW.normal(size=(5, 5)))[0]
    assert linear_cka(one, 3 * one @ turn + 2) == pytest.approx(1.0)
    assert linear_cka(one, DRAW.normal(size=(200, 7))) < 0.1
    assert linear_cka(one, np.ones((200, 3))) == 0.0
    # Its definition with Gram matrices (Kornblith et al. 2019).
    other = DRAW.normal(size=(200, 4)) + one[:, :4]
    centre = np.eye(200) - 1 / 200
    k, l = (centre @ x @ x.T @ centre for x in (one, other))
    assert linear_cka(one, other) == pytest.approx(
        (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())
    )


def test_units_find_their_shuffled_selves() -> None:
    one = DRAW.normal(size=(300, 8))
    order = DRAW.permutation(8)
    sign = np.where(np.arange(8) % 2, -1.0, 1.0)
    other = (one * sign)[:, order]
    found = match_units(one, other)
    assert np.array_equal(order[found.partner], np.arange(8))
    assert np.allclose(found.correlation, sign)
    assert found.mean == pytest.approx(1.0)
    assert found.chance < 0.6


def test_a_real_difference_and_none() -> None:
    count = np.ones(400)
    right = (DRAW.random(400) < 0.7).astype(float)
    better = np.maximum(right, (DRAW.random(400) < 0.3).astype(float))
    found = compare_ratios((right, count), (better, count), seed=1, draws=500)
    assert found.difference == pytest.approx(better.mean() - right.mean())
    assert found.interval[0] > 0
    assert found.p is not None
    assert found.p < 0.01
    same = compare_ratios((right, count), (right, count), seed=1, draws=500)
    assert same.difference == 0
    assert same.p == 1.0


def test_verdicts_follow_the_interval() -> None:
    assert claims.judge("x", "y", 0.2, (0.1, 0.3)).verdict == "supported"
    assert claims.judge("x", "y", -0.2, (-0.3, -0.1)).verdict == "refuted"
    assert claims.judge("x", "y", 0.0, (-0.1, 0.1)).verdict == "undecided"
    lower = DRAW.random(100)
    assert claims.sparser_layer(lower, lower + 0.1, seed=1).verdict == "supported"
    drawn = {"update_sparsity": DRAW.random(50), "update_density": DRAW.random(50)}
    moved = {name: values + 0.2 for name, values in drawn.items()}
    assert [one.verdict for one in claims.sparser_update(drawn, moved)] == ["supported", "refuted"]


def test_reactions_are_those_to_what_the_model_read() -> None:
    """Words with their capitals, not their ids alone."""
    texts = ["a film though slow .", "A FILM though slow ."] * 10
    rows = Rows({"text": texts, "label": ["x", "y"] * 10}, "t")
    task = Classify.learn(tiny("classify", None, tokens="word", bidirectional=False), rows)
    torch.manual_seed(1)
    model = task.build().eval()
    corpus = make_corpus(task, rows, max_tokens=None)
    (site, *_) = list_sites(list_layers(model))
    sizes, _ = claims._reactions(corpus, model, site, "though")
    assert len(sizes) == 20
    assert abs(sizes[0] - sizes[1]) > 1e-4
    assert sizes[2] == pytest.approx(sizes[0])
