"""The tags of a tagger: those it is trained in, and how its answers write them.

    tags of the data ──spans──► tags of the model ──number──► network ──► … ──► tags of the data

Both are the same unless `--scheme` asks for another way to mark spans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from seqcli.data.labels import name_some
from seqcli.data.schemes import Notation, detect_scheme, read, spans
from seqcli.data.words import Cut, locate_words
from seqcli.errors import SeqcliError, UsageError


@dataclass(frozen=True)
class Tagset:
    """tags: those of the model. scheme: how they mark spans, or None. answers: how the data mark
    them, where that is another way."""

    tags: list[str]
    scheme: str | None
    answers: Notation | None = None

    @classmethod
    def learn(cls, rows: Sequence[Sequence[str]], asked: str) -> Tagset:
        """The tags of training rows, to be marked as `--scheme` asked: auto, iob1, bio or bioes.

        Raises SeqcliError where there is one tag only, UsageError where none marks a span.
        """
        tags, scheme = sorted(set(chain(*rows))), detect_scheme(rows)
        if len(tags) < 2:
            raise SeqcliError(
                f"every training token has the tag {tags[0]!r}; there is nothing to tell apart"
            )
        if asked == "auto" or scheme == asked.upper():
            return cls(tags, scheme)
        if scheme is None:
            raise UsageError(
                f"--scheme {asked} is for tags that mark spans (B-…, I-…, O), and these do not, "
                f"such as {tags[0]!r}; leave it out"
            )
        answers = Notation.find(scheme, tags)
        inner = Notation(asked.upper())
        tags = sorted(set(chain(*(inner.write(spans(row), len(row)) for row in rows))))
        return cls(tags, inner.scheme, answers)

    @property
    def written(self) -> str | None:
        """The scheme of the data and of answers."""
        return self.answers.scheme if self.answers else self.scheme

    def list_written(self) -> set[str]:
        """The tags that data and answers may have."""
        if not self.answers:
            return set(self.tags)
        answers = self.answers
        kinds = {kind for _, kind in map(read, self.tags) if kind}
        ends = ["" if kind == "_" else f"{answers.separator}{kind}" for kind in kinds]
        return {answers.outside, *(letter + end for letter in answers.letters for end in ends)}

    def encode(self, rows: Sequence[Sequence[str]]) -> np.ndarray:
        """(N,) the number of each tag, −1 for unknown ones."""
        if self.answers and self.scheme:
            inner = Notation(self.scheme)
            rows = [inner.write(spans(row), len(row)) for row in rows]
        numbers = {tag: number for number, tag in enumerate(self.tags)}
        return np.array([numbers.get(tag, -1) for row in rows for tag in row], dtype=np.int64)

    def decode(self, numbers: Sequence[int]) -> list[str]:
        """The tags of one sentence as answers have them."""
        tags = [self.tags[number] for number in numbers]
        return self.answers.write(spans(tags), len(tags)) if self.answers else tags

    def describe(
        self, tokens: list[str], tags: list[str], cut: Cut, text: str | None
    ) -> dict[str, Any]:
        """Tags as fields of a record, with the spans that they mark: the places of their characters
        where a text was cut, else of their tokens."""
        if not self.scheme:
            return {"tags": tags}
        found = spans(tags)
        if text is None:
            surfaces = [cut.write_line(tokens[start:end]) for _, start, end in found]
        else:
            bounds = locate_words(text)
            found = [(kind, bounds[start][0], bounds[end - 1][1]) for kind, start, end in found]
            surfaces = [text[start:end] for _, start, end in found]
        marked = [
            {"type": kind, "start": start, "end": end, "text": surface}
            for (kind, start, end), surface in zip(found, surfaces, strict=True)
        ]
        return {"tags": tags, "spans": marked}

    def to_json(self) -> dict[str, Any]:
        answers = self.answers and [
            self.answers.scheme,
            self.answers.letters,
            self.answers.separator,
            self.answers.outside,
        ]
        return {"tags": self.tags, "scheme": self.scheme, "answers": answers}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Tagset:
        """Raises KeyError, TypeError or ValueError for what `to_json` cannot have written."""
        tags, answers = stored["tags"], stored.get("answers")
        if len(tags) < 2 or not all(isinstance(one, str) for one in tags):
            raise ValueError("no tags")
        return cls(list(tags), stored.get("scheme"), Notation(*answers) if answers else None)

    def __str__(self) -> str:
        shown = name_some(self.tags)
        also = f", answered in {self.written}" if self.answers else ""
        return f"{len(self.tags):,}: {shown}" + (f" ({self.scheme}{also})" if self.scheme else "")
