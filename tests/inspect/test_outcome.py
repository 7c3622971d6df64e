"""How good an inspection says a model is: as good as `evaluate` says."""

from __future__ import annotations

from typing import Any

import pytest
from planted import GOOD, PLACE, random_model, rows_of

from seqcli.data.rows import Rows
from seqcli.inspect.corpus import make_corpus
from seqcli.inspect.outcome import measure, metric_name
from seqcli.tasks.calibration import Calibration

pytestmark = pytest.mark.usefixtures("one_thread")
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "one label": ("classify", "accuracy", {}),
    "threshold": ("classify", "accuracy", {}),
    "several labels": ("classify", "micro_f1", {}),
    "tag": ("tag", "span_f1", {"crf": False}),
    "tag with crf": ("tag", "span_f1", {"crf": True}),
    "tag without spans": ("tag", "token_accuracy", {}),
    "tag with a label": ("tag", "span_f1", {"with_label": "label"}),
    "lm": ("lm", "cross_entropy", {"tokens": "character", "ngrams": 0}),
    "translate": ("translate", "cross_entropy", {"max_length": 6}),  # which cuts half the rows
}


def rows_of_kind(kind: str) -> Rows:
    task, _, _ = KINDS[kind]
    rows = rows_of(task)
    columns = dict(rows.columns)
    if kind == "several labels":
        names = {"good": GOOD, "place": PLACE}
        columns["label"] = [
            [name for name, words in names.items() if set(words) & set(text.split())]
            for text in rows["text"]
        ]
    if kind == "tag without spans":
        columns["tags"] = [
            ["place" if tag != "O" else "word" for tag in row] for row in rows["tags"]
        ]
    if kind == "tag with a label":
        columns["label"] = ["long" if len(row) > 7 else "short" for row in rows["tokens"]]
    return Rows(columns, rows.origin)


@pytest.mark.parametrize("kind", KINDS)
def test_an_inspection_scores_as_evaluate_does(kind: str) -> None:
    name, metric, settings = KINDS[kind]
    rows = rows_of_kind(kind)
    task, model = random_model(name, rows, hidden=8, embedding=8, **settings)
    if kind == "threshold":
        task.decision.calibration = Calibration(thresholds={"positive": 0.35})
    scores = task.evaluate(model, rows)
    found = measure(make_corpus(task, rows, max_tokens=None), model)
    assert metric_name(task) == metric
    assert found.metric(task) == pytest.approx(scores[metric], rel=1e-5)
    assert 0 < scores[metric] != 1
