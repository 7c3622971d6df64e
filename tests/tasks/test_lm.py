"""Language models: regularisation, blocks of random length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Quiet, make_rows, tiny

from seqcli import bundle, run
from seqcli.data.rows import Rows
from seqcli.events import Step
from seqcli.nn.cells import CELLS
from seqcli.nn.decode import Sampling
from seqcli.nn.penalty import penalise
from seqcli.nn.ragged import Ragged
from seqcli.nn.recurrent import forget
from seqcli.tasks.likelihood import judge_stream
from seqcli.tasks.lm import LanguageModeling
from seqcli.tasks.writing import Writing

pytestmark = pytest.mark.usefixtures("one_thread")


def make(**settings: Any) -> tuple[LanguageModeling, Any, Rows]:
    rows = Rows({"text": [row["text"] for row in make_rows(40, seed=1)]}, "test")
    task = LanguageModeling.learn(tiny("lm", None, **settings), rows)
    torch.manual_seed(3)
    return task, task.build(), rows


# ------------------------------------------------------------------------------- regularisation


def test_penalties_are_those_of_the_paper() -> None:
    """Over padded streams of (T, B, H), as Merity et al. write them."""
    rng = np.random.default_rng(1)
    h_BTH, d_BTH = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    wanted = 2 * (d_BTH**2).mean() + 3 * ((h_BTH[:, 1:] - h_BTH[:, :-1]) ** 2).mean()
    bounds = torch.arange(0, 16, 5)
    h, d = (Ragged(torch.from_numpy(one.reshape(15, 4)), bounds) for one in (h_BTH, d_BTH))
    assert penalise(h, d, ar=2, tar=3).item() == pytest.approx(wanted, rel=1e-5)
    single = Ragged(torch.ones(2, 4), torch.tensor([0, 1, 2]))  # no step has one before it
    assert penalise(single, single, ar=1, tar=5).item() == 1


def test_penalties_act_and_are_not_told_as_loss() -> None:
    (task, model, rows), (plain, same, _) = make(ar=2.0, tar=1.0, dropout=0), make(dropout=0)
    encoded = task.encode(rows)
    batch = next(task.batches(encoded, task.plan(encoded, 1), 0))
    found, other = task.loss(model, batch, None), plain.loss(same, batch, None)
    assert found.mean.item() == pytest.approx(other.mean.item(), abs=1e-6)
    found.mean.backward()
    other.mean.backward()
    assert not torch.allclose(model.embedding.weight.grad, same.embedding.weight.grad)


def test_blocks_of_random_length_scale_the_step_and_resume(tmp_path: Path, data: Path) -> None:
    settings: dict[str, Any] = {"random_bptt": True, "ar": 1.0, "tar": 1.0, "bptt": 14}
    settings |= {"schedule": "constant", "warmup": 0, "epochs": 2, "learning_rate": 0.01}
    config, watch = tiny("lm", data, **settings), Quiet()
    run.train(config, tmp_path / "whole", watch)
    steps = [event for event in watch.events if isinstance(event, Step)]
    assert len({step.tokens for step in steps}) > 2
    for step in steps:  # 4 streams
        assert step.learning_rate == pytest.approx(0.01 * step.tokens / 4 / 14)
    asked = iter([0, 0, 15])
    with pytest.raises(run.Interrupted):
        run.train(config, tmp_path / "parts", Quiet(), stop=lambda: next(asked))
    run.resume(tmp_path / "parts", Quiet())
    files = [(tmp_path / name / bundle.WEIGHTS).read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


# ---------------------------------------------------------------------------------- forgetting


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "tree"])
def test_a_stream_that_forgets_begins_anew(cell: str) -> None:
    """Its states in all layers, and those of no other stream."""
    task, model, rows = make(cell=cell, layers=2, dropout=0)
    model.eval()
    encoded = task.encode(rows)
    first, second = list(task.batches(encoded, task.plan(encoded, 1), 0))[:2]
    streams = len(first.tokens)
    states = task.loss(model, first, None).state
    torch.manual_seed(5)
    some = forget(states, 0.5)
    kept_B = [bool(part.any()) for part in some[0][-1]]
    assert 0 < sum(kept_B) < streams

    def read(carried: Any) -> torch.Tensor:
        tokens = torch.from_numpy(np.ascontiguousarray(second.tokens))
        width = tokens.shape[1]
        batch = Ragged(tokens.flatten(), torch.arange(streams + 1) * width)
        return model(batch, carried)[0].view(streams, width, -1)

    anew, gone_on = read(None), read(states)
    for found, kept, new, old in zip(read(some), kept_B, anew, gone_on, strict=True):
        torch.testing.assert_close(found, old if kept else new, rtol=1e-5, atol=1e-5)
    assert all(part is same for part, same in zip(forget(states, 0), states, strict=True))
    assert not any(part.any() for state in forget(states, 1) for part in state)


def test_streams_forget_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    task, model, rows = make()
    encoded = task.encode(rows)
    batch = next(task.batches(encoded, task.plan(encoded, 1), 0))
    kept = [bool(task.loss(model, batch, None).state[0][0][0].any()) for _ in range(20)]
    monkeypatch.setattr("seqcli.tasks.lm.FORGOTTEN", 0.5)
    often = [bool(task.loss(model, batch, None).state[0][0][0].any()) for _ in range(20)]
    assert sum(often) < sum(kept)
    assert any(often)


# --------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "tree"])
def test_a_text_goes_on_where_it_was_left(cell: str) -> None:
    """Also where the state grows with the text, as a transformer's does."""
    task, model, _ = make(cell=cell, layers=2)
    model.eval()

    def go_on(writing: Writing, prompt: str, length: int) -> str:
        options: dict[str, Any] = {"length": length, "one_line": False}
        generator = torch.Generator().manual_seed(1)
        pieces = writing.go_on(prompt, Sampling(0), generators=[generator], **options)
        return "".join(piece for _, piece in pieces if piece is not None)

    whole = go_on(Writing(model, task.tokenizer), "go to", 12)
    first = Writing(model, task.tokenizer)
    begun = go_on(first, "go to", 5)
    second = Writing(model, task.tokenizer)
    second.restore(first.to_tensors())
    assert begun + go_on(second, "", 7) == whole


