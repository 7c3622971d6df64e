"""One text: glyphs by hand, any layer, prefixes read as texts of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted import classify_rows, random_model, rows_of

from seqcli.errors import UsageError
from seqcli.inspect.sentence import LONGEST, draw_glyphs, read_sentence
from seqcli.inspect.trace import list_layers, list_sites

SMALL = {"hidden": 6, "embedding": 5}


def test_hand_worked_glyphs() -> None:
    state = np.array([[0.5, -0.5, 0.2], [0.8, 0.1, 0.0]])
    before = np.array([[0.0, 0.0, 0.0], [0.5, -0.5, 0.2]])
    found = draw_glyphs(state, before, np.array([0, 0, 1]), 3)
    assert found.positive.tolist() == [[0.5, 0.2, 0.0], [0.9, 0.0, 0.0]]
    assert found.negative.tolist() == [[-0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert np.allclose(found.rise, [[0.5, 0.2, 0.0], [0.3 + 0.6, 0.0, 0.0]])
    assert np.allclose(found.fall, [[-0.5, 0.0, 0.0], [0.0, -0.2, 0.0]])
    assert np.allclose(found.kept[1], [0.5, 0.0, 0.0])  # the second unit changed its sign
    assert np.allclose(found.kept_rate[1], [0.5, 0.0, 0.0])
    assert found.size.tolist() == [2, 1, 0]


@pytest.mark.parametrize("name", ["classify", "tag", "lm", "translate"])
def test_every_layer_can_be_seen(name: str) -> None:
    """Not only the last one: the states of each site are those of its own layer."""
    rows = rows_of(name, 30)
    more = {"tokens": "word"} if name == "lm" else {}
    task, model = random_model(name, rows, cell="lstm", layers=2, **SMALL, **more)
    sites = list_sites(list_layers(model))
    found = read_sentence(task, model, sites, "the moving rome of june")
    assert set(found.states) == {site.key for site in sites}
    for site in sites:
        tokens = found.facts["tokens"][site.layer.part]
        assert found.states[site.key].shape == (len(tokens), 6)
    same = [
        (one.key, other.key)
        for one in sites
        for other in sites
        if one.key < other.key
        and found.states[one.key].shape == found.states[other.key].shape
        and np.allclose(found.states[one.key], found.states[other.key])
    ]
    assert not same


@pytest.mark.parametrize("bidirectional", [False, True])
def test_prefixes_are_read_as_texts_of_their_own(bidirectional: bool) -> None:
    rows = classify_rows(30)
    task, model = random_model("classify", rows, bidirectional=bidirectional, **SMALL)
    words = ["the", "moving", "rome", "of", "june"]
    facts = read_sentence(task, model, list_sites(list_layers(model)), " ".join(words)).facts
    order = [task.labels.index(name) for name in facts["labels"]]
    for at in range(1, len(words) + 1):
        true = task.probabilities(model, task.read([" ".join(words[:at])]))[0][order]
        assert np.allclose(facts["prefixes"][at - 1], true, atol=1e-5)


def test_a_site_by_itself_is_read_the_same() -> None:
    rows = classify_rows(30)
    task, model = random_model("classify", rows, layers=2, **SMALL)
    sites = list_sites(list_layers(model))
    whole = read_sentence(task, model, sites, "funny rome")
    alone = read_sentence(task, model, sites[:1], "funny rome")
    assert np.array_equal(whole.states[sites[0].key], alone.states[sites[0].key])
    assert whole.facts["contributions"] == alone.facts["contributions"]


def test_unknown_words_long_texts_and_empty_ones() -> None:
    rows = classify_rows(30)
    task, model = random_model("classify", rows, **SMALL)
    sites = list_sites(list_layers(model))
    facts = read_sentence(task, model, sites, "funny qwerty").facts
    assert facts["tokens"][""] == ["funny", "qwerty?"]
    facts = read_sentence(task, model, sites, "rome " * (LONGEST + 9)).facts
    assert len(facts["tokens"][""]) == LONGEST
    assert "the first 120 of 129 tokens" in facts["note"]
    assert len(facts["text"]) < 9 * LONGEST
    facts = read_sentence(task, model, sites, "rome " * 50_000).facts
    assert len(facts["text"]) < 2_100
    with pytest.raises(UsageError, match="empty"):
        read_sentence(task, model, sites, "   ")


def test_language_model_sees_how_likely_the_text_was() -> None:
    rows = rows_of("lm", 30)
    task, model = random_model("lm", rows, tokens="word", ngrams=0, **SMALL)
    facts = read_sentence(task, model, list_sites(list_layers(model)), "the moving rome").facts
    assert facts["tokens"][""][0] == "<eos>"
    logs = task.log_probabilities(model, task.read(["the moving rome"]))[0]
    assert torch.allclose(torch.tensor(facts["following"]).log(), logs[:-1], atol=1e-4)
