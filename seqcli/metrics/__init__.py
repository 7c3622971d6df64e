"""How good answers are: one function a task, plain numbers in and a plain dict out.

Scores are fractions in [0, 1]. Every result carries a `signature` that says which metric was
computed on which data, so that two numbers can be told comparable or not.
"""

from __future__ import annotations

from seqcli.metrics.classify import classification
from seqcli.metrics.lm import language
from seqcli.metrics.signatures import signature
from seqcli.metrics.tag import joint, tagging
from seqcli.metrics.translate import translation

__all__ = [
    "classification",
    "joint",
    "language",
    "signature",
    "tagging",
    "translation",
]
