"""What a person should know of a data set before training on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqcli.config import Data
from seqcli.data.duplicates import find_duplicates
from seqcli.data.load import load
from seqcli.data.rows import Rows
from seqcli.data.sequences import Sequences
from seqcli.data.tokens import UNK, Tokenizer
from seqcli.data.vocabulary import choose_kind, train_tokenizer

INPUTS = {"classify": "text", "tag": "tokens", "translate": "source", "lm": "text"}
OUTPUTS = {"classify": "label", "tag": "tags", "translate": "target"}
MOST_SHOWN = 12  # labels in the table


def check(task: str, data: Data) -> dict[str, Any]:
    """Facts about each split: rows, lengths in tokens, unknown tokens, repeats and leaks; for
    classify and tag how often each label comes.

    lengths: percentiles 0, 50, 95, 100. unknown: share of tokens that train does not have.
    repeated: rows equal to an earlier one. in_train: rows whose input is also a training row's.
    near_train: rows whose input is nearly a training row's, those included.
    """
    splits = load(task, data)
    found: dict[str, Any] = {"task": task, "notes": list(splits.notes), "splits": {}}
    train = splits.train
    if train is None:
        return found
    inputs = _list_inputs(task, train)
    kind, reason = choose_kind(task, inputs, train["target"] if task == "translate" else ())
    tokenizer = train_tokenizer(kind, inputs)
    folded = train_tokenizer(kind, inputs, lowercase=True)
    trained = _encode(folded, inputs)
    distinct = len(np.unique(_encode(tokenizer, inputs).values))
    found["tokens"] = {"kind": kind, "reason": reason, "distinct": distinct}
    known = set(map(_key, inputs))
    for name in ("train", "validation", "test"):
        rows: Rows | None = getattr(splits, name)
        if rows is None or not len(rows):
            continue
        texts = _list_inputs(task, rows)
        ids = _encode(tokenizer, texts)
        pairs = list(zip(*([*map(_key, column)] for column in rows.columns.values()), strict=True))
        facts: dict[str, Any] = {
            "rows": len(rows),
            "tokens": len(ids.values),
            "lengths": np.percentile(ids.lengths, [0, 50, 95, 100]).astype(int).tolist(),
            "repeated": len(pairs) - len(set(pairs)),
        }
        if name != "train":
            facts["unknown"] = float((ids.values == UNK).mean())
            facts["in_train"] = sum(_key(text) in known for text in texts)
            if task != "lm":
                facts["near_train"] = int(find_duplicates(_encode(folded, texts), trained).sum())
        if task in OUTPUTS and task != "translate":
            facts["labels"] = _count(rows[OUTPUTS[task]])
        found["splits"][name] = facts
    return found


def _list_inputs(task: str, rows: Rows) -> list[Any]:
    """What each row asks; of a pair both texts."""
    if "pair" in rows.columns:
        return ["\t".join(both) for both in zip(rows["text"], rows["pair"], strict=True)]
    return rows[INPUTS[task]]


def _encode(tokenizer: Tokenizer, texts: Sequence[Any]) -> Sequences:
    split = any(not isinstance(text, str) for text in texts)
    return tokenizer.encode_tokens(texts) if split else tokenizer.encode(texts)


def _key(value: Any) -> Any:
    return value if isinstance(value, str) else tuple(value)


def _count(column: Sequence[Any]) -> dict[str, int]:
    labels = (
        column if not column or isinstance(column[0], str) else [t for row in column for t in row]
    )
    return dict(Counter(labels).most_common())
