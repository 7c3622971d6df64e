"""Tree-LSTMs against a recursive numpy reading of the paper, one tree at a time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Result

from seqcli.config import make_config
from seqcli.data.rows import Rows
from seqcli.data.trees import parse, train_trees
from seqcli.errors import UsageError
from seqcli.nn.ragged import Ragged
from seqcli.nn.tree import TreeLSTM, plant
from seqcli.tasks import TASKS

WORDS = ["go", "to", "rome", "on", "monday", "not"]


def draw_tree(draw: random.Random, leaves: int, widest: int) -> str:
    if leaves == 1:
        return draw.choice(WORDS)
    children = min(leaves, draw.randint(2, widest))
    cuts = sorted(draw.sample(range(1, leaves), children - 1))
    sizes = [end - begin for begin, end in zip([0, *cuts], [*cuts, leaves], strict=True)]
    return "(" + " ".join(draw_tree(draw, size, widest) for size in sizes) + ")"


def draw_trees(widest: int) -> list[str]:
    draw = random.Random(3)
    trees = [draw_tree(draw, leaves, widest) for leaves in (2, 9, 3, 20, 5)]
    return ["((go to) (rome not))", "(on)", "(monday)", *trees]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def read_tree(p: dict[str, np.ndarray], tree: Any, vectors: dict[str, np.ndarray]) -> Any:
    """h, c of the root, and h of all nodes below and of itself, by equations 2 to 14."""
    if isinstance(tree, str):
        i, o, u = np.split(p["leaf.weight"] @ vectors[tree] + p["leaf.bias"], 3)
        c = sigmoid(i) * np.tanh(u)
        h = sigmoid(o) * np.tanh(c)
        return h, c, [h]
    if len(tree) == 1:
        return read_tree(p, tree[0], vectors)
    below = [read_tree(p, child, vectors) for child in tree]
    hs = [h for h, _, _ in below]
    if p["node.weight"].shape[1] == len(hs[0]):
        seen = sum(hs)
        forget = [p["forget.weight"] @ h + p["forget.bias"] for h in hs]
    else:
        seen = np.concatenate(hs)
        forget = np.split(p["forget.weight"] @ seen + p["forget.bias"], 2)
    i, o, u = np.split(p["node.weight"] @ seen + p["node.bias"], 3)
    c = sigmoid(i) * np.tanh(u)
    c = c + sum(sigmoid(f) * c_k for f, (_, c_k, _) in zip(forget, below, strict=True))
    h = sigmoid(o) * np.tanh(c)
    return h, c, [*(one for _, _, nodes in below for one in nodes), h]


@pytest.mark.parametrize("form", ["childsum", "binary"])
def test_agrees_with_a_recursive_reading_of_the_paper(form: str) -> None:
    torch.manual_seed(0)
    texts = draw_trees(2 if form == "binary" else 4)
    tokenizer = train_trees(texts, form)
    trees = tokenizer.encode(texts)
    forest = plant(
        Ragged(torch.from_numpy(trees.values).long(), torch.from_numpy(trees.offsets)),
        len(tokenizer.vocabulary),
    )
    tree = TreeLSTM(3, 4, form)
    for parameter in tree.parameters():
        torch.nn.init.normal_(parameter)
    vectors = torch.randn(len(tokenizer.vocabulary), 3)
    h_NH = tree(vectors[forest.words.values], forest.levels)
    found = forest.nodes.with_values(h_NH[forest.nodes.values]).split()
    p = {name: value.double().numpy() for name, value in tree.state_dict().items()}
    known = dict(zip(tokenizer.vocabulary, vectors.double().numpy(), strict=True))
    assert len(forest.levels) > 3
    for text, nodes in zip(texts, found, strict=True):
        root, _, every = read_tree(p, parse(text), known)
        np.testing.assert_allclose(nodes[-1].detach().numpy(), root, atol=1e-5)
        ours, truth = np.sort(nodes.detach().numpy(), axis=0), np.sort(every, axis=0)
        np.testing.assert_allclose(ours, truth, atol=1e-5)


@pytest.mark.parametrize("form", ["childsum", "binary"])
@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
def test_answers_do_not_depend_on_the_rest_of_the_batch(form: str, pool: str) -> None:
    texts = draw_trees(2)
    config = make_config(
        "classify", {"cell": "tree", "tree": form, "pool": pool, "hidden": 5, "embedding": 5}
    )
    labels = ["go" if "go" in text else "stay" for text in texts]
    task = TASKS["classify"].learn(config, Rows({"text": texts, "label": labels}, "test"))
    torch.manual_seed(1)
    model = task.build().eval()
    together = task.probabilities(model, task.read(texts))
    for at, text in enumerate(texts):
        alone = task.probabilities(model, task.read([text]))[0]
        np.testing.assert_allclose(alone, together[at], atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"layers": 2}, {"max_length": 5}, {"bptt": 3}, {"tokens": "bpe"}, {"weight_dropout": 0.1}],
)
def test_what_a_tree_has_no_use_for_is_refused(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(UsageError, match=f"no use for --{name.replace('_', '-')}"):
        make_config("classify", {"cell": "tree", **settings})
    with pytest.raises(UsageError, match="--cell is 'tree'"):
        make_config("tag", {"cell": "tree"})


def test_from_training_to_prediction(cli: Callable[..., Result], tmp_path: Path) -> None:
    draw = random.Random(1)
    for split, count in (("train", 60), ("validation", 10), ("test", 10)):
        rows = []
        for _ in range(count):
            city, no = draw.choice(["rome", "oslo"]), draw.random() < 0.5
            text = f"(2 (1 {'not' if no else 'go'}) (3 (2 to) (2 {city})))"
            rows.append(f"{text}\t{'stay' if no else 'go'}\n")
        (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + "".join(rows))
    small = ("--hidden", 8, "--embedding", 8, "--threads", 1, "--batch-tokens", 60)
    found = cli(
        "classify", tmp_path, "--cell", "tree", "--epochs", 15, *small, "--out", "m", "--json"
    )
    assert found.status == 0, found.err
    assert json.loads(found.out)["scores"]["test"]["accuracy"] == 1.0
    (tmp_path / "lines").write_text("(2 (1 not) (3 (2 to) (2 rome)))\nno tree\n(2 (1 go) (2 x))\n")
    found = cli("predict", "m", tmp_path / "lines")
    assert (found.status, found.lines) == (1, ["stay", "", "go"])
    assert "line 2: 'no' stands outside of a tree; a tree looks like" in found.err
    found = cli("inspect", "m", tmp_path)
    assert found.status == 1
    assert "no recurrent layers to look into" in found.errors[0]
    (tmp_path / "train.tsv").write_text("text\tlabel\n(a (b c))\tgo\n(a (b c)\tstay\n")
    found = cli("classify", tmp_path, "--cell", "tree", *small)
    assert found.status == 1
    assert "row 2: 1 brackets of the tree do not close" in found.errors[0]


@pytest.mark.parametrize("form", ["childsum", "binary"])
def test_cost_is_that_of_the_products(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in a tree of 200 words whose nodes have two children each."""
    products = []

    def count(layer: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
        products.append(len(x) * layer.weight.numel())
        return layer(x)

    monkeypatch.setattr("seqcli.nn.tree._apply", count)
    trees = [draw_tree(random.Random(1), 200, 2)]
    codec = train_trees(trees, form)
    tokens = codec.encode(trees)
    bounds = torch.from_numpy(tokens.offsets)
    forest = plant(Ragged(torch.from_numpy(tokens.values), bounds), len(codec.vocabulary))
    cell = TreeLSTM(5, 7, form)
    cell(torch.zeros(len(forest.words.values), 5), forest.levels)
    assert 2 * sum(products) / 200 == pytest.approx(cell.flop, rel=0.01)
