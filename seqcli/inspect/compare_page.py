"""The page of a comparison: two networks mirrored about their shared words, on one scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqcli.inspect.compare import Comparison
from seqcli.inspect.page import as_json, assemble, pack, table
from seqcli.inspect.summary import describe_network

SCRIPTS = ("core", "overview", "sentence", "charts", "compare")


def build(found: Comparison) -> str:
    """The page as text."""
    content = found.content
    title = " · ".join(side["name"] for side in content["sides"]) + " · seqcli compare"
    tables = "".join(
        table(f"{side['name']}, {side['title']}", side["clusters"], content["words"])
        for side in content["sides"]
    )
    return assemble(title, as_json(payload(found)), tables, SCRIPTS)


def payload(found: Comparison) -> dict[str, Any]:
    """The data of the page. Responses and states of both sides share their scale."""
    content = found.content
    kept = ("schema", "seqcli", "notes", "data", "words", "counts", "numbers", "metric", "cka")
    plain = {name: content[name] for name in kept}
    plain |= {name: content[name] for name in ("matching", "agreement", "claims", "explain")}
    scale = max(float(np.abs(one).max()) for one in found.mean) / 127 or 1.0
    plain["sides"] = []
    for side, mean in zip(content["sides"], found.mean, strict=True):
        plain["sides"].append(
            {name: value for name, value in side.items() if name != "response"}
            | {"mean": pack(mean, scale=scale), "network": describe_network(side["model"])}
        )
    plain["sentences"] = []
    for facts, pair in zip(content["sentences"], found.sentences, strict=True):
        states = [one.states[side.site.key] for one, side in zip(pair, found.sides, strict=True)]
        shared = max(float(np.abs(one).max()) for one in states) / 127 or 1.0
        packed = [pack(one, scale=shared) for one in states]
        plain["sentences"].append({**facts, "states": packed})
    return plain
