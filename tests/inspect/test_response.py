"""Expected responses against a plain reading of their definition."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from planted import BAD, GOOD, PLAIN, STRENGTH, classify_rows, planted_classifier, random_model

from seqcli.data.rows import Rows
from seqcli.errors import UsageError
from seqcli.inspect import response
from seqcli.inspect.corpus import Tokens, make_corpus
from seqcli.inspect.survey import survey
from seqcli.inspect.trace import list_layers, list_sites
from seqcli.nn.ragged import to_ragged


def gather(task: Any, model: Any, rows: Rows, **options: Any) -> Any:
    corpus = make_corpus(task, rows, max_tokens=None)
    sites = list_sites(list_layers(model))
    return corpus, survey(corpus, model, sites, **{"top_k": 50, "min_count": 1, **options})


def by_hand(task: Any, model: Any, rows: Rows) -> dict[str, np.ndarray]:
    """Every change of a forward layer's h at every word, one text at a time."""
    found = defaultdict(list)
    with torch.no_grad():
        for text in rows["text"]:
            tokens = task.encode_rows(task.read([text]))
            batch = to_ragged(tokens, torch.device("cpu"))
            x = batch.with_values(model.embedding(batch.values))
            h, _ = model.recurrent(x)
            before = np.zeros(h.values.shape[1], dtype=np.float32)
            for word, state in zip(text.split(), h.values.numpy(), strict=True):
                found[word].append(state - before)
                before = state
    return {word: np.stack(changes) for word, changes in found.items()}


def test_mean_spread_and_percentiles() -> None:
    rows = classify_rows(60)
    task, model = random_model("classify", rows, cell="gru", hidden=6, embedding=5)
    corpus, found = gather(task, model, rows)
    words = found.words[""]
    result = found.responses["1.forward.h"].result(words.shown)
    names = [corpus.parts[""].vocabulary[words.ids[at]] for at in words.shown]
    true = by_hand(task, model, rows)
    assert set(names) == set(true)
    for at, name in enumerate(names):
        changes = true[name]
        assert result.n[at] == len(changes)
        assert np.allclose(result.mean[at], changes.mean(axis=0), atol=1e-5)
        assert np.allclose(result.sd[at], changes.std(axis=0, ddof=1), atol=1e-4)
        error = changes.std(axis=0, ddof=1) / len(changes) ** 0.5
        assert np.allclose(result.error[at], error, atol=1e-4)
        quantiles = np.percentile(changes, response.PERCENTILES, axis=0)
        assert np.allclose(result.percentiles[at], quantiles, atol=2e-3)  # kept as halves


def test_the_order_of_texts_does_not_matter() -> None:
    """Each text begins at zero, so nothing of the one before it is in a response."""
    rows = classify_rows(40)
    task, model = random_model("classify", rows, cell="rnn", hidden=6, embedding=5)
    turned = rows.take(list(range(len(rows)))[::-1])
    one, other = (gather(task, model, each)[1] for each in (rows, turned))
    for at, number in enumerate(one.words[""].ids):
        place = one.words[""].place_of[number], other.words[""].place_of[number]
        mean = [
            each.responses["1.forward.h"].result(np.array([p])).mean
            for each, p in zip((one, other), place, strict=True)
        ]
        assert np.allclose(mean[0], mean[1], atol=1e-6), at


def test_planted_responses() -> None:
    rows = classify_rows(400)
    task, model = planted_classifier(rows)
    corpus, found = gather(task, model, rows)
    result = found.responses["1.forward.h"].result(found.words[""].shown)
    names = [corpus.parts[""].vocabulary[found.words[""].ids[at]] for at in found.words[""].shown]
    strength = np.tanh(STRENGTH)
    for word in (*GOOD, *BAD, *PLAIN):
        sign = 1 if word in GOOD else -1 if word in BAD else 0
        mean = result.mean[names.index(word), :4]
        assert np.allclose(mean, sign * strength, atol=0.3), word


def tokens_of(ids: list[int], vocabulary: list[str]) -> Tokens:
    count = len(ids)
    return Tokens(np.array(ids), np.zeros(count, dtype=int), np.array([0, count]), vocabulary)


def test_rare_words_are_left_out_and_counted() -> None:
    tokens = tokens_of([3] * 6 + [4] * 5 + [5] * 4 + [6], ["", "", "", "a", "b", "c", "d"])
    words = response.choose_candidates(
        tokens, min_count=5, top_k=10, forced=("d",), units=4, seed=1
    )
    assert words.ids.tolist() == [3, 4, 6]
    assert words.counts.tolist() == [6, 5, 1]
    assert words.left_out == 1
    assert words.coverage == 12 / 16


def test_words_that_are_not_there() -> None:
    tokens = tokens_of([3, 3], ["", "", "", "a", "b"])

    def choose(word: str, least: int = 1) -> Any:
        forced = (word,) if word else ()
        return response.choose_candidates(
            tokens, min_count=least, top_k=10, forced=forced, units=4, seed=1
        )

    with pytest.raises(UsageError, match="'b' never occurs in this data"):
        choose("b")
    with pytest.raises(UsageError, match="does not know the word 'zzz'"):
        choose("zzz")
    with pytest.raises(UsageError, match="no token occurs 5 times"):
        choose("", 5)


def test_the_sample_of_occurrences_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_of([3] * 1000 + [4] * 3, ["", "", "", "a", "b"])
    monkeypatch.setattr(response, "SAMPLE_BYTES", 50 * 4 * 2)
    words = response.choose_candidates(tokens, min_count=1, top_k=5, forced=(), units=4, seed=1)
    assert words.kept.tolist() == [32, 3]
    taken = np.flatnonzero(words.slot >= 0)
    assert len(taken) == 35
    assert sorted(words.slot[taken].tolist()) == list(range(35))
    assert (tokens.ids[words.slot.argsort()[-35:][:32]] == 3).all()


def test_words_asked_for_come_whatever_their_rank() -> None:
    rows = classify_rows(80)
    task, model = planted_classifier(rows)
    corpus, found = gather(task, model, rows, top_k=2, forced=("the",))
    words = found.words[""]
    shown = [corpus.parts[""].vocabulary[words.ids[at]] for at in words.shown]
    assert len(shown) == 2
    assert "the" in shown
