"""lm: the next token (N → N), and text from nothing or from a prompt (1 → N).

A corpus is its lines, each closed by the end token, which stands for the newline:

    EOS  t o   b e EOS  o r EOS        reads each token, predicts the one after it

Where texts are written from something (--condition), each row is a text of its own, from the
condition and EOS to its own EOS.
"""

from __future__ import annotations

import functools
import json
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqcli import baselines, metrics
from seqcli.config import LanguageConfig, Request
from seqcli.data import kneser_ney
from seqcli.data.backoff import Backoff
from seqcli.data.batches import block_bounds, blocks, bucket, stream
from seqcli.data.condition import Condition, condition_from_json, learn_condition
from seqcli.data.names import TEXT
from seqcli.data.rows import Rows
from seqcli.data.sequences import Sequences
from seqcli.data.tokens import EOS, SPECIALS, UNK, Tokenizer, tokenizer_from_json
from seqcli.errors import SeqcliError
from seqcli.nn.condition import Conditioning
from seqcli.nn.language import LanguageModel
from seqcli.nn.ngram_model import NgramModel
from seqcli.nn.penalty import penalise
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import States, detach, forget
from seqcli.nn.softmax import check_softmax
from seqcli.tasks.likelihood import Judged, judge_stream, judge_texts, shift
from seqcli.tasks.task import Answer, Lookup, Loss, Scores, device_of
from seqcli.tasks.text import describe_tokens, find_condition, learn_tokenizer, read_fields

LONGEST_RUN = {"character": 7, "word": 4, "bpe": 5}
"""Tokens of the longest runs that are counted, by kind of token, where nothing is named."""
BPTT = {"character": 64, "word": 35, "bpe": 50}
"""Steps a gradient flows back where nothing is named; 35 words as in Zaremba et al. (2014)."""
FORGOTTEN = 0.01
"""How often a stream's state returns to zero between two blocks of training. A stream would begin
but once an epoch otherwise, though every prompt and every text to be judged does."""


NEARLY_ALL = 0.95
"""The share of the counts from which on a network only smooths them, as an untrained one does."""


class Corpus(NamedTuple):
    """Running text as one stream of ids (N,), opened by EOS."""

    tokens: np.ndarray


class Texts(NamedTuple):
    """Separate texts, each closed by EOS, and what they are written from: (R,) or (R, D)."""

    tokens: Sequences
    given: np.ndarray


class Plan(NamedTuple):
    """Contiguous streams (S, T), and where their blocks begin and the last one ends."""

    streams: np.ndarray
    bounds: np.ndarray

    def __len__(self) -> int:
        return len(self.bounds) - 1


class Block(NamedTuple):
    """One block of all streams: input and next token (S, t)."""

    tokens: np.ndarray
    following: np.ndarray


