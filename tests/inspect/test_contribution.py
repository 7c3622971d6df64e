"""Contributions sum to the score, for every pooling and direction."""

from __future__ import annotations

import pytest
import torch
from planted import BAD, GOOD, classify_rows, planted_classifier, random_model, rows_of

from seqcli.inspect import contribution
from seqcli.inspect.sentence import read_sentence
from seqcli.inspect.trace import list_layers, list_sites

TEXT = "the moving rome of worst june and superb"


def read(task, model, text=TEXT):  # type: ignore[no-untyped-def]
    return read_sentence(task, model, list_sites(list_layers(model)), text).facts


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_they_sum_to_the_logit(pool: str, bidirectional: bool) -> None:
    rows = classify_rows(40)
    task, model = random_model(
        "classify", rows, cell="lstm", pool=pool, bidirectional=bidirectional, layers=2,
        hidden=7, embedding=6,
    )  # fmt: skip
    facts = read(task, model)
    found = facts["contributions"]
    assert found["exact"]
    sums = torch.tensor(found["values"]).sum(0) + torch.tensor(found["bias"])
    assert torch.allclose(sums, torch.tensor(facts["scores"]), atol=1e-5)


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
def test_planted_contributions(pool: str) -> None:
    """A network without memory: with last pooling only the end counts; a word that moves nothing
    the head reads contributes what it lets go of."""
    rows = classify_rows(40)
    task, model = planted_classifier(rows, pool=pool)
    for word, sign in ((GOOD[0], 1), (BAD[0], -1)):
        facts = read(task, model, f"rome {word}")
        at = facts["labels"].index("positive")
        values = [row[at] for row in facts["contributions"]["values"]]
        assert abs(values[0]) < 1e-6
        assert values[1] * sign > 0 or pool == "max"
    facts = read(task, model, f"{GOOD[0]} {BAD[0]}")
    at = facts["labels"].index("positive")
    strong = 4 * torch.tanh(torch.tensor(1.2))
    true = {"last": (strong, -2 * strong), "mean": (strong, -strong), "max": (strong, 0 * strong)}
    for row, value in zip(facts["contributions"]["values"], true[pool], strict=True):
        assert abs(row[at] - float(value)) < 1e-5


@pytest.mark.parametrize("name", ["tag", "lm"])
@pytest.mark.parametrize("tie", [False, True])
def test_they_sum_at_every_token(name: str, tie: bool) -> None:
    rows = rows_of(name, 20)
    settings = {"cell": "gru", "hidden": 7, "embedding": 6}
    settings |= {"tokens": "word", "tie": tie} if name == "lm" else {"bidirectional": tie}
    task, model = random_model(name, rows, **settings)
    facts = read(task, model)
    assert len(facts["pairs"]) == len(facts["tokens"][""])
    if name == "lm" or not tie:  # reading forward, nothing after a token adds to its score
        assert all(value == 0 for at, row in enumerate(facts["pairs"]) for value in row[at + 1 :])


def test_integrated_gradients_where_the_sum_is_not_exact() -> None:
    rows = classify_rows(40)
    task, model = random_model("classify", rows, cell="gru", hidden=7, embedding=6)
    linear = model.read
    model.read = lambda tokens: linear(tokens) ** 2
    facts = read(task, model)
    found = facts["contributions"]
    assert not found["exact"]
    assert found["method"].startswith("integrated gradients")
    # Completeness: they sum to the score less that of zero vectors.
    with torch.no_grad():
        for weight in model.embedding.parameters():
            weight.zero_()
    zero = read(task, model)
    order = [zero["labels"].index(name) for name in facts["labels"]]
    change = torch.tensor(facts["scores"]) - torch.tensor(zero["scores"])[order]
    assert torch.allclose(torch.tensor(found["values"]).sum(0), change, atol=2e-3)


def test_only_a_top_layer_with_two_labels_has_a_direction() -> None:
    rows = classify_rows(40)
    _, model = random_model("classify", rows, layers=2, bidirectional=True, hidden=4, embedding=3)
    layers = list_layers(model)
    assert contribution.label_direction(model, layers[0], 2) is None
    reverse = contribution.label_direction(model, layers[3], 2)
    weight = model.head.weight[1] - model.head.weight[0]
    assert torch.equal(reverse, weight[4:].detach())
