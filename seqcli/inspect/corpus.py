"""What a model reads while it is inspected: tokens of each part of it, batches, and the answers.

A corpus knows how its task's model is run; everything else sees tokens, batches and scores of
predictions against the truth.

Dimensions: R rows, N tokens of a part, P predictions of a batch, L classes of a prediction, E
examples.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqcli.data.batches import bucket
from seqcli.data.rows import Rows
from seqcli.data.sequences import Sequences, bounds_of
from seqcli.data.tokens import BOS, EOS, Tokenizer
from seqcli.errors import SeqcliError
from seqcli.nn.ragged import Ragged, to_ragged
from seqcli.nn.tagger import crf_of
from seqcli.tasks.task import device_of

BATCH_TOKENS = 4_096
STREAMS, STREAM_STEPS = 16, 128  # of running text: as lm evaluates it, in smaller blocks
CHUNK = 64
"""Tokens of a stream that count as one example where a language model's numbers are resampled."""


class Tokens(NamedTuple):
    """What one part of the network reads: ids (N,), the example of each (N,), and all strings.

    bounds: (B + 1,) where sequences begin; surface: (N,) strings where ids say less, or None.
    """

    ids: np.ndarray
    example: np.ndarray
    bounds: np.ndarray
    vocabulary: list[str]
    surface: list[str] | None = None

    def text(self, at: int) -> str:
        """The token at a position, for reading."""
        return self.surface[at] if self.surface else self.vocabulary[self.ids[at]]


class Pass(NamedTuple):
    """A batch's result: scores (P, L) of predictions, the truth (P,) (−1: unknown) or, of several
    labels, (P, L) 1 where one is due; the example of each prediction (P,), and the state that the
    next batch begins with. best: (P,) the class that is answered, where it is not just the
    likeliest, or (P, L) whether each of several labels is."""

    scores: Tensor
    gold: Tensor
    example: np.ndarray
    state: Any = None
    best: Tensor | None = None

    def answers(self) -> Tensor:
        """What the model answers for each prediction: its class (P,), or as in `best`."""
        return (self.scores.argmax(dim=1) if self.best is None else self.best).cpu()

    def known(self) -> Tensor:
        """(P,) whether the truth is known."""
        return self.gold >= 0 if self.gold.dim() == 1 else torch.ones(len(self.gold)) > 0

    def nats(self) -> Tensor:
        """(P,) the loss of each prediction; where the truth is not known, as if it were right."""
        if self.gold.dim() == 2:
            gold_PL = self.gold.to(self.scores.device)
            return F.binary_cross_entropy_with_logits(self.scores, gold_PL, reduction="none").sum(1)
        gold_P = torch.where(self.gold >= 0, self.gold, self.scores.argmax(dim=1).cpu())
        return F.cross_entropy(self.scores, gold_P.to(self.scores.device), reduction="none")


class Batch(NamedTuple):
    """places: for each part, the positions (n,) in its tokens, in the order the model reads them;
    run: the model over this batch, given the state of the batch before."""

    places: dict[str, np.ndarray]
    run: Callable[[nn.Module, Any], Pass]


@dataclass(frozen=True)
class Corpus:
    """Rows of data as a task's model reads them."""

    task: Any
    parts: dict[str, Tokens]
    examples: int
    batches: list[Batch]
    carried: bool
    """Whether the state goes from batch to batch (lm)."""
    rows: Rows
    notes: list[str]

    @property
    def tokens(self) -> int:
        """Tokens of all parts."""
        return sum(len(part.ids) for part in self.parts.values())


def make_corpus(task: Any, rows: Rows, *, max_tokens: int | None, seed: int = 1) -> Corpus:
    """Rows as batches. At most about `max_tokens` tokens: of rows drawn with the seed, or (lm) of
    the text's beginning. Raises SeqcliError where nothing is left to read."""
    notes: list[str] = []
    if task.name == "tag":
        filled = [at for at, row in enumerate(rows["tokens"]) if row]
        rows = rows if len(filled) == len(rows) else rows.take(filled)
    if not len(rows):
        raise SeqcliError(f"{rows.origin} has no rows to look at")
    make = {"classify": _classify, "tag": _tag, "lm": _lm, "translate": _translate}[task.name]
    if task.name != "lm":
        kept = _draw(task, rows, max_tokens, seed)
        if len(kept) < len(rows):
            notes.append(f"{len(kept):,} of {len(rows):,} rows are read (--max-tokens)")
            rows = rows.take(kept)
        return make(task, rows, notes)
    return _lm(task, rows, notes, max_tokens=max_tokens)


