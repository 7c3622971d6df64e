"""One self-contained file: the data, the styles and the scripts; opens from disk, without a net.

Arrays are int8 in base64 with a scale beside them. The page stays below three megabytes: what does
not fit (percentile bands of weaker words, the search sample, in the end whole sites) is left out,
and the page says so; the JSON and the arrays have everything.
"""

from __future__ import annotations

import base64
import html
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.errors import SeqcliError
from seqcli.inspect.cloud import lay_out_all
from seqcli.inspect.cocluster import Clustering, links
from seqcli.inspect.inspection import Inspection
from seqcli.inspect.response import Response
from seqcli.inspect.summary import describe_network, pole_words
from seqcli.storage import write_text

LIMIT = 2_850_000  # bytes of the data, so that a page stays below three megabytes
SAMPLE_BYTES = 450_000  # of these for the search
UNIT_NUMBERS = ("saturation", "update", "update_density", "kept_rate", "memory_scale")
BOXES = 4
"""Words with the lowest, and with the highest, response that a unit's detail shows."""
SCRIPTS = ("core", "overview", "details", "sentence", "charts", "search", "translate", "inspect")


def write(found: Inspection, path: Path) -> None:
    """Write the page. Raises SeqcliError where it cannot."""
    write_text(path, build(found))


