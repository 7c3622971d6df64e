"""Can a property of a token be read off its state by a line? And is it the state that knows?

A linear probe predicts the property from the state. The control task (Hewitt and Liang 2019) gives
each word a random value drawn from the property's own distribution: a probe that does as well on it
has memorised the words. Selectivity is the difference.

Dimensions: N tokens, H units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from seqcli.errors import SeqcliError, UsageError
from seqcli.inspect.cocluster import single_thread

TRAIN, TEST = 4_000, 2_000  # tokens, at most
CLASSES = 12  # the commonest ones of a property; the rest is one more


class Probe(NamedTuple):
    """Accuracies on texts that the probe was not trained on; majority: of the commonest value."""

    property: str
    site: str
    accuracy: float
    control: float
    majority: float
    selectivity: float
    classes: int
    tokens: int


def _seen(words: frozenset[str]) -> Callable[[Sequence[str], np.ndarray], list[str]]:
    """Whether one of the words has been read so far in the text."""

    def values(strings: Sequence[str], sequence_N: np.ndarray) -> list[str]:
        found, seen, last = [], False, -1
        for string, sequence in zip(strings, sequence_N.tolist(), strict=True):
            seen = (seen and sequence == last) or string.lower().strip("␣ ") in words
            last = sequence
            found.append("seen" if seen else "not yet")
        return found

    return values


def control_words(name: str, ids_N: np.ndarray, sequence_N: np.ndarray) -> np.ndarray:
    """(N,) the words that the control task gives random values to: those that the property is
    about, which is the token itself or the one before."""
    if name != "previous":
        return ids_N
    before_N = np.roll(ids_N, 1)
    starts = np.flatnonzero(np.diff(sequence_N, prepend=-1))
    before_N[starts] = 0
    return before_N


def _before(strings: Sequence[str], sequence_N: np.ndarray) -> list[str]:
    """The word before, where it is one of the commonest."""
    previous = [
        strings[at - 1] if at and sequence_N[at - 1] == sequence_N[at] else "^"
        for at in range(len(strings))
    ]
    common = {word for word, _ in Counter(previous).most_common(CLASSES - 1)}
    return [word if word in common else "other" for word in previous]


PROPERTIES: dict[str, Callable[[Sequence[str], np.ndarray], list[str]]] = {
    "capital": lambda strings, _: ["yes" if s.strip("␣")[:1].isupper() else "no" for s in strings],
    "letter": lambda strings, _: ["yes" if s.strip("␣")[:1].isalpha() else "no" for s in strings],
    "long": lambda strings, _: ["yes" if len(s.strip("␣")) > 6 else "no" for s in strings],
    "previous": _before,
}
"""What can be read off tokens alone; `seen=not,never`, and what the data say, come on top."""


def property_values(
    name: str, strings: Sequence[str], sequence_N: np.ndarray, gold: Mapping[str, Sequence[str]]
) -> list[str]:
    """The property of each token. gold: what the data say of each token (N,), by its name. Raises
    UsageError for a property that is not known."""
    if name in gold:
        return list(gold[name])
    if name.startswith("seen=") and len(name) > 5:
        return _seen(frozenset(name[5:].lower().split(",")))(strings, sequence_N)
    if name not in PROPERTIES:
        known = ", ".join([*gold, *PROPERTIES, "seen=WORD,WORD"])
        raise UsageError(f"--probe {name} is not known here; use {known}")
    return PROPERTIES[name](strings, sequence_N)


def probe(
    h_NH: np.ndarray,
    values_N: Sequence[str],
    control_N: np.ndarray,
    sequence_N: np.ndarray,
    *,
    name: str,
    site: str,
    seed: int,
) -> Probe:
    """Train probe and control on two thirds of the texts and test on the rest. control_N: (N,) ids
    of the words that get random values. Raises SeqcliError where there is nothing to learn."""
    common = {value for value, _ in Counter(values_N).most_common(CLASSES)}
    classes = {value: at for at, value in enumerate(sorted(common))}
    label_N = np.array([classes.get(value, -1) for value in values_N])
    random = np.random.default_rng(seed)
    texts = random.permutation(np.unique(sequence_N))
    train = np.isin(sequence_N, texts[: max(1, 2 * len(texts) // 3)]) & (label_N >= 0)
    rows = random.permutation(np.flatnonzero(train))[:TRAIN]
    held = random.permutation(np.flatnonzero(~train & (label_N >= 0)))[:TEST]
    if not len(held):
        raise SeqcliError("it takes two texts, to train it on and to test it on")
    if len(np.unique(label_N[rows])) < 2:
        raise SeqcliError(f"it is {values_N[rows[0]]!r} for every token that it would learn from")
    share = np.bincount(label_N[rows], minlength=len(classes)) / len(rows)
    drawn_V = random.choice(len(classes), size=int(control_N.max()) + 1, p=share)
    with single_thread():
        accuracy = _fit(h_NH, label_N, rows, held)
        control = _fit(h_NH, drawn_V[control_N], rows, held)
    majority = float((label_N[held] == share.argmax()).mean())
    selectivity = accuracy - control
    size = len(rows) + len(held)
    return Probe(name, site, accuracy, control, majority, selectivity, len(classes), size)


def _fit(h_NH: np.ndarray, label_N: np.ndarray, rows: np.ndarray, held: np.ndarray) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(label_N[rows])) < 2:
        return float((label_N[held] == label_N[rows][0]).mean())
    model: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1, tol=1e-3))
    model.fit(h_NH[rows], label_N[rows])
    return float(model.score(h_NH[held], label_N[held]))