def hash_rows(rows: Rows) -> str:
    """SHA-256 of the rows' content."""
    digest = hashlib.sha256()
    for role in sorted(rows.columns):
        digest.update(
            json.dumps([role, rows.columns[role]], ensure_ascii=False, default=repr).encode()
        )
    return digest.hexdigest()


def show_vocabulary(tokenizer: Tokenizer) -> list[str]:
    """The vocabulary for reading: spaces and line ends as marks, byte pairs as text."""
    shown = []
    for number, token in enumerate(tokenizer.vocabulary):
        if tokenizer.kind == "bpe" and number > EOS:
            text = tokenizer.decode([number]) if not token.startswith("Ġ") else ""
            token = token.replace("Ġ", "␣") if not text or "\ufffd" in text else text
        shown.append(token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥"))
    return shown


# ------------------------------------------------------------------------------------- by task


def _draw(task: Any, rows: Rows, max_tokens: int | None, seed: int) -> list[int]:
    """Rows, in order, that hold at most `max_tokens` tokens, but one at least: the shortest where
    each has more."""
    if max_tokens is None:
        return list(range(len(rows)))
    if task.name == "tag":
        lengths = [len(row) for row in rows["tokens"]]
    elif task.name == "classify":
        lengths = task.lengths(task.encode_rows(rows)).tolist()
    else:
        pairs = task.encode_whole(rows)
        lengths = (pairs.source.lengths + pairs.target.lengths - 1).tolist()
    lengths_R = np.array(lengths)
    order = np.random.default_rng(seed).permutation(len(rows))
    order = order[lengths_R[order] <= max(max_tokens, lengths_R.min())]
    count = max(1, int(np.searchsorted(lengths_R[order].cumsum(), max_tokens, side="right")))
    return sorted(order[:count].tolist())


def _part(
    sequences: Sequences, tokenizer: Tokenizer, surface: list[str] | None = None, *, each: int = 1
) -> Tokens:
    """each: sequences of an example."""
    example_N = np.repeat(np.arange(len(sequences)) // each, sequences.lengths)
    vocabulary = show_vocabulary(tokenizer)
    return Tokens(sequences.values, example_N, sequences.offsets, vocabulary, surface)


def _classify(task: Any, rows: Rows, notes: list[str]) -> Corpus:
    tokens = task.encode_rows(rows)
    if task.decision.several:
        gold = torch.from_numpy(task.decision.encode(task.decision.read(rows)))
    else:
        numbers = {label: number for number, label in enumerate(task.labels)}
        gold = torch.tensor([numbers.get(one, -1) for one in task.decision.read(rows)])
        if unknown := int((gold < 0).sum()):
            notes.append(
                f"{unknown:,} rows have a label that the model does not know, and count as wrong"
            )

    def batch(chosen: np.ndarray) -> Batch:
        def run(model: nn.Module, state: Any) -> Pass:
            scores_BL = model(to_ragged(task.take(tokens, chosen), device_of(model))).float()
            p_BL = task.decision.probabilities(scores_BL.detach()).cpu().numpy()
            best = torch.from_numpy(task.decision.choose(p_BL))
            return Pass(scores_BL, gold[torch.from_numpy(chosen)], chosen, best=best)

        places = Sequences(np.arange(len(tokens.values)), tokens.offsets)
        return Batch({"": task.take(places, chosen).values}, run)

    batches = [batch(part) for part in bucket(task.lengths(tokens), budget=BATCH_TOKENS)]
    parts = {"": _part(task.ids(tokens), task.tokenizer, each=2 if task.pairs else 1)}
    return Corpus(task, parts, len(rows), batches, False, rows, notes)


def _tag(task: Any, rows: Rows, notes: list[str]) -> Corpus:
    encoded = task.encode(rows)
    tokens = encoded.tokens
    if (encoded.tags < 0).any():
        unknown = (encoded.tags < 0).sum()
        notes.append(
            f"{unknown:,} tokens have a tag that the model does not know, and count as wrong"
        )

    def batch(chosen: np.ndarray) -> Batch:
        def run(model: nn.Module, state: Any) -> Pass:
            part = encoded.take(chosen)
            emitted, _ = task.emit(model, part)
            crf = crf_of(model)
            return Pass(
                task.weigh(model, emitted),
                torch.from_numpy(part.tags),
                np.repeat(chosen, part.tokens.lengths),
                best=None if crf is None else crf.decode(emitted),
            )

        return Batch({"": tokens.places(chosen)}, run)

    batches = [batch(part) for part in bucket(tokens.lengths, budget=BATCH_TOKENS)]
    surface = [token for row in rows["tokens"] for token in row]
    parts = {"": _part(tokens, task.tokenizer, surface)}
    return Corpus(task, parts, len(rows), batches, False, rows, notes)


def _lm(task: Any, rows: Rows, notes: list[str], *, max_tokens: int | None = None) -> Corpus:
    """Contiguous streams, each from a zero state, as the task's own evaluation lays them out."""
    tokens_N = task.encode_stream(rows).tokens
    if task.condition is not None:
        notes.append("the texts are read as one stream, without what they are written from")
    if task.ngrams:
        notes.append("the network alone is looked at, without the counts beside it (--ngrams)")
    if max_tokens and len(tokens_N) > max_tokens:
        notes.append(
            f"the first {max_tokens:,} of {len(tokens_N):,} tokens are read (--max-tokens)"
        )
        tokens_N = tokens_N[:max_tokens]
    read = len(tokens_N) - 1
    if read < 1:
        raise SeqcliError(f"{rows.origin} has no text to look at")
    steps = -(-read // min(STREAMS, read))
    starts = np.arange(0, read, steps)
    ends = np.minimum(starts + steps, read)
    stream_N = np.arange(read) // steps
    example_N = stream_N * (-(-steps // CHUNK)) + (np.arange(read) % steps) // CHUNK
    example_N = np.unique(example_N, return_inverse=True)[1]

    def batch(begin: int) -> Batch:
        last = np.maximum(np.minimum(starts + begin + STREAM_STEPS, ends), starts)
        first = np.minimum(starts + begin, last)
        lengths = last - first
        bounds = bounds_of(lengths)
        places = np.arange(bounds[-1]) + np.repeat(first - bounds[:-1], lengths)

        def run(model: nn.Module, state: Any) -> Pass:
            values = torch.from_numpy(tokens_N[places]).to(device_of(model))
            scores_NV, after = model(Ragged(values, torch.from_numpy(bounds)), state)
            gold = torch.from_numpy(tokens_N[places + 1])
            return Pass(scores_NV.float(), gold, example_N[places], after)

        return Batch({"": places}, run)

    batches = [batch(begin) for begin in range(0, steps, STREAM_STEPS)]
    bounds = np.append(starts, read)
    parts = {"": Tokens(tokens_N[:-1], example_N, bounds, show_vocabulary(task.tokenizer))}
    return Corpus(task, parts, int(example_N[-1]) + 1, batches, True, rows, notes)


def _translate(task: Any, rows: Rows, notes: list[str]) -> Corpus:
    pairs = task.encode_whole(rows)
    # BOS a b EOS: the decoder reads BOS a b and predicts a b EOS.
    lengths = pairs.target.lengths - 1
    bounds = bounds_of(lengths)
    places = np.arange(bounds[-1]) + np.repeat(pairs.target.offsets[:-1] - bounds[:-1], lengths)
    read = Sequences(pairs.target.values[places], bounds)
    gold = Sequences(pairs.target.values[places + 1], bounds)

    def batch(chosen: np.ndarray) -> Batch:
        def run(model: nn.Module, state: Any) -> Pass:
            device = device_of(model)
            source = to_ragged(pairs.source.take(chosen), device)
            scores = model(source, to_ragged(read.take(chosen), device)).float()
            truth = gold.take(chosen)
            example_P = np.repeat(chosen, truth.lengths)
            return Pass(scores, torch.from_numpy(truth.values.astype("int64")), example_P)

        sides = {"encoder": pairs.source.places(chosen), "decoder": read.places(chosen)}
        return Batch(sides, run)

    plan = bucket(np.maximum(pairs.source.lengths, lengths), budget=BATCH_TOKENS // 2)
    parts = {"encoder": _part(pairs.source, task.source), "decoder": _part(read, task.target)}
    return Corpus(task, parts, len(rows), [batch(part) for part in plan], False, rows, notes)


def special(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """Which ids are marks of beginning and end."""
    return np.isin(ids, (BOS, EOS))
