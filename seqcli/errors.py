"""The one exception that a user may see: a sentence that says what is wrong and what to do."""

from collections.abc import Iterable


class SeqcliError(Exception):
    """Something the user can mend. The command line prints its message on one line, without a
    traceback, and exits with `status`: 1 for a failure, 2 for wrong usage."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class MissingField(SeqcliError):
    """A record lacks a field that the model reads."""

    def __init__(self, name: str, record: Iterable[str]) -> None:
        super().__init__(f"no field {name!r}; it has: {', '.join(record) or 'nothing'}")
        self.name = name


class UsageError(SeqcliError):
    """The command was asked for something it cannot mean (a wrong option, column or cell)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=2)
