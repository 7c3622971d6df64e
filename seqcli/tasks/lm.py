"""lm: the next token (N → N), and text from nothing or from a prompt (1 → N).

A corpus is its lines, each closed by the end token, which stands for the newline:

    EOS  t o   b e EOS  o r EOS        reads each token, predicts the one after it
"""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqcli import baselines, metrics
from seqcli.config import LanguageConfig
from seqcli.data.batches import block_bounds, blocks, bucket, stream
from seqcli.data.names import TEXT
from seqcli.data.rows import Rows
from seqcli.data.tokens import (
    BOS,
    EOS,
    UNK,
    Sequences,
    Tokenizer,
    tokenizer_from_json,
    train_tokenizer,
)
from seqcli.nn.decode import Sampling, sample
from seqcli.nn.language import LanguageModel
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States, detach
from seqcli.nn.softmax import check_softmax
from seqcli.tasks.task import Answer, Loss, Request, Scores, device_of
from seqcli.tasks.text import describe_tokens, read_fields, resolve_kind

EVALUATION_STREAMS = 16
EVALUATION_TOKENS = 4_096
BPTT = {"character": 64, "word": 35, "bpe": 50}


class Encoded(NamedTuple):
    """The corpus as one stream of ids (N,), opened by EOS."""

    tokens: np.ndarray


class Plan(NamedTuple):
    """Contiguous streams (S, T), and where their blocks begin and the last one ends."""

    streams: np.ndarray
    bounds: np.ndarray

    def __len__(self) -> int:
        return len(self.bounds) - 1


class Block(NamedTuple):
    """One block of all streams: input and next token (S, t); whether it opens an epoch."""

    tokens: np.ndarray
    following: np.ndarray


