"""A table as a reader found it: named columns, not yet the roles of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


class Columns(Mapping[str, list[Any]]):
    """Columns by name, each made when it is first asked for: a task reads two of many."""

    def __init__(self, names: Sequence[str], make: Callable[[str], list[Any]]) -> None:
        self._names = tuple(names)
        self._make = make
        self._made: dict[str, list[Any]] = {}

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Table:
    """Columns of one length. A value is a string, a number, a list, a dict, or None if missing."""

    origin: str  # for messages: 'train.csv' or 'hub imdb, split train'
    columns: Mapping[str, list[Any]]
    header: bool = True  # False: columns are numbered '1', '2', … and their names mean nothing
    classes: frozenset[str] = frozenset()  # columns declared to hold one class of a fixed set
    place: str = ""  # folder, prefix or configuration, whose name may tell a direction
    notes: tuple[str, ...] = ()

    def cut(self, rows: slice) -> Table:
        """The same table with these rows only."""
        columns = Columns(list(self.columns), lambda name: self.columns[name][rows])
        return replace(self, columns=columns)

    def take(self, rows: Sequence[int]) -> Table:
        """The same table with the rows at these places."""

        def make(name: str) -> list[Any]:
            values = self.columns[name]
            return [values[row] for row in rows]

        return replace(self, columns=Columns(list(self.columns), make))


def list_columns(table: Table) -> str:
    """The names of a table's columns, as a phrase."""
    return f"its columns are {', '.join(map(repr, table.columns))}"
