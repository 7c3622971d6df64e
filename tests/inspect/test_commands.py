"""inspect and compare on the command line: every task, every output, every wrong input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Quiet, Result, tiny

from seqcli import run

QUICK = ("--threads", "1", "--min-count", "1", "--split", "train", "--random-sets", "2")
Cli = Callable[..., Result]
Models = Callable[[str], Path]


@pytest.mark.parametrize("task", ["classify", "tag", "lm", "translate"])
def test_every_task(cli: Cli, models: Models, tmp_path: Path, task: str) -> None:
    page = tmp_path / "page.html"
    result = cli("inspect", models(task), *QUICK, "--out", page)
    assert result.status == 0, result.err
    for heading in ("CLUSTERS of", "NUMBERS", "GRADIENT FLOW", "ABLATION in"):
        assert heading in result.out
    assert "gates" in result.out
    numbers = result.out[result.out.index("NUMBERS") : result.out.index("ABLATION")]
    assert max(map(len, numbers.splitlines())) <= 80
    content = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert content["model"]["task"] == task
    arrays = np.load(page.with_suffix(".npz"))
    main = content["main"]
    words = content["parts"][content["sites"][main]["part"]]["words"]
    assert arrays[f"{main}/mean"].shape == (len(words), content["sites"][main]["units"])
    assert page.stat().st_size < 3_000_000
    assert str(page) in result.err


def test_a_decoder_that_is_fed_its_outputs(cli: Cli, data: Path, tmp_path: Path) -> None:
    settings = {"input_feeding": True, "watch": "gradients"}
    model = tmp_path / "m"
    run.train(tiny("translate", data, **settings), model, Quiet())
    for command in (("inspect", model), ("compare", model, model)):
        result = cli(*command, *QUICK[:6], "--out", "x.html")
        assert result.status == 0, result.err


def test_spans_are_scored_as_evaluate_does(cli: Cli, models: Models, data: Path) -> None:
    """By the tags that the CRF chooses together."""
    inspected = cli("inspect", models("tag"), data, *QUICK[:4], "--json", "--out", "x.html")
    content = json.loads(inspected.out)
    options = ("--split", "validation", "--threads", "1", "--json")
    scores = json.loads(cli("evaluate", models("tag"), data, *options).out)["scores"]
    assert content["metric"]["name"] == "span_f1"
    assert content["metric"]["value"] == pytest.approx(scores["span_f1"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--beam", "5"), "--beam is for models of translate, and this is one of classify"),
        (("--forced-prefix", "a"), "--forced-prefix is for models of translate"),
        (("--span", "0:1"), "belong to --find"),
        (("--threshold", "0.9"), "belong to --find"),
    ],
)
def test_options_that_would_do_nothing(
    cli: Cli, models: Models, options: tuple[str, ...], said: str
) -> None:
    refused = cli("inspect", models("classify"), *options)
    assert refused.status == 2
    assert said in refused.err


def test_rows_set_aside_in_training_are_read(cli: Cli, data: Path) -> None:
    """Not those that the model learned from, where all are in one file."""
    small = ("--epochs", "1", "--hidden", "8", "--embedding", "8", "--threads", "1")
    trained = cli("classify", data / "train.jsonl", "--out", "m", "--json", *small)
    found = json.loads(trained.out)["scores"]["validation"]
    result = cli("inspect", "m", *QUICK[:4], "--json")
    content = json.loads(result.out)
    assert content["data"]["split"] == "validation"
    shown = cli("compare", "m", "m", *QUICK[:4]).out
    assert f"validation of train.jsonl: {content['data']['rows']} rows" in shown
    assert content["metric"]["value"] == pytest.approx(found["accuracy"])
    assert f"|rows:{content['data']['rows']}|" in found["signature"]


def test_a_probe_that_cannot_be_made_says_why(cli: Cli, models: Models) -> None:
    asked = ("--probe", "capital", "--ablate", "none", "--out", "x.html")
    said = cli("inspect", models("classify"), *QUICK, *asked).out
    assert "PROBE capital cannot be made: it is 'no' for every token" in said
    (one,) = json.loads(Path("x.json").read_text())["probes_missing"]
    assert one["property"] == "capital"


def test_ablations_say_what_they_are_judged_on(cli: Cli, models: Models) -> None:
    few = (*QUICK, "--max-tokens", "100", "--ablate", "unit:1")
    for task, rows in (("classify", True), ("translate", True), ("lm", False)):
        result = cli("inspect", models(task), *few, "--json", "--out", "x.html")
        (one,) = json.loads(result.out)["ablation"]
        assert 0 < one["tokens"] <= 100
        assert (one["rows"] is not None) == rows
        said = cli("inspect", models(task), *few, "--out", "x.html").out
        assert f"{one['tokens']} tokens" in said[said.index("  each judged on") :]


@pytest.mark.parametrize(
    ("out", "written"),
    [("v1.0", "v1.0.html"), ("page.json", "page.json.html"), (".", "{}.html"), ("a.HTM", "a.HTM")],
)
def test_a_page_ends_in_html(
    cli: Cli, models: Models, tmp_path: Path, out: str, written: str
) -> None:
    """Otherwise a browser shows its source, and its numbers could have its own name."""
    model, few = models("classify"), ("--limit", "4", "--min-count", "1", "--threads", "1")
    for command, folders in (("inspect", [model]), ("compare", [model, model])):
        page = tmp_path / written.format(command)
        page.unlink(missing_ok=True)
        result = cli(command, *folders, *few, "--out", tmp_path / out)
        assert result.status == 0, result.err
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
        assert str(page) in result.err
        assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))


def test_json_goes_to_stdout_alone(cli: Cli, models: Models) -> None:
    result = cli(
        "inspect", models("classify"), *QUICK, "--json", "--ablate", "none", "--probe", "none",
        "--sentence", "go to rome", "--word", "paris", "--layer", "1", "--state", "h",
        "--clusters", "2", "--find", "stay in rome", "--span", "0:1", "--out", "x.html",
    )  # fmt: skip
    assert result.status == 0, result.err
    content = json.loads(result.out)
    assert [one["text"] for one in content["sentences"]] == ["go to rome"]
    assert content["sites"]["1.forward.h"]["clusters"]["count"] == 2
    assert "paris" in content["parts"][""]["words"]
    assert content["search"]["tokens"] == ["stay", "in", "rome"]
    assert content["search"]["span"] == [0, 1]


def test_other_data_is_inspected(cli: Cli, models: Models, data: Path, tmp_path: Path) -> None:
    result = cli(
        "inspect", models("classify"), data / "test.jsonl", "--min-count", "1", "--threads", "1",
        "--ablate", "none", "--out", tmp_path / "x.html",
    )  # fmt: skip
    assert result.status == 0, result.err
    assert "\ntest.jsonl: 8 rows" in result.out  # a file is read whole, whatever the split


def wrong(status: int, said: str, *arguments: Any) -> Any:
    return pytest.param(arguments, status, said, id=said)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        wrong(1, "no model folder at nowhere", "inspect", "nowhere"),
        wrong(1, "no such file or folder", "inspect", "MODEL", "nowhere.csv"),
        wrong(2, "does not know the word 'zebra'", "inspect", "MODEL", "--word", "zebra"),
        wrong(2, "--layer 9: this model has only 1", "inspect", "MODEL", "--layer", "9"),
        wrong(2, "has only forward", "inspect", "LM", "--direction", "reverse"),
        wrong(2, "--state c: this model has only h", "inspect", "MODEL", "--state", "c"),
        wrong(2, "--clusters many", "inspect", "MODEL", "--clusters", "many"),
        wrong(2, "--clusters 99 is more than", "inspect", "MODEL", "--clusters", "99"),
        wrong(2, "no token occurs 5,000 times", "inspect", "MODEL", "--min-count", "5000"),
        wrong(2, "--ablate unit:99", "inspect", "MODEL", "--ablate", "unit:99"),
        wrong(2, "--probe mood is not known", "inspect", "MODEL", "--probe", "mood"),
        wrong(2, "--probe tag is not known here", "inspect", "MODEL", "--probe", "tag"),
        wrong(2, "--probe label is not known here", "inspect", "TAG", "--probe", "label"),
        wrong(2, "--sentence is empty", "inspect", "MODEL", "--sentence", " "),
        wrong(2, "--find is empty", "inspect", "MODEL", "--find", ""),
        wrong(2, "--sentence is empty", "compare", "MODEL", "MODEL", "--sentence", ""),
        wrong(2, "--span 7:9", "inspect", "MODEL", "--find", "go to rome", "--span", "7:9"),
        wrong(1, "there is no folder", "inspect", "MODEL", "gone.csv", "--out", "none/x.html"),
        wrong(1, "no folder none", "compare", "MODEL", "MODEL", "gone.csv", "--out", "none/x.html"),
        wrong(2, "compare models of one task", "compare", "MODEL", "TAG"),
        wrong(2, "--layer 3: this model has only 1", "compare", "MODEL:3", "MODEL"),
        wrong(1, "no model folder at", "compare", "MODEL", "nowhere"),
    ],
)
def test_wrong_input(
    cli: Cli, models: Models, arguments: tuple[str, ...], status: int, said: str
) -> None:
    places = {"MODEL": models("classify"), "TAG": models("tag"), "LM": models("lm")}
    named = [
        f"{places[name]}{colon}{rest}" if name in places else argument
        for argument in arguments
        for name, colon, rest in [argument.partition(":")]
    ]
    more = () if "--min-count" in named else ("--min-count", "1")
    result = cli(*named, *more, "--threads", "1", "--split", "train")
    assert result.status == status, result.err
    assert len(result.errors) == 1
    assert said in result.errors[0]
    assert "Traceback" not in result.err
    assert not result.out
    if "--span" in named or "" in named:  # nothing is read in vain
        assert "reading" not in result.err


def test_a_model_whose_data_are_gone(cli: Cli, models: Models, tmp_path: Path, data: Path) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(models("classify"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["settings"]["data"] = str(tmp_path / "gone")
    (folder / "config.json").write_text(json.dumps(config))
    result = cli("inspect", folder, "--threads", "1")
    assert result.status == 1
    assert "no such file or folder" in result.errors[0]


@pytest.mark.parametrize("task", ["classify", "tag", "lm"])
def test_compare_a_model_with_itself(cli: Cli, models: Models, tmp_path: Path, task: str) -> None:
    page = tmp_path / "both.html"
    result = cli(
        "compare", models(task), models(task), "--threads", "1", "--min-count", "1",
        "--split", "train", "--out", page,
    )  # fmt: skip
    assert result.status == 0, result.err
    content = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert content["schema"] == "seqcli.compare/1"
    assert content["metric"]["difference"] == 0
    assert content["metric"]["p"] == 1.0
    assert content["cka"]["chosen"] == pytest.approx(1.0, abs=1e-3)
    assert content["agreement"] == pytest.approx(1.0)
    assert content["matching"]["mean"] == pytest.approx(1.0, abs=1e-3)
    assert all(row["difference"] == 0 for row in content["numbers"].values())
    assert page.stat().st_size < 3_000_000


def test_compare_without_scikit_learn(
    cli: Cli, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    for command in (("inspect", models("classify")), ("compare", *[models("classify")] * 2)):
        result = cli(*command, "--threads", "1", "--split", "train")
        assert result.status == 1
        assert "pip install 'seqcli[inspect]'" in result.errors[0]


def test_numbers_that_are_shown_as_zero_have_no_sign(cli: Cli, models: Models) -> None:
    out = cli("compare", *[models("classify")] * 2, *QUICK[:6], "--out", "x.html").out
    assert "+0.0000" in out
    assert "-0.0000" not in out
