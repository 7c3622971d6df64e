"""classify: a label for a text (N → 1), or any number of labels."""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from seqcli.config import ClassifyConfig, Request
from seqcli.data.batches import bucket, tells
from seqcli.data.names import TEXT
from seqcli.data.rows import Rows
from seqcli.data.sequences import Sequences
from seqcli.data.spelling import Spelling
from seqcli.data.tokens import Tokenizer, WordTokenizer, tokenizer_from_json
from seqcli.data.trees import leaves, train_trees, trees_from_json, words
from seqcli.errors import SeqcliError, UsageError
from seqcli.nn.classifier import Classifier
from seqcli.nn.ragged import to_ragged
from seqcli.nn.spelling import LinearModels, Parts, SpelledEmbedding
from seqcli.nn.tree import TreeClassifier
from seqcli.tasks.many_labels import ManyLabels
from seqcli.tasks.one_label import OneLabel
from seqcli.tasks.task import Answer, Lookup, Loss, Scores, device_of
from seqcli.tasks.text import describe_tokens, learn_tokenizer, limits_of, read_fields

PREDICTION_TOKENS = 8_192  # of a batch
LONGEST = 100_000
"""Tokens of a text that are read where no limit is named: memory stays bounded."""
SEPARATOR = "|"
"""Between the labels of an answer, where the data named no other."""
SIDES = ("text", "pair")
LONGEST_NGRAM = {"character": 3}
"""Tokens of an n-gram at most, by kind of token; 2 of others, which say more."""


class Encoded(NamedTuple):
    """tokens of each row, of pairs in two sequences; its label's number (R,) or which labels it has
    (R, L); and their weight in the loss, of the same shape."""

    tokens: Sequences
    labels: np.ndarray
    weights: np.ndarray


class Prepared(NamedTuple):
    """A batch as a network reads it, its labels and their weights, and how many tokens it has."""

    reading: Any
    gold: torch.Tensor
    weights: torch.Tensor
    tokens: int


OFTEN = 500
"""How often each token must be seen in training, on average, for none to be memorised."""
WORD_DROPOUT, ADVERSARIAL = 0.1, 0.15


