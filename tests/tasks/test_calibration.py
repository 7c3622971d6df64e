"""Temperatures against an optimiser of scipy, thresholds against all that could be chosen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, Quiet, Result, make_rows, tiny, write_jsonl

from seqcli import bundle, run
from seqcli.config import Request
from seqcli.errors import SeqcliError
from seqcli.tasks.calibration import (
    Calibration,
    fit_sigmoid_temperature,
    fit_temperature,
    fit_threshold,
)

RANDOM = np.random.default_rng(5)


def sample(rows: int, labels: int, *, heat: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose labels were drawn at a temperature."""
    scores = RANDOM.normal(size=(rows, labels)) * 3
    chance = np.exp(scores / heat)
    chance /= chance.sum(axis=1, keepdims=True)
    gold = np.array([RANDOM.choice(labels, p=p) for p in chance])
    return scores.astype(np.float32), gold


def minimise(loss: Callable[[float], float]) -> float:
    from scipy.optimize import minimize_scalar

    return float(minimize_scalar(loss, bounds=(0.02, 50), method="bounded").x)


@pytest.mark.parametrize("labels", [2, 7])
@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_temperature_is_the_likeliest(labels: int, heat: float) -> None:
    scores, gold = sample(400, labels, heat=heat)

    def loss(temperature: float) -> float:
        logs = scores.astype(float) / temperature
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        truth = np.full(logs.shape, 1 / labels / 401)
        truth[np.arange(400), gold] += 400 / 401
        return float(-(truth * logs).sum(axis=1).mean())

    found = fit_temperature(scores, gold)
    assert found == pytest.approx(minimise(loss), rel=1e-3)
    assert found == pytest.approx(heat, rel=0.25)


@pytest.mark.parametrize("heat", [0.5, 3.0])
def test_temperature_of_sigmoids_is_the_likeliest(heat: float) -> None:
    scores = (RANDOM.normal(size=(300, 3)) * 3).astype(np.float32)
    gold = (RANDOM.random((300, 3)) < 1 / (1 + np.exp(-scores / heat))).astype(np.float32)

    def loss(temperature: float) -> float:
        logits = scores.astype(float) / temperature
        truth = (gold * 300 + 0.5) / 301
        return float((np.logaddexp(0, logits) - truth * logits).mean())

    found = fit_sigmoid_temperature(scores, gold)
    assert found == pytest.approx(minimise(loss), rel=1e-3)
    assert found == pytest.approx(heat, rel=0.3)