class LanguageModeling:
    name: ClassVar[str] = "lm"
    watched: ClassVar[str] = "cross_entropy"
    higher_is_better: ClassVar[bool] = False
    columns: Mapping[str, str] = types.MappingProxyType({})

    def __init__(self, config: LanguageConfig, tokenizer: Tokenizer, reason: str = "") -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.reason = reason

    @classmethod
    def learn(cls, config: LanguageConfig, train: Rows) -> LanguageModeling:
        """The codec that the training rows call for."""
        kind, reason = resolve_kind(config, train["text"])
        tokens = config.tokens
        tokenizer = train_tokenizer(
            kind,
            train["text"],
            vocabulary_size=tokens.vocabulary_size,
            min_count=tokens.min_count,
            lowercase=tokens.lowercase,
            joiner=True,
        )
        check_softmax(config.network, len(tokenizer.vocabulary))
        return cls(config, tokenizer, reason)

    @classmethod
    def restore(cls, config: LanguageConfig, files: Mapping[str, Any]) -> LanguageModeling:
        """The codec of a saved model."""
        return cls(config, tokenizer_from_json(files["tokenizer.json"]))

    def files(self) -> dict[str, Any]:
        return {"tokenizer.json": self.tokenizer.to_json()}

    def facts(self) -> dict[str, str]:
        return {"tokens": describe_tokens(self.tokenizer, self.reason)}

    def build(self) -> nn.Module:
        return LanguageModel(len(self.tokenizer.vocabulary), self.config.network)

    def encode(self, rows: Rows) -> Encoded:
        return Encoded(self._stream(self.tokenizer.encode(rows["text"], eos=True)))

    def _stream(self, lines: Sequences) -> np.ndarray:
        """The ids of all lines end to end, opened by EOS."""
        return np.concatenate([[EOS], lines.values]).astype(np.int64)

    def plan(self, encoded: Encoded, epoch: int) -> Plan:
        training = self.config.training
        streams = stream(encoded.tokens, training.streams)
        steps = streams.shape[1] - 1
        seed = training.seed if training.random_bptt else None
        return Plan(streams, block_bounds(steps, self.bptt or steps, seed=seed, epoch=epoch))

    @property
    def bptt(self) -> int:
        """Steps of a block, about; 0 for whole streams."""
        asked = self.config.training.bptt
        return BPTT[self.tokenizer.kind] if asked is None else asked

    def batches(self, encoded: Encoded, plan: Plan, start: int) -> Iterator[Block]:
        for position, (tokens, following) in enumerate(blocks(plan.streams, plan.bounds)):
            if position >= start:
                yield Block(tokens, following)

    def loss(self, model: nn.Module, batch: Block, state: States | None) -> Loss:
        device = device_of(model)
        assert isinstance(model, LanguageModel)
        training = self.config.training
        h, states = model.recur(_streams(batch.tokens, device), state)
        dropped = model.dropout(h)
        gold_N = torch.from_numpy(np.ascontiguousarray(batch.following)).flatten().to(device)
        mean = model.head.loss(model.project(dropped), gold_N)
        if training.ar or training.tar:
            penalty = penalise(h, dropped, ar=training.ar, tar=training.tar)
            mean = mean + (penalty - penalty.detach())  # the loss that is told stays −log p
        rate = batch.tokens.shape[1] / self.bptt if training.random_bptt and self.bptt else 1.0
        return Loss(mean, len(gold_N), len(gold_N), detach(states), rate)

    @torch.inference_mode()
    def nats(self, model: nn.Module, tokens_N: np.ndarray) -> np.ndarray:
        """(N − 1,) the −log p of every token of a stream but the first.

        Read in a fixed number of contiguous streams, each from a zero state; every token is
        scored once.
        """
        assert isinstance(model, LanguageModel)
        device = device_of(model)
        steps = max(1, -(-(len(tokens_N) - 1) // EVALUATION_STREAMS))
        found, states = np.empty(len(tokens_N) - 1), None
        starts = np.arange(0, len(tokens_N) - 1, steps)
        ends = np.minimum(starts + steps, len(tokens_N) - 1)
        width = max(1, EVALUATION_TOKENS // EVALUATION_STREAMS)
        for begin in range(0, steps, width):
            places = [
                np.arange(min(start + begin, end), min(start + begin + width, end))
                for start, end in zip(starts, ends, strict=True)
            ]
            flat = np.concatenate(places)
            bounds = np.concatenate([[0], np.cumsum([len(place) for place in places])])
            batch = Ragged(torch.from_numpy(tokens_N[flat]).to(device), torch.from_numpy(bounds))
            h_NH, states = model.read(batch, states)
            gold_N = torch.from_numpy(tokens_N[flat + 1]).to(device)
            found[flat] = model.head.nats(h_NH, gold_N).double().cpu().numpy()
        return found

    def evaluate(self, model: nn.Module, rows: Rows) -> Scores:
        lines = self.tokenizer.encode(rows["text"], eos=True)
        tokens_N = self._stream(lines)
        nats_R = np.add.reduceat(self.nats(model, tokens_N), lines.offsets[:-1])
        return self._scores(nats_R, lines, rows)

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        known, size = self.encode(train).tokens, len(self.tokenizer.vocabulary)
        judged = {}
        for split, rows in splits.items():
            lines = self.tokenizer.encode(rows["text"], eos=True)
            found = baselines.lm(known, self._stream(lines), size)
            judged[split] = {
                name: self._scores(np.add.reduceat(nats_N, lines.offsets[:-1]), lines, rows)
                for name, nats_N in found.items()
            }
        return judged

    def _scores(self, nats_R: np.ndarray, lines: Sequences, rows: Rows) -> Scores:
        """The metrics, from the nats of each line."""
        return metrics.language(
            nats_R,
            lines.lengths,
            characters=np.array([len(text) + 1 for text in rows["text"]]),
            unknown=int((lines.values == UNK).sum()),
            kind=self.tokenizer.kind,
            gold=rows["text"],
        )

    def read(self, lines: Sequence[str]) -> Rows:
        return Rows({"text": list(lines)}, "input")

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        asked, usual = self.config.data.text_column, self.columns.get("text")
        return Rows({"text": read_fields(records, TEXT, asked=asked, usual=usual)}, "input")

    @torch.inference_mode()
    def log_probabilities(self, model: nn.Module, texts: Sequence[str]) -> list[Tensor]:
        """For each text, the log-probability of each of its tokens and of its end."""
        assert isinstance(model, LanguageModel)
        lines = self.tokenizer.encode(texts, bos=False, eos=True)
        device = device_of(model)
        found: list[Tensor] = [torch.empty(0)] * len(texts)
        for rows in bucket(lines.lengths, budget=EVALUATION_TOKENS):
            part = lines.take(rows)
            gold_N = torch.from_numpy(part.values.astype(np.int64)).to(device)
            read_N = torch.roll(gold_N, 1)
            read_N[torch.from_numpy(part.offsets[:-1]).to(device)] = EOS
            bounds, states, logs = torch.from_numpy(part.offsets), None, []
            # A batch above the budget is one long text: it is read block by block.
            for begin in range(0, len(gold_N), EVALUATION_TOKENS):
                end = begin + EVALUATION_TOKENS
                block = Ragged(read_N[begin:end], bounds.clamp(begin, end) - begin)
                h_NH, states = model.read(block, states)
                logs.append(-model.head.nats(h_NH, gold_N[begin:end]).cpu())
            for row, one in zip(rows, torch.cat(logs).split(part.lengths.tolist()), strict=True):
                found[row] = one
        return found

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        answers = []
        for logs_T in self.log_probabilities(model, rows["text"]):
            total, count = float(logs_T.double().sum()), len(logs_T)
            perplexity = math.exp(min(-total / count, 700.0))
            record = {"log_probability": total, "perplexity": perplexity, "tokens": count}
            answers.append(Answer(f"{total:.6f}\t{perplexity:.6f}\t{count}", record))
        return answers

    def write(
        self,
        model: nn.Module,
        prompt: str,
        sampling: Sampling,
        *,
        generator: torch.Generator,
        length: int,
        one_line: bool,
    ) -> Iterator[str]:
        """Text that goes on from a prompt, piece by piece: at most `length` tokens, or one line.

        The pieces are what each token adds to the decoded text, so that byte pairs of one
        character and the spaces between words come out right.
        """
        assert isinstance(model, LanguageModel)
        *closed, last = prompt.split("\n")
        known = [EOS]
        for line in closed:
            known += self.tokenizer.encode([line], eos=True).values.tolist()
        if last:
            known += self.tokenizer.encode([last]).values.tolist()
        tokens = self.tokenizer.encode([last]).values.tolist() if last else []
        shown = self.tokenizer.decode(tokens)
        banned = (UNK, BOS)
        drawn = sample(model, known, sampling, generator=generator, banned=banned)
        for token in itertools.islice(drawn, length):
            if token == EOS:
                if one_line:
                    return
                yield "\n"
                tokens, shown = [], ""
                continue
            tokens.append(token)
            text = self.tokenizer.decode(tokens)
            if text.endswith("\ufffd"):  # half of a character; the rest is to come
                continue
            yield text[len(shown) :]
            shown = text


def penalise(h: Ragged, dropped: Ragged, *, ar: float, tar: float) -> Tensor:
    """Activation regularisation and its temporal form (Merity et al. 2017): a scalar.

        ar · mean(d_n²) + tar · mean((h_n − h_{n−1})²)      h: (N, H) states, d: after dropout

    Changes are within a sequence, never from one to the next.
    """
    penalty = ar * dropped.values.float().square().mean()
    inside_N = torch.ones(len(h.values), dtype=torch.bool)
    inside_N[h.offsets[:-1]] = False
    later = inside_N.nonzero().squeeze(1).to(h.values.device)
    if tar and len(later):
        change_MH = h.values.index_select(0, later) - h.values.index_select(0, later - 1)
        penalty = penalty + tar * change_MH.float().square().mean()
    return penalty


def _streams(tokens_ST: np.ndarray, device: torch.device) -> Ragged:
    """A block of streams as a ragged batch of equal lengths."""
    rows, steps = tokens_ST.shape
    values = torch.from_numpy(np.ascontiguousarray(tokens_ST)).flatten()
    return Ragged(values.to(device), torch.arange(0, rows * steps + 1, steps))
