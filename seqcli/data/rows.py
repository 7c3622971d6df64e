"""Rows of one split, in the columns a task reads, and the three splits of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Rows:
    """Rows by role, every column of the same length.

    Roles: classify `text`, for pairs `pair`, and `label` (a string a row, or in every row a list of
    them); tag `tokens`, `tags` (a list of strings a row, both of one length) and
    `text` where tokens were cut from one (else None); translate `source`,
    `target`; lm `text`, and where texts are written from something `condition`. All values are
    strings (a condition: see data/condition.py).
    """

    columns: dict[str, list[Any]]
    origin: str  # for messages: 'train.csv' or 'hub imdb, split train'
    notes: tuple[str, ...] = ()  # what was chosen, dropped or repaired while reading
    names: Mapping[str, str] = field(default_factory=dict)  # the column of each role, if it has one
    # Of running text: the first line goes on from one that is not here, the last one goes on there.
    joined: tuple[bool, bool] = (False, False)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, role: str) -> list[Any]:
        return self.columns[role]

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at these positions, in the order given."""
        columns = {role: [values[i] for i in indices] for role, values in self.columns.items()}
        return replace(self, columns=columns)

    def digest(self) -> str:
        """16 hexadecimal digits that tell these rows from others."""
        found = hashlib.blake2b(digest_size=8)
        for role, values in self.columns.items():
            found.update(f"{role} {len(values)}".encode())
            for value in values:
                found.update(repr(value).encode())
        return found.hexdigest()

    def head(self, n: int) -> Rows:
        """The first n rows (all of them where there are fewer)."""
        return self.cut(slice(n))

    def cut(self, bounds: slice) -> Rows:
        """The rows between two bounds; a text goes on beyond these only where it did before."""
        first, last, _ = bounds.indices(len(self))
        columns = {role: values[bounds] for role, values in self.columns.items()}
        before, after = self.joined
        joined = (before and first == 0, after and last == len(self))
        return replace(self, columns=columns, joined=joined)


@dataclass(frozen=True)
class Splits:
    """What a run trains on, chooses its best epoch by, and is tested on at the end."""

    train: Rows | None
    validation: Rows | None
    test: Rows | None
    notes: tuple[str, ...]  # plain sentences for stderr
