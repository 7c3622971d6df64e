"""What classify and its evaluation print: classes, mistakes, the first few labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Result, make_rows, write_jsonl

from seqcli import bundle
from seqcli.data.rows import Rows
from seqcli.results import print_scores

Cli = Callable[..., Result]
Models = Callable[[str], Path]


def test_classes_that_are_too_many_to_show(capfd: pytest.CaptureFixture[str]) -> None:
    """The largest are shown, and how many are not."""
    per_class = {
        f"class{i}": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": i} for i in range(40)
    }
    print_scores("classify", {"test": {"accuracy": 0.5, "per_class": per_class, "signature": ""}})
    out = capfd.readouterr().out
    assert "class39" in out
    assert "class10 " in out
    assert "class9 " not in out
    assert "and 10 smaller ones" in out


def test_mistakes(cli: Cli, models: Models) -> None:
    rows = make_rows(40, seed=6)
    for row in rows[::4]:  # what the model cannot know
        row["label"] = "stay" if row["label"] == "go" else "go"
    write_jsonl(Path("odd.jsonl"), rows)
    result = cli("evaluate", models("classify"), "odd.jsonl", "--mistakes", 5, "--json")
    assert result.status == 0, result.err
    found = json.loads(result.out)["mistakes"]
    assert len(found) == 5
    for one in found:
        assert rows[one["row"] - 1]["text"] == one["text"]
        assert rows[one["row"] - 1]["label"] == one["gold"] != one["predicted"]
        assert one["gold_probability"] <= one["probability"]
    worst = [one["gold_probability"] for one in found]
    assert worst == sorted(worst)
    table = cli("evaluate", models("classify"), "odd.jsonl", "--mistakes", 5)
    assert "predicted" in table.out
    assert found[0]["text"] in " ".join(table.out.split())
    refused = cli("evaluate", models("tag"), "--mistakes", 5)
    assert (refused.status, len(refused.errors)) == (2, 1)


def test_first_few_labels(cli: Cli, tmp_path: Path) -> None:
    """With five labels or more evaluate says how often the truth is among the first three."""
    from sklearn.metrics import top_k_accuracy_score

    rows = [{**row, "label": row["tokens"][2]} for row in make_rows(60, seed=1)]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    small = ("--epochs", 2, "--text-column", "text", *TINY)
    assert cli("classify", tmp_path / "rows.jsonl", "--out", "m", *small).status == 0
    found = json.loads(cli("evaluate", "m", tmp_path / "rows.jsonl", "--json").out)["scores"]
    task, model, _ = bundle.load(Path("m"))
    table = Rows({name: [row[name] for row in rows] for name in ("text", "label")}, "rows")
    chance = task.probabilities(model, table)
    gold = np.array([task.labels.index(label) for label in table["label"]])
    assert found["top_3_accuracy"] == pytest.approx(top_k_accuracy_score(gold, chance, k=3))
    assert "top_5_accuracy" not in found
    plain = {name for name, value in found.items() if isinstance(value, float)}
    assert plain == set(found["intervals"])
    assert {"top_3_accuracy", "ece"} <= plain
    Path("one.txt").write_text("go to rome\n")
    (line,) = cli("predict", "m", "one.txt", "--top-k", 3).lines
    label, *ranked = line.split("\t")
    assert len(ranked) == 3
    assert ranked[0].startswith(f"{label}=")
