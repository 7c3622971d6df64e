"""What whole texts are written from, as numbers: a label, numbers or an image for each text.

A value is a string (a label, or a number written out), a list of numbers, or the bytes of an image
as `shrink` gives them. Which kind a column holds is found in training.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from seqcli.data.labels import name_some
from seqcli.errors import SeqcliError, UsageError

FEW = 20
"""So many different values are labels even where they are numbers: stars, years of study."""
MOST_LABELS = 1_000
SIDE = 16
"""Pixels of an image's side after `shrink`, in three colours."""
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")

Value = str | list[Any] | bytes


@dataclass(frozen=True)
class Condition:
    """How conditions become numbers: `labels` by name, or numbers less `mean` over `deviation`."""

    kind: str  # label, numbers or image
    columns: tuple[str, ...]
    labels: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers a value is; 1 for a label."""
        return 1 if self.kind == "label" else len(self.mean)

    def encode(self, values: Sequence[Value]) -> np.ndarray:
        """(R,) int64 labels, one that was never seen as the number after the last; or (R, D)
        float32 numbers. Raises SeqcliError for a value of another kind than in training."""
        if self.kind == "label":
            places = [self._find(value) for value in values]
            unseen = len(self.labels)
            return np.array([unseen if one is None else one for one in places], dtype=np.int64)
        x_RD: np.ndarray
        if self.kind == "image":
            for value in values:
                self.check(value)
            x_RD = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(-1, self.width)  # type: ignore[arg-type]
        else:
            rows = [read_numbers(value) for value in values]
            for row in rows:
                self._check_numbers(row)
            x_RD = np.array(rows, dtype=np.float64).reshape(len(rows), self.width)
        return ((x_RD - self.mean) / self.deviation).astype(np.float32)

    def check(self, value: Value) -> None:
        """Raise SeqcliError for a value that the model knows nothing about."""
        if self.kind == "label":
            if self._find(value) is None:
                raise SeqcliError(
                    f"no text was trained on with the condition {str(value)!r}; known are: "
                    f"{name_some(self.labels)}"
                )
        elif self.kind == "image":
            if not isinstance(value, bytes):
                raise SeqcliError("a condition is no image, and the model writes from images")
        else:
            self._check_numbers(read_numbers(value))

    def _find(self, value: Value) -> int | None:
        """The number of a label, None for one that was never seen. A label that is a number may be
        written in another way: CSV may hold 1.0 where JSON has 1."""
        exact, alike = self._places
        label = str(value)
        return exact.get(label, alike.get(tuple(read_numbers(label) or ())))

    @cached_property
    def _places(self) -> tuple[dict[str, int], dict[tuple[float, ...], int]]:
        """The number of each label by its name, and of those that are numbers by their value."""
        exact = {name: place for place, name in enumerate(self.labels)}
        found = [(read_numbers(name), place) for name, place in exact.items()]
        return exact, {tuple(value): place for value, place in found if value is not None}

    def _check_numbers(self, row: list[float] | None) -> None:
        if row is None or len(row) != self.width:
            what = "no number" if row is None else f"of {len(row)} numbers"
            raise SeqcliError(f"a condition is {what}; the model takes {self.width}")

    def parse(self, text: str) -> Value:
        """A value as a person writes it: a label, numbers between commas, or an image's path.
        Raises SeqcliError for what the model knows nothing about."""
        if self.kind == "image":
            return shrink(text)
        value: Value = text
        if self.kind == "numbers":  # a list as JSON writes it, too
            value = text.strip(" []").replace(",", " ").split()
        self.check(value)
        return value

    def describe(self) -> str:
        """What training says about it."""
        name = ", ".join(self.columns)
        if self.kind == "label":
            return f"{name}: {len(self.labels)} labels ({name_some(self.labels, 5)})"
        if self.kind == "image":
            return f"{name}: images, as {SIDE} × {SIDE} pixels"
        return f"{name}: {self.width} {'number' if self.width == 1 else 'numbers'}"

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def learn_condition(values: Sequence[Value], columns: Sequence[str]) -> Condition:
    """The kind of these training values, and what encodes them. Raises UsageError where they are
    neither labels nor numbers of one length."""
    name = ", ".join(columns)
    if isinstance(values[0], bytes):
        half = tuple([127.5] * len(values[0]))
        return Condition("image", tuple(columns), mean=half, deviation=half)
    if isinstance(values[0], str):
        labels = sorted({str(value) for value in values})
        numeric = len(labels) > FEW and read_numbers(labels) is not None
        if not numeric:
            if len(labels) > MOST_LABELS or len(labels) > max(FEW, len(values) / 2):
                raise UsageError(
                    f"--condition {name} has {len(labels):,} values in {len(values):,} rows, so it "
                    "is no label; name a column of labels, of numbers or of images"
                )
            return Condition("label", tuple(columns), labels=tuple(labels))
    rows = [read_numbers(value) for value in values]
    lengths = {len(row) for row in rows if row is not None}
    if None in rows or len(lengths) != 1:
        raise UsageError(f"--condition {name} must hold equally many numbers in each row")
    x_RD = np.array(rows, dtype=np.float64)
    deviation_D = x_RD.std(axis=0)
    return Condition(
        "numbers",
        tuple(columns),
        mean=tuple(x_RD.mean(axis=0).tolist()),
        # A number that never changes tells nothing, and must not be divided by 0.
        deviation=tuple(np.where(deviation_D > 0, deviation_D, 1.0).tolist()),
    )


def condition_from_json(content: Mapping[str, Any]) -> Condition:
    """The condition that `to_json` described. Raises SeqcliError if it cannot be one."""
    try:
        parts = {name: content[name] for name in Condition.__dataclass_fields__}
        kind = parts.pop("kind")
        found = Condition(kind, **{name: tuple(value) for name, value in parts.items()})
        numbers = [float(number) for number in (*found.mean, *found.deviation)]
        whole = kind in ("label", "numbers", "image") and bool(found.labels or numbers)
        if not whole or len(found.mean) != len(found.deviation):
            raise ValueError("its parts do not fit")
        return found
    except (KeyError, TypeError, ValueError) as error:
        raise SeqcliError(
            f"condition.json of the model is corrupt ({error}); train or copy the model again"
        ) from None


def read_numbers(value: Any) -> list[float] | None:
    """Finite numbers of a value or a list of values; None where something is no number."""
    parts = [value] if isinstance(value, str | int | float) else list(value)
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        return None
    return numbers if np.isfinite(numbers).all() else None


def is_image(value: Any) -> bool:
    """Whether a cell of a table holds an image, or a path that looks like one."""
    if isinstance(value, Mapping):
        return bool({"bytes", "path"} & set(value))
    return (isinstance(value, str) and value.lower().endswith(IMAGES)) or hasattr(value, "convert")


def shrink(image: Any) -> bytes:
    """An image as SIDE × SIDE pixels of three bytes.

    image: a path, a dictionary with its bytes or path, or an image of pillow. Raises SeqcliError
    where it cannot be read, or without pillow.
    """
    try:
        from PIL import Image
    except ImportError:
        raise SeqcliError("images need pillow: pip install pillow") from None
    import io

    if isinstance(image, Mapping):
        image = io.BytesIO(image["bytes"]) if image.get("bytes") else image.get("path")
    with contextlib.ExitStack() as stack:
        try:
            if not hasattr(image, "convert"):
                image = stack.enter_context(Image.open(image))
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        except (OSError, ValueError, AttributeError) as error:
            raise SeqcliError(f"cannot read an image: {error}") from None
        return small.tobytes()
