"""From encoded rows to batches: rows of like length together, or contiguous streams.

Order is a seeded permutation of each epoch, so a position in it is all that a resumed training
has to know.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

UPDATES, MOST_UPDATES = 200, 500
"""Updates an epoch where no budget is named: small data want many small steps, large data large
ones, which the kernels run faster."""
SMALLEST, ENOUGH, LARGEST = 64, 2_048, 4_096
"""Bounds of that budget, in tokens: it goes beyond ENOUGH for the sake of speed alone, where that
leaves MOST_UPDATES."""

POOL = 64
"""Batches that are sorted by length together: enough to fill batches with like lengths, few enough
that an epoch's order stays random."""
CLASSES = 20
"""Classes of length, of CLASSES rows or more, by which `tells` guesses labels."""


def bucket(
    lengths: np.ndarray,
    *,
    budget: int | None,
    seed: int | None = None,
    epoch: int = 0,
    mixed: bool = False,
) -> list[np.ndarray]:
    """Split rows into batches of about `budget` tokens, rows of like length together.

    lengths: (R,) tokens of each row. budget None: see `choose_budget`. With a seed the rows are
    shuffled, sorted by length within pools of many batches (mixed: not sorted), and the batches
    shuffled; the result depends on seed and epoch alone. Without one they are sorted by length
    throughout, for prediction. Returns row indices.
    """
    rows = len(lengths)
    if budget is None:
        budget = choose_budget(int(lengths.sum()))
    if seed is None:
        return cut(np.argsort(lengths, kind="stable"), lengths, budget)
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(rows)
    if mixed:
        return cut(order, lengths, budget)
    pool = max(1, POOL * budget * rows // max(1, int(lengths.sum())))
    batches: list[np.ndarray] = []
    for begin in range(0, rows, pool):
        part = order[begin : begin + pool]
        batches += cut(part[np.argsort(lengths[part], kind="stable")], lengths, budget)
    return [batches[at] for at in random.permutation(len(batches))]


def tells(lengths_R: np.ndarray, labels_R: np.ndarray) -> bool:
    """Whether a row's length nearly tells its label, so that batches of like length would hold one
    label each and every step would undo the one before: guessing by length alone is wrong half as
    often as always saying the commonest label, or less."""
    classes = min(CLASSES, len(lengths_R) // CLASSES)
    if classes < 2:
        return False
    edges = np.quantile(lengths_R, np.linspace(0, 1, classes + 1)[1:-1])
    counts_CL = np.zeros((classes, labels_R.max() + 1), dtype=np.int64)
    np.add.at(counts_CL, (np.searchsorted(edges, lengths_R), labels_R), 1)
    usual = counts_CL.sum(axis=0).max()
    return bool(2 * (len(labels_R) - counts_CL.max(axis=1).sum()) <= len(labels_R) - usual > 0)


def choose_budget(tokens: int) -> int:
    """The tokens of a batch, for so many in all."""
    small, large = max(tokens // UPDATES, SMALLEST), max(tokens // MOST_UPDATES, ENOUGH)
    return min(small, large, LARGEST)


def cut(order: np.ndarray, lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """Cut an order of rows into batches that hold `budget` tokens at most, or one row."""
    ends = np.cumsum(lengths[order])
    batches, begin, before = [], 0, 0
    while begin < len(order):
        end = int(np.searchsorted(ends, before + budget, side="right"))
        end = max(end, begin + 1)
        batches.append(order[begin:end])
        before = int(ends[end - 1])
        begin = end
    return batches


def stream(tokens_N: np.ndarray, streams: int) -> np.ndarray:
    """Lay a corpus out in contiguous streams, one batch row each, dropping a short rest.

        a b c d e f g h i j      streams = 3      a b c
                                                  d e f
                                                  g h i

    Returns a view (streams, len(tokens) // streams); fewer streams where the corpus is shorter
    than two tokens a stream.
    """
    streams = max(1, min(streams, len(tokens_N) // 2))
    steps = len(tokens_N) // streams
    return tokens_N[: streams * steps].reshape(streams, steps)


def blocks(stream_ST: np.ndarray, bounds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Walk the streams in blocks of truncated back-propagation: (input, next token), both (S, t).

    a b c d e    bounds = 0 2 4    (a b, b c)  (c d, d e)
    """
    for begin, end in itertools.pairwise(bounds.tolist()):
        yield stream_ST[:, begin:end], stream_ST[:, begin + 1 : end + 1]


def block_bounds(steps: int, bptt: int, *, seed: int | None = None, epoch: int = 0) -> np.ndarray:
    """Where blocks of `bptt` steps begin, and the end: 0, bptt, 2 bptt, …, steps.

    With a seed the lengths vary (Merity et al. 2018): about `bptt`, one in twenty about half of
    it, with a standard deviation of a 14th of it, as 5 is of 70; they depend on seed and epoch
    alone. Blocks that begin elsewhere each epoch give each token another history.
    """
    if seed is None:
        return np.append(np.arange(0, steps, bptt), steps)
    random = np.random.default_rng([seed, epoch])
    least = max(1, bptt // 14)
    about = np.where(random.random(steps // least + 1) < 0.95, bptt, bptt / 2)
    ends = np.maximum(least, random.normal(about, bptt / 14).astype(np.int64)).cumsum()
    return np.concatenate([[0], ends[ends < steps], [steps]])
