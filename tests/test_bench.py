"""The benchmark on shapes of a moment: what it returns, and what it counts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from conftest import Result

from seqcli.bench import Shape, bench, draw_lengths, measure
from seqcli.nn.cells import CELLS

TINY = ("--hidden", 4, "--input", 3, "--batch", 3, "--length", 5, "--rounds", 1, "--threads", 1)


def test_all_cells_have_figures() -> None:
    shape = Shape(hidden=4, input=3, batch=3, length=5)
    found = bench(shape, cells=list(CELLS), precision="fp32", rounds=1, threads=1)
    rows = found["rows"]
    order = [(row["pass"], row["cell"]) for row in rows]
    assert order == [(name, cell) for name in ("train", "predict") for cell in CELLS]
    for row in rows:
        assert row["precision"] == "fp32"
        assert min(row["tokens_per_second"], row["gflops"], row["share_of_peak"]) > 0
        assert (row["times_torch"] is not None) == (row["cell"] in ("rnn", "gru", "lstm"))
        assert row["share_of_peak"] == pytest.approx(row["gflops"] / found["peak"]["fp32"])
    assert found["tokens"] == int(draw_lengths(shape).sum())
    assert 0 < found["fill"] < 1


def test_work_is_that_of_the_products() -> None:
    """Training takes 24 H (I + H) operations a token for lstm, prediction a third."""
    shape = Shape(hidden=4, input=3, batch=2, length=5, unequal=False, bidirectional=True)
    found = bench(shape, cells=["lstm"], precision="fp32", rounds=1, threads=1)
    train, predict = (row["gflops"] * 1e9 / row["tokens_per_second"] for row in found["rows"])
    assert train == pytest.approx(2 * 24 * 4 * (3 + 4))
    assert predict == pytest.approx(train / 3)
    assert (found["tokens"], found["fill"]) == (10, 1.0)


def test_lengths() -> None:
    assert draw_lengths(Shape(batch=3, length=7, unequal=False)).tolist() == [7, 7, 7]
    lengths = draw_lengths(Shape(batch=4_000, length=40)).double()
    assert lengths.mean().item() == pytest.approx(40, rel=0.01)
    assert lengths.log().std().item() == pytest.approx(0.55, abs=0.01)
    assert draw_lengths(Shape(batch=50, length=1)).min() == 1
    before = torch.get_rng_state()
    assert draw_lengths(Shape(batch=9)).equal(draw_lengths(Shape(batch=9)))
    assert before.equal(torch.get_rng_state())


def test_candidates_take_turns_after_a_warm_up() -> None:
    calls: list[str] = []
    names = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert set(measure(names, 2)) == {"a", "b"}
    assert calls == ["a", "b"] * 3


@pytest.mark.parametrize("options", [(), ("--equal", "--bidirectional", "--precision", "both")])
def test_command(cli: Callable[..., Result], options: tuple[str, ...]) -> None:
    result = cli("bench", *TINY, "--cells", "gru,mingru", *options)
    assert result.status == 0, result.err
    assert "gru" in result.out
    assert max(map(len, result.lines)) <= 80
    assert "peak" in result.err
    printed = cli("bench", *TINY, "--cells", "gru", "--json", *options)
    found = json.loads(printed.out)
    assert {row["cell"] for row in found["rows"]} == {"gru"}
    assert found["shape"]["bidirectional"] == bool(options)


def test_wrong_usage(cli: Callable[..., Result]) -> None:
    result = cli("bench", "--cells", "gru,grue")
    assert (result.status, result.out) == (2, "")
    assert "'grue'; it can have rnn, jordan" in result.errors[0]
    assert cli("bench", "--rounds", 0).status == 2


def test_bf16_is_refused_where_it_is_slow(
    cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqcli.bench.choose_precision", lambda name, device: "fp32")
    result = cli("bench", *TINY, "--cells", "gru", "--precision", "bf16")
    assert result.status == 2
    assert "use fp32" in result.errors[0]
    found = json.loads(cli("bench", *TINY, "--cells", "gru", "--json").out)
    assert {row["precision"] for row in found["rows"]} == {"fp32"}