class Classify:
    """A configuration of classify with its codec; its methods are those of `Task`.

    decision: from scores to labels, one or any number a text. linear: the models beside the
    network, without their trained weights.
    """

    name: ClassVar[str] = "classify"
    higher_is_better: ClassVar[bool] = True
    columns: Mapping[str, str] = types.MappingProxyType({})
    reasons: Sequence[str] = ()

    def __init__(
        self,
        config: ClassifyConfig,
        tokenizer: Tokenizer,
        decision: OneLabel | ManyLabels,
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.decision: Any = decision
        self.linear: LinearModels | None = None
        self.cut = 0  # training texts that were longer than what is read of them

    @classmethod
    def learn(cls, config: ClassifyConfig, train: Rows) -> Classify:
        """The task with its codec, learned from the training rows."""
        if {*SIDES} <= train.names.keys() and config.data.pair_column is None:  # found by name
            text, pair = (train.names[role] for role in SIDES)
            data = replace(config.data, text_column=text, pair_column=pair)
            config = replace(config, data=data)
        if config.network.cell == "tree" and config.data.pair_column is not None:
            raise UsageError("--cell tree reads one tree a text; leave --pair-column out")
        texts = [text for role in SIDES for text in train.columns.get(role, ())]
        tokenizer: Tokenizer
        if config.network.cell == "tree":
            tokenizer = trees = train_trees(texts, config.network.tree, **limits_of(config.tokens))
            reason = "labels of nodes left out" if trees.labelled else "nodes have no labels"
        else:
            tokenizer, reason = learn_tokenizer(config, texts)
            if config.network.spelling and isinstance(tokenizer, WordTokenizer):
                tokenizer = replace(tokenizer, spelling=Spelling.learn(tokenizer.tokens))
        decision: OneLabel | ManyLabels
        if isinstance(train["label"][0], str):
            decision = OneLabel.learn(config.training, train["label"])
        else:
            separator = config.data.label_separator or SEPARATOR
            decision = ManyLabels.learn(config.training, train["label"], separator=separator)
        task = cls(config, tokenizer, decision)
        task.reasons = [reason]
        whole = task._list_tokens(train)
        task.config = _settle(config, whole, len(tokenizer.vocabulary))
        if config.network.ngrams:
            encoded = task._cut(whole, train)
            tokens = task._join(encoded.tokens)
            task.linear = LinearModels.fit(
                leaves(tokenizer, task.ids(tokens)),
                encoded.labels,
                vocabulary=len(tokenizer.vocabulary),
                count=len(task.labels),
                longest=LONGEST_NGRAM.get(tokenizer.kind, 2),
                parts=find_parts(tokenizer),
                numbers=tokens,
            )
        return task

    @classmethod
    def restore(cls, config: ClassifyConfig, files: Mapping[str, Any]) -> Classify:
        """The task with the codec of a saved model."""
        labels, calibration = files["labels.json"], files.get("calibration.json")
        kind: Any = ManyLabels if isinstance(labels, dict) else OneLabel
        decision = kind.restore(config.training, labels, calibration)
        read = trees_from_json if config.network.cell == "tree" else tokenizer_from_json
        tokenizer = read(files["tokenizer.json"])
        task = cls(config, tokenizer, decision)
        if config.network.ngrams:
            facts = files["ngrams.json"]
            try:
                forms = facts.get("forms")
                task.linear = LinearModels.restore(
                    int(facts["size"]),
                    None if forms is None else int(forms),
                    vocabulary=len(tokenizer.vocabulary),
                    count=len(task.labels),
                    longest=int(facts.get("longest", 2)),
                    parts=find_parts(tokenizer),
                )
            except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):
                raise SeqcliError(
                    "ngrams.json of the model is corrupt; train or copy the model again"
                ) from None
        return task

    @property
    def watched(self) -> str:
        return self.decision.watched

    @property
    def pairs(self) -> bool:
        """Whether a row is two texts."""
        return self.config.data.pair_column is not None

    @property
    def labels(self) -> list[str]:
        return self.decision.labels

    def files(self) -> dict[str, Any]:
        files = {"tokenizer.json": self.tokenizer.to_json(), **self.decision.files()}
        if self.linear is None:
            return files
        facts = self.linear.ngrams.facts()
        if self.linear.forms is not None:
            facts["forms"] = len(self.linear.forms.keys_F)
        return {**files, "ngrams.json": facts}

    def facts(self) -> dict[str, str]:
        tokens = describe_tokens(self.tokenizer, *self.reasons)
        found = {"tokens": tokens, **self.decision.facts()}
        if self.cut:
            found["cut"] = f"texts longer than {self._limit:,} tokens: {self.cut:,}"
        return found

    @property
    def _limit(self) -> int:
        if self.config.network.cell == "tree":
            return sys.maxsize  # half a tree is none
        return self.config.tokens.max_length or LONGEST

    def build(self) -> nn.Module:
        labels, network = len(self.labels), self.config.network
        linear = copy.deepcopy(self.linear)
        if network.cell == "tree":
            return TreeClassifier(len(self.tokenizer.vocabulary), labels, network, linear=linear)
        bptt = self.config.training.bptt
        return Classifier(
            self.tokenizer, labels, network, pairs=self.pairs, bptt=bptt, linear=linear
        )

    def ids(self, tokens: Sequences) -> Sequences:
        """The same tokens without their spelling, as ids of the vocabulary."""
        if not getattr(self.tokenizer, "spelling", None):
            return tokens
        return Sequences(tokens.values % len(self.tokenizer.vocabulary), tokens.offsets)

    def encode(self, rows: Rows) -> Encoded:
        return self._cut(self._list_tokens(rows), rows)

    def _cut(self, whole: Sequences, rows: Rows) -> Encoded:
        """The rows of these tokens, truncated to what is read of them."""
        labels = self.decision.encode(self.decision.read(rows))
        self.cut = int((whole.lengths > self._limit).sum())
        tokens = whole.head(self._limit)
        return Encoded(tokens, labels, self.decision.weigh(labels))

    def encode_rows(self, rows: Rows) -> Sequences:
        """The tokens of each row; a pair makes two sequences."""
        return self._list_tokens(rows).head(self._limit)

    def _list_tokens(self, rows: Rows) -> Sequences:
        """The whole tokens of each row; of a pair, both texts one after the other."""
        if not self.pairs:
            return self.tokenizer.encode(rows["text"])
        both = zip(rows["text"], rows["pair"], strict=True)
        return self.tokenizer.encode([text for pair in both for text in pair])

    def lengths(self, tokens: Sequences) -> np.ndarray:
        """(R,) the number of tokens of each row."""
        return self._join(tokens).lengths

    def _join(self, tokens: Sequences) -> Sequences:
        """The same tokens, the two texts of a pair as one sequence."""
        return Sequences(tokens.values, tokens.offsets[::2]) if self.pairs else tokens

    def take(self, tokens: Sequences, rows_B: np.ndarray) -> Sequences:
        """The tokens of some rows."""
        return tokens.take((2 * rows_B[:, None] + [0, 1]).ravel() if self.pairs else rows_B)

    def lookup(self, model: nn.Module, encoded: Encoded) -> Lookup:
        assert isinstance(model, Classifier | TreeClassifier)
        tokens = self.ids(leaves(self.tokenizer, encoded.tokens))
        embedding = model.embedding
        if isinstance(embedding, SpelledEmbedding):
            embedding = embedding.words
        return Lookup(self.tokenizer, tokens.values, embedding)

    def plan(self, encoded: Encoded, epoch: int) -> list[np.ndarray]:
        training = self.config.training
        rows = self.decision.draw(encoded.labels, epoch=epoch)
        if rows is None:
            rows = np.arange(len(encoded.labels))
        lengths, labels = self.lengths(encoded.tokens)[rows], encoded.labels[rows]
        batches = bucket(
            lengths,
            budget=training.batch_tokens,
            seed=training.seed,
            epoch=epoch,
            mixed=labels.ndim == 1 and tells(lengths, labels),
        )
        return [rows[batch] for batch in batches]

    def batches(self, encoded: Encoded, plan: list[np.ndarray], start: int) -> Iterator[Encoded]:
        for rows in plan[start:]:
            yield Encoded(
                self.take(encoded.tokens, rows), encoded.labels[rows], encoded.weights[rows]
            )

    def prepare(self, model: nn.Module, batch: Encoded) -> Prepared:
        device = device_of(model)
        gold, weights = (torch.from_numpy(one).to(device) for one in (batch.labels, batch.weights))
        reading = cast(Classifier, model).prepare(to_ragged(batch.tokens, device))
        return Prepared(reading, gold, weights, len(batch.tokens.values))

    def loss(self, model: nn.Module, batch: Prepared, state: Any, *, again: bool = False) -> Loss:
        network, gold = cast(Classifier, model), (batch.gold, batch.weights)
        mean = self.decision.loss(network.read(batch.reading), *gold)
        apart = None
        if self.linear is not None:  # each learns for itself: the mean of both
            mean = mean / 2
            if not again and (scores_BL := network.recall(batch.reading)) is not None:
                apart = self.decision.loss(scores_BL, *gold) / 2
        return Loss(mean, len(batch.gold), batch.tokens, apart=apart)

    @torch.inference_mode()
    def scores(self, model: nn.Module, rows: Rows) -> np.ndarray:
        """(R, L) a score for each label of each row, before it is a probability."""
        tokens = self.encode_rows(rows)
        device = device_of(model)
        found = np.empty((len(rows), len(self.labels)), dtype=np.float32)
        for batch in bucket(self.lengths(tokens), budget=PREDICTION_TOKENS):
            scores_BL = model(to_ragged(self.take(tokens, batch), device)).float()
            found[batch] = scores_BL.cpu().numpy()
        return found

    def probabilities(self, model: nn.Module, rows: Rows) -> np.ndarray:
        """(R, L) the calibrated probability of each label for each row."""
        return self.decision.probabilities(torch.from_numpy(self.scores(model, rows))).numpy()

    def tune(self, model: nn.Module, rows: Rows) -> list[str]:
        return self.decision.tune(self.scores(model, rows), self.decision.read(rows))

    def evaluate(self, model: nn.Module, rows: Rows) -> Scores:
        return self.decision.score(self.scores(model, rows), self.decision.read(rows))

    def mistakes(self, model: nn.Module, rows: Rows, *, count: int) -> list[dict[str, Any]]:
        """The rows answered wrongly of whose true labels the model was least aware, worst first:
        row from 1 of those read, text, gold, predicted, and the probabilities of both."""
        scores_RL = self.scores(model, rows)
        found = self.decision.mistakes(scores_RL, self.decision.read(rows), count=count)
        texts = {role: rows[role] for role in SIDES if role in rows.columns}
        return [
            {"row": row + 1, **{role: values[row] for role, values in texts.items()}, **record}
            for row, record in found
        ]

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        judged = {
            split: (self._words(rows), self.decision.read(rows)) for split, rows in splits.items()
        }
        return self.decision.baselines(self._words(train), self.decision.read(train), judged)

    def read(self, lines: Sequence[str]) -> Rows:
        if not self.pairs:
            words(self.tokenizer, lines)  # what is no tree is told of now, by line
            return Rows({"text": list(lines)}, "input")
        cells = [line.partition("\t") for line in lines]
        if any(line.strip() and not tab for line, (_, tab, _) in zip(lines, cells, strict=True)):
            raise SeqcliError("the model labels pairs of texts: write both, separated by a tab")
        return Rows({"text": [one[0] for one in cells], "pair": [one[2] for one in cells]}, "input")

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        data = self.config.data
        asked, usual = data.text_column, self.columns.get("text")
        texts = read_fields(records, TEXT, asked=asked, usual=usual)
        if data.pair_column is None:
            return self.read(texts)
        usual = self.columns.get("pair")
        others = read_fields(records, (), asked=data.pair_column, usual=usual)
        return Rows({"text": texts, "pair": others}, "input")

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        return self.decision.answer(self.probabilities(model, rows), request)

    def _words(self, rows: Rows) -> Sequence[str]:
        """Each row's text as a bag of words takes it: of trees the words, of pairs both texts."""
        if not self.pairs:
            return words(self.tokenizer, rows["text"])
        return [f"{text} {other}" for text, other in zip(rows["text"], rows["pair"], strict=True)]


def find_parts(tokenizer: Tokenizer) -> Parts | None:
    """The parts of the words' spelling, if the tokenizer has one."""
    spelling = getattr(tokenizer, "spelling", None)
    return Parts(cast(WordTokenizer, tokenizer), spelling) if spelling else None


def _settle(config: ClassifyConfig, tokens: Sequences, vocabulary: int) -> ClassifyConfig:
    """The configuration with defaults that keep words from being memorised, where none are given.

    A few tokens that come again and again, such as letters, digits or brackets, call for none of
    it: each of them counts, and another one in its place is another text.
    """
    rare = len(tokens.values) < OFTEN * vocabulary
    network, training = config.network, config.training
    if network.word_dropout is None:
        network = replace(network, word_dropout=WORD_DROPOUT if rare else 0.0)
    if training.adversarial is None:
        training = replace(training, adversarial=ADVERSARIAL if rare else 0.0)
    return replace(config, network=network, training=training)
