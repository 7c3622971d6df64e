"""How good answers are: one function a task, plain numbers in and a plain dict out.

Scores are fractions in [0, 1]. Every result carries a `signature` that says which metric was
computed on which data, so that two numbers can be told comparable or not, and `Scores.tallies`
keep what each row added, for intervals and paired tests.
"""

from __future__ import annotations

from seqcli.metrics.classify import calibration, classification, top_accuracy
from seqcli.metrics.intervals import BOOTSTRAP, intervals
from seqcli.metrics.labels import labelling
from seqcli.metrics.lm import language
from seqcli.metrics.paired import Difference, compare
from seqcli.metrics.signatures import signature
from seqcli.metrics.tag import joint, tagging
from seqcli.metrics.tally import Scores, Tally
from seqcli.metrics.translate import surprise, translation

__all__ = [
    "BOOTSTRAP",
    "Difference",
    "Scores",
    "Tally",
    "calibration",
    "classification",
    "compare",
    "intervals",
    "joint",
    "labelling",
    "language",
    "signature",
    "surprise",
    "tagging",
    "top_accuracy",
    "translation",
]
