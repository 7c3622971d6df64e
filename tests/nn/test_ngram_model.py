"""Counts beside a network: the mixture, its share, and that every use of a model has both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Quiet, make_rows, tiny

from seqcli import bundle, run
from seqcli.config import Request
from seqcli.data import kneser_ney
from seqcli.data.rows import Rows
from seqcli.data.tokens import BOS, EOS, UNK
from seqcli.errors import SeqcliError
from seqcli.events import Evaluation
from seqcli.nn.decode import Drawing, Sampling
from seqcli.nn.language import LanguageModel
from seqcli.nn.ngram_model import NgramModel
from seqcli.nn.ragged import Ragged
from seqcli.tasks.likelihood import judge_stream
from seqcli.tasks.lm import LanguageModeling
from seqcli.tasks.writing import Writing

pytestmark = pytest.mark.usefixtures("one_thread")


def make(**settings: Any) -> tuple[LanguageModeling, LanguageModel, Rows]:
    rows = Rows({"text": [row["text"] for row in make_rows(60, seed=1)]}, "test")
    task = LanguageModeling.learn(tiny("lm", None, **settings), rows)
    torch.manual_seed(3)
    model = task.build().eval().requires_grad_(False)
    assert isinstance(model, LanguageModel)
    return task, model, rows


# ----------------------------------------------------------------------------------- the mixture


def test_a_mixture_by_hand() -> None:
    model = NgramModel([5], share=0.3)
    logs, chances = torch.tensor([0.5, 1e-30, 0.2]).log(), np.array([0.1, 0.4, 0.2])
    wanted = np.log([0.7 * 0.5 + 0.3 * 0.1, 0.3 * 0.4, 0.2])
    np.testing.assert_allclose(model.mix(logs, chances), wanted, rtol=1e-6)
    far = model.mix(torch.tensor([-2_000.0]), np.array([0.5]))
    assert far.item() == pytest.approx(np.log(0.15))


def test_the_share_is_the_likeliest_one() -> None:
    random = np.random.default_rng(1)
    logs, chances = np.log(random.uniform(0, 1, 500)), random.uniform(0, 1, 500) ** 2
    model = NgramModel([5])
    model.choose_share(logs, chances)
    shares = np.linspace(0.001, 0.999, 999)[:, None]
    nats = -np.log((1 - shares) * np.exp(logs) + shares * chances).sum(1)
    assert model.share == pytest.approx(float(shares[nats.argmin(), 0]), abs=2e-3)
    for logs, chances, share in (([-9.0] * 9, [0.9] * 9, 0.999), ([-0.1] * 9, [1e-9] * 9, 0.001)):
        model.choose_share(np.array(logs), np.array(chances))
        assert model.share == share


def test_counts_are_read_back_from_a_state() -> None:
    counts = kneser_ney.count(np.array([2, 3, 4, 3, 4, 2, 3, 4, 5]), 6, 3, line_end=EOS)
    model = NgramModel.of(counts)
    again = NgramModel(**json.loads(json.dumps(model.facts())))
    again.load_state_dict(model.state_dict())
    for part, other in zip(again.counts(), counts, strict=True):
        for mine, theirs in zip(part, other, strict=True):
            assert np.array_equal(mine, theirs)


# ------------------------------------------------------------------------ every use of a model


@pytest.mark.parametrize("tokens", ["character", "word", "bpe"])
def test_evaluation_mixes_both(tokens: str) -> None:
    task, model, rows = make(tokens=tokens)
    assert task.ngrams is model.ngrams is not None
    stream = task.encode_stream(rows).tokens
    network = judge_stream(model, stream).logs.numpy()
    counted = task.ngrams.counts().chances(stream, np.array([0]))[1:]
    share = task.ngrams.share
    wanted = -np.log((1 - share) * np.exp(network) + share * counted).mean()
    scores = task.evaluate(model, rows)
    assert scores["cross_entropy"] == pytest.approx(wanted, rel=1e-5)
    assert scores["network_alone"] == pytest.approx(-network.mean(), rel=1e-5)
    assert len(task.ngrams.sizes) == {"character": 7, "word": 4, "bpe": 5}[tokens]


def test_the_share_is_tuned_on_validation_rows_only() -> None:
    task, model, rows = make()
    assert task.ngrams is not None
    before = task.evaluate(model, rows)["cross_entropy"]
    assert task.ngrams.share == 0.25
    (note,) = task.tune(model, rows)
    share = task.ngrams.share
    assert share > 0.9  # the network knows nothing, and the counts know these very rows
    assert f"a share of {share:.2f}" in note
    after = task.evaluate(model, rows)["cross_entropy"]
    assert after < before
    assert task.files()["ngrams.json"]["share"] == task.ngrams.share
    assert task.follow(model, rows)["cross_entropy"] == after


def test_epochs_are_told_apart_by_the_network_while_counts_have_the_share() -> None:
    task, model, rows = make()
    scores = task.follow(model, rows)
    alone = scores["network_alone"]
    assert task.ngrams is not None
    task.ngrams.share = 0.96
    assert task.rank(scores) == [-np.inf, -alone]
    task.ngrams.share = 0.94
    assert task.rank(scores) == [-scores["cross_entropy"], -alone]
    without, model, rows = make(ngrams=0)
    scores = without.follow(model, rows)
    assert without.rank(scores) == [-scores["cross_entropy"]]


def test_a_network_that_learns_is_trained_on_beside_good_counts(tmp_path: Path, data: Path) -> None:
    """So good that what both give stands still or even gets worse at first."""
    config = tiny("lm", data, epochs=4, patience=1, tokens="word")
    found = Quiet()
    run.train(config, tmp_path / "m", found)
    epochs = [event for event in found.events if isinstance(event, Evaluation)]
    assert [event.best for event in epochs] == [True] * 4
    assert max(event.value for event in epochs[1:]) > epochs[0].value


@torch.inference_mode()
@pytest.mark.parametrize("settings", [{}, {"cell": "transformer"}, {"tie": False, "layers": 2}])
def test_what_is_written_is_drawn_as_predict_scores_it(settings: dict[str, Any]) -> None:
    """The chances before each token that is written are those that a whole line has."""
    task, model, _ = make(tokens="character", **settings)
    text = "go to rome on day 3"
    ids = task.tokenizer.encode([text], eos=True).values.tolist()
    (logs,) = task.log_probabilities(model, task.read([text]))
    for cut in (1, 4, 12):  # of the prompt, which may be read at once or after a state
        drawing = Drawing(
            model, [EOS, *ids[:cut]], Sampling(), generators=[torch.Generator()], banned=(UNK, BOS)
        )
        for token, log in zip(ids[cut:], logs[cut:], strict=True):
            scores = drawing.texts.read(drawing.tokens_B)
            assert scores.log_softmax(1)[0, token].item() == pytest.approx(log.item(), abs=2e-4)
            assert scores.exp().sum().item() == pytest.approx(1, abs=1e-4)
            drawing.tokens_B = torch.tensor([token])


def test_texts_that_stop_leave_the_others_as_they_are() -> None:
    task, model, _ = make(tokens="character")

    def write(seeds: list[int]) -> list[str]:
        writing = Writing(model, task.tokenizer)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        texts = [""] * len(seeds)
        for text, piece in writing.go_on(
            "go", Sampling(), generators=generators, length=40, one_line=True
        ):
            texts[text] += piece or ""
        return texts

    together = write([1, 2, 3, 4])
    assert len({len(text) for text in together}) > 1
    assert together == [write([seed])[0] for seed in (1, 2, 3, 4)]


def test_a_saved_text_remembers_what_the_counts_look_back_on() -> None:
    """Go on after two letters that only make sense with those before them."""
    task, model, _ = make(tokens="character")
    assert task.ngrams is not None
    task.ngrams.share = 0.999

    def write(writing: Writing, prompt: str, length: int) -> str:
        pieces = writing.go_on(
            prompt, Sampling(), generators=[torch.Generator().manual_seed(5)], length=length,
            one_line=False,
        )  # fmt: skip
        return "".join(piece or "" for _, piece in pieces)

    first = Writing(model, task.tokenizer)
    write(first, "go to rome on d", 1)
    second = Writing(model, task.tokenizer)
    second.restore(first.to_tensors())
    assert first.recent == [EOS, *task.tokenizer.encode(["go to rome on d"]).values]
    assert second.recent == first.recent
    assert write(second, "", 9) == write(first, "", 9)
    without = first.to_tensors()
    del without["recent"]  # as saved before there were counts
    Writing(model, task.tokenizer).restore(without)


def test_texts_from_a_condition_begin_anew() -> None:
    rows = make_rows(60, seed=1)
    table = Rows(
        {"text": [row["text"] for row in rows], "condition": [row["label"] for row in rows]}, "test"
    )
    task = LanguageModeling.learn(tiny("lm", None, condition="label", tokens="character"), table)
    torch.manual_seed(3)
    model = task.build().eval().requires_grad_(False)
    whole = task.answer(model, table, Request())
    assert task.evaluate(model, table)["cross_entropy"] == pytest.approx(
        -sum(one.record["log_probability"] for one in whole)
        / sum(one.record["tokens"] for one in whole)
    )


# ------------------------------------------------------------------------------- model folders


def test_a_folder_keeps_counts_and_share(tmp_path: Path, data: Path) -> None:
    run.train(tiny("lm", data, epochs=1), tmp_path / "m", Quiet())
    saved = json.loads((tmp_path / "m" / "ngrams.json").read_text())
    task = bundle.load(tmp_path / "m").task
    assert task.config.network.ngrams == 7
    assert task.ngrams.share == saved["share"] != 0.25
    stored = json.loads((tmp_path / "m" / "metrics.json").read_text())
    assert stored["baselines"]["test"].keys() == {"unigram", "bigram", "n-grams"}
    again = run.score(tmp_path / "m")
    assert again.scores["test"]["cross_entropy"] == stored["scores"]["test"]["cross_entropy"]
    wrong = ({"sizes": [3, "x"]}, {"sizes": []}, {"sizes": [3], "share": 1}, {"size": [3]})
    for facts in wrong:
        (tmp_path / "m" / "ngrams.json").write_text(json.dumps({"share": 0.2, **facts}))
        with pytest.raises(SeqcliError, match=r"ngrams\.json of the model is corrupt"):
            bundle.load(tmp_path / "m")
    (tmp_path / "m" / "ngrams.json").unlink()
    with pytest.raises(SeqcliError, match=r"lacks ngrams\.json"):
        bundle.load(tmp_path / "m")


def test_a_model_of_before_has_no_counts(tmp_path: Path, data: Path) -> None:
    run.train(tiny("lm", data, epochs=1, ngrams=0), tmp_path / "m", Quiet())
    assert not (tmp_path / "m" / "ngrams.json").exists()
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    del config["settings"]["ngrams"]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    task, model, _ = bundle.load(tmp_path / "m")
    assert task.ngrams is model.ngrams is None
    rows = task.read(["go to rome"])
    stream = Ragged(
        torch.from_numpy(np.concatenate([[EOS], task.tokenizer.encode(rows["text"]).values])),
        torch.tensor([0, 1 + len("go to rome")]),
    )
    scores, _ = model(stream, None)
    gold = [*task.tokenizer.encode(rows["text"], eos=True).values]
    wanted = scores.log_softmax(1)[range(len(gold)), gold]
    torch.testing.assert_close(task.log_probabilities(model, rows)[0], wanted, atol=1e-4, rtol=1e-4)
