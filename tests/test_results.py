"""Tables of scores: nothing is cut off on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from seqcli import results
from seqcli.metrics import language
from seqcli.seeds import Spread

NETWORK: dict[str, Any] = {
    "token_accuracy": 0.98123,
    "span_f1": 0.9398,
    "label_accuracy": 1.0,
    "intervals": {
        "token_accuracy": (0.9775, 0.9843),
        "span_f1": (0.9267, 0.9501),
        "label_accuracy": (1.0, 1.0),
    },
    "signature": "seqcli:0.1.0|span-f1|rows:750",
}
BASELINES = {
    "most frequent tag": {"token_accuracy": 0.8835, "span_f1": 0.4797},
    "tag bigram": {"token_accuracy": 0.8915, "span_f1": 0.5698},
    "bag of words": {"label_accuracy": 0.95},
}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What is printed on a terminal of so many columns, as lines."""

    def show(width: int, run: Callable[[], None]) -> list[str]:
        def terminal() -> Console:
            import sys

            return Console(file=sys.stdout, width=width, markup=False, highlight=False)

        monkeypatch.setattr(results, "_stdout", terminal)
        run()
        return capsys.readouterr().out.splitlines()

    return show


def test_measures_go_down_and_predictors_across(shown: Any) -> None:
    lines = shown(140, lambda: results.print_scores("tag", {"test": NETWORK}, {"test": BASELINES}))
    cells = [
        [cell.strip() for cell in line.strip("┃│").split("│")] for line in lines if "│" in line
    ]
    assert [part.strip() for part in lines[1].strip("┃").split("┃")] == [
        *("test", "most frequent tag", "tag bigram", "bag of words", "network")
    ]
    assert cells == [
        ["token accuracy", "88.35 %", "89.15 %", "", "98.12 % [97.75, 98.43]"],
        ["span f1", "47.97 %", "56.98 %", "", "93.98 % [92.67, 95.01]"],
        ["label accuracy", "", "", "95.00 %", "100.00 % [100.00, 100.00]"],
    ]
    assert lines[-1] == NETWORK["signature"]


def test_a_perplexity_stands_beside_its_unknown_tokens(shown: Any) -> None:
    scores = language(
        np.array([20.0, 5.0]), np.array([7, 3]), characters=np.array([20, 10]), unknown=4
    )
    lines = shown(140, lambda: results.print_scores("lm", {"test": scores}))
    rows = {line.strip("│").split("│")[0].strip(): line for line in lines if "│" in line}
    assert f"{np.exp(2.5):.4f}" in rows["perplexity"]
    assert "40.00 %" in rows["unknown rate"]


def test_a_narrow_terminal_cuts_no_figure(shown: Any) -> None:
    lines = shown(80, lambda: results.print_scores("tag", {"test": NETWORK}, {"test": BASELINES}))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    for figure in ("98.12 %", "[97.75, 98.43]", "88.35 %", "[100.00, 100.00]"):
        assert figure in text


def test_the_same_model_twice_has_two_columns(shown: Any) -> None:
    lines = shown(80, lambda: results.print_models("tag", ["m", "m"], [NETWORK, NETWORK]))
    assert sum(line.count("98.12 %") for line in lines) == 2


def test_seeds_stand_beside_their_mean(shown: Any) -> None:
    reports = [
        SimpleNamespace(scores={"test": {**NETWORK, "span_f1": value}}, baselines={"test": {}})
        for value in (0.93, 0.95)
    ]
    repeated = SimpleNamespace(
        reports=reports,
        task="tag",
        seeds=[1, 2],
        spreads={"test": {"span_f1": Spread(0.94, 0.0141)}},
    )
    lines = shown(80, lambda: results.print_seeds(repeated))
    assert "mean of 2 ± deviation" in lines[1]
    assert "seeds 1, 2" in lines[1]
    (row,) = (line for line in lines if "span f1" in line)
    assert "94.00 % ± 1.41" in row
    assert "93.00 95.00" in row


def test_long_labels_are_folded_and_their_figures_stay_whole(shown: Any) -> None:
    label = "aircraft#flight#flight_number#" * 3
    scores = {
        "accuracy": 0.5,
        "per_class": {label: {"precision": 1.0, "recall": 0.5, "f1": 0.6667, "support": 12_345}},
        "confusion": {"labels": [label, "b"], "matrix": [[1_000, 2_000], [0, 3_000]]},
    }
    lines = shown(60, lambda: results.print_scores("classify", {"test": scores}))
    assert max(map(len, lines)) <= 60
    text = "\n".join(lines)
    assert "…" not in text
    for figure in ("100.00 %", "66.67 %", "12,345", "1000", "3000"):
        assert figure in text