def test_a_few_rows_that_are_all_right_do_not_make_certain() -> None:
    scores = np.array([[2.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    chance = 1 / (1 + np.exp(-2 / fit_temperature(scores, np.array([0, 1]))))
    assert chance == pytest.approx(2.5 / 3)
    # Scores that tell nothing, or the contrary, leave probabilities even, and stay finite.
    for gold in ([1, 0], [0, 0]):
        found = fit_temperature(scores, np.array(gold))
        assert 0.01 <= found <= 100 * (1 + 1e-9)
    assert np.isfinite(fit_temperature(np.zeros((3, 2), np.float32), np.array([0, 1, 1])))
    assert np.isfinite(fit_temperature(scores * 1e4, np.array([0, 0])))


@pytest.mark.parametrize("round_to", [1, 8])
def test_threshold_has_the_best_f1(round_to: int) -> None:
    from sklearn.metrics import f1_score

    for _ in range(20):
        gold = RANDOM.random(30) < 0.3
        chance = np.clip(gold * 0.2 + RANDOM.random(30) * 0.8, 0, 1).round(round_to)
        threshold = fit_threshold(chance.astype(np.float32), gold)
        every = [f1_score(gold, chance >= one, zero_division=0) for one in [*chance, 0.0, 1.1]]
        said = chance.astype(np.float32).astype(float) >= threshold
        assert f1_score(gold, said, zero_division=0) == pytest.approx(max(every))


def test_threshold_is_a_half_where_that_is_as_good() -> None:
    assert (
        fit_threshold(np.array([0.9, 0.6, 0.2, 0.1]), np.array([True, True, False, False])) == 0.5
    )
    assert fit_threshold(np.array([0.9, 0.6]), np.array([False, False])) == 0.5
    low = fit_threshold(np.array([0.4, 0.3, 0.1]), np.array([True, True, False]))
    assert low == pytest.approx(0.2)


def test_corrupt_calibration_is_refused() -> None:
    kept = Calibration(2.0, {"a": 0.25})
    assert Calibration.from_json(json.loads(json.dumps(kept.to_json()))) == kept
    assert Calibration.from_json(None) == Calibration()
    for broken in ({}, [], 3, {"temperature": 0, "thresholds": {}}, {"temperature": 1}):
        with pytest.raises(SeqcliError, match=r"calibration\.json of the model is corrupt"):
            Calibration.from_json(broken)


# ------------------------------------------------------------------------------ in a whole training


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows whose labels are partly drawn by lot, so that nobody can be sure of them."""
    folder = tmp_path_factory.mktemp("hard")
    for number, (split, count) in enumerate((("train", 60), ("validation", 60), ("test", 60))):
        rows = make_rows(count, seed=number)
        for at, row in enumerate(rows):
            if at % 3 == 0:
                row["label"] = "go"
        write_jsonl(folder / f"{split}.jsonl", rows)
    return folder


def hot(hard: Path, **settings: Any) -> Any:
    return tiny("classify", hard, epochs=6, learning_rate=0.05, dropout=0.0, **settings)


def test_calibration_is_chosen_on_validation_and_kept(tmp_path: Path, hard: Path) -> None:
    observer = Quiet()
    report = run.train(hot(hard), tmp_path / "m", observer)
    (note,) = [note for note in observer.notes if "temperature" in note]
    assert "calibration error (ECE)" in note
    stored = json.loads((tmp_path / "m" / "calibration.json").read_text())
    assert stored["temperature"] != 1
    for split in ("validation", "test"):
        assert {"ece", "ece_uncalibrated"} <= set(report.scores[split])
    task, model, _ = bundle.load(tmp_path / "m")
    rows = task.read(["go to rome", "stay in oslo", ""])
    # Probabilities are those of the scores over the temperature, and the labels stay.
    raw = task.scores(model, rows)
    expected = np.exp(raw / stored["temperature"])
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(task.probabilities(model, rows), expected, rtol=1e-5)
    labels = [task.labels[best] for best in raw.argmax(axis=1)]
    answers = task.answer(model, rows, Request())
    assert [answer.plain for answer in answers] == labels
    assert answers[0].record["probability"] == pytest.approx(expected[0].max(), abs=1e-5)
    # A model of an earlier version is as sure as it was.
    (tmp_path / "m" / "calibration.json").unlink()
    assert bundle.load_task(tmp_path / "m").decision.calibration == Calibration()


@pytest.mark.parametrize("threshold", [False, True])
def test_resumed_training_is_calibrated_alike(tmp_path: Path, hard: Path, threshold: bool) -> None:
    """Also where it stopped after its last epoch, before or after the calibration."""
    config = hot(hard, threshold=threshold)
    observer = Quiet()
    run.train(config, tmp_path / "whole", observer)
    seen = [0]

    def stop() -> int:
        seen[0] += 1
        return 15 if seen[0] == len(observer.events) else 0

    with pytest.raises(run.Interrupted):
        run.train(config, tmp_path / "parts", Quiet(), stop=stop)
    (tmp_path / "parts" / "calibration.json").write_bytes(
        (tmp_path / "whole" / "calibration.json").read_bytes()
    )
    run.resume(tmp_path / "parts", Quiet())
    for name in ("calibration.json", "metrics.json", bundle.WEIGHTS):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_threshold_of_the_command_line(cli: Callable[..., Result], hard: Path) -> None:
    small = ("--epochs", 2, *TINY)
    result = cli("classify", hard, "--threshold", "--out", "m", *small)
    assert result.status == 0, result.err
    assert "best F1 of 'stay'" in result.err
    stored = json.loads(Path("m/calibration.json").read_text())
    (threshold,) = stored["thresholds"].values()
    Path("in.txt").write_text("go to rome\nstay in oslo\nstay in lima on day 3\n\n")
    answers = cli("predict", "m", "in.txt", "--format", "jsonl", "--probabilities")
    for line in answers.lines:
        record = json.loads(line)
        said = record["probabilities"]["stay"] >= threshold
        assert record["label"] == ("stay" if said else "go")
        assert record["probability"] == record["probabilities"][record["label"]]
    many = [{**row, "label": row["tokens"][2]} for row in make_rows(30, seed=1)]
    write_jsonl(Path("many.jsonl"), many)
    refused = cli("classify", "many.jsonl", "--threshold", "--out", "n", *small)
    assert (refused.status, len(refused.errors)) == (2, 1)
    assert "--threshold is for two labels" in refused.err
