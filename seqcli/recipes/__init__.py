"""Well-known configurations that ship with the program: one TOML file each, by task.

The first comment line of a recipe says what it is; one that begins with "Source:" says where it
comes from; the others, how it differs from there. The rest are settings, as `--config` takes them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from seqcli.errors import UsageError

FOLDER = Path(__file__).parent


class Recipe(NamedTuple):
    """text: the file as it is. values: its settings by name."""

    task: str
    name: str
    what: str
    source: str
    text: str
    values: dict[str, Any]


def list_recipes(task: str | None = None) -> list[Recipe]:
    """The recipes of a task, or all, by task and name."""
    return [_read(path) for path in sorted(FOLDER.glob(f"{task or '*'}/*.toml"))]


def find_recipe(task: str, name: str) -> Recipe:
    """A task's recipe. Raises UsageError for a name that does not exist."""
    known = {recipe.name: recipe for recipe in list_recipes(task)}
    if name not in known:
        raise UsageError(f"no recipe {name!r} for {task}; there are: {', '.join(known)}")
    return known[name]


def _read(path: Path) -> Recipe:
    text = path.read_text(encoding="utf-8")
    comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    source = next((line for line in comments if line.startswith("Source:")), "")
    return Recipe(
        path.parent.name,
        path.stem,
        comments[0] if comments else "",
        source.removeprefix("Source:").strip(),
        text,
        tomllib.loads(text),
    )
