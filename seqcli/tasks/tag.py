"""tag: a tag for each token (N → N)."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from seqcli import baselines, metrics
from seqcli.config import TagConfig
from seqcli.data.batches import bucket
from seqcli.data.rows import Rows
from seqcli.data.tokens import Sequences, Tokenizer, tokenizer_from_json, train_tokenizer
from seqcli.errors import SeqcliError
from seqcli.nn.tagger import Tagger
from seqcli.tasks.task import Answer, Loss, Request, Scores, device_of, to_ragged
from seqcli.tasks.text import truncate

PREDICTION_TOKENS = 8_192
LONGEST_WORD = 100
"""Characters of a word that are read: enough for all words, and no line exhausts the memory."""


class Encoded(NamedTuple):
    """Ids of the tokens; the characters of each distinct word, which word each token is (N,), and
    each token's tag number (N,), −1 where it is not known."""

    tokens: Sequences
    words: Sequences
    word_of: np.ndarray
    tags: np.ndarray


class Batch(NamedTuple):
    tokens: Sequences
    words: Sequences
    word_of: np.ndarray
    tags: np.ndarray


class Tag:
    name: ClassVar[str] = "tag"
    watched: ClassVar[str] = "score"
    higher_is_better: ClassVar[bool] = True
    columns: Mapping[str, str] = types.MappingProxyType({})

    def __init__(
        self,
        config: TagConfig,
        tokenizer: Tokenizer,
        characters: Tokenizer,
        tags: list[str],
        scheme: str | None,
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.characters = characters
        self.tags = tags
        self.scheme = scheme

    @classmethod
    def learn(cls, config: TagConfig, train: Rows) -> Tag:
        """The codec that the training rows call for."""
        if config.tokens.tokens not in ("auto", "word"):
            raise SeqcliError("the tokens of tag are given by its data; leave --tokens out")
        tokens = config.tokens
        tokenizer = train_tokenizer(
            "word",
            train["tokens"],
            vocabulary_size=tokens.vocabulary_size,
            min_count=tokens.min_count,
            lowercase=tokens.lowercase,
        )
        words = sorted({token for row in train["tokens"] for token in row})
        characters = train_tokenizer("character", words)
        tags = sorted({tag for row in train["tags"] for tag in row})
        if len(tags) < 2:
            raise SeqcliError(
                f"every training token has the tag {tags[0]!r}; there is nothing to tell apart"
            )
        return cls(config, tokenizer, characters, tags, metrics.detect_scheme(train["tags"]))

    @classmethod
    def restore(cls, config: TagConfig, files: Mapping[str, Any]) -> Tag:
        """The codec of a saved model."""
        labels = files["labels.json"]
        tags = labels.get("tags") if isinstance(labels, dict) else None
        known = tags if isinstance(tags, list) else []
        if len(known) < 2 or not all(isinstance(one, str) for one in known):
            raise SeqcliError("labels.json of the model is corrupt; train or copy the model again")
        return cls(
            config,
            tokenizer_from_json(files["tokenizer.json"]),
            tokenizer_from_json(files["characters.json"]),
            labels["tags"],
            labels.get("scheme"),
        )

    def files(self) -> dict[str, Any]:
        return {
            "tokenizer.json": self.tokenizer.to_json(),
            "characters.json": self.characters.to_json(),
            "labels.json": {"tags": self.tags, "scheme": self.scheme},
        }

    def facts(self) -> dict[str, str]:
        shown = ", ".join(self.tags[:8]) + (" …" if len(self.tags) > 8 else "")
        return {
            "tokens": f"vocabulary {len(self.tokenizer.vocabulary):,}, "
            f"characters {len(self.characters.vocabulary):,}",
            "tags": f"{len(self.tags)}: {shown}" + (f" ({self.scheme})" if self.scheme else ""),
        }

    def build(self) -> nn.Module:
        return Tagger(
            len(self.tokenizer.vocabulary),
            len(self.characters.vocabulary),
            len(self.tags),
            self.config.network,
            bptt=self.config.training.bptt,
        )

    def encode(self, rows: Rows) -> Encoded:
        forms: dict[str, int] = {}
        word_of = [forms.setdefault(token, len(forms)) for row in rows["tokens"] for token in row]
        numbers = {tag: number for number, tag in enumerate(self.tags)}
        tags = rows.columns.get("tags") or []
        return Encoded(
            self.tokenizer.encode_tokens(rows["tokens"]),
            truncate(self.characters.encode(list(forms)), LONGEST_WORD),
            np.array(word_of, dtype=np.int64),
            np.array([numbers.get(tag, -1) for row in tags for tag in row], dtype=np.int64),
        )

    def plan(self, encoded: Encoded, epoch: int) -> list[np.ndarray]:
        training = self.config.training
        return bucket(
            encoded.tokens.lengths, budget=training.batch_tokens, seed=training.seed, epoch=epoch
        )

    def batches(self, encoded: Encoded, plan: list[np.ndarray], start: int) -> Iterator[Batch]:
        for rows in plan[start:]:
            yield _take(encoded, rows)

    def scores(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """(N, L) a score for each tag of each token."""
        device = device_of(model)
        return model(
            to_ragged(batch.tokens, device),
            to_ragged(batch.words, device),
            torch.from_numpy(batch.word_of).to(device),
        ).float()

    def loss(self, model: nn.Module, batch: Batch, state: Any) -> Loss:
        gold_N = torch.from_numpy(batch.tags).to(device_of(model))
        mean = F.cross_entropy(self.scores(model, batch), gold_N)
        return Loss(mean, len(gold_N), len(gold_N))

    @torch.inference_mode()
    def predict(self, model: nn.Module, rows: Rows) -> list[list[str]]:
        """The tags of each row."""
        found: list[list[str]] = [[] for _ in range(len(rows))]
        filled = np.flatnonzero([len(row) for row in rows["tokens"]])
        encoded = self.encode(rows.take(filled.tolist()))
        for part in bucket(encoded.tokens.lengths, budget=PREDICTION_TOKENS):
            batch = _take(encoded, part)
            best_N = self.scores(model, batch).argmax(dim=1).tolist()
            bounds = batch.tokens.offsets.tolist()
            for row, begin, end in zip(filled[part], bounds, bounds[1:], strict=False):
                found[row] = [self.tags[number] for number in best_N[begin:end]]
        return found

    def evaluate(self, model: nn.Module, rows: Rows) -> Scores:
        return _with_score(
            metrics.tagging(rows["tags"], self.predict(model, rows), scheme=self.scheme)
        )

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        judged = {}
        for split, rows in splits.items():
            found = baselines.tag(
                train["tokens"], train["tags"], rows["tokens"], rows["tags"], scheme=self.scheme
            )
            judged[split] = {name: _with_score(scores) for name, scores in found.items()}
        return judged

    def read(self, lines: Sequence[str]) -> Rows:
        return Rows({"tokens": [line.split() for line in lines]}, "input")

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        column = self.config.data.tokens_column or self.columns.get("tokens", "tokens")
        rows = []
        for record in records:
            value = record.get(column, record.get("tokens", record.get("text")))
            if isinstance(value, str):
                value = value.split()
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise SeqcliError(f"field {column!r} is missing or not a list of tokens")
            rows.append(value)
        return Rows({"tokens": rows}, "input")

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        answers = []
        for tokens, tags in zip(rows["tokens"], self.predict(model, rows), strict=True):
            record: dict[str, Any] = {"tokens": tokens, "tags": tags}
            if self.scheme:
                record["spans"] = [
                    {"type": kind, "start": start, "end": end, "text": " ".join(tokens[start:end])}
                    for kind, start, end in metrics.spans(tags)
                ]
            plain = " ".join(f"{token}/{tag}" for token, tag in zip(tokens, tags, strict=True))
            answers.append(Answer(plain, record))
        return answers


def _take(encoded: Encoded, rows: np.ndarray) -> Batch:
    """Some rows as a batch, with only the words that occur in it."""
    lengths = encoded.tokens.lengths[rows]
    starts = encoded.tokens.offsets[rows]
    before = np.cumsum(lengths) - lengths
    places = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    distinct, word_of = np.unique(encoded.word_of[places], return_inverse=True)
    tags = encoded.tags[places] if len(encoded.tags) else encoded.tags
    return Batch(encoded.tokens.take(rows), encoded.words.take(distinct), word_of, tags)


def _with_score(scores: Scores) -> Scores:
    """Span F1 where the tags mark spans, else token accuracy: the score that is watched."""
    return {**scores, "score": scores.get("span_f1", scores["token_accuracy"])}
