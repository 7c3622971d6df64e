"""translate: a sequence for a sequence (N → M)."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from seqcli import baselines, metrics
from seqcli.config import Request, TranslateConfig
from seqcli.data.batches import bucket
from seqcli.data.names import PAIRS, TEXT
from seqcli.data.rows import Rows
from seqcli.data.sequences import Sequences
from seqcli.data.tokens import BOS, EOS, Tokenizer, tokenizer_from_json
from seqcli.errors import SeqcliError, UsageError
from seqcli.nn.beam import Hypothesis, Search, beam_search, normalise
from seqcli.nn.ensemble import Ensemble
from seqcli.nn.ragged import to_ragged
from seqcli.nn.translator import Translator
from seqcli.tasks.alignment import copy_unknown, number_words, pharaoh, spell
from seqcli.tasks.forcing import Pairs, mix_guesses, teach
from seqcli.tasks.task import Answer, Lookup, Loss, Scores, device_of
from seqcli.tasks.text import describe_tokens, learn_tokenizer, read_fields

DECODING_TOKENS = 3_072  # source tokens of a batch times hypotheses
SCORING_TOKENS = 4_096  # target tokens of a batch
LONGEST = 1_000
"""Tokens of a translation, at most, where no limit is named."""
LONGEST_LINE = 20_000
"""Characters that are translated at once, at most: ten pages."""

BLANK: dict[str, Any] = {
    "alignment": "",
    "source_tokens": [],
    "target_tokens": [],
    "attention": [],
}
"""What is said of a line without text."""
NOTHING = Hypothesis([], 0.0, 0.0)
"""The one answer to a line without text, which is certain."""


class Written(NamedTuple):
    """The tokens of an answer, and what is said of it."""

    tokens: list[int]
    record: dict[str, Any]


class Lot(NamedTuple):
    """The rows of a batch, and the share of its known target tokens that are guessed instead."""

    rows: np.ndarray
    guessed: float


class Batch(NamedTuple):
    """A batch of training, as its `Lot` wants it."""

    pairs: Pairs
    guessed: float


class Translate:
    """A configuration of translate with its codec; its methods are those of `Task`.

    source, target: the tokenizers, the same one where they share a vocabulary.
    """

    name: ClassVar[str] = "translate"
    # Not BLEU, which is 0 for perfect outputs of fewer than four tokens.
    watched: ClassVar[str] = "chrf"
    higher_is_better: ClassVar[bool] = True
    columns: Mapping[str, str] = types.MappingProxyType({})
    reasons: Sequence[str] = ()

    def __init__(self, config: TranslateConfig, source: Tokenizer, target: Tokenizer) -> None:
        self.config = config
        self.source = source
        self.target = target
        self.cut = 0  # training pairs of which a side was longer than what is read

    @classmethod
    def learn(cls, config: TranslateConfig, train: Rows) -> Translate:
        """The codec that the training rows call for: a tokenizer for each side, or one for both."""
        sides = [(train["source"], train["target"]), (train["target"], ())]
        if config.network.share_vocabulary:
            sides = [([*train["source"], *train["target"]], ())]
        tokenizers, reasons = [], []
        for texts, written in sides:
            tokenizer, reason = learn_tokenizer(config, texts, written=written, joiner=True)
            tokenizers.append(tokenizer)
            reasons.append(reason)
        task = cls(config, tokenizers[0], tokenizers[-1])
        task.reasons = reasons
        return task

    @classmethod
    def restore(cls, config: TranslateConfig, files: Mapping[str, Any]) -> Translate:
        """The task with the codec of a saved model."""
        return cls(
            config,
            tokenizer_from_json(files["source.json"]),
            tokenizer_from_json(files["target.json"]),
        )

    def files(self) -> dict[str, Any]:
        return {"source.json": self.source.to_json(), "target.json": self.target.to_json()}

    def facts(self) -> dict[str, str]:
        found = {
            "source": describe_tokens(self.source, *self.reasons[:1]),
            "target": describe_tokens(self.target, *self.reasons[-1:]),
        }
        if self.cut:
            limit = self.config.tokens.max_length
            found["cut"] = f"pairs with a side longer than {limit:,} tokens: {self.cut:,}"
        return found

    def build(self) -> nn.Module:
        return Translator(
            len(self.source.vocabulary), len(self.target.vocabulary), self.config.network
        )

    def encode_source(self, texts: Sequence[str]) -> Sequences:
        return self._cut_source(self.source.encode(texts, eos=True))

    def encode(self, rows: Rows) -> Pairs:
        source = self.source.encode(rows["source"], eos=True)
        target = self.target.encode(rows["target"], bos=True, eos=True)
        limit = self.config.tokens.max_length
        if limit is not None:
            long = target.lengths > limit + 2
            self.cut = int((long | (source.lengths > limit + 1)).sum())
            # Without the end mark: what is cut is no example of where to end.
            target = target.head(np.where(long, limit + 1, target.lengths))
        return Pairs(self._cut_source(source), target)

    def encode_whole(self, rows: Rows) -> Pairs:
        """Pairs whose targets are not cut, to score them."""
        target = self.target.encode(rows["target"], bos=True, eos=True)
        return Pairs(self.encode_source(rows["source"]), target)

    def _cut_source(self, source: Sequences) -> Sequences:
        """The tokens that are read of each text, and the end mark behind them."""
        limit = self.config.tokens.max_length
        if limit is None:
            return source
        source = source.head(limit + 1)
        source.values[source.offsets[1:] - 1] = EOS
        return source

    def lookup(self, model: nn.Module, encoded: Pairs) -> Lookup:
        assert isinstance(model, Translator)
        return Lookup(
            self.source, encoded.source.values, cast(nn.Embedding, model.source_embedding)
        )

    def plan(self, encoded: Pairs, epoch: int) -> list[Lot]:
        training = self.config.training
        lots = bucket(
            encoded.target.lengths, budget=training.batch_tokens, seed=training.seed, epoch=epoch
        )
        progress = (epoch - 1) / max((training.epochs or 1) - 1, 1)
        return [Lot(rows, training.scheduled_sampling * progress) for rows in lots]

    def batches(self, encoded: Pairs, plan: list[Lot], start: int) -> Iterator[Batch]:
        for rows, guessed in plan[start:]:
            yield Batch(encoded.take(rows), guessed)

    def prepare(self, model: nn.Module, batch: Batch) -> Batch:
        return batch

    def loss(self, model: nn.Module, batch: Batch, state: Any, *, again: bool = False) -> Loss:
        assert isinstance(model, Translator)
        lesson = teach(batch.pairs, device_of(model))
        if batch.guessed:
            lesson = lesson._replace(read=mix_guesses(model, lesson, batch.guessed))
        mean = model.loss(*lesson, smoothing=self.config.training.label_smoothing)
        return Loss(mean, len(lesson.gold_M), len(lesson.gold_M))

    @torch.inference_mode()
    def nats(self, model: nn.Module, pairs: Pairs) -> np.ndarray:
        """(R,) the −log p of each row's target, the end mark counted."""
        assert isinstance(model, Translator | Ensemble)
        found = np.empty(len(pairs.target))
        for rows in bucket(pairs.target.lengths, budget=SCORING_TOKENS):
            lesson = teach(pairs.take(rows), device_of(model))
            nats_M = model.nats(*lesson).double().cpu().numpy()
            found[rows] = np.add.reduceat(nats_M, lesson.read.offsets[:-1].numpy())
        return found

    @torch.inference_mode()
    def search(
        self, model: nn.Module, texts: Sequence[str], request: Request
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of each text; of a blank one `NOTHING`."""
        assert isinstance(model, Translator | Ensemble)
        asks = request.coverage_penalty or request.alignment or request.copy_unknown
        models = model.models if isinstance(model, Ensemble) else [model]
        if asks and all(one.attention is None for one in models):
            raise UsageError(
                "coverage, alignment and copying need attention; this model has --attention none"
            )
        filled = [row for row, text in enumerate(texts) if text.strip()]
        source = self.encode_source([texts[row] for row in filled])
        search = Search(
            beam=max(request.beam, request.n_best),
            length_penalty=request.length_penalty,
            coverage_penalty=request.coverage_penalty,
            no_repeat=request.no_repeat_ngram,
            min_length=request.min_length,
        )
        found = [[NOTHING] for _ in texts]
        for rows in bucket(source.lengths, budget=max(1, DECODING_TOKENS // search.beam)):
            part = source.take(rows)
            limits = [
                request.max_length or max(min(3 * length + 20, LONGEST), request.min_length + 20)
                for length in part.lengths.tolist()
            ]
            encoded = model.encode(to_ragged(part, device_of(model)))
            results = beam_search(model, encoded, search, begin=BOS, end=EOS, limits=limits)
            for row, result in zip(rows, results, strict=True):
                found[filled[row]] = result
        return found

    def tune(self, model: nn.Module, rows: Rows) -> list[str]:
        return []

    @torch.inference_mode()
    def attend(
        self, model: nn.Module, texts: Sequence[str], outputs: Sequence[Sequence[int]]
    ) -> list[np.ndarray]:
        """(T, S) what each written token attended to in the text; end marks are left out."""
        decoder = cast(Translator, model)  # or an ensemble of them, which is used alike
        written = [[BOS, *tokens, EOS] for tokens in outputs]
        pairs = Pairs(self.encode_source(texts), Sequences.of(written))
        found = [np.empty(0)] * len(texts)
        for rows in bucket(pairs.target.lengths, budget=SCORING_TOKENS):
            lesson = teach(pairs.take(rows), device_of(model))
            source = decoder.encode(lesson.source)
            _, _, weights = decoder.decode(
                lesson.read, source, decoder.start(source), hypotheses=lesson.read.offsets
            )
            assert weights is not None
            for row, matrix_TS in zip(rows, weights.split(), strict=True):
                found[row] = matrix_TS[:-1, :-1].cpu().numpy()
        return found

    def evaluate(self, model: nn.Module, rows: Rows, request: Request | None = None) -> Scores:
        answers = self.answer(model, rows, request or Request())
        hypotheses = [answer.record["translation"] for answer in answers]
        scores = metrics.translation(hypotheses, rows["target"])
        pairs = self.encode_whole(rows)
        return scores | metrics.surprise(self.nats(model, pairs), pairs.target.lengths - 1)

    def baselines(self, train: Rows, splits: Mapping[str, Rows]) -> dict[str, dict[str, Scores]]:
        return {
            split: baselines.translate(rows["source"], rows["target"])
            for split, rows in splits.items()
        }

    def read(self, lines: Sequence[str]) -> Rows:
        for line in lines:
            check_length(line)
        return Rows({"source": list(lines)}, "input")

    def read_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        return self.read(self._fields(records, "source"))

    def _fields(self, records: Sequence[Mapping[str, Any]], side: str) -> list[str]:
        known = [pair[side == "target"] for pair in PAIRS] + ([*TEXT] if side == "source" else [])
        asked, usual = getattr(self.config.data, side), self.columns.get(side)
        flat = [_unfold(record, usual or asked) for record in records]
        return read_fields(flat, known, asked=asked, usual=usual)

    def read_pairs(self, lines: Sequence[str]) -> Rows:
        """Lines of a source and a target, by a tab. Raises SeqcliError for one without."""
        sides = [line.partition("\t") for line in lines]
        if any(line.strip() and not tab for line, (_, tab, _) in zip(lines, sides, strict=True)):
            raise SeqcliError("no tab between source and target")
        return self._pairs([source for source, _, _ in sides], [target for _, _, target in sides])

    def read_pair_records(self, records: Sequence[Mapping[str, Any]]) -> Rows:
        """JSON records of a source and a target."""
        return self._pairs(self._fields(records, "source"), self._fields(records, "target"))

    def _pairs(self, sources: list[str], targets: list[str]) -> Rows:
        for text in (*sources, *targets):
            check_length(text)
        return Rows({"source": sources, "target": targets}, "input")

    def answer(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        if request.score_pairs:
            return self._answer_pairs(model, rows, request)
        texts = rows["source"]
        found = [list(map(self._write, best)) for best in self.search(model, texts, request)]
        if request.copy_unknown:  # which decides how they read
            self._explain(model, texts, found, request)
        found = [_choose_distinct(best, request.n_best) for best in found]
        if request.alignment and not request.copy_unknown:
            self._explain(model, texts, found, request)
        answers = []
        for text, ways in zip(texts, found, strict=True):
            best = [one.record for one in ways]
            if not text.strip():
                best = [one | {name: BLANK[name] for name in BLANK if name in one} for one in best]
            record: dict[str, Any] = dict(best[0])
            if request.n_best > 1:
                record["n_best"] = best
            parts = []
            for one in best:
                parts.append(one["translation"])
                if request.scores or request.n_best > 1:
                    parts.append(f"{one['score']:.6f}")
                if request.alignment:
                    parts.append(one["alignment"])
            answers.append(Answer("\t".join(parts), record))
        return answers

    def _write(self, found: Hypothesis) -> Written:
        record = {"translation": self.target.decode(found.tokens), **found.facts()}
        return Written(found.tokens, record)

    def _explain(
        self,
        model: nn.Module,
        texts: Sequence[str],
        written: list[list[Written]],
        request: Request,
    ) -> None:
        """Add alignments, and unknown words of the source, to what was written."""
        pairs = [(text, one) for text, ways in zip(texts, written, strict=True) for one in ways]
        outputs = [one.tokens for _, one in pairs]
        matrices = self.attend(model, [text for text, _ in pairs], outputs)
        for (text, (ids, record)), matrix_TS in zip(pairs, matrices, strict=True):
            source = self.source.split(text)[: matrix_TS.shape[1]]
            if request.copy_unknown:
                record["translation"] = copy_unknown(self.target, ids, matrix_TS, source)
            if request.alignment:
                if not request.copy_unknown:  # what is not written has no place
                    matrix_TS = matrix_TS[[at for at, number in enumerate(ids) if number > EOS]]
                    ids = [number for number in ids if number > EOS]
                target = spell(self.target, ids)
                numbers = number_words(self.target, target), number_words(self.source, source)
                record["alignment"] = pharaoh(matrix_TS[:, : len(source)], *numbers)
                record["source_tokens"], record["target_tokens"] = source, target
                record["attention"] = matrix_TS.round(6).tolist()

    def _answer_pairs(self, model: nn.Module, rows: Rows, request: Request) -> list[Answer]:
        """The log-probability of each given target; nothing of a blank line."""
        pairs = self.encode_whole(rows)
        answers = []
        logs, counts = (-self.nats(model, pairs)).tolist(), (pairs.target.lengths - 1).tolist()
        blank = [not (a.strip() or b.strip()) for a, b in zip(*rows.columns.values(), strict=True)]
        for log, count, nothing in zip(logs, counts, blank, strict=True):
            score = normalise(log, count, request.length_penalty)
            record = {"log_probability": log, "score": score, "tokens": count}
            answers.append(Answer("" if nothing else f"{log:.6f}", record))
        return answers


def _unfold(record: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    """A record with what lies in one of its objects, as in {"translation": {"en": …, "fr": …}}."""
    for value in record.values():
        if isinstance(value, Mapping) and name in value and name not in record:
            return {**record, **value}
    return record


def _choose_distinct(ways: list[Written], count: int) -> list[Written]:
    """The first `count` that read differently."""
    found: dict[str, Written] = {}
    for one in ways:
        found.setdefault(one.record["translation"], one)
    return list(found.values())[:count]


def check_length(line: str) -> None:
    """Raise SeqcliError for a line that is too long to be one sentence."""
    if len(line) > LONGEST_LINE:
        raise SeqcliError(
            f"{len(line):,} characters are too many to translate at once; "
            f"split the line into pieces of at most {LONGEST_LINE:,}"
        )
