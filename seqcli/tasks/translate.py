"""translate: a sequence for a sequence (N → M)."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from seqcli import baselines, metrics
from seqcli.config import TranslateConfig
from seqcli.data.batches import bucket
from seqcli.data.names import PAIRS, TEXT
from seqcli.data.rows import Rows
from seqcli.data.tokens import (
    BOS,
    EOS,
    Sequences,
    Tokenizer,
    tokenizer_from_json,
    train_tokenizer,
)
from seqcli.errors import SeqcliError
from seqcli.nn.decode import Hypothesis, beam_search
from seqcli.nn.translator import Translator
from seqcli.tasks.task import Answer, Loss, Request, Scores, device_of, to_ragged
from seqcli.tasks.text import describe_tokens, read_fields, resolve_kind, truncate

DECODING_TOKENS = 3_072
SCORING_TOKENS = 4_096
LONGEST = 1_000
"""Tokens of a translation, at most, where no limit is named."""
LONGEST_LINE = 20_000
"""Characters that are translated at once, at most: ten pages."""


class Pairs(NamedTuple):
    """Source closed by EOS; target between BOS and EOS."""

    source: Sequences
    target: Sequences


class Translate:
    name: ClassVar[str] = "translate"
    # Not BLEU, which is 0 for perfect outputs of fewer than four tokens.
    watched: ClassVar[str] = "chrf"
    higher_is_better: ClassVar[bool] = True
    columns: Mapping[str, str] = types.MappingProxyType({})

    def __init__(
        self,
        config: TranslateConfig,
        source: Tokenizer,
        target: Tokenizer,
        reasons: tuple[str, str] = ("", ""),
    ) -> None:
        self.config = config
        self.source = source
        self.target = target
        self.reasons = reasons

    @classmethod
    def learn(cls, config: TranslateConfig, train: Rows) -> Translate:
        """The codec that the training rows call for: a tokenizer for each side."""
        tokenizers, reasons = [], []
        for side in ("source", "target"):
            kind, reason = resolve_kind(config, train[side])
            tokens = config.tokens
            tokenizer = train_tokenizer(
                kind,
                train[side],
                vocabulary_size=tokens.vocabulary_size,
                min_count=tokens.min_count,
                lowercase=tokens.lowercase,
                joiner=True,
            )
            tokenizers.append(tokenizer)
            reasons.append(reason)
        return cls(config, tokenizers[0], tokenizers[1], (reasons[0], reasons[1]))

    @classmethod
    def restore(cls, config: TranslateConfig, files: Mapping[str, Any]) -> Translate:
        """The codec of a saved model."""
        return cls(
            config,
            tokenizer_from_json(files["source.json"]),
            tokenizer_from_json(files["target.json"]),
        )

    def files(self) -> dict[str, Any]:
        return {"source.json": self.source.to_json(), "target.json": self.target.to_json()}

    def facts(self) -> dict[str, str]:
        return {
            "source": describe_tokens(self.source, self.reasons[0]),
            "target": describe_tokens(self.target, self.reasons[1]),
        }

    def build(self) -> nn.Module:
        return Translator(
            len(self.source.vocabulary), len(self.target.vocabulary), self.config.network
        )

    def encode_source(self, texts: Sequence[str]) -> Sequences:
        return truncate(self.source.encode(texts, eos=True), self.config.tokens.max_length)

    def encode(self, rows: Rows) -> Pairs:
        target = self.target.encode(rows["target"], bos=True, eos=True)
        return Pairs(
            self.encode_source(rows["source"]), truncate(target, self.config.tokens.max_length)
        )

    def plan(self, encoded: Pairs, epoch: int) -> list[np.ndarray]:
        training = self.config.training
        return bucket(
            encoded.target.lengths, budget=training.batch_tokens, seed=training.seed, epoch=epoch
        )

    def batches(self, encoded: Pairs, plan: list[np.ndarray], start: int) -> Iterator[Pairs]:
        for rows in plan[start:]:
            yield Pairs(encoded.source.take(rows), encoded.target.take(rows))

    def loss(self, model: nn.Module, batch: Pairs, state: Any) -> Loss:
        smoothing = self.config.training.label_smoothing
        scores_MV, gold_M = self._teach(model, batch)
        mean = F.cross_entropy(scores_MV, gold_M, label_smoothing=smoothing)
        return Loss(mean, len(gold_M), len(gold_M))

    def _teach(self, model: nn.Module, batch: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (M, V) of each next target token given the true ones before, and the truth (M,).

        target   BOS a b EOS        read   BOS a b        predicted   a b EOS
        """
        device = device_of(model)
        target = to_ragged(batch.target, device)
        real_N = torch.ones(len(target.values), dtype=torch.bool)
        last_N, first_N = real_N.clone(), real_N.clone()
        last_N[target.offsets[1:] - 1] = False
        first_N[target.offsets[:-1]] = False
        bounds = target.offsets - torch.arange(len(target.offsets))
        read = target._replace(values=target.values[last_N.to(device)], offsets=bounds)
        scores_MV = model(to_ragged(batch.source, device), read).float()
        return scores_MV, target.values[first_N.to(device)]

    @torch.inference_mode()
    def nats(self, model: nn.Module, pairs: Pairs) -> np.ndarray:
        """(R,) the −log p of each row's target, the end mark counted."""
        found = np.empty(len(pairs.target))
        for part in bucket(pairs.target.lengths, budget=SCORING_TOKENS):
            batch = Pairs(pairs.source.take(part), pairs.target.take(part))
            scores_MV, gold_M = self._teach(model, batch)
            nats_M = F.cross_entropy(scores_MV, gold_M, reduction="none").double().cpu().numpy()
            starts = batch.target.offsets[:-1] - np.arange(len(part))
            found[part] = np.add.reduceat(nats_M, starts)
        return found

    @torch.inference_mode()
    def search(
        self, model: nn.Module, texts: Sequence[str], request: Request
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of each text."""
        assert isinstance(model, Translator)
        source = self.encode_source(texts)
        width = max(request.beam, request.n_best)
        found: list[list[Hypothesis]] = [[] for _ in texts]
        for rows in bucket(source.lengths, budget=max(1, DECODING_TOKENS // width)):
            part = source.take(rows)
            limits = [
                request.max_length or min(3 * length + 20, LONGEST)
                for length in part.lengths.tolist()
            ]
            encoded = model.encode(to_ragged(part, device_of(model)))
            results = beam_search(
                model,
                encoded,
                beam=width,
                begin=BOS,
                end=EOS,
                limits=limits,
                penalty=request.length_penalty,
            )
            for row, result in zip(rows, results, strict=True):
                found[row] = result
        return found

    def evaluate(self, model: nn.Module, rows: Rows, request: Request | None = None) -> Scores:
        found = self.search(model, rows["source"], request or Request())
        hypotheses = [self.target.decode(best[0].tokens) for best in found]
        scores = metrics.translation(hypotheses, rows["target"])
        pairs = self.encode(rows)
        return scores | metrics.surprise(self.nats(model, pairs), pairs.target.lengths - 1)

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        return {
            split: baselines.translate(rows["source"], rows["target"])
            for split, rows in splits.items()
        }

    def read(self, lines: Sequence[str]) -> Rows:
        for line in lines:
            if len(line) > LONGEST_LINE:
                raise SeqcliError(
                    f"{len(line):,} characters are too many to translate at once; "
                    f"split the line into pieces of at most {LONGEST_LINE:,}"
                )
        return Rows({"source": list(lines)}, "input")

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        known = [source for source, _ in PAIRS] + [*TEXT]
        asked, usual = self.config.data.source, self.columns.get("source")
        return self.read(read_fields(records, known, asked=asked, usual=usual))

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        answers = []
        for text, found in zip(
            rows["source"], self.search(model, rows["source"], request), strict=True
        ):
            best = [
                {
                    "translation": self.target.decode(one.tokens) if text.strip() else "",
                    "log_probability": one.log_probability,
                    "score": one.score,
                }
                for one in found[: request.n_best]
            ]
            record: dict[str, Any] = dict(best[0])
            if request.n_best > 1:
                record["n_best"] = best
            shown = [
                [one["translation"], f"{one['score']:.6f}"]
                if request.scores or request.n_best > 1
                else [one["translation"]]
                for one in best
            ]
            answers.append(Answer("\t".join(part for one in shown for part in one), record))
        return answers
