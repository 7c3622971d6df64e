"""The findings in a terminal of 80 columns, for people on a remote machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from seqcli.inspect.flow import say_horizon

BLOCKS = "▁▂▃▄▅▆▇█"
WORDS = 8  # listed of each pole
COLUMNS = 80
NAMES = 20  # of them for the names of numbers
WIDTH = 48  # and of a curve
LOW = 1e-6
"""The bottom of the gradient curve: a millionth of the gradient at lag 0."""


def summarise(content: dict[str, Any]) -> Iterator[str]:
    """Lines for a person, from an inspection's content."""
    model, data = content["model"], content["data"]
    yield (
        f"{model['name']}: {model['task']}, {describe_network(model)}, "
        f"{model['parameters']:,} parameters"
    )
    tokens = ", ".join(f"{count:,} {name}" for name, count in data["tokens"].items())
    yield f"{describe_rows(data)}, tokens: {tokens}"
    metric = content["metric"]
    yield f"{metric['name']} {metric['value']:.4f}, loss {metric['loss']:.4f} nats"
    for name, part in content["parts"].items():
        followed = data["coverage"][name or "text"]
        yield (
            f"{name or 'words'}: {len(part['words'])} shown ({part['coverage']:.1%} of all "
            f"tokens); {followed['left_out']:,} distinct ones are too rare"
        )
    yield from content["notes"]
    yield ""
    yield from _clusters(content)
    yield from _numbers(content["sites"])
    yield from _flow(content)
    yield from _ablations(content["ablation"])
    yield from _probes(content)
    yield from _search(content)
    yield from _translations(content)


def describe_network(model: dict[str, Any]) -> str:
    """2 × 256 bidirectional lstm, max pooling"""
    both = "bidirectional " if model["bidirectional"] else ""
    pool = f", {model['pool']} pooling" if model["pool"] else ""
    return f"{model['layers']} × {model['hidden']} {both}{model['cell']}{pool}"


def describe_rows(data: dict[str, Any]) -> str:
    """validation of reviews.csv: 40 rows"""
    part = f"{data['split']} of " if data["split"] else ""
    return f"{part}{data['origin']}: {say_count(data['rows'], 'row')}"


def describe_flow(found: dict[str, Any]) -> str:
    """× 0.510 a step; below 1 % after 7 of 99 steps"""
    factor = "–" if found["factor"] is None else f"{found['factor']:.3f}"
    return f"× {factor} a step; {say_horizon(found['horizon'], len(found['norms']['h']) - 1)}"


def describe_read(found: dict[str, Any]) -> str:
    """40 rows, 512 tokens"""
    rows = "" if found["rows"] is None else f"{say_count(found['rows'], 'row')}, "
    return f"{rows}{say_count(found['tokens'], 'token')}"


def say_count(number: int, noun: str) -> str:
    """1 unit, 2 units"""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def pole_words(
    names: Sequence[str], found: dict[str, Any], cluster: int, sign: int, count: int
) -> list[str]:
    """The strongest words of one pole of a cluster."""
    score = np.array(found["score"])
    inside = np.array(found["words"]) == cluster
    chosen = np.flatnonzero(inside & ((score >= 0) == (sign > 0)))
    return [names[at] for at in chosen[np.argsort(-np.abs(score[chosen]), kind="stable")][:count]]


def _clusters(content: dict[str, Any]) -> Iterator[str]:
    site = content["sites"][content["main"]]
    found, names = site["clusters"], content["parts"][site["part"]]["words"]
    stability = "" if found["stability"] is None else f"stability {found['stability']:.2f}, "
    yield f"CLUSTERS of {site['title']}: {found['count']}"
    yield (
        f"  {stability}silhouette {found['silhouette']:.2f}, |response| inside / outside "
        f"{found['contrast']:.1f}"
    )
    units, words = np.array(found["units"]), np.array(found["words"])
    for at in range(found["count"]):
        sizes = int((units == at).sum()), int((words == at).sum())
        yield f"  {at + 1:>2}  {say_count(sizes[0], 'unit')}, {say_count(sizes[1], 'word')}"
        for sign, mark in ((1, "+"), (-1, "−")):
            listed = pole_words(names, found, at, sign, WORDS)
            total = int(((words == at) & ((np.array(found["score"]) >= 0) == (sign > 0))).sum())
            more = f"  and {total - len(listed)} more" if total > len(listed) else ""
            if listed:
                yield f"      {mark} {'  '.join(listed)}{more}"
    yield "  most telling units (strongest words):"
    mean = np.array(site["response"]["mean"])
    for unit in site["response"]["telling"][:6]:
        order = np.argsort(mean[:, unit], kind="stable")
        low = " ".join(names[at] for at in order[:4])
        high = " ".join(names[at] for at in order[::-1][:4])
        yield f"    unit {unit:>3}  + {high}   − {low}"
    yield ""


NUMBERS = {
    "saturation": "saturated",
    "update": "mean |Δ|",
    "update_density": "|Δ| > 0.1",
    "update_sparsity": "sparsity of Δ",
    "kept_rate": "kept",
    "response_hoyer": "responses, Hoyer",
    "response_gini": "responses, Gini",
    "memory_scale": "memory in steps",
}


