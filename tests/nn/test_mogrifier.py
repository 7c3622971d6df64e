"""The Mogrifier LSTM with any number of rounds: in `layers.LAYERS` it has five."""

from __future__ import annotations

import pytest
import torch
from checks import worst
from layers import RECURRENT, make_mogrifier, make_problem, results, run_native

from seqcli.nn.native import status

pytestmark = [
    pytest.mark.skipif(not status().available, reason=status().reason),
    pytest.mark.usefixtures("one_thread"),
]
LENGTHS = [3, 0, 1, 9, 5, 7, 2, 2, 11, 4]


@pytest.mark.parametrize("rounds", [1, 2, 4, 6])
@pytest.mark.parametrize("reverse", [False, True])
def test_agrees_with_the_paper(rounds, reverse):
    shape = {"inputs": 9, "hidden": 35, "reverse": reverse}
    problem = make_problem(make_mogrifier(rounds), LENGTHS, **shape)
    error, name = worst(results(problem, "fp32"), results(problem, None))
    assert error < 5e-6, name


def test_without_rounds_it_is_an_lstm():
    problem = make_problem(make_mogrifier(0), LENGTHS, inputs=7, hidden=19)
    y, last = run_native(problem, problem.tensors)
    lstm = problem._replace(layer=RECURRENT["lstm"])
    same, same_last = run_native(lstm, problem.tensors)
    for one, other in zip((y, *last), (same, *same_last), strict=True):
        torch.testing.assert_close(one, other)