class LanguageModeling:
    """A configuration of lm with its codec; its methods are those of `Task`.

    condition: what texts are written from, None for running text. ngrams: the counts beside the
    network, if any; every network that is built shares them.
    """

    name: ClassVar[str] = "lm"
    watched: ClassVar[str] = "cross_entropy"
    higher_is_better: ClassVar[bool] = False
    columns: Mapping[str, str] = types.MappingProxyType({})
    reasons: Sequence[str] = ()

    def __init__(
        self,
        config: LanguageConfig,
        tokenizer: Tokenizer,
        condition: Condition | None = None,
        ngrams: NgramModel | None = None,
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.condition = condition
        self.ngrams = ngrams

    @classmethod
    def learn(cls, config: LanguageConfig, train: Rows) -> LanguageModeling:
        """The task with its codec, learned from the training rows."""
        tokenizer, reason = learn_tokenizer(config, train["text"], joiner=True)
        check_softmax(config.network, len(tokenizer.vocabulary))
        condition = None
        if "condition" in train.columns:
            names = train.names.get("condition", "condition")
            condition = learn_condition(train["condition"], names.split(","))
        longest = config.network.ngrams
        if longest is None:
            longest = LONGEST_RUN[tokenizer.kind]
            config = replace(config, network=replace(config.network, ngrams=longest))
        task = cls(config, tokenizer, condition)
        task.reasons = [reason]
        if longest:
            task.ngrams = NgramModel.of(task._count(train, longest))
        return task

    def _count(self, train: Rows, longest: int) -> Backoff:
        tokens_N = self.encode_stream(train).tokens
        size = len(self.tokenizer.vocabulary)
        return kneser_ney.count(tokens_N, size, longest, line_end=EOS)

    @classmethod
    def restore(cls, config: LanguageConfig, files: Mapping[str, Any]) -> LanguageModeling:
        """The task with the codec of a saved model."""
        found = None
        if config.data.condition is not None:
            found = condition_from_json(files["condition.json"])
        task = cls(config, tokenizer_from_json(files["tokenizer.json"]), found)
        if config.network.ngrams:  # None in models of before there were any
            try:
                task.ngrams = NgramModel(**files["ngrams.json"])
            except (RuntimeError, TypeError, ValueError):
                raise SeqcliError(
                    "ngrams.json of the model is corrupt; train or copy the model again"
                ) from None
        return task

    def files(self) -> dict[str, Any]:
        found = {"tokenizer.json": self.tokenizer.to_json()}
        if self.condition:
            found["condition.json"] = self.condition.to_json()
        if self.ngrams:
            found["ngrams.json"] = self.ngrams.facts()
        return found

    def facts(self) -> dict[str, str]:
        found = {"tokens": describe_tokens(self.tokenizer, *self.reasons)}
        if self.ngrams:
            sizes = self.ngrams.sizes
            found["n-grams"] = f"{sum(sizes):,} runs of up to {len(sizes)} tokens"
        return found | ({"condition": self.condition.describe()} if self.condition else {})

    def build(self) -> nn.Module:
        network, condition, make = self.config.network, self.condition, None
        if condition:
            make = functools.partial(
                Conditioning,
                labels=len(condition.labels) or None,
                numbers=condition.width,
                width=network.embedding,
            )
        return LanguageModel(
            len(self.tokenizer.vocabulary),
            network,
            conditioning=make,
            ngrams=self.ngrams,
            bptt=self.config.training.bptt or None if condition else None,
        )

    def encode(self, rows: Rows) -> Corpus | Texts:
        if self.condition is None:
            return self.encode_stream(rows)
        lines = self.tokenizer.encode(rows["text"], eos=True)
        return Texts(lines, self.condition.encode(rows["condition"]))

    def encode_stream(self, rows: Rows) -> Corpus:
        """All rows as running text, after the end of a line and with one behind, but for a line
        that is cut."""
        values = self.tokenizer.encode(rows["text"], eos=True).values
        before, after = rows.joined
        first = np.array([] if before else [EOS], dtype=np.int64)
        return Corpus(np.concatenate([first, values[: len(values) - after]]))

    def lookup(self, model: nn.Module, encoded: Corpus | Texts) -> Lookup:
        assert isinstance(model, LanguageModel)
        tokens = encoded.tokens.values if isinstance(encoded, Texts) else encoded.tokens
        return Lookup(self.tokenizer, tokens, model.embedding)

    def plan(self, encoded: Corpus | Texts, epoch: int) -> Plan | list[np.ndarray]:
        training = self.config.training
        if isinstance(encoded, Texts):
            budget = training.streams * (self.bptt or BPTT[self.tokenizer.kind])
            lengths = encoded.tokens.lengths
            return bucket(lengths, budget=budget, seed=training.seed, epoch=epoch)
        streams = stream(encoded.tokens, training.streams)
        steps = streams.shape[1] - 1
        seed = training.seed if training.random_bptt else None
        return Plan(streams, block_bounds(steps, self.bptt or steps, seed=seed, epoch=epoch))

    @property
    def bptt(self) -> int:
        """Steps of a block, about; 0 for whole streams."""
        asked = self.config.training.bptt
        return BPTT[self.tokenizer.kind] if asked is None else asked

    def batches(
        self, encoded: Corpus | Texts, plan: Plan | list[np.ndarray], start: int
    ) -> Iterator[Block | Texts]:
        if isinstance(plan, Plan):
            for tokens, following in blocks(plan.streams, plan.bounds[start:]):
                yield Block(tokens, following)
        else:
            assert isinstance(encoded, Texts)
            for rows in plan[start:]:
                yield Texts(encoded.tokens.take(rows), encoded.given[rows])

    def prepare(self, model: nn.Module, batch: Block | Texts) -> Block | Texts:
        return batch

    def loss(
        self,
        model: nn.Module,
        batch: Block | Texts,
        state: States | None,
        *,
        again: bool = False,
    ) -> Loss:
        device, training = device_of(model), self.config.training
        assert isinstance(model, LanguageModel)
        given, rate = None, 1.0
        if isinstance(batch, Block):
            tokens = _streams(batch.tokens, device)
            gold_N = torch.from_numpy(np.ascontiguousarray(batch.following)).flatten().to(device)
            if training.random_bptt and self.bptt:
                rate = batch.tokens.shape[1] / self.bptt
        else:
            tokens, gold_N = shift(batch.tokens, device)
            given, state = torch.from_numpy(batch.given).to(device), None
        h, states = model.recur(tokens, state, given)
        dropped = model.dropout(h)
        mean = model.head.loss(model.project(dropped, given), gold_N)
        if training.ar or training.tar:
            penalty = penalise(h, dropped, ar=training.ar, tar=training.tar)
            mean = mean + (penalty - penalty.detach())  # the loss that is told stays −log p
        carried = forget(detach(states), FORGOTTEN) if isinstance(batch, Block) else None
        return Loss(mean, len(gold_N), len(gold_N), carried, rate)

    def judge(self, model: nn.Module, rows: Rows) -> Judged:
        """Every token that is predicted of rows, in order."""
        assert isinstance(model, LanguageModel)
        if self.condition is None:
            return judge_stream(model, self.encode_stream(rows).tokens)
        lines = self.tokenizer.encode(rows["text"], eos=True)
        return judge_texts(model, lines, self.condition.encode(rows["condition"]))

    def tune(self, model: nn.Module, rows: Rows) -> list[str]:
        if self.ngrams is None:
            return []
        self.follow(model, rows)
        return [
            f"counts of up to {len(self.ngrams.sizes)} tokens have a share of "
            f"{self.ngrams.share:.2f} in each probability, chosen on validation"
        ]

    def follow(self, model: nn.Module, rows: Rows) -> Scores:
        """`tune` and `evaluate` at once, for validation rows after an epoch."""
        found = self.judge(model, rows)
        found.choose_share(self.ngrams)
        return self._score(found, rows)

    def rank(self, scores: Scores) -> list[float]:
        """By the score, then by that of the network alone: with nearly all of the share, the counts
        hide what it learns."""
        if "network_alone" not in scores:
            return [-scores[self.watched]]
        hidden = self.ngrams and self.ngrams.share > NEARLY_ALL
        return [-math.inf if hidden else -scores[self.watched], -scores["network_alone"]]

    def evaluate(self, model: nn.Module, rows: Rows) -> Scores:
        return self._score(self.judge(model, rows), rows)

    def _score(self, found: Judged, rows: Rows) -> Scores:
        scores = self.scores_of(-found.mixed(self.ngrams).numpy(), rows)
        if self.ngrams:
            scores["network_alone"] = -float(found.logs.double().mean())
        return scores

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        known, size = self.encode_stream(train).tokens, len(self.tokenizer.vocabulary)
        longest = LONGEST_RUN[self.tokenizer.kind]
        counts = self.ngrams.counts() if self.ngrams else self._count(train, longest)
        judged = {}
        for split, rows in splits.items():
            found = baselines.lm(known, self.encode_stream(rows).tokens, size, counts)
            judged[split] = {name: self.scores_of(nats_N, rows) for name, nats_N in found.items()}
        return judged

    def scores_of(self, nats_N: np.ndarray, rows: Rows) -> Scores:
        """The metrics of rows, from the −log p of each of their tokens, ends counted, in order."""
        lines = self.tokenizer.encode(rows["text"], eos=True)
        lengths, characters = lines.lengths, np.array([len(text) + 1 for text in rows["text"]])
        before, after = rows.joined
        if before:  # nothing says what the first token of a cut line comes after
            lengths[0] -= 1
            characters[0] -= len(self.tokenizer.decode(lines.values[:1]))
        lengths[-1] -= after
        characters[-1] -= after
        starts = np.cumsum(lengths) - lengths
        names = self.tokenizer.vocabulary
        return metrics.language(
            np.add.reduceat(nats_N.astype(np.float64), starts),
            lengths,
            characters=characters,
            unknown=int((lines.values == UNK).sum()),
            kind=self.tokenizer.kind,
            # As the model knows them: unknown tokens and folded case make an easier text.
            gold=(" ".join(names[token] for token in lines.row(row)) for row in range(len(lines))),
        )

    def read(self, lines: Sequence[str]) -> Rows:
        if self.condition is not None:
            names = " and ".join(map(repr, self.condition.columns))
            raise SeqcliError(
                f"the model's texts are written from {names}; give JSON Lines with the text and "
                f"{names}"
            )
        return Rows({"text": list(lines)}, "input")

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        asked, usual = self.config.data.text_column, self.columns.get("text")
        columns: dict[str, list[Any]] = {
            "text": read_fields(records, TEXT, asked=asked, usual=usual)
        }
        if self.condition is not None:
            names = self.condition.columns
            columns["condition"] = [find_condition(record, names) for record in records]
            for value in columns["condition"]:
                self.condition.check(value)
        return Rows(columns, "input")

    def log_probabilities(self, model: LanguageModel, rows: Rows) -> Sequence[Tensor]:
        """For each text by itself, the log-probability of each of its tokens and of its end."""
        lines = self.tokenizer.encode(rows["text"], eos=True)
        given_R = self.condition.encode(rows["condition"]) if self.condition else None
        logs_N = judge_texts(model, lines, given_R).mixed(self.ngrams)
        return logs_N.split(lines.lengths.tolist())

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        assert isinstance(model, LanguageModel)
        answers = []
        for row, logs_T in enumerate(self.log_probabilities(model, rows)):
            total, count = float(logs_T.double().sum()), len(logs_T)
            perplexity = math.exp(min(-total / count, 700.0))
            record: dict[str, Any] = {
                "log_probability": total,
                "perplexity": perplexity,
                "tokens": count,
            }
            plain = f"{total:.6f}\t{perplexity:.6f}\t{count}"
            if request.surprisal:
                bits = [round(bit, 6) for bit in (-logs_T.double() / math.log(2)).tolist()]
                names = [*self.tokenizer.split(rows["text"][row]), SPECIALS[EOS]]
                record["surprisal"] = [
                    {"token": name, "bits": bit} for name, bit in zip(names, bits, strict=True)
                ]
                plain = "\t".join(
                    f"{json.dumps(name, ensure_ascii=False)[1:-1]}={bit:.6f}"
                    for name, bit in zip(names, bits, strict=True)
                )
            answers.append(Answer(plain, record))
        return answers


def _streams(tokens_ST: np.ndarray, device: torch.device) -> Ragged:
    """A block of streams as a ragged batch of equal lengths."""
    rows, steps = tokens_ST.shape
    values = torch.from_numpy(np.ascontiguousarray(tokens_ST)).flatten()
    return Ragged(values.to(device), torch.arange(0, rows * steps + 1, steps))
