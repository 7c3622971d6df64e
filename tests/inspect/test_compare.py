"""What two networks, or two layers of one, can be compared in."""

from __future__ import annotations

from typing import Any

import pytest
from planted import random_model, rows_of

from seqcli.config import Comparing
from seqcli.inspect.compare import Comparison, compare
from seqcli.inspect.summary import summarise_comparison

SETTINGS = Comparing(min_count=1, clusters=2)
ROWS = rows_of("classify", 40)


def make(cell: str, **settings: Any) -> tuple[Any, Any]:
    return random_model("classify", ROWS, cell=cell, hidden=6, embedding=5, **settings)


def run(one: tuple[Any, Any], other: tuple[Any, Any], *layers: str) -> Comparison:
    first, second = layers or (None, None)
    return compare([("a", *one, first), ("b", *other, second)], ROWS, SETTINGS)


def claims(found: Comparison) -> list[str]:
    return list(dict.fromkeys(one["claim"] for one in found.content["claims"]))


def test_layers_are_claimed_about_within_a_network_only() -> None:
    one, other = make("gru", layers=2), make("gru", layers=2)
    claim = "A second layer responds more sparsely than the first"
    assert claim in claims(run(one, one, "1", "2"))
    assert claim not in claims(run(one, one, "2", "2"))
    other[1].head.bias.data += 1
    assert claim not in claims(run(one, other, "1", "2"))


def test_gates_are_subtracted_within_a_kind_of_cell_only() -> None:
    """z keeps in a GRU and writes in a minGRU."""
    unlike = run(make("gru"), make("mingru")).content
    assert "difference" not in unlike["numbers"]["gate_z"]
    assert None not in unlike["numbers"]["gate_z"]["values"]
    assert "difference" in unlike["numbers"]["share_kept"]
    assert [side["gates"]["z"] for side in unlike["sides"]] == [
        "1 keeps the old state",
        "1 writes the candidate",
    ]
    said = list(summarise_comparison(unlike))
    assert "gates of B: z (1 writes the candidate)" in said
    alike = run(make("gru"), make("gru", layers=2)).content["numbers"]
    assert "difference" in alike["gate_z"]
    assert "candidate_n" in alike
    assert "gate_n" not in alike


@pytest.mark.parametrize(("layers", "count"), [(("1", "1"), 1), (("1", "2"), 0)])
def test_cells_are_claimed_about_in_the_same_layer_only(
    layers: tuple[str, str], count: int
) -> None:
    found = claims(run(make("rnn", layers=2), make("lstm", layers=2), *layers))
    assert found == ["An LSTM updates its state more sparsely than a plain RNN"] * count


@pytest.mark.parametrize("task", ["lm", "translate"])
def test_surprise_at_other_tokens_is_not_compared(task: str) -> None:
    """A model that knows fewer words has less to tell apart: no test makes that a difference."""
    rows = rows_of(task, 40)
    one, same, other = (
        random_model(task, rows, tokens="word", hidden=6, embedding=5, vocabulary_size=size)
        for size in (None, None, 8)
    )
    for second, told in ((same, False), (other, True)):
        found = compare([("a", *one, None), ("b", *second, None)], rows, SETTINGS).content
        assert (found["metric"] is None) == told
        assert any("cross-entropies" in note for note in found["notes"]) == told
        assert any("cross_entropy" in line for line in summarise_comparison(found)) != told
