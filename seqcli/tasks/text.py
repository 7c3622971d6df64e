"""What several tasks do with text before it is ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqcli.data.tokens import Tokenizer
from seqcli.data.vocabulary import choose_kind
from seqcli.errors import SeqcliError


def resolve_kind(config: Any, texts: Sequence[str]) -> tuple[str, str]:
    """The kind of token asked for, or the one that suits task and script; and the reason."""
    kind = config.tokens.tokens
    if kind != "auto":
        return kind, "as asked"
    return choose_kind(config.task, texts)


def read_fields(
    records: Sequence[Mapping[str, Any]],
    known: Sequence[str],
    *,
    asked: str | None,
    usual: str | None,
) -> list[str]:
    """Each record's text: from the column that training was told to read (asked), else the one it
    found (usual), else the first of the well-known names. Raises SeqcliError where none is there
    or it holds no text."""
    names = [usual, *known] if usual else known
    found = []
    for record in records:
        column = asked or next((name for name in names if name in record), names[0])
        if column not in record:
            raise SeqcliError(f"no field {column!r}; it has: {', '.join(record) or 'nothing'}")
        if not isinstance(record[column], str):
            raise SeqcliError(f"field {column!r} is not text")
        found.append(record[column])
    return found


def describe_tokens(tokenizer: Tokenizer, reason: str) -> str:
    """What training says about a tokenizer."""
    size = len(tokenizer.vocabulary)
    return f"{tokenizer.kind}, vocabulary {size:,}" + (f" ({reason})" if reason else "")
