"""Metrics of a sequence for a sequence, by sacreBLEU."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from seqcli.data.words import HAN_KANA, UNSPACED
from seqcli.metrics.counts import check
from seqcli.metrics.signatures import signature
from seqcli.metrics.tally import Measured, Scores, Tally


def translation(hypotheses: Sequence[str], references: Sequence[str]) -> Scores:
    """Corpus BLEU (Papineni et al. 2002) and chrF (Popović 2015) by sacreBLEU, as fractions, and
    the share of rows that equal their reference but for spaces at the ends.

    BLEU splits references in Chinese by sacreBLEU's rules for it, and those in other scripts
    without spaces by character. It is 0 where no line has the four tokens of its longest n-gram.
    """
    from sacrebleu.metrics import BLEU, CHRF

    check(references, hypotheses)
    split = _bleu_tokenization(references)
    bleu, chrf = BLEU(tokenize=split, force=True), CHRF()
    answers, truths, rows = list(hypotheses), [list(references)], len(references)
    # The counts of each row, of which `corpus_score` would take the sum.
    bleu_counts = bleu._extract_corpus_statistics(answers, truths)
    chrf_counts = chrf._extract_corpus_statistics(answers, truths)
    pairs = zip(answers, references, strict=True)
    right_R = np.array([answer.strip() == truth.strip() for answer, truth in pairs])
    exact_RC = np.stack([right_R, np.ones(rows)], axis=1)
    return Scores.of(
        {
            "bleu": bleu._aggregate_and_compute(bleu_counts).score / 100,
            "chrf": chrf._aggregate_and_compute(chrf_counts).score / 100,
            "exact_match": float(right_R.mean()),
            "bleu_signature": str(bleu.get_signature()),
            "chrf_signature": str(chrf.get_signature()),
            "signature": signature("bleu", references, rows=rows, tokens=split),
        },
        Tally(rows, np.array(bleu_counts, dtype=float), _measure_bleu),
        Tally(rows, np.array(chrf_counts, dtype=float), _measure_chrf),
        Tally(rows, exact_RC, _measure_exact, {"exact_match": right_R}),
    )


def surprise(nats_R: np.ndarray, tokens_R: np.ndarray) -> Scores:
    """Mean nats a target token, from the total of each row and its tokens."""
    counts_RC = np.stack([nats_R, tokens_R], axis=1).astype(float)
    mean = float(counts_RC[:, 0].sum() / counts_RC[:, 1].sum())
    return Scores.of({"cross_entropy": mean}, Tally(len(counts_RC), counts_RC, _measure_surprise))


def _measure_surprise(sums_SC: np.ndarray) -> Measured:
    return {"cross_entropy": sums_SC[:, 0] / sums_SC[:, 1]}


def _measure_bleu(sums_SC: np.ndarray) -> Measured:
    """BLEU of sums of sacreBLEU's counts: both lengths, n-grams that match, all n-grams. An order
    without a match counts half as much as a match would, the next a quarter (its smoothing)."""
    length_S, reference_S = sums_SC[:, 0], sums_SC[:, 1]
    matched_SN, all_SN = np.split(sums_SC[:, 2:], 2, axis=1)
    missed_SN = (matched_SN == 0) & (all_SN > 0)
    smooth_SN = 0.5 ** np.cumsum(missed_SN, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision_SN = np.where(missed_SN, smooth_SN, matched_SN) / all_SN
        brevity_S = np.exp(np.minimum(0, 1 - reference_S / length_S))
        score_S = brevity_S * np.exp(np.log(precision_SN).mean(axis=1))
    # Nothing in common, or no answer as long as the longest n-gram: 0 by definition.
    empty_S = ~matched_SN.any(axis=1) | (all_SN == 0).any(axis=1)
    return {"bleu": np.where(empty_S, 0.0, score_S)}


def _measure_chrf(sums_SC: np.ndarray, beta: float = 2.0) -> Measured:
    """chrF of sums of sacreBLEU's counts: for each order n-grams of the answer, of the reference,
    and those that match."""
    answer_SN, truth_SN, matched_SN = np.moveaxis(sums_SC.reshape(len(sums_SC), -1, 3), 2, 0)
    used_SN = (answer_SN > 0) & (truth_SN > 0)
    orders_S = np.maximum(used_SN.sum(axis=1), 1)
    matched_SN = np.where(used_SN, matched_SN, 0)
    precision_S = (matched_SN / np.maximum(answer_SN, 1)).sum(axis=1) / orders_S
    recall_S = (matched_SN / np.maximum(truth_SN, 1)).sum(axis=1) / orders_S
    below_S = beta**2 * precision_S + recall_S
    above_S = (1 + beta**2) * precision_S * recall_S
    return {"chrf": above_S / np.where(below_S > 0, below_S, 1)}


def _measure_exact(sums_SC: np.ndarray) -> Measured:
    return {"exact_match": sums_SC[:, 0] / sums_SC[:, 1]}


def _bleu_tokenization(references: Sequence[str]) -> str:
    sample = "".join(references[:1_000])
    letters = max(len(re.findall(r"[^\W\d_]", sample)), 1)
    if len(re.findall(f"[{UNSPACED}]", sample)) < 0.3 * letters:
        return "13a"
    han = re.findall(rf"(?![\u3040-\u30ff])[{HAN_KANA}]", sample)
    return "zh" if len(han) > 0.9 * letters else "char"
