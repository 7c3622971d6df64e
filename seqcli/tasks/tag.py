"""tag: a tag for each token (N → N), and with `--with-label` a label for the sentence as well."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from seqcli import baselines, metrics
from seqcli.config import Request, TagConfig
from seqcli.data.batches import bucket
from seqcli.data.labels import name_some
from seqcli.data.rows import Rows
from seqcli.data.tokens import Tokenizer, tokenizer_from_json
from seqcli.data.values import has_field, reach, read_list, write_cell
from seqcli.data.vocabulary import train_tokenizer
from seqcli.data.words import Cut, are_characters
from seqcli.errors import MissingField, SeqcliError, UsageError
from seqcli.nn.crf import CRF, Path, list_independent
from seqcli.nn.ragged import Ragged, to_ragged
from seqcli.nn.spelling import LinearModels, Parts
from seqcli.nn.tagger import Tagger, crf_of
from seqcli.tasks.sentences import Sentences
from seqcli.tasks.tagset import Tagset
from seqcli.tasks.task import Answer, Lookup, Loss, Scores, device_of
from seqcli.tasks.text import is_written, limits_of

PREDICTION_TOKENS = 8_192  # of a batch
LONGEST_WORD = 100
"""Characters of a word that are read: enough for all words, and no line exhausts the memory."""
MOST_CRF_TAGS = 1_000
"""A CRF has a weight and a product for each pair of tags."""
LABEL_WEIGHT = 3.0
"""What the label of a sentence counts in the loss where a tag counts 1. At 1 the states learn
little about labels before the tags are learned; at the length of a sentence tags suffer."""


class Found(NamedTuple):
    """The answer to a row. paths: the likeliest tags with their log-probability, if asked for."""

    tags: list[str]
    label: str | None
    paths: list[tuple[list[str], float]]


class Tag:
    """A configuration of tag with its codec; its methods are those of `Task`.

    tokenizer: of whole tokens. characters: of the characters within them. labels: of sentences,
    none where they are not learned. crf: whether the network has one.
    """

    name: ClassVar[str] = "tag"
    watched: ClassVar[str] = "score"
    higher_is_better: ClassVar[bool] = True
    columns: Mapping[str, str] = types.MappingProxyType({})
    reasons: Sequence[str] = ()

    def __init__(
        self,
        config: TagConfig,
        tokenizer: Tokenizer,
        characters: Tokenizer,
        tagset: Tagset,
        *,
        labels: Sequence[str] = (),
        crf: bool = False,
        cut: Cut = Cut.SPACES,
        joined: bool = False,
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.characters = characters
        self.tagset = tagset
        self.labels = list(labels)
        self.crf = crf
        self.linear: LinearModels | None = None
        self.cut = cut
        self.joined = joined
        """Tags are such characters too, as in couplets."""

    @property
    def tags(self) -> list[str]:
        """The names of the tags that the network scores."""
        return self.tagset.tags

    @property
    def scheme(self) -> str | None:
        """How these tags mark spans, if they do."""
        return self.tagset.scheme

    @classmethod
    def learn(cls, config: TagConfig, train: Rows) -> Tag:
        """The task with its codec, learned from the training rows."""
        if config.tokens.tokens not in ("auto", "word"):
            raise UsageError("the data give the tokens of tag; leave out --tokens")
        tokenizer = train_tokenizer("word", train["tokens"], **limits_of(config.tokens))
        words = sorted({token for row in train["tokens"] for token in row})
        characters = train_tokenizer("character", words)
        tagset = Tagset.learn(train["tags"], config.data.scheme)
        crf = config.network.crf
        if crf and len(tagset.tags) > MOST_CRF_TAGS:
            raise UsageError(
                f"--crf weighs every pair of tags, and {len(tagset.tags):,} tags are too many (at "
                f"most {MOST_CRF_TAGS:,}); leave it out"
            )
        if crf is None:
            crf = tagset.scheme is not None and len(tagset.tags) <= MOST_CRF_TAGS
        labels = sorted(set(train.columns.get("label", ())))
        unspaced = are_characters(words)
        cut = Cut.CHARACTERS if unspaced else Cut.SPACES
        task = cls(
            config,
            tokenizer,
            characters,
            tagset,
            labels=labels,
            crf=crf,
            cut=Cut.WORDS if "text" in train.columns else cut,
            joined=unspaced and are_characters(tagset.tags),
        )
        if labels:
            encoded = task.encode(train)
            task.linear = LinearModels.fit(
                encoded.tokens,
                encoded.labels,
                vocabulary=len(tokenizer.vocabulary),
                count=len(labels),
                parts=None if unspaced else Parts.learn(tokenizer),
            )
        return task

    @classmethod
    def restore(cls, config: TagConfig, files: Mapping[str, Any]) -> Tag:
        """The task with the codec of a saved model."""
        stored = files["labels.json"]
        try:
            tagset = Tagset.from_json(stored)
            labels = list(stored.get("labels", ()))
            ngrams, forms = (int(stored.get(name) or 0) for name in ("ngrams", "forms"))
            crf, joined = (bool(stored.get(name, False)) for name in ("crf", "joined"))
            unspaced = bool(stored.get("unspaced", joined))  # older models have no cut
            cut = Cut(stored.get("cut", "characters" if unspaced else "spaces"))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise SeqcliError(
                "labels.json of the model is corrupt; train or copy the model again"
            ) from None
        tokenizer = tokenizer_from_json(files["tokenizer.json"])
        task = cls(
            config,
            tokenizer,
            tokenizer_from_json(files["characters.json"]),
            tagset,
            labels=labels,
            crf=crf,
            cut=cut,
            joined=joined,
        )
        if ngrams:
            task.linear = LinearModels.restore(
                ngrams,
                forms or None,
                vocabulary=len(tokenizer.vocabulary),
                count=len(labels),
                parts=Parts.learn(tokenizer) if forms else None,
            )
        return task

    def files(self) -> dict[str, Any]:
        linear = self.linear
        return {
            "tokenizer.json": self.tokenizer.to_json(),
            "characters.json": self.characters.to_json(),
            "labels.json": {
                **self.tagset.to_json(),
                "labels": self.labels,
                "crf": self.crf,
                "cut": self.cut,
                "joined": self.joined,
                "ngrams": len(linear.ngrams.keys_F) if linear else None,
                "forms": len(linear.forms.keys_F) if linear and linear.forms else None,
            },
        }

    def facts(self) -> dict[str, str]:
        facts = {
            "tokens": f"vocabulary {len(self.tokenizer.vocabulary):,}, "
            f"characters {len(self.characters.vocabulary):,}",
            "tags": f"{self.tagset}, {'with' if self.crf else 'without'} CRF",
        }
        if self.labels:
            facts["labels"] = f"{len(self.labels):,}: {name_some(self.labels)}"
        return facts

    def build(self) -> nn.Module:
        return Tagger(
            len(self.tokenizer.vocabulary),
            0 if self.joined else len(self.characters.vocabulary),
            len(self.tags),
            self.config.network,
            labels=len(self.labels),
            linear=copy.deepcopy(self.linear),
            crf=CRF(self.tags, self.scheme) if self.crf else None,
            bptt=self.config.training.bptt,
        )

    def encode(self, rows: Rows) -> Sentences:
        forms: dict[str, int] = {}
        word_of = [forms.setdefault(token, len(forms)) for row in rows["tokens"] for token in row]
        numbers = {label: number for number, label in enumerate(self.labels)}
        labels = rows.columns.get("label", ()) if self.labels else ()
        return Sentences(
            self.tokenizer.encode_tokens(rows["tokens"]),
            self.characters.encode([form or " " for form in forms]).head(LONGEST_WORD),
            np.array(word_of, dtype=np.int64),
            self.tagset.encode(rows.columns.get("tags", ())),
            np.array([numbers.get(label, -1) for label in labels], dtype=np.int64),
        )

    def lookup(self, model: nn.Module, encoded: Sentences) -> Lookup:
        assert isinstance(model, Tagger)
        return Lookup(self.tokenizer, encoded.tokens.values, model.embedding)

    def plan(self, encoded: Sentences, epoch: int) -> list[np.ndarray]:
        training = self.config.training
        return bucket(
            encoded.tokens.lengths, budget=training.batch_tokens, seed=training.seed, epoch=epoch
        )

    def batches(
        self, encoded: Sentences, plan: list[np.ndarray], start: int
    ) -> Iterator[Sentences]:
        for rows in plan[start:]:
            yield encoded.take(rows)

    def emit(self, model: nn.Module, batch: Sentences) -> tuple[Ragged, list[torch.Tensor]]:
        """(N, L) scores of the tags, before the CRF weighs them, and opinions on the labels."""
        device = device_of(model)
        tokens = to_ragged(batch.tokens, device)
        scores_NL, opinions = model(
            tokens,
            to_ragged(batch.words, device),
            torch.from_numpy(batch.word_of).to(device),
        )
        return tokens.with_values(scores_NL.float()), opinions

    def scores(self, model: nn.Module, batch: Sentences) -> torch.Tensor:
        """(N, L) a score for each tag of each token; with a CRF its log-probability, whatever the
        tags of the others are."""
        return self.weigh(model, self.emit(model, batch)[0])

    def weigh(self, model: nn.Module, scores: Ragged) -> torch.Tensor:
        """`scores` from what `emit` gives."""
        crf = crf_of(model)
        return scores.values if crf is None else crf.marginals(scores)

    def prepare(self, model: nn.Module, batch: Sentences) -> Sentences:
        return batch

    def loss(self, model: nn.Module, batch: Sentences, state: Any, *, again: bool = False) -> Loss:
        device = device_of(model)
        scores, opinions = self.emit(model, batch)
        gold_N = torch.from_numpy(batch.tags).to(device)
        crf = crf_of(model)
        if crf is None:
            nats = F.cross_entropy(scores.values, gold_N, reduction="sum")
        else:
            nats = crf.nats(scores, gold_N).sum().float()
        gold_B = torch.from_numpy(batch.labels).to(device)
        for labels_BK in opinions:
            share = F.cross_entropy(labels_BK, gold_B, reduction="sum") / len(opinions)
            nats = nats + LABEL_WEIGHT * share
        return Loss(nats / len(gold_N), len(gold_N), len(gold_N))

    @torch.inference_mode()
    def predict(self, model: nn.Module, rows: Rows, *, paths: int = 0) -> list[Found]:
        """The answer to each row, with so many of the likeliest tags."""
        crf = crf_of(model)
        found = [Found([], None, [])] * len(rows)
        filled = np.flatnonzero([len(row) for row in rows["tokens"]])
        encoded = self.encode(Rows({"tokens": [rows["tokens"][at] for at in filled]}, "input"))
        for part in bucket(encoded.tokens.lengths, budget=PREDICTION_TOKENS):
            scores, opinions = self.emit(model, encoded.take(part))
            best_N = scores.values.argmax(dim=1) if crf is None else crf.decode(scores)
            listed: list[list[Path]] = [[]] * len(part)
            if paths:
                best = list_independent if crf is None else crf.decode_best
                listed = best(scores, paths)
            labels: Sequence[int | None] = [None] * len(part)
            if opinions:
                labels = torch.stack(opinions).mean(0).argmax(dim=1).tolist()
            chosen = best_N.cpu().split(scores.lengths.tolist())
            for row, best_T, label, ways in zip(filled[part], chosen, labels, listed, strict=True):
                found[row] = Found(
                    self.tagset.decode(best_T.tolist()),
                    None if label is None else self.labels[label],
                    [(self.tagset.decode(way.tags), way.log_probability) for way in ways],
                )
        return found

    def tune(self, model: nn.Module, rows: Rows) -> list[str]:
        return []

    def evaluate(self, model: nn.Module, rows: Rows) -> Scores:
        found = self.predict(model, rows)
        return self._judge(rows, [one.tags for one in found], [one.label or "" for one in found])

    def _judge(self, rows: Rows, tags: list[list[str]], labels: Sequence[str]) -> Scores:
        """The scores of answers. What is watched: span F1 where the tags mark spans, else token
        accuracy; where labels are learned too, the mean of that and their accuracy."""
        scores = metrics.tagging(rows["tags"], tags, scheme=self.tagset.written)
        score = scores.get("span_f1", scores["token_accuracy"])
        if self.labels:
            scores |= metrics.joint(rows["tags"], tags, rows["label"], labels, self.labels)
            score = (score + scores["label_accuracy"]) / 2
        return scores | {"score": score}

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        guesses = baselines.tag(train["tokens"], train["tags"])
        label = baselines.label(train["tokens"], train["label"]) if self.labels else None
        judged: dict[str, dict[str, Scores]] = {}
        for split, rows in splits.items():
            tokens = rows["tokens"]
            labels = label(tokens) if label else []
            judged[split] = {
                name: self._judge(rows, guess(tokens), labels) for name, guess in guesses.items()
            }
        return judged

    def read(self, lines: Sequence[str]) -> Rows:
        return self._read_texts(lines)

    def _read_texts(self, values: Sequence[str | list[str]]) -> Rows:
        """Rows of texts, which are cut, or of tokens."""
        tokens = [self.cut.find_tokens(one) if isinstance(one, str) else one for one in values]
        columns: dict[str, list[Any]] = {"tokens": tokens}
        if self.cut is Cut.WORDS:
            columns["text"] = [one if isinstance(one, str) else None for one in values]
        return Rows(columns, "input")

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        column = self._tokens_column
        rows: list[str | list[str]] = []
        for record in records:
            value = read_list(self.find_tokens(record))
            if isinstance(value, list) and all(map(is_written, value)):
                rows.append([write_cell(one) for one in value])
            elif isinstance(value, str):
                rows.append(value)
            elif value is None:
                raise MissingField(column, record)
            else:
                raise SeqcliError(f"field {column!r} is not a list of tokens")
        return self._read_texts(rows)

    @property
    def _tokens_column(self) -> str:
        return self.columns.get("tokens") or self.config.data.tokens_column or "tokens"

    def find_tokens(self, record: Mapping[str, Any]) -> Any:
        """What a record holds where its tokens are looked for, or None."""
        names = (self._tokens_column, "tokens", "text")
        return reach(record, next((one for one in names if has_field(record, one)), names[0]))

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        scored = request.scores or request.n_best > 1
        found = self.predict(model, rows, paths=request.n_best if scored else 0)
        answers = []
        texts = rows.columns.get("text", [None] * len(rows))
        for tokens, text, one in zip(rows["tokens"], texts, found, strict=True):
            record = {"tokens": tokens, **self.tagset.describe(tokens, one.tags, self.cut, text)}
            shown = [] if one.label is None else [one.label]
            if self.labels:
                record["label"] = one.label or ""
            if scored:
                ways = [
                    {**self.tagset.describe(tokens, tags, self.cut, text), "log_probability": share}
                    for tags, share in one.paths
                ]
                record["log_probability"] = ways[0]["log_probability"] if ways else 0.0
                if request.n_best > 1:
                    record["n_best"] = ways
                for tags, share in one.paths:
                    shown += [self._join(tokens, tags), f"{share:.6f}"]
            else:
                shown.append(self._join(tokens, one.tags))
            answers.append(Answer("\t".join(shown), record))
        return answers

    def _join(self, tokens: list[str], tags: list[str]) -> str:
        """A plain answer: each token with its tag, or the text that faces the one given."""
        if self.joined:
            return "".join(tags)
        return " ".join(f"{token}/{tag}" for token, tag in zip(tokens, tags, strict=True))
