"""evaluate: scores with intervals and signatures, and models against each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Quiet, Result, make_rows, tiny, write_jsonl

from seqcli import run

Cli = Callable[..., Result]
Models = Callable[[str], Path]
SLOW = pytest.mark.slow
CLASSIFY = {"accuracy", "macro_precision", "macro_recall", "macro_f1", "ece", "ece_uncalibrated"}
SCORES = {
    "classify": CLASSIFY,
    "tag": {"token_accuracy", "span_precision", "span_recall", "span_f1"},
    "translate": {"bleu", "chrf", "exact_match", "cross_entropy"},
    "lm": {"cross_entropy", "perplexity", "nats_per_character", "bits_per_character"},
}


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Callable[[str], Path]:
    """A second model of a task, from another seed and trained for longer."""
    made: dict[str, Path] = {}

    def get(task: str) -> Path:
        if task not in made:
            made[task] = tmp_path_factory.mktemp("others") / task
            run.train(tiny(task, data, seed=7, epochs=4, hidden=12), made[task], Quiet())
        return made[task]

    return get


@pytest.mark.parametrize("task", ["classify", "tag", "lm"])
def test_scores_are_those_of_training(cli: Cli, models: Models, data: Path, task: str) -> None:
    stored = json.loads((models(task) / "metrics.json").read_text())["scores"]
    for place in ((), (data,)):
        result = cli("evaluate", models(task), *place, "--json")
        assert result.status == 0, result.err
        assert json.loads(result.out) == {"task": task, "scores": stored["test"]}
        assert "8 rows of test.jsonl" in result.err
    table = cli("evaluate", models(task))
    assert table.status == 0
    assert "network" in table.out
    assert stored["test"]["signature"] in table.out
    part = cli("evaluate", models(task), "--limit", 3, "--json")
    assert "3 rows of test.jsonl" in part.err
    assert json.loads(part.out)["scores"] != stored["test"]


@pytest.mark.parametrize("task", SCORES)
def test_every_score_has_an_interval(cli: Cli, models: Models, task: str) -> None:
    beam = ("--beam", 3) if task == "translate" else ()
    found = json.loads(cli("evaluate", models(task), "--json", *beam).out)["scores"]
    assert set(found["intervals"]) == SCORES[task]
    for name, (low, high) in found["intervals"].items():
        assert low <= found[name] + 1e-12, name
        # Of the calibration error the interval leaves out what chance adds.
        assert high >= found[name] - 1e-12 or name.startswith("ece"), name
    assert found["interval_signature"] == (
        "interval:95%|bootstrap:percentile,ece:basic|resamples:1000|seed:1"
    )
    table = cli("evaluate", models(task), *beam)
    assert "[" in table.out
    assert found["interval_signature"] in table.out


def test_signature_names_the_rows(cli: Cli, models: Models, data: Path, tmp_path: Path) -> None:
    """The same labels under other texts are another split."""
    rows = [json.loads(line) for line in (data / "test.jsonl").read_text().splitlines()]
    changed = write_jsonl(tmp_path / "t.jsonl", [{**rows[0], "text": "no"}, *rows[1:]])
    one, other = (
        json.loads(cli("evaluate", models("classify"), place, "--split", "train", "--json").out)
        for place in (write_jsonl(tmp_path / "s.jsonl", rows), changed)
    )
    first, second = one["scores"]["signature"], other["scores"]["signature"]
    assert first != second
    assert first.partition("|split:")[0] == second.partition("|split:")[0]


@pytest.mark.parametrize(
    "task", ["classify", "lm", *(pytest.param(one, marks=SLOW) for one in ("tag", "translate"))]
)
def test_two_models(
    cli: Cli, models: Models, others: Callable[[str], Path], data: Path, task: str
) -> None:
    first, second = models(task), others(task)
    result = cli("evaluate", first, second, data, "--json")
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert [one["folder"] for one in found["models"]] == [str(first), str(second)]
    for one in found["models"]:
        alone = json.loads(cli("evaluate", one["folder"], data, "--json").out)
        assert alone["scores"] == one["scores"]
    [comparison] = found["comparisons"]
    assert set(comparison["scores"]) == SCORES[task]
    for name, score in comparison["scores"].items():
        assert score["first"] == pytest.approx(found["models"][0]["scores"][name])
        assert score["second"] == pytest.approx(found["models"][1]["scores"][name])
        assert score["difference"] == pytest.approx(score["second"] - score["first"])
        assert 0 < score["p"] <= 1
        assert score["better"] in (0, 1, 2)
    table = cli("evaluate", first, second)
    assert table.status == 0
    assert f"{second} (the second) minus {first} (the first)" in table.out
    assert ("is better" if any_told(comparison) else "cannot be told apart") in table.out


def any_told(comparison: dict[str, Any]) -> bool:
    """Whether some difference of the table is one: it leaves out the uncalibrated error."""
    told = [name for name, score in comparison["scores"].items() if score["better"]]
    return told not in ([], ["ece_uncalibrated"])


def test_a_model_against_itself(cli: Cli, models: Models) -> None:
    [comparison] = json.loads(
        cli("evaluate", models("tag"), models("tag"), models("tag"), "--json").out
    )["comparisons"][1:]
    assert {score["p"] for score in comparison["scores"].values()} == {1}


def test_labels_that_the_model_does_not_know_are_told(cli: Cli, models: Models) -> None:
    Path("t.csv").write_text("text,label\ngo to rome,go\nstay in oslo,STAY\nstay in rome,Go\n")
    result = cli("evaluate", models("classify"), "t.csv", "--json")
    assert json.loads(result.out)["scores"]["accuracy"] < 0.5
    said = "2 rows with a label that the model does not have ('STAY', 'Go'): they always count as"
    assert said in result.err


def test_other_tokens_are_compared_by_character(
    cli: Cli, models: Models, data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "words"
    config = tiny("lm", data, tokens="word", vocabulary_size=12)
    run.train(config, other, Quiet())
    result = cli("evaluate", models("lm"), other, "--json")
    [comparison] = json.loads(result.out)["comparisons"]
    assert set(comparison["scores"]) == {"nats_per_character", "bits_per_character"}
    assert any("split text differently" in note for note in comparison["notes"])
    assert any("are unknown to" in note for note in comparison["notes"])


def test_a_model_that_folds_case_has_less_to_predict(
    cli: Cli, models: Models, data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "folded"
    run.train(tiny("lm", data, lowercase=True), other, Quiet())
    for folders in ((models("lm"), other), (other, models("lm"))):
        result = cli("evaluate", *folders, "--json")
        [comparison] = json.loads(result.out)["comparisons"]
        [note] = [note for note in comparison["notes"] if "folds case" in note]
        assert note.startswith(f"{other} folds case")


@pytest.mark.parametrize(
    ("task", "more"),
    [
        ("classify", {"text_column": "source", "pair_column": "target"}),
        ("tag", {"with_label": "label"}),
        ("lm", {"condition": "label"}),
    ],
)
def test_a_model_that_reads_more_comes_first(
    cli: Cli, models: Models, data: Path, tmp_path: Path, task: str, more: dict[str, str]
) -> None:
    plain, richer = models(task), tmp_path / "richer"
    run.train(tiny(task, data, **more), richer, Quiet())
    assert cli("evaluate", richer, plain).status == 0
    result = cli("evaluate", plain, richer)
    assert (result.status, len(result.errors)) == (2, 1), result.err
    assert result.errors[0].endswith(f"; name {richer} first")


def test_what_cannot_be_compared(cli: Cli, models: Models, tmp_path: Path) -> None:
    result = cli("evaluate", models("tag"), models("lm"))
    assert result.status == 2
    assert "compare models of one task" in result.err
    assert cli("evaluate", tmp_path / "gone").status == 1
    rows = write_jsonl(tmp_path / "one.jsonl", make_rows(1, seed=9))
    result = cli("evaluate", models("tag"), models("tag"), rows, "--split", "train")
    assert result.status == 0
    assert "too few rows" in result.err
