"""What several tasks do with text before it is ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqcli.config import Config, Tokens
from seqcli.data.choice import split_columns
from seqcli.data.columns import read_condition
from seqcli.data.tokens import Tokenizer
from seqcli.data.values import has_field, join_cells, reach
from seqcli.data.vocabulary import choose_kind, train_tokenizer
from seqcli.errors import MissingField, SeqcliError


def limits_of(tokens: Tokens) -> dict[str, Any]:
    """What the settings say of a vocabulary, as the training of tokenizers takes it."""
    return {
        "vocabulary_size": tokens.vocabulary_size,
        "min_count": tokens.min_count,
        "lowercase": tokens.lowercase,
    }


def learn_tokenizer(
    config: Config, texts: Sequence[str], *, written: Sequence[str] = (), joiner: bool = False
) -> tuple[Tokenizer, str]:
    """The tokenizer that was asked for, or the one that suits task and script; and the reason.

    written: what is written from the texts. joiner: words tell where they touched, so that text can
    be written with them.
    """
    kind, reason = config.tokens.tokens, "as asked"
    if kind == "auto":
        kind, reason = choose_kind(config.task, texts, written)  # type: ignore[assignment]
    return train_tokenizer(kind, texts, **limits_of(config.tokens), joiner=joiner), reason


def find_condition(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    """What a record's text is written from. Raises SeqcliError where a field of it is missing or
    holds nothing."""
    for name in names:
        if name not in record:
            raise MissingField(name, record)
        if record[name] is None:
            raise SeqcliError(f"field {name!r} is empty, and the text is written from it")
    return read_condition([record[name] for name in names])


def read_fields(
    records: Sequence[Mapping[str, Any]],
    known: Sequence[str],
    *,
    asked: str | None,
    usual: str | None,
) -> list[str]:
    """Each record's text: from the column that training read (usual; asked, if it had none by that
    name), else, where it was not told which, from the first of the well-known names. Of several
    columns, between commas, the texts are joined. Raises SeqcliError where none is there or it
    holds no text.

    Beside the column of training only `text` and the first well-known name are read: another may
    hold anything."""
    names = [usual, *known[:1], *(one for one in known if one == "text")] if usual else known
    named = asked and (usual or asked)  # training takes a name that is asked for in any case
    found = []
    for record in records:
        column = named or next((name for name in names if _hold_all(record, name)), names[0])
        several = split_columns(column, record)
        for name in several:
            if not has_field(record, name):
                raise MissingField(name, record)
        cells = [reach(record, name) for name in several]
        written = [cell for cell in cells if cell is not None]
        if not written or not all(is_written(cell) for cell in written):
            raise SeqcliError(f"field {column!r} is not text")
        found.append(join_cells(cells))
    return found


def is_written(value: Any) -> bool:
    """Whether a value of JSON is a text or a number, which is read as it is written."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _hold_all(record: Mapping[str, Any], names: str) -> bool:
    return all(has_field(record, name) for name in split_columns(names, record))


def describe_tokens(tokenizer: Tokenizer, reason: str = "") -> str:
    """What training says about a tokenizer."""
    size = len(tokenizer.vocabulary)
    return f"{tokenizer.kind}, vocabulary {size:,}" + (f" ({reason})" if reason else "")
