"""The networks of all tasks as ONNX."""

from __future__ import annotations

from typing import Any

from torch import nn

from seqcli.export import classify, lm, tag, translate
from seqcli.export.graph import Graph

BUILDS: dict[str, Any] = {
    "classify": classify.build,
    "tag": tag.build,
    "translate": translate.build,
    "lm": lm.build,
}


def build(task: Any, model: nn.Module) -> dict[str, Graph]:
    """The graphs of a model, by the name of their file."""
    return BUILDS[task.name](task, model)
