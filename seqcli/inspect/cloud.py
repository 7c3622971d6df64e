"""Word clouds, laid out here so that the page only has to draw them.

A cloud is rows of words, strongest first, the size of a word by its strength. A word that finds no
room is not placed, and is counted.

    excellent  moving  best          row height follows its largest word
    funny  charming  enjoyable
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# All lengths are in pixels of the page.
WIDTH = 380
TALLEST = 1_500
"""Of all clouds together; each has the share of its words, but at least SHORTEST."""
SHORTEST = 60
SMALLEST, LARGEST = 11.0, 21.0  # font sizes
GAP = 9  # between words
LEADING = 1.28  # height of a line in font sizes
NARROW = set("iljtfrI.,:;'|!()[]`-")
WIDE = set("mwMW@%—…")


class Cloud(NamedTuple):
    """x (left), y (baseline), width and font size of each word (n, 4); those without room are NaN.
    height: of the whole cloud; left_out: words without room."""

    places: np.ndarray
    height: float
    left_out: int


def measure_text(text: str) -> float:
    """Width in units of the font size, for a common sans serif; the page stretches text to it."""
    total = 0.0
    for character in text:
        if unicodedata.east_asian_width(character) in "WF":
            total += 1.02
        elif character in NARROW:
            total += 0.33
        elif character in WIDE:
            total += 0.88
        elif character.isupper():
            total += 0.68
        else:
            total += 0.555
    return max(total, 0.4)


def lay_out(words: Sequence[str], strength: np.ndarray, *, largest: float, tallest: float) -> Cloud:
    """Place words by falling strength (n,). largest: the strength that gets the largest font;
    tallest: room for rows."""
    places = np.full((len(words), 4), np.nan)
    row: list[int] = []
    x, top, line, left_out = 0.0, 0.0, 0.0, 0
    for at in np.argsort(-strength, kind="stable").tolist():
        share = float(strength[at]) / largest if largest > 0 else 0.0
        size = SMALLEST + (LARGEST - SMALLEST) * min(1.0, share) ** 0.7
        long = min(measure_text(words[at]) * size, WIDTH)
        if x and x + long > WIDTH:
            _set_baseline(places, row, top + line / LEADING)
            top, x, line, row = top + line, 0.0, 0.0, []
        if top + max(line, size * LEADING) > tallest:
            left_out += 1
            continue
        places[at] = x, 0.0, long, size
        row.append(at)
        x += long + GAP
        line = max(line, size * LEADING)
    _set_baseline(places, row, top + line / LEADING)
    return Cloud(places, top + line, left_out)


def _set_baseline(places: np.ndarray, row: Sequence[int], y: float) -> None:
    for at in row:
        places[at, 1] = y


class Layout(NamedTuple):
    """All clouds of a clustering: places (W, 4) in the coordinates of each word's own cloud;
    heights and left_out (K, 2), + first."""

    places: np.ndarray
    heights: np.ndarray
    left_out: np.ndarray


def lay_out_all(
    words: Sequence[str], clusters_W: np.ndarray, score_W: np.ndarray, count: int
) -> Layout:
    """A cloud for each pole of each cluster. A word's cloud is that of its own cluster's label."""
    places = np.full((len(words), 4), np.nan)
    heights, left_out = np.zeros((count, 2)), np.zeros((count, 2), dtype=int)
    strength_W = np.abs(score_W)
    inside = strength_W[clusters_W >= 0]
    largest = float(np.percentile(inside, 99)) if len(inside) else 0.0
    for at in range(count):
        for pole in range(2):
            chosen = np.flatnonzero((clusters_W == at) & ((score_W >= 0) == (pole == 0)))
            if not len(chosen):
                continue
            tallest = max(SHORTEST, TALLEST * len(chosen) / len(words))
            named = [words[one] for one in chosen.tolist()]
            cloud = lay_out(named, strength_W[chosen], largest=largest, tallest=tallest)
            places[chosen] = cloud.places
            heights[at, pole], left_out[at, pole] = cloud.height, cloud.left_out
    return Layout(places, heights, left_out)
