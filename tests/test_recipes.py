"""Recipes: each is accepted, trains, and stands below what a person asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Result, make_rows

from seqcli.config import CONFIGS, make_config
from seqcli.data.rows import Rows
from seqcli.errors import UsageError
from seqcli.recipes import Recipe, find_recipe, list_recipes
from seqcli.tasks import TASKS
from seqcli.tasks.task import count_parameters

Cli = Callable[..., Result]
SMALL = ("--hidden", 8, "--embedding", 8, "--epochs", 1, "--limit", 20, "--threads", 1)


@pytest.mark.parametrize(
    "recipe", list_recipes(), ids=lambda recipe: f"{recipe.task} {recipe.name}"
)
def test_recipe_is_whole(recipe: Recipe) -> None:
    assert recipe.task in CONFIGS
    assert recipe.what.endswith(".")
    assert "https://" in recipe.source
    config = make_config(recipe.task, recipe.values)
    assert config != make_config(recipe.task, {})


@pytest.mark.parametrize(
    ("name", "embedding", "network"),
    [
        ("gru-50", 100, torch.nn.GRU(100, 50)),
        ("bilstm-max", 200, torch.nn.LSTM(200, 256, bidirectional=True)),
    ],
    ids=["gru-50", "bilstm-max"],
)
def test_a_classifier_is_the_network_that_it_is_called_and_nothing_beside(
    name: str, embedding: int, network: torch.nn.RNNBase
) -> None:
    made = [(row["text"], row["label"]) for row in make_rows(20, seed=1)]
    rows = Rows(dict(zip(("text", "label"), map(list, zip(*made, strict=True)), strict=True)), "x")
    config = make_config("classify", find_recipe("classify", name).values)
    task = TASKS["classify"].learn(config, rows)
    vectors = len(task.tokenizer.vocabulary) * embedding
    features = network.hidden_size * (2 if network.bidirectional else 1)
    wanted = vectors + count_parameters(network) + 2 * features + 2  # two labels
    assert count_parameters(task.build()) == wanted
    training = task.config.training
    assert (training.adversarial, task.config.network.word_dropout) == (0, 0)


def test_a_tagger_reads_its_vectors_as_they_are() -> None:
    config = make_config("tag", find_recipe("tag", "char-bilstm").values)
    assert (config.network.layer_norm, config.training.adversarial) == (False, 0)


def test_names_are_of_one_task_only() -> None:
    names = [recipe.name for recipe in list_recipes()]
    assert len(set(names)) == len(names)
    with pytest.raises(UsageError, match=r"no recipe 'x' for lm; there are: .*char-rnn"):
        find_recipe("lm", "x")


def test_listed_and_printed(cli: Cli) -> None:
    table = cli("recipes")
    assert table.status == 0
    for recipe in list_recipes():
        assert recipe.name in table.out
    assert "char-rnn" not in cli("recipes", "--task", "tag").out
    found = json.loads(cli("recipes", "luong", "--json").out)
    assert found[0]["values"]["cell"] == "lstm"
    assert cli("recipes", "luong").out == find_recipe("translate", "luong").text
    wrong = cli("recipes", "nothing")
    assert (wrong.status, len(wrong.errors)) == (2, 1)
    assert "luong" in wrong.err


def settings_of(folder: str) -> dict[str, object]:
    return json.loads(Path(folder, "config.json").read_text())["settings"]


def test_precedence(cli: Cli, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command line, then environment, then --config, then the recipe, then the default."""
    Path("run.toml").write_text('cell = "rnn"\nlayers = 2\npool = "mean"\ndropout = 0.2\n')
    monkeypatch.setenv("SEQCLI_LAYERS", "3")
    monkeypatch.setenv("SEQCLI_POOL", "attention")
    result = cli(
        "classify", data, "--recipe", "gru-50", "--config", "run.toml", "--pool", "max",
        "--out", "m", *SMALL,
    )  # fmt: skip
    assert result.status == 0, result.err
    found = settings_of("m")
    assert (found["pool"], found["layers"], found["cell"]) == ("max", 3, "rnn")
    assert (found["dropout"], found["bidirectional"], found["clip"]) == (0.2, False, 1.0)


def test_unknown_recipe(cli: Cli, data: Path) -> None:
    result = cli("classify", data, "--recipe", "char-rnn")
    assert (result.status, len(result.errors)) == (2, 1)
    assert "gru-50" in result.err
    assert cli("lm", "--resume", data, "--recipe", "char-rnn").status == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe", list_recipes(), ids=lambda recipe: f"{recipe.task} {recipe.name}"
)
def test_every_recipe_trains(cli: Cli, data: Path, recipe: Recipe) -> None:
    # A few words are no vocabulary to draw samples from.
    little = ("--streams", 4, "--bptt", 8, "--softmax", "full") if recipe.task == "lm" else ()
    result = cli(recipe.task, data, "--recipe", recipe.name, "--out", "m", *SMALL, *little)
    assert result.status == 0, result.err
