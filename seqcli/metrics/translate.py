"""Metrics of a sequence for a sequence, by sacreBLEU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from seqcli.data.words import HAN_KANA, UNSPACED
from seqcli.metrics.counts import check
from seqcli.metrics.signatures import signature


def translation(
    hypotheses: Sequence[str], references: Sequence[str], *, target_language: str | None = None
) -> dict[str, Any]:
    """Corpus BLEU (Papineni et al. 2002) and chrF (Popović 2015) by sacreBLEU, as fractions.

    BLEU splits Chinese by sacreBLEU's rules for it and other unspaced scripts by character, told
    by `target_language` (a code such as "zh") or else by the references.
    """
    from sacrebleu.metrics import BLEU, CHRF

    check(references, hypotheses)
    split = _bleu_tokenization(references, target_language)
    bleu, chrf = BLEU(tokenize=split, force=True), CHRF()
    answers, truths = list(hypotheses), [list(references)]
    return {
        "bleu": bleu.corpus_score(answers, truths).score / 100,
        "chrf": chrf.corpus_score(answers, truths).score / 100,
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
        "signature": signature("bleu", references, rows=len(references), tokens=split),
    }


def _bleu_tokenization(references: Sequence[str], language: str | None) -> str:
    sample = "".join(references[:1_000])
    letters = max(len(re.findall(r"[^\W\d_]", sample)), 1)
    if language and re.match(r"zh|cmn|yue", language.lower()):
        return "zh"
    if len(re.findall(f"[{UNSPACED}]", sample)) < 0.3 * letters:
        return "13a"
    han = re.findall(rf"(?![\u3040-\u30ff])[{HAN_KANA}]", sample)
    return "zh" if len(han) > 0.9 * letters else "char"
