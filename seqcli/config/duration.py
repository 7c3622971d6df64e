"""Spans of time as a person writes them: 90s, 10m, 1.5h."""

from __future__ import annotations

import re

from seqcli.errors import UsageError

UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str, option: str) -> float:
    """The seconds of a span of time. Raises UsageError that names the option."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip().lower())
    if match is None or not float(match[1]):
        raise UsageError(f"{option} is {text!r}; write a span of time such as 90s, 10m or 1.5h")
    return float(match[1]) * UNITS[match[2]]
