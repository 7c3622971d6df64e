"""Imports go strictly downward, and nothing above the line imports torch when it is imported."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import seqcli

ROOT = Path(seqcli.__file__).parent
LAYERS = [
    ["errors", "startup"],
    ["config", "events"],
    ["recipes"],
    ["data"],
    ["metrics", "baselines"],
    ["nn"],
    ["tasks", "average", "divergence", "optimizer", "epochs"],
    ["storage", "reading"],
    ["fit", "bundle"],
    ["report", "evaluation"],
    ["inspect"],
    ["watch"],
    ["run"],
    ["generation", "seeds", "sweep", "stream", "facts", "export", "bench"],
    ["console"],
    ["progress", "results"],
    ["cli", "__main__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LIGHT = (
    "cli",
    "console",
    "progress",
    "results",
    "config",
    "recipes",
    "errors",
    "events",
    "startup",
    "__main__",
    "__init__",
)
HEAVY = {"torch", "datasets", "numpy", "tokenizers", "safetensors", "sacrebleu", "huggingface_hub"}
FILES = sorted(path for path in ROOT.rglob("*.py"))


def layer(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def imports(path: Path, *, everywhere: bool) -> Iterator[str]:
    """The modules a file imports when it is imported, or also later, types aside."""
    waiting: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "seqcli":
                yield from (f"seqcli.{name.name}" for name in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        elif everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward(path: Path) -> None:
    own = layer(path)
    if own == "__init__":
        assert not list(imports(path, everywhere=True))
        return
    assert own in RANK, f"say in LAYERS where {own} stands"
    for name in imports(path, everywhere=True):
        parts = name.split(".")
        if parts[0] != "seqcli" or len(parts) == 1 or parts[1] == "__version__":
            continue
        other = parts[1]
        assert other in RANK, f"say in LAYERS where {other} stands"
        if other != own:
            assert RANK[other] <= RANK[own], f"{own} imports {other}, which stands above it"


@pytest.mark.parametrize(
    "path", [path for path in FILES if layer(path) in LIGHT], ids=lambda path: path.stem
)
def test_upper_modules_are_light(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path, everywhere=False)} & HEAVY
    # Nor by way of a module of ours from below the line.
    below = {f"seqcli.{name}" for name in RANK if name not in LIGHT}
    ours = {".".join(name.split(".")[:2]) for name in imports(path, everywhere=False)}
    assert not ours & below


def test_no_file_is_called_utils() -> None:
    assert not [path for path in FILES if path.stem in ("utils", "util", "helpers", "misc")]


def test_the_map_of_the_code_shows_these_layers() -> None:
    """The table of docs/code.md has every part, and those further up import those below."""
    text = (ROOT.parent / "docs" / "code.md").read_text("utf-8")
    rows = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`.+?) \|", text, re.M)]
    assert {name for row in rows for name in row} == {*RANK} - {"__main__"}
    ranks = [[RANK[name] for name in row] for row in rows]
    assert all(min(above) >= max(below) for above, below in itertools.pairwise(ranks))


def test_imports_make_no_circle() -> None:
    """Within a layer, too; imports for types and within functions count."""
    named = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in FILES}
    modules = {name.removesuffix(".__init__"): path for name, path in named.items()}

    def read(path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                within = {f"{node.module}.{one.name}" for one in node.names} & modules.keys()
                yield from within or {node.module} & modules.keys()

    graph = {name: set(read(path)) for name, path in modules.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError and names it