# --------------------------------------------------------------------------------- cut lines


@pytest.mark.parametrize("tokens", ["character", "word"])
def test_a_cut_line_is_scored_without_ends_that_are_not_there(tokens: str) -> None:
    """By hand: the nats of each piece of one line are those of reading it from its first token."""
    task, model, _ = make(tokens=tokens)
    model.eval()
    text = "go to paris on day 3 and stay in rome " * 9
    for joined in ((False, False), (True, False), (False, True), (True, True)):
        rows = Rows({"text": [text]}, "test", joined=joined)
        ids = task.tokenizer.encode([text], eos=True).values
        read = np.concatenate([[2], ids])[joined[0] : len(ids) + 1 - joined[1]].astype(np.int64)
        assert task.encode_stream(rows).tokens.tolist() == read.tolist()
        scores = task.evaluate(model, rows)
        nats_N = -judge_stream(model, read).mixed(model.ngrams).numpy()
        assert scores["tokens"] == len(read) - 1
        assert scores["cross_entropy"] == pytest.approx(nats_N.mean())
        first = len("g" if tokens == "character" else "go")
        assert scores["characters"] == len(text) + 1 - joined[1] - joined[0] * first
        assert set(task.baselines(rows, {"test": rows})["test"]) == {"unigram", "bigram", "n-grams"}


# ------------------------------------------------------------------------------------ signatures


def test_scores_have_one_signature_where_the_same_tokens_were_predicted() -> None:
    """Unknown words and folded case are easier to predict; a perplexity of them is another one."""
    texts = ["Go to Rome", "stay in rome", "go to Oslo"]
    rows = Rows({"text": texts}, "test")

    def sign(train: list[str], **settings: Any) -> str:
        config = tiny("lm", None, tokens="word", **settings)
        task = LanguageModeling.learn(config, Rows({"text": train}, "train"))
        return task.scores_of(np.ones(12), rows)["signature"]

    whole = sign(texts)
    assert sign([*texts, "to be in Lima"]) == whole  # knows more words, of which none comes
    assert len({whole, sign(texts[:2]), sign(texts, lowercase=True)}) == 3