def check_writable(path: Path) -> None:
    """Raise SeqcliError, before any work is done, where a page cannot be written."""
    if path.is_dir():
        raise SeqcliError(f"--out {path} is a folder; name a file such as {path}/inspect.html")
    if not path.parent.is_dir():
        raise SeqcliError(f"--out {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise SeqcliError(f"--out {path}: no permission to write there")


def build(found: Inspection) -> str:
    """The page as text."""
    content = found.content
    title = f"{content['model']['name']} · seqcli inspect"
    tables = "".join(_tables(content, key) for key in content["sites"])
    frame = len(assemble(title, "", tables, SCRIPTS))
    return assemble(title, payload(found, LIMIT - frame), tables, SCRIPTS)


def assemble(title: str, data: str, tables: str, scripts: tuple[str, ...]) -> str:
    """The template with its parts in place. data: JSON in which no tag can end."""
    folder = resources.files("seqcli.inspect") / "assets"

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    page = read("page.html")
    parts = {
        "title": html.escape(title),
        "style": read("page.css"),
        "tables": tables,
        "script": "\n".join(read(f"{name}.js") for name in scripts),
        "data": data,
    }
    for name, text in parts.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


def as_json(content: Any) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def pack(values: np.ndarray, *, scale: float | None = None) -> dict[str, Any]:
    """int8 in base64; value = byte × scale."""
    array = np.nan_to_num(np.asarray(values, dtype=np.float64))
    if scale is None:
        scale = float(np.abs(array).max(initial=0)) / 127 or 1.0
    whole = np.clip(np.round(array / scale), -127, 127).astype(np.int8)
    return {"scale": scale, "bytes": base64.b64encode(whole.tobytes()).decode()}


def pack_integers(values: np.ndarray, kind: str) -> str:
    """int8 or uint16 (little-endian) in base64."""
    return base64.b64encode(np.asarray(values).astype(np.dtype(kind)).tobytes()).decode()


# -------------------------------------------------------------------------------------- payload


def payload(found: Inspection, room: int) -> str:
    """The data of the page as JSON of at most `room` bytes."""
    content = found.content
    keys = list(content["sites"])
    order = sorted(keys, key=lambda key: (key != content["main"], content["sites"][key]["state"]))
    packed = {key: _site(found, key) for key in keys}
    plain = {
        name: content[name]
        for name in ("schema", "seqcli", "model", "data", "metric", "explain", "main", "flow")
    } | {name: content[name] for name in ("connectivity", "ablation", "probes", "search", "parts")}
    plain["probes_missing"] = content["probes_missing"]
    plain["notes"] = list(content["notes"])
    plain["network"] = describe_network(content["model"])
    shown = list(order)
    while True:
        plain["sites"] = {key: packed[key] for key in keys if key in shown}
        plain["sentences"] = [_sentence(found, at, shown) for at in range(len(found.sentences))]
        left = room - len(as_json(plain).encode())
        if left > 0 or len(shown) == 1:
            break
        shown.pop()
    if len(shown) < len(order):
        titles = ", ".join(content["sites"][key]["title"] for key in order[len(shown) :])
        plain["notes"].append(f"to stay small, the page leaves out: {titles}; --layer shows one")
    plain["sample"] = _sample(found, min(SAMPLE_BYTES, max(0, left // 2)))
    left = room - len(as_json(plain).encode())
    for key in shown:
        share = max(0, left // len(shown) - 200)
        plain["sites"][key]["bands"] = _bands(found.responses[key], share)
    return as_json(plain)


def _site(found: Inspection, key: str) -> dict[str, Any]:
    site, response = found.content["sites"][key], found.responses[key]
    words = found.content["parts"][site["part"]]["words"]
    names = [
        name
        for name in site["unit_numbers"]
        if name in UNIT_NUMBERS or name.endswith(("_shut", "_open"))
    ]
    kept = ("title", "part", "layer", "direction", "state", "units", "numbers", "intervals")
    return {name: site[name] for name in kept} | {
        "gates": site["gates"],
        "telling": site["response"]["telling"],
        "unit_numbers": {
            name: [round(value, 3) for value in site["unit_numbers"][name]] for name in names
        },
        "mean": pack(response.mean),
        "boxes": _boxes(response),
        "chosen": site["clusters"]["count"],
        "mode": site["clusters"]["mode"],
        "clusterings": {
            str(count): _clustering(one, words, response.mean)
            for count, one in found.clusterings[key].items()
        },
    }


def _clustering(one: Clustering, words: list[str], mean_WH: np.ndarray) -> dict[str, Any]:
    layout = lay_out_all(words, one.words, one.score, one.size)
    places = np.where(np.isnan(layout.places), 0, layout.places * np.array([10, 10, 10, 10]))
    both = links(mean_WH, one)
    return {
        "words": pack_integers(one.words, "<i1"),
        "units": pack_integers(one.units, "<i1"),
        "score": _pack_score(one.score),
        "places": pack_integers(np.round(places), "<u2"),
        "heights": np.round(layout.heights, 1).tolist(),
        "left_out": layout.left_out.tolist(),
        "positive": pack(both["positive"]),
        "negative": pack(both["negative"]),
        "stability": one.stability,
        "silhouette": round(one.silhouette, 4),
        "contrast": round(one.contrast, 4),
    }


def _pack_score(score_W: np.ndarray) -> dict[str, Any]:
    """Pole scores; a weak − word must not round to zero, which counts as +."""
    least = float(np.abs(score_W).max(initial=0)) / 127 or 1.0
    return pack(np.where(score_W < 0, np.minimum(score_W, -least), score_W), scale=least)


def _boxes(response: Response) -> dict[str, Any]:
    """For each unit the words with its lowest and highest mean response, and their percentiles."""
    order_WH = np.argsort(response.mean, axis=0, kind="stable")
    count = min(BOXES, len(order_WH) // 2) or 1
    rows = np.concatenate([order_WH[:count], order_WH[::-1][:count][::-1]]).T  # (H, 2·count)
    units = np.arange(rows.shape[0])[:, None]
    values = response.percentiles[rows, :, units]  # (H, 2·count, 5)
    return {"words": pack_integers(rows, "<u2"), "count": 2 * count, **pack(values)}


def _bands(response: Response, room: int) -> dict[str, Any]:
    """Percentiles 9, 25, 75 and 91 of the first words that fit."""
    units = response.mean.shape[1]
    count = min(len(response.mean), room * 3 // 4 // (4 * units))
    return {"count": count, **pack(response.percentiles[:count][:, (0, 1, 3, 4)])}


def _sentence(found: Inspection, at: int, keys: list[str]) -> dict[str, Any]:
    facts = {n: v for n, v in found.content["sentences"][at].items() if n != "glyphs"}
    states = found.sentences[at].states
    return facts | {"states": {key: pack(states[key]) for key in keys}}


def _sample(found: Inspection, room: int) -> dict[str, Any]:
    """States of sampled tokens at the main site, for the page's own search."""
    main = found.content["main"]
    part_name = found.content["sites"][main]["part"]
    part, places = found.corpus.parts[part_name], found.survey.places[part_name]
    states = found.survey.states[main]
    count = min(len(places), room // (states.shape[1] * 4 // 3 + 12))
    strings = [part.text(at) for at in places[:count]]
    return {
        "site": main,
        "tokens": strings,
        "sequence": part.example[places[:count]].tolist(),
        "states": pack(states[:count]),
    }


# --------------------------------------------------------------------------------------- tables


def _tables(content: dict[str, Any], key: str) -> str:
    site = content["sites"][key]
    return table(site["title"], site["clusters"], content["parts"][site["part"]]["words"])


def table(title: str, found: dict[str, Any], names: list[str]) -> str:
    """Clusters as a table, for readers without scripts, and for screen readers."""
    units, words = np.array(found["units"]), np.array(found["words"])
    rows = []
    for at in range(found["count"]):
        poles = [
            html.escape(" ".join(pole_words(names, found, at, sign, len(words))))
            for sign in (1, -1)
        ]
        members = " ".join(str(unit) for unit in np.flatnonzero(units == at))
        rows.append(
            f"<tr><th scope=row>{at + 1}</th><td>{poles[0]}</td><td>{poles[1]}</td>"
            f"<td>{members}</td></tr>"
        )
    caption = html.escape(f"Clusters of {title}")
    return (
        f"<table class=clusters><caption>{caption}</caption><thead><tr><th scope=col>cluster</th>"
        f"<th scope=col>words, +</th><th scope=col>words, −</th><th scope=col>units</th></tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table>"
    )
