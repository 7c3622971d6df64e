"""Inspection where a text has several labels, and where a row is two texts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Quiet, Result, make_rows, tiny, write_jsonl
from planted import classify_rows, planted_classifier, random_model, rows_of

from seqcli import bundle, run
from seqcli.data.rows import Rows
from seqcli.inspect import contribution
from seqcli.inspect.corpus import make_corpus
from seqcli.inspect.outcome import measure
from seqcli.inspect.sentence import read_sentence
from seqcli.inspect.trace import list_layers, list_sites
from seqcli.tasks.calibration import Calibration

QUICK = ("--threads", "1", "--min-count", "1", "--split", "train", "--random-sets", "2")
Cli = Callable[..., Result]
TEXTS = {"several": "go to rome on day 3", "pairs": "go to rome\tstay in oslo"}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of several labels, and one of pairs."""
    folder = tmp_path_factory.mktemp("kinds")
    table = make_rows(40, seed=1)
    several = [{"text": one["text"], "label": [one["label"], one["tokens"][2]]} for one in table]
    several += [{"text": "on day 3", "label": []}] * 4
    pairs = [
        {"text": one["text"], "pair": other["text"], "label": str(one["label"] == other["label"])}
        for one, other in zip(table, reversed(table), strict=True)
    ]
    found = {}
    for name, rows, more in (("several", several, {}), ("pairs", pairs, {"pair_column": "pair"})):
        data = write_jsonl(folder / f"{name}.jsonl", rows)
        config = tiny("classify", data, epochs=2, text_column="text", watch="gradients", **more)
        run.train(config, folder / name, Quiet())
        found[name] = folder / name
    return found


def load(folder: Path) -> tuple[Any, Any, Any]:
    from seqcli.data.load import load_split

    task, model, _ = bundle.load(folder)
    return task, model, load_split("classify", task.config.data, "train")


def test_gradients_are_watched_in_training(kinds: dict[str, Path]) -> None:
    for folder in kinds.values():
        lines = (folder / "gradients.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["layers"]


@pytest.mark.parametrize("kind", TEXTS)
def test_command_line(cli: Cli, kinds: dict[str, Path], tmp_path: Path, kind: str) -> None:
    page = tmp_path / "page.html"
    text, data = TEXTS[kind], kinds[kind].with_suffix(".jsonl")
    asked = ("--sentence", text, "--find", text, "--out", page)
    result = cli("inspect", kinds[kind], data, *QUICK, *asked)
    assert result.status == 0, result.err
    for heading in ("CLUSTERS of", "NUMBERS", "GRADIENT FLOW", "ABLATION in", "PROBE"):
        assert heading in result.out
    content = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    own = json.loads(cli("evaluate", kinds[kind], data, "--json").out)["scores"]
    name = {"several": "micro_f1", "pairs": "accuracy"}[kind]
    assert content["metric"]["name"] == name
    assert content["metric"]["value"] == pytest.approx(own[name])
    [sentence] = content["sentences"]
    assert len(sentence["prefixes"]) == len(sentence["tokens"][""]) == 6
    Path("in.txt").write_text(text + "\n")
    [answer] = cli("predict", kinds[kind], "in.txt").lines
    for label in filter(None, answer.split("|")):
        assert f"{label} (" in sentence["prediction"]


@pytest.mark.parametrize("kind", TEXTS)
def test_compare_with_itself(cli: Cli, kinds: dict[str, Path], tmp_path: Path, kind: str) -> None:
    result = cli("compare", *[kinds[kind]] * 2, *QUICK[:6], "--out", tmp_path / "x.html", "--json")
    assert result.status == 0, result.err
    assert json.loads(result.out)["metric"]["difference"] == 0


def test_models_of_other_kinds_are_not_compared(cli: Cli, kinds: dict[str, Path]) -> None:
    result = cli("compare", kinds["several"], kinds["pairs"], "--threads", "1")
    assert (result.status, len(result.errors)) == (2, 1)
    assert "compare models of one kind" in result.errors[0]


def test_outcome_of_several_labels_by_hand(kinds: dict[str, Path]) -> None:
    task, model, rows = load(kinds["several"])
    found = measure(make_corpus(task, rows, max_tokens=None), model)
    scores_RL = torch.from_numpy(task.scores(model, rows))
    due_RL = torch.tensor([[label in one for label in task.labels] for one in rows["label"]])
    true_RL = torch.where(due_RL, scores_RL.sigmoid(), 1 - scores_RL.sigmoid())
    np.testing.assert_allclose(found.loss, -true_RL.log().sum(1).numpy(), rtol=1e-4)
    said_RL = task.decision.choose(task.decision.probabilities(scores_RL).numpy())
    both_RL = said_RL & due_RL.numpy()
    assert found.matched.tolist() == both_RL.sum(1).tolist()
    assert found.guessed.tolist() == said_RL.sum(1).tolist()
    assert found.true.tolist() == due_RL.sum(1).tolist()
    assert found.right.tolist() == (said_RL == due_RL.numpy()).all(1).tolist()
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found.recall(), both_RL.sum(0) / due_RL.numpy().sum(0))