def _numbers(sites: dict[str, Any]) -> Iterator[str]:
    keys, width = list(sites), max(map(len, sites)) + 2
    beside = max(1, (COLUMNS - NAMES) // width)
    for some in (keys[at : at + beside] for at in range(0, len(keys), beside)):
        yield f"{'NUMBERS':<{NAMES}}" + "".join(f"{key:>{width}}" for key in some)
        for name, shown in NUMBERS.items():
            values = (sites[key]["numbers"].get(name) for key in some)
            cells = ("–" if value is None else f"{value:.3f}" for value in values)
            yield f"{f'  {shown}':<{NAMES}}" + "".join(f"{cell:>{width}}" for cell in cells)
    gated = False
    for site in sites.values():
        gates = {
            name[5:-5]: site["numbers"]
            for name in site["numbers"]
            if name.startswith("gate_") and name.endswith("_shut")
        }
        parts = [
            f"{letter} ({site['gates'][letter]}): {numbers[f'gate_{letter}']:.2f} mean, "
            f"{numbers[f'gate_{letter}_shut']:.0%} < 0.1, "
            f"{numbers[f'gate_{letter}_open']:.0%} > 0.9"
            for letter, numbers in gates.items()
        ]
        if parts:
            gated = True
            yield f"  gates, {site['title'].rpartition(',')[0]}"
            yield from (f"    {part}" for part in parts)
        scales = site["unit_numbers"].get("memory_scale")
        if scales:
            low, middle, high = np.percentile(scales, (10, 50, 90))
            yield (
                f"    memory of its units in steps: {low:.1f} (10 %), {middle:.1f} (median), "
                f"{high:.1f} (90 %)"
            )
    if not gated:
        yield "  this cell has no gates: no gate fractions and no memory scale"
    yield ""


def curve(norms: Sequence[float], width: int = WIDTH) -> str:
    """A falling or rising curve in block characters: a millionth at the bottom, 1 and more at the
    top."""
    shown = norms[:: max(1, -(-len(norms) // width))]
    span = -math.log10(LOW)
    levels = [
        max(0.0, min(1.0, 1 + math.log10(max(value, 1e-300)) / span)) if value == value else 0.0
        for value in shown
    ]
    return "".join(BLOCKS[round(level * (len(BLOCKS) - 1))] for level in levels)


def _flow(content: dict[str, Any]) -> Iterator[str]:
    if not content["flow"]:
        return
    yield "GRADIENT FLOW through the recurrence, by lag (log scale from 1 down to 10⁻⁶)"
    for key, found in content["flow"].items():
        norms = found["norms"].get("c", found["norms"]["h"])
        length = found["length"]
        typical = "" if length is None else f"; a text has {length:.0f} tokens"
        yield f"  {key:<18} {curve(norms)}  {found['verdict'].upper()}"
        yield f"    {describe_flow(found)}{typical}"
    yield ""


def _ablations(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not found:
        return
    how = f"units held at {'zero' if found[0]['how'] == 'zero' else 'their means'}"
    drawn = any(one["random"] for one in found)
    beside = "; random sets of the same size beside" if drawn else ""
    yield f"ABLATION in {found[0]['layer']} ({how}{beside})"
    yield f"  each judged on {describe_read(found[0])}"
    for one in found:
        yield from _ablation(one)
    if not all(one["whole_loop"] for one in found):
        yield "  only the outputs are silenced: in the cell's own loop, which is not cut, the"
        yield "  units go on"


def _ablation(one: dict[str, Any]) -> Iterator[str]:
    before, after = one["metric"]
    silenced = say_count(len(one["units"]), "unit")
    yield (
        f"  {one['name']:<14} {silenced:>10}  {one['metric_name']} "
        f"{after - before:+z.4f}, p {_dash(one['worse'])}; loss "
        f"{one['loss'][1] - one['loss'][0]:+z.4f}, p {_dash(one['loss_worse'])}"
    )
    if change := [value - before for value in one["random"]]:
        yield (
            f"  {'':<25}  random {np.mean(change):+z.4f} [{min(change):+z.4f}, {max(change):+z.4f}]"
        )
    if one["classes"]:
        hurt = ", ".join(
            f"{name} {first:.2f} → {last:.2f} (random {_dash(other)})"
            for name, first, last, other in one["classes"]
        )
        yield f"      recall lost most: {hurt}"


def _probes(content: dict[str, Any]) -> Iterator[str]:
    """The probes, and an empty line behind these and the ablations."""
    for one in content["probes"]:
        yield f"PROBE {one['property']} from {one['site']}"
        yield (
            f"  accuracy {one['accuracy']:.3f}, control task {one['control']:.3f}, majority "
            f"{one['majority']:.3f}; selectivity {one['selectivity']:+.3f}"
        )
    for one in content["probes_missing"]:
        yield f"PROBE {one['property']} cannot be made: {one['why']}"
    if content["ablation"] or content["probes"] or content["probes_missing"]:
        yield ""


def _dash(value: float | None) -> str:
    """Two digits, or a dash where there is no such number."""
    return "–" if value is None else f"{value:.2f}"


def _search(content: dict[str, Any]) -> Iterator[str]:
    found = content["search"]
    if not found:
        return
    begin, end = found["span"]
    yield (
        f"SEARCH for “{' '.join(found['tokens'][begin:end])}”: "
        f"{say_count(len(found['units']), 'unit')} active throughout "
        f"(|h| > {found['threshold']}), among {say_count(found['searched'], 'token')}"
    )
    for one in found["matches"][:10]:
        yield f"  {one['shared']:>4} shared of {one['union']:>4}   {_span(one)}"
    yield "  nearest states by cosine to the last one of the span"
    for one in found["nearest"][:5]:
        yield f"  {one['cosine']:.3f}   {_span(one)}"
    yield ""


def _span(one: dict[str, Any]) -> str:
    tokens = list(one["tokens"])
    begin, end = one["begin"], one["end"]
    return " ".join([*tokens[:begin], "[", *tokens[begin:end], "]", *tokens[end:]])


def _translations(content: dict[str, Any]) -> Iterator[str]:
    for one in content["sentences"]:
        if "tree" not in one:
            continue
        total = sum(one["log_probabilities"])
        yield f"{one['text']}"
        weighed = say_count(len(one["tree"]), "extension")
        yield f"  → {one['translation']}   (log p {total:.2f}, {weighed} weighed)"


# ------------------------------------------------------------------------------------- compare


def summarise_comparison(content: dict[str, Any]) -> Iterator[str]:
    """Lines for a person, from a comparison's content."""
    sides = content["sides"]
    for letter, side in zip("AB", sides, strict=True):
        network = describe_network(side["model"])
        yield f"{letter}  {side['name']}: {side['model']['task']}, {network}; {side['title']}"
    data = content["data"]
    yield (
        f"{describe_rows(data)}; {data['shared_words']} shared words, "
        f"{data['coverage']:.1%} of the tokens"
    )
    yield from content["notes"]
    yield ""
    yield from _compared_numbers(content)
    yield from _gates(sides)
    yield ""
    for letter, side in zip("AB", sides, strict=True):
        found = side["flow"]
        norms = found["norms"].get("c", found["norms"]["h"])
        yield f"gradient flow {letter}  {curve(norms)}  {found['verdict'].upper()}"
        yield f"{'':<17}{describe_flow(found)}"
    yield from _agreement(content)
    for one in content["claims"]:
        change = ""
        if one["interval"]:
            low, high = one["interval"]
            change = f" {one['difference']:+z.4f} [{low:+z.4f}, {high:+z.4f}]"
        yield f"CLAIM {one['claim']}: {one['verdict'].upper()}"
        yield f"      {one['measure']}{change}"


def _compared_numbers(content: dict[str, Any]) -> Iterator[str]:
    """The metric and the numbers of both sides, their difference and its interval."""
    yield f"{'':<{NAMES}}{'A':>10}{'B':>10}{'B − A':>10}  95 % interval"
    metric = content["metric"]
    if metric:
        low, high = metric["interval"]
        yield (
            f"{metric['name']:<{NAMES}}{metric['first']:>10.4f}{metric['second']:>10.4f}"
            f"{metric['difference']:>+z10.4f}  {low:+z.4f} … {high:+z.4f}  p {metric['p']:.4f}"
        )
    for name, row in content["numbers"].items():
        values = "".join(f"{'–' if v is None else format(v, '.4f'):>10}" for v in row["values"])
        change = f"{row['difference']:>+z10.4f}" if "difference" in row else f"{'–':>10}"
        low_high = row.get("interval")
        interval = f"  {low_high[0]:+z.4f} … {low_high[1]:+z.4f}" if low_high else ""
        yield f"{name:<{NAMES}}{values}{change}{interval}"


def _agreement(content: dict[str, Any]) -> Iterator[str]:
    """How alike the clusters, states and units of both sides are."""
    counts = " and ".join(str(side["clusters"]["count"]) for side in content["sides"])
    yield (
        f"{counts} clusters; agreement of the word clusterings (adjusted Rand index) "
        f"{content['agreement']:.3f}"
    )
    if content["cka"]:
        yield f"linear CKA of the two states {content['cka']['chosen']:.3f}"
    if content["matching"]:
        matching = content["matching"]
        yield (
            f"units matched one to one: mean |r| {matching['mean']:.3f} "
            f"(shuffled partners {matching['chance']:.3f})"
        )


def _gates(sides: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What each gate does when it is open: once for two cells of a kind, else for each."""
    same = sides[0]["gates"] == sides[1]["gates"]
    for letter, side in zip("AB", sides[:1] if same else sides, strict=False):
        senses = ", ".join(f"{gate} ({sense})" for gate, sense in side["gates"].items())
        if senses:
            yield f"gates{'' if same else f' of {letter}'}: {senses}"
