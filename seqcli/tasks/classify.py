"""classify: a label for a text (N → 1)."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from seqcli import baselines, metrics
from seqcli.config import ClassifyConfig
from seqcli.data.batches import bucket
from seqcli.data.names import TEXT
from seqcli.data.rows import Rows
from seqcli.data.tokens import Sequences, Tokenizer, tokenizer_from_json, train_tokenizer
from seqcli.data.trees import leaves, train_trees, trees_from_json, words
from seqcli.errors import SeqcliError
from seqcli.nn.classifier import Classifier
from seqcli.nn.ngrams import Ngrams
from seqcli.nn.tree import TreeClassifier
from seqcli.tasks.balance import draw, focal_loss, weigh
from seqcli.tasks.task import Answer, Loss, Request, Scores, device_of, to_ragged
from seqcli.tasks.text import describe_tokens, read_fields, resolve_kind, truncate

PREDICTION_TOKENS = 8_192


class Encoded(NamedTuple):
    """tokens of each row, its label's number (R,) and its weight in the loss (R,)."""

    tokens: Sequences
    labels: np.ndarray
    weights: np.ndarray


class Classify:
    name: ClassVar[str] = "classify"
    higher_is_better: ClassVar[bool] = True
    columns: Mapping[str, str] = types.MappingProxyType({})

    def __init__(
        self,
        config: ClassifyConfig,
        tokenizer: Tokenizer,
        labels: list[str],
        *,
        ngrams: Ngrams | None = None,
        reason: str = "",
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.labels = labels
        self.ngrams = ngrams
        self.reason = reason
        # Accuracy would choose the epoch that serves the large labels best.
        self.watched = "accuracy" if config.training.balance == "none" else "macro_f1"

    @classmethod
    def learn(cls, config: ClassifyConfig, train: Rows) -> Classify:
        """The codec that the training rows call for."""
        tokens = config.tokens
        options: Any = {
            "vocabulary_size": tokens.vocabulary_size,
            "min_count": tokens.min_count,
            "lowercase": tokens.lowercase,
        }
        tokenizer: Tokenizer
        if config.network.cell == "tree":
            tokenizer = trees = train_trees(train["text"], config.network.tree, **options)
            reason = "labels of nodes left out" if trees.labelled else "nodes have no labels"
        else:
            kind, reason = resolve_kind(config, train["text"])
            tokenizer = train_tokenizer(kind, train["text"], **options)
        labels = sorted(set(train["label"]))
        if len(labels) < 2:
            raise SeqcliError(
                f"every training row has the label {labels[0]!r}; there is nothing to tell apart"
            )
        task = cls(config, tokenizer, labels, reason=reason)
        if config.network.ngrams:
            encoded = task.encode(train)
            task.ngrams = Ngrams.fit(
                leaves(tokenizer, encoded.tokens),
                encoded.labels,
                vocabulary=len(tokenizer.vocabulary),
                count=len(labels),
            )
        return task

    @classmethod
    def restore(cls, config: ClassifyConfig, files: Mapping[str, Any]) -> Classify:
        """The codec of a saved model."""
        labels = files["labels.json"]
        known = labels if isinstance(labels, list) else []
        if len(known) < 2 or not all(isinstance(one, str) for one in known):
            raise SeqcliError("labels.json of the model is corrupt; train or copy the model again")
        read = trees_from_json if config.network.cell == "tree" else tokenizer_from_json
        tokenizer = read(files["tokenizer.json"])
        task = cls(config, tokenizer, known)
        if config.network.ngrams:
            size = files["ngrams.json"]["size"]
            task.ngrams = Ngrams(len(tokenizer.vocabulary), len(known), size)
        return task

    def files(self) -> dict[str, Any]:
        files = {"tokenizer.json": self.tokenizer.to_json(), "labels.json": self.labels}
        if self.ngrams is None:
            return files
        return {**files, "ngrams.json": {"size": len(self.ngrams.keys_F)}}

    def facts(self) -> dict[str, str]:
        shown = ", ".join(self.labels[:8]) + (" …" if len(self.labels) > 8 else "")
        return {
            "tokens": describe_tokens(self.tokenizer, self.reason),
            "labels": f"{len(self.labels)}: {shown}",
        }

    def build(self) -> nn.Module:
        sizes, network = (len(self.tokenizer.vocabulary), len(self.labels)), self.config.network
        ngrams = copy.deepcopy(self.ngrams)
        if network.cell == "tree":
            return TreeClassifier(*sizes, network, ngrams=ngrams)
        return Classifier(*sizes, network, bptt=self.config.training.bptt, ngrams=ngrams)

    def encode_text(self, texts: Sequence[str]) -> Sequences:
        return truncate(self.tokenizer.encode(texts), self.config.tokens.max_length)

    def encode(self, rows: Rows) -> Encoded:
        numbers = {label: number for number, label in enumerate(self.labels)}
        labels = np.array([numbers[label] for label in rows["label"]])
        weighed = self.config.training.balance == "weights"
        weights = weigh(labels) if weighed else np.ones(len(labels), dtype=np.float32)
        return Encoded(self.encode_text(rows["text"]), labels, weights)

    def plan(self, encoded: Encoded, epoch: int) -> list[np.ndarray]:
        training = self.config.training
        options: Any = {"budget": training.batch_tokens, "seed": training.seed, "epoch": epoch}
        if training.balance not in ("over", "under"):
            return bucket(encoded.tokens.lengths, **options)
        rows = draw(
            encoded.labels, over=training.balance == "over", seed=training.seed, epoch=epoch
        )
        return [rows[part] for part in bucket(encoded.tokens.lengths[rows], **options)]

    def batches(self, encoded: Encoded, plan: list[np.ndarray], start: int) -> Iterator[Encoded]:
        for rows in plan[start:]:
            yield Encoded(encoded.tokens.take(rows), encoded.labels[rows], encoded.weights[rows])

    def loss(self, model: nn.Module, batch: Encoded, state: Any) -> Loss:
        device, training = device_of(model), self.config.training
        gold_B = torch.from_numpy(batch.labels).to(device)
        losses = [
            focal_loss(scores_BL, gold_B, gamma=training.focal, smoothing=training.label_smoothing)
            for scores_BL in model.opinions(to_ragged(batch.tokens, device))
        ]
        loss_B = torch.stack(losses).mean(0)
        # Divided by the rows, not by their weights: in a batch of one label those would cancel.
        mean = (loss_B * torch.from_numpy(batch.weights).to(device)).mean()
        return Loss(mean, len(batch.labels), len(batch.tokens.values))

    @torch.inference_mode()
    def probabilities(self, model: nn.Module, texts: Sequence[str]) -> np.ndarray:
        """(R, L) the probability of each label for each text."""
        tokens = self.encode_text(texts)
        device = device_of(model)
        found = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        for rows in bucket(tokens.lengths, budget=PREDICTION_TOKENS):
            scores_BL = model(to_ragged(tokens.take(rows), device)).float()
            found[rows] = torch.softmax(scores_BL, dim=1).cpu().numpy()
        return found

    def evaluate(self, model: nn.Module, rows: Rows) -> Scores:
        chosen = self.probabilities(model, rows["text"]).argmax(axis=1)
        predicted = [self.labels[number] for number in chosen]
        return metrics.classification(rows["label"], predicted, self.labels)

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        known = words(self.tokenizer, train["text"])
        judged = {
            split: (words(self.tokenizer, rows["text"]), rows["label"])
            for split, rows in splits.items()
        }
        return baselines.classify(known, train["label"], judged, self.labels)

    def read(self, lines: Sequence[str]) -> Rows:
        words(self.tokenizer, lines)  # what is no tree is told of now, by line
        return Rows({"text": list(lines)}, "input")

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        asked, usual = self.config.data.text_column, self.columns.get("text")
        return self.read(read_fields(records, TEXT, asked=asked, usual=usual))

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        found_RL = self.probabilities(model, rows["text"])
        answers = []
        for row, best in zip(found_RL.tolist(), found_RL.argmax(axis=1).tolist(), strict=True):
            label = self.labels[best]
            record: dict[str, Any] = {"label": label, "probability": round(row[best], 6)}
            plain = label
            if request.probabilities:
                ranked = sorted(zip(self.labels, row, strict=True), key=lambda pair: -pair[1])
                record["probabilities"] = {name: round(value, 6) for name, value in ranked}
                plain += "".join(f"\t{name}={value:.6f}" for name, value in ranked)
            answers.append(Answer(plain, record))
        return answers
