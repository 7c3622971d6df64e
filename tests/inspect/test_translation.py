"""The beam tree against the search that translates, attention, and a forced start."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted import random_model, rows_of

from seqcli.config import Request
from seqcli.data.rows import Rows
from seqcli.data.tokens import EOS
from seqcli.inspect.trace import list_layers
from seqcli.inspect.translate import grow_tree, read_translation

SMALL = {"hidden": 8, "embedding": 6, "tokens": "word"}


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("attention", ["none", "dot", "additive"])
def test_the_tree_holds_the_translation(beam: int, attention: str) -> None:
    rows = rows_of("translate", 20)
    task, model = random_model("translate", rows, attention=attention, **SMALL)
    with torch.no_grad():  # a network that is sure of itself and ends
        model.head.bias[EOS] += 1.5
    for text in rows["source"][:4]:
        source = task.encode_source([text]).values
        tree = grow_tree(model, source, beam=beam, limit=30)
        best = [token for token in tree.path(tree.best) if token != EOS]
        request = Request(beam=beam, max_length=30)
        found = task.search(model, [text], request)[0][0]
        assert best == found.tokens
        assert tree.nodes[tree.best].total == pytest.approx(found.log_probability, abs=1e-4)


def test_nodes_add_up() -> None:
    rows = rows_of("translate", 20)
    task, model = random_model("translate", rows, **SMALL)
    tree = grow_tree(model, task.encode_source(["rome of june"]).values, beam=3, limit=6)
    for node in tree.nodes:
        before = tree.nodes[node.parent].total if node.parent >= 0 else 0.0
        assert node.total == pytest.approx(before + node.log_probability)
        assert node.parent < 0 or tree.nodes[node.parent].fate == "live"
    for step in range(6):
        assert sum(n.fate == "live" for n in tree.nodes if n.step == step) <= 3


def test_attention_sums_to_one_and_gradients_to_the_change() -> None:
    rows = rows_of("translate", 20)
    task, model = random_model("translate", rows, **SMALL)
    with torch.no_grad():
        facts, _ = read_translation(task, model, list_layers(model), "rome of june")
    attention = np.array(facts["attention"])
    assert attention.shape == (len(facts["written"]), len(facts["tokens"]["encoder"]))
    assert np.allclose(attention.sum(axis=1), 1, atol=1e-3)
    assert len(facts["source_gradients"]) == attention.shape[1]
    whole = sum(facts["log_probabilities"])
    with torch.no_grad():
        model.source_embedding.weight.zero_()
        columns = {"source": ["rome of june"], "target": [facts["translation"]]}
        (nats,) = task.nats(model, task.encode(Rows(columns, "x")))
    assert sum(facts["source_gradients"]) == pytest.approx(whole + nats, abs=0.02)


def test_a_forced_start_is_kept() -> None:
    rows = rows_of("translate", 20)
    task, model = random_model("translate", rows, **SMALL)
    with torch.no_grad():
        facts, _ = read_translation(
            task, model, list_layers(model), "rome of june", prefix="OSLO DULL"
        )
    assert facts["written"][:2] == ["OSLO", "DULL"]
    assert facts["forced"] == 2
    assert facts["translation"].startswith("OSLO DULL")
