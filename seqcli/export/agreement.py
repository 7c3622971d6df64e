"""Whether exported graphs answer as the model does.

Dimensions: B sequences, T tokens of the longest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqcli.data.tokens import BOS
from seqcli.nn.ngrams import Ngrams
from seqcli.nn.ragged import Ragged, ragged

SHAPES = ((1, 1), (3, 7), (5, 20))
"""B and T of the batches that are compared."""
SEED = 1  # of the random batches that are compared
Rows = list[Tensor]
Feeds = dict[str, np.ndarray]
Pairs = Iterable[tuple[Tensor, np.ndarray]]


class Agreement(NamedTuple):
    """difference: of a score from the model's, at most. largest: score of the model, by size."""

    difference: float
    largest: float


def open_session(content: bytes) -> Any:
    """A graph that onnxruntime runs, on one thread: these batches are small."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(session: Any, feeds: Feeds) -> Feeds:
    """All outputs of a graph by name; of the feeds it takes those it knows."""
    names = [one.name for one in session.get_outputs()]
    own = {one.name: feeds[one.name] for one in session.get_inputs()}
    return dict(zip(names, session.run(names, own), strict=True))


@torch.inference_mode()
def compare(task: Any, model: nn.Module, sessions: dict[str, Any]) -> Agreement:
    """Compare on batches of random tokens of random lengths."""
    random = torch.Generator().manual_seed(SEED)
    difference = largest = 0.0
    for shape in SHAPES:
        for want, got in COMPARED[task.name](task, model, sessions, shape, random):
            difference = max(difference, float(np.abs(want.float().numpy() - got).max()))
            largest = max(largest, float(want.abs().max()))
    return Agreement(difference, largest)


def draw(shape: tuple[int, int], vocabulary: int, random: torch.Generator) -> Rows:
    """B rows of 1 to T token ids, the first of them T long."""
    batch, steps = shape
    lengths = torch.randint(1, steps + 1, (batch,), generator=random)
    lengths[0] = steps
    ids = torch.randint(0, vocabulary, (batch, steps), generator=random)
    return [row[:length] for row, length in zip(ids, lengths.tolist(), strict=True)]


def quote(rows: Rows, ngrams: Ngrams | None, random: torch.Generator) -> Rows:
    """The rows with runs that the n-grams know in place of about half of their tokens."""
    if ngrams is None or not len(ngrams.keys_F):
        return rows
    found = []
    for row in rows:
        row = row.clone()
        for at in range(0, len(row), 2 * ngrams.longest):
            key = ngrams.keys_F[torch.randint(len(ngrams.keys_F), (1,), generator=random)]
            run = spell(int(key), ngrams.vocabulary)[: len(row) - at]
            row[at : at + len(run)] = torch.tensor(run)
        found.append(row)
    return found


def spell(key: int, vocabulary: int) -> list[int]:
    """The tokens of an n-gram from its key; see `ngrams.list_keys`."""
    size = 1
    while key >= vocabulary**size:
        key -= vocabulary**size
        size += 1
    return [key // vocabulary**place % vocabulary for place in reversed(range(size))]


def pad(rows: Rows, prefix: str = "") -> Feeds:
    """Rows as a graph takes them."""
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    return {f"{prefix}tokens": padded.numpy(), f"{prefix}lengths": lengths}


def real(values: np.ndarray, rows: Rows) -> np.ndarray:
    """(N, ...) of (B, T, ...) what stands at tokens."""
    return np.concatenate([one[: len(row)] for one, row in zip(values, rows, strict=True)])


# ----------------------------------------------------------------------------------- by task


def _classify(
    task: Any, model: Any, sessions: dict[str, Any], shape: tuple[int, int], random: torch.Generator
) -> Pairs:
    many = model.spelled.table.numbers if model.spelled else len(task.tokenizer.vocabulary)
    sides = [
        quote(draw(shape, many, random), model.ngrams, random)
        for _ in range(2 if task.pairs else 1)
    ]
    feeds = pad(sides[0]) | (pad(sides[1], "pair_") if task.pairs else {})
    got = run(sessions["model"], feeds)
    scores_BL = model(ragged([row for some in zip(*sides, strict=True) for row in some]))
    yield scores_BL, got["scores"]
    yield task.decision.probabilities(scores_BL), got["probabilities"]


def _tag(
    task: Any, model: Any, sessions: dict[str, Any], shape: tuple[int, int], random: torch.Generator
) -> Pairs:
    rows = quote(draw(shape, len(task.tokenizer.vocabulary), random), model.ngrams, random)
    feeds, tokens = pad(rows), ragged(rows)
    words = draw((len(tokens.values), 6), len(task.characters.vocabulary), random)
    if model.spelling is not None:
        letters = np.zeros((*feeds["tokens"].shape, 6), np.int64)
        counts = np.ones(feeds["tokens"].shape, np.int64)
        at = np.argwhere(np.arange(letters.shape[1]) < feeds["lengths"][:, None])
        for (row, step), word in zip(at, words, strict=True):
            letters[row, step, : len(word)], counts[row, step] = word, len(word)
        feeds |= {"characters": letters, "character_lengths": counts}
    got = run(sessions["model"], feeds)
    scores_NL, opinions = model(tokens, ragged(words), torch.arange(len(tokens.values)))
    yield scores_NL, real(got["scores"], rows)
    if opinions:
        yield torch.stack(opinions).mean(0), got["label_scores"]
    yield (
        _of_path(model, tokens, scores_NL),
        _of_path(model, tokens, scores_NL, torch.from_numpy(real(got["tags"], rows))).numpy(),
    )


def _of_path(model: Any, tokens: Ragged, scores_NL: Tensor, tags_N: Tensor | None = None) -> Tensor:
    """The −log p of tags, by default of the likeliest ones: two paths may be equally likely."""
    if model.crf is None:
        tags_N = scores_NL.argmax(1) if tags_N is None else tags_N
        return scores_NL.log_softmax(1).gather(1, tags_N[:, None])
    scores = tokens.with_values(scores_NL)
    return model.crf.nats(scores, model.crf.decode(scores) if tags_N is None else tags_N)


def _lm(
    task: Any, model: Any, sessions: dict[str, Any], shape: tuple[int, int], random: torch.Generator
) -> Pairs:
    """Two blocks, the states of the first carried into the second."""
    states, carried = None, first_states(model.recurrent, "state", shape[0])
    given, condition = None, {}
    if model.conditioning is not None:
        vectors = model.conditioning.vectors
        if isinstance(vectors, nn.Embedding):
            given = torch.randint(0, vectors.num_embeddings, shape[:1], generator=random)
        else:
            given = torch.randn(shape[0], vectors.in_features, generator=random)
        condition = {"condition": given.numpy()}
    for _ in range(2):
        rows = draw(shape, len(task.tokenizer.vocabulary), random)
        got = run(sessions["model"], {**pad(rows), **carried, **condition})
        scores_NV, states = model(ragged(rows), states, given)
        yield scores_NV.float().log_softmax(1), real(got["log_probabilities"], rows)
        carried = {name: got[f"next_{name}"] for name in carried}


def _translate(
    task: Any, model: Any, sessions: dict[str, Any], shape: tuple[int, int], random: torch.Generator
) -> Pairs:
    """Some steps after random tokens."""
    batch, steps = shape
    rows = draw(shape, len(task.source.vocabulary), random)
    source = model.encode(ragged(rows))
    memory = {**pad(rows), **run(sessions["encoder"], pad(rows))}
    state, token_B = model.start(source), torch.full((batch,), BOS)
    each = torch.arange(batch + 1)
    for _ in range(min(steps, 5)):
        scores_BV, state, weights = model.decode(
            Ragged(token_B, each), source, state, hypotheses=each
        )
        got = run(sessions["decoder"], {**memory, "token": token_B.numpy()})
        yield scores_BV.float().log_softmax(1), got["log_probabilities"]
        if weights is not None:
            yield weights.rows(), got["attention"]
        memory |= {name.removeprefix("next_"): value for name, value in got.items()}
        token_B = torch.randint(0, len(task.target.vocabulary), (batch,), generator=random)


def first_states(recurrent: Any, name: str, batch: int) -> Feeds:
    """Zeros for each part of the state of each cell."""
    from seqcli.export.padded import list_states

    return {
        part.name: np.zeros((batch, *part.shape), part.dtype)
        for cell in list_states(recurrent, name)
        for part in cell
    }


COMPARED: dict[str, Callable[..., Pairs]] = {
    "classify": _classify,
    "tag": _tag,
    "lm": _lm,
    "translate": _translate,
}
