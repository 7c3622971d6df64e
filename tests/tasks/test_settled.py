"""What classify chooses by the training text where nothing is asked."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from conftest import Quiet, make_rows, tiny

from seqcli import bundle, run
from seqcli.data.rows import Rows
from seqcli.tasks.classify import Classify

WORDS = [row["text"] for row in make_rows(40, seed=1)]
BITS = ["".join(random.Random(i).choices("01", k=30)) for i in range(100)]


@pytest.mark.parametrize(
    ("texts", "asked", "dropped", "moved"),
    [
        (WORDS, {}, 0.1, 0.15),
        (BITS, {}, 0.0, 0.0),  # 3,000 characters, 5 kinds
        (BITS, {"word_dropout": 0.2, "adversarial": 0.3}, 0.2, 0.3),
        (WORDS, {"word_dropout": 0.0, "adversarial": 0.0}, 0.0, 0.0),
    ],
)
def test_help_against_learning_by_heart(
    texts: list[str], asked: dict[str, Any], dropped: float, moved: float
) -> None:
    labels = [str(i % 2) for i in range(len(texts))]
    config = tiny("classify", None, **{"ngrams": False, **asked})
    task = Classify.learn(config, Rows({"text": texts, "label": labels}, "test"))
    assert (task.config.network.word_dropout, task.config.training.adversarial) == (dropped, moved)


def test_what_was_chosen_is_saved(tmp_path: Path, data: Path) -> None:
    run.train(tiny("classify", data, epochs=1), tmp_path / "m", Quiet())
    config = bundle.load_task(tmp_path / "m").config
    assert (config.network.word_dropout, config.training.adversarial) == (0.1, 0.15)