def test_contributions_of_each_label_sum_to_its_score(kinds: dict[str, Path]) -> None:
    task, model, _ = load(kinds["several"])
    facts = read_sentence(task, model, list_sites(list_layers(model)), TEXTS["several"]).facts
    found = facts["contributions"]
    assert found["exact"]
    sums = torch.tensor(found["values"]).sum(0) + torch.tensor(found["bias"])
    torch.testing.assert_close(sums, torch.tensor(facts["scores"]), atol=1e-4, rtol=1e-4)


def test_contributions_of_a_pair_sum_to_what_the_texts_change(kinds: dict[str, Path]) -> None:
    """Completeness: to the scores less those of zero vectors and of the linear models' biases."""
    task, model, _ = load(kinds["pairs"])
    facts = read_sentence(task, model, list_sites(list_layers(model)), TEXTS["pairs"]).facts
    assert facts["contributions"]["method"].startswith("integrated gradients")
    with torch.no_grad():
        for weight in model.embedding.parameters():
            weight.zero_()
        for linear in model.linear:
            linear.table.zero_()
    zero = read_sentence(task, model, list_sites(list_layers(model)), TEXTS["pairs"]).facts
    order = [zero["labels"].index(name) for name in facts["labels"]]
    change = torch.tensor(facts["scores"]) - torch.tensor(zero["scores"])[order]
    sums = torch.tensor(facts["contributions"]["values"]).sum(0)
    torch.testing.assert_close(sums, change, atol=5e-3, rtol=1e-2)


def test_prefixes_of_a_pair_are_read_beside_the_other_text(kinds: dict[str, Path]) -> None:
    task, model, _ = load(kinds["pairs"])
    facts = read_sentence(task, model, list_sites(list_layers(model)), TEXTS["pairs"]).facts
    pairs = ["go\tstay in oslo", "go to\tstay in oslo", "go to rome\tstay in oslo"]
    pairs += ["go to rome\tstay", "go to rome\tstay in", "go to rome\tstay in oslo"]
    want = task.probabilities(model, task.read(pairs))
    order = [task.labels.index(name) for name in facts["labels"]]
    np.testing.assert_allclose(facts["prefixes"], want[:, order], atol=1e-5)


def test_gradients_of_a_text_alone_are_as_before(kinds: dict[str, Path]) -> None:
    task, model, _ = load(kinds["several"])
    from seqcli.nn.ragged import to_ragged

    batch = to_ragged(task.encode_rows(task.read([TEXTS["several"]])), torch.device("cpu"))
    found = contribution.by_gradients(model, batch, model(batch)[0])
    assert found.values.shape == (6, len(task.labels))
    assert not found.exact


def test_a_threshold_decides_in_an_inspection_as_it_does_in_use() -> None:
    """Accuracy and recall are those of what the model answers, not of the likelier label."""
    rows = classify_rows(60)
    task, model = planted_classifier(rows, pool="mean")
    task.decision.calibration = Calibration(thresholds={"positive": 0.2})
    wanted = task.evaluate(model, rows)
    found = measure(make_corpus(task, rows, max_tokens=None), model)
    assert found.metric(task) == pytest.approx(wanted["accuracy"])
    recall = [wanted["per_class"][label]["recall"] for label in task.labels]
    assert found.recall().tolist() == pytest.approx(recall)
    task.decision.calibration = Calibration()
    assert task.evaluate(model, rows)["accuracy"] != wanted["accuracy"]


@pytest.mark.parametrize("name", ["classify", "tag"])
def test_a_label_that_training_did_not_have_counts_as_wrong(name: str) -> None:
    """As in `evaluate`; the loss is of what the model could have known."""
    rows = rows_of(name, 30)
    task, model = random_model(name, rows, hidden=5, embedding=4)
    before = measure(make_corpus(task, rows, max_tokens=None), model).nats()
    if name == "classify":
        strange = {"text": [*rows["text"], "the rome"], "label": [*rows["label"], "new"]}
    else:
        strange = {"tokens": [*rows["tokens"], ["the"]], "tags": [*rows["tags"], ["NEW"]]}
        task.tagset = dataclasses.replace(task.tagset, scheme=None)  # scored token by token
    more = Rows(strange, "x")
    found = measure(make_corpus(task, more, max_tokens=None), model)
    wanted = task.evaluate(model, more)
    assert found.metric(task) == pytest.approx(
        wanted["accuracy" if name == "classify" else "token_accuracy"]
    )
    assert found.nats() == pytest.approx(before)
