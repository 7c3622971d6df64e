"""What translate does around its network: shared vocabularies, alignment, copying, given pairs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Quiet, Result, make_rows, tiny

from seqcli import bundle, run
from seqcli.config import Request
from seqcli.data.rows import Rows
from seqcli.data.tokens import EOS, UNK, WordTokenizer
from seqcli.data.vocabulary import train_tokenizer
from seqcli.errors import UsageError
from seqcli.events import Step
from seqcli.fit import Fit
from seqcli.nn.beam import Hypothesis
from seqcli.tasks.alignment import copy_unknown, number_words, pharaoh
from seqcli.tasks.forcing import mix_guesses, teach
from seqcli.tasks.translate import Translate

Cli = Callable[..., Result]
Models = Callable[[str], Path]


def make_task(**settings: Any) -> tuple[Translate, Any, Rows]:
    table = make_rows(40, seed=1)
    rows = Rows({name: [row[name] for row in table] for name in ("source", "target")}, "test")
    task = Translate.learn(tiny("translate", None, **settings), rows)
    torch.manual_seed(2)
    return task, task.build().eval(), rows


# ------------------------------------------------------------------------------------- vocabulary


def test_shared_vocabulary_serves_both_sides(tmp_path: Path, data: Path) -> None:
    config = tiny("translate", data, share_vocabulary=True, tokens="word")
    run.train(config, tmp_path / "m", Quiet())
    task, model, _ = bundle.load(tmp_path / "m")
    assert task.source.to_json() == task.target.to_json()
    assert {"go", "aller"} <= set(task.source.vocabulary)
    assert model.source_embedding(torch.tensor([5])).shape == (1, 8)
    (answer,) = task.answer(model, task.read(["go to rome"]), Request())
    assert isinstance(answer.plain, str)


def test_long_sides_are_cut_and_counted() -> None:
    """A source keeps its end mark; a target that is cut has none, for it does not end there."""
    task, _, rows = make_task(max_length=2, tokens="word")
    assert all(len(task.source.split(text)) == 3 for text in rows["source"])
    pairs = task.encode(rows)
    ends = pairs.source.values[pairs.source.offsets[1:] - 1]
    assert set(pairs.source.lengths.tolist()) == {3}
    assert set(ends.tolist()) == {EOS}
    assert set(pairs.target.lengths.tolist()) == {4}  # of two tokens, and whole
    assert "longer than 2 tokens: 40" in task.facts()["cut"]
    task, _, rows = make_task(max_length=1, tokens="word")
    target = task.encode(rows).target
    assert set(target.lengths.tolist()) == {2}
    assert EOS not in target.values
    task, _, rows = make_task(max_length=3, tokens="word")
    task.encode(rows)
    assert "cut" not in task.facts()


# -------------------------------------------------------------------------------------- alignment


def test_words_of_tokens() -> None:
    texts = ["the cat's toys, 3%", "a dog-house"]
    words = train_tokenizer("word", texts, joiner=True)
    tokens = words.split("the toys, 3%")
    assert number_words(words, tokens) == [0, 1, 1, 2, 2]
    pieces = train_tokenizer("bpe", texts * 4, vocabulary_size=270)
    tokens = pieces.split("the cathouse toys")
    spelled = ["", "", ""]
    for token, number in zip(tokens, number_words(pieces, tokens), strict=True):
        spelled[number] += token
    assert [word.strip("Ġ") for word in spelled] == ["the", "cathouse", "toys"]
    assert number_words(train_tokenizer("character", texts), list("ab c")) == [0, 1, 2, 3]


def test_pharaoh_by_hand() -> None:
    weights = np.array([[0.1, 0.6, 0.3], [0.5, 0.1, 0.4], [0.2, 0.35, 0.45]])
    assert pharaoh(weights, [0, 1, 2], [0, 1, 2]) == "1-0 0-1 2-2"
    # The last two source tokens are one word, and so are the last two of the target.
    assert pharaoh(weights, [0, 1, 1], [0, 1, 1]) == "1-0 1-1"
    assert pharaoh(np.zeros((0, 3)), [], [0, 1, 2]) == ""


def test_unknown_words_are_copied() -> None:
    tokenizer = WordTokenizer(["la", "maison", "￭."], joiner=True)
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.3, 0.4, 0.3]])
    source = ["the", "house", "Xanadu"]
    assert copy_unknown(tokenizer, [3, UNK, 5], weights, source) == "la Xanadu."
    assert copy_unknown(tokenizer, [3, 4, 5], weights, source) == "la maison."


@pytest.mark.parametrize("kind", ["word", "character", "bpe"])
def test_explained_answers(kind: str) -> None:
    task, model, rows = make_task(tokens=kind)
    texts = [*rows["source"][:3], "", "go to Xanadu"]
    request = Request(alignment=True, copy_unknown=True, beam=2, n_best=2)
    answers = task.answer(model, task.read(texts), request)
    for text, answer in zip(texts, answers, strict=True):
        for one in answer.record["n_best"]:
            matrix = np.array(one["attention"])
            assert matrix.size == 0 or matrix.shape == (
                len(one["target_tokens"]),
                len(one["source_tokens"]) or 1,
            )
            # The end mark of the source takes the rest.
            assert (matrix.sum(-1) < 1.001).all()
            pairs = [tuple(map(int, pair.split("-"))) for pair in one["alignment"].split()]
            assert [target for _, target in pairs] == list(range(len(pairs)))
            assert all(source < max(len(text), 1) for source, _ in pairs)
        assert answer.plain.count("\t") + 1 == 3 * len(answer.record["n_best"])


def test_unknown_words_are_not_counted_unless_they_are_written() -> None:
    task, model, rows = make_task(tokens="word")
    model.head.bias.data[UNK] += 2.0
    model.head.bias.data[EOS] -= 1.0
    texts = rows["source"][:4]
    for copied in (False, True):
        request = Request(alignment=True, copy_unknown=copied, beam=3, n_best=3, max_length=6)
        for answer in task.answer(model, task.read(texts), request):
            ways = answer.record["n_best"]
            for one in ways:
                assert len(one["alignment"].split()) == len(one["translation"].split())
                assert copied or "<unk>" not in one["target_tokens"]
            if not copied:
                assert len({one["translation"] for one in ways}) == len(ways)
    (blank,) = task.answer(model, task.read(["  "]), Request(alignment=True))
    assert blank.plain.split("\t") == ["", ""]


def test_answers_that_read_alike_are_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other pieces of the same word, and a word that is copied or known."""

    def answer(kind: str, found: list[list[int]], text: str, **asked: Any) -> list[str]:
        task, model, _ = make_task(tokens=kind)
        ranked = [Hypothesis(tokens, -at - 1.0, -at - 1.0) for at, tokens in enumerate(found)]
        monkeypatch.setattr(task, "search", lambda *_: [ranked])
        (got,) = task.answer(model, task.read([text]), Request(n_best=3, **asked))
        ways = got.record["n_best"]
        assert got.plain.split("\t")[1::2] == [f"{one['score']:.6f}" for one in ways]
        return [one["translation"] for one in ways]

    names = make_task(tokens="bpe")[0].target.vocabulary
    whole, left, right = (names.index(name) for name in ("er", "e", "r"))
    assert answer("bpe", [[whole], [left, right], [left]], "go") == ["er", "e"]
    known = make_task(tokens="word")[0]
    (rome,) = known.target.encode(["rome"]).values.tolist()
    assert known.source.split("rome") == ["rome"]
    ways = [[UNK], [rome], [rome, rome]]
    assert answer("word", ways, "rome", copy_unknown=True) == ["rome", "rome rome"]
    assert answer("word", ways, "rome") == ["", "rome", "rome rome"]


def test_a_blank_line_has_one_empty_answer_that_is_certain() -> None:
    task, model, _ = make_task()
    texts = ["go to rome", "", " \t"]
    for options, columns in (
        ({"n_best": 3}, ["", "0.000000"]),
        ({"scores": True}, ["", "0.000000"]),
        ({"n_best": 3, "alignment": True}, ["", "0.000000", ""]),
        ({"min_length": 4}, [""]),
    ):
        request = Request(**options)
        whole, *blank = task.answer(model, task.read(texts), request)
        assert whole.plain.count("\t") >= len(columns) - 1
        for answer in blank:
            assert answer.plain.split("\t") == columns
            assert (answer.record["translation"], answer.record["log_probability"]) == ("", 0)
            assert len(answer.record.get("n_best", [1])) == 1
        alone = task.answer(model, task.read([""]), request)
        assert [one.plain for one in alone] == [blank[0].plain]


def test_given_targets_are_scored_whole_whatever_training_cut() -> None:
    task, model, _ = make_task(tokens="word", max_length=2)
    lines = ["go to rome\trome aller", "go to rome\trome aller aller aller aller", ""]
    short, long, blank = task.answer(model, task.read_pairs(lines), Request(score_pairs=True))
    assert (short.record["tokens"], long.record["tokens"]) == (3, 6)
    assert float(long.plain) < float(short.plain)
    assert blank.plain == ""


def test_records_may_hold_both_sides_in_an_object() -> None:
    task, _, _ = make_task()
    task.columns = {"source": "en", "target": "fr"}
    record = {"id": 1, "translation": {"en": "go to rome", "fr": "rome aller"}}
    assert task.read_records([record])["source"] == ["go to rome"]
    assert task.read_pair_records([record])["target"] == ["rome aller"]


def test_what_needs_attention_says_so() -> None:
    task, model, _ = make_task(attention="none")
    for request in (Request(alignment=True), Request(coverage_penalty=1.0)):
        with pytest.raises(UsageError, match="attention"):
            task.answer(model, task.read(["go"]), request)


# -------------------------------------------------------------------------------- scores and limits


@pytest.mark.parametrize("feeding", [False, True])
def test_given_pairs_have_the_probability_of_the_search(feeding: bool) -> None:
    task, model, rows = make_task(tokens="word", input_feeding=feeding)
    model.head.bias.data[EOS] += 2.0
    texts = rows["source"][:6]
    found = task.search(model, texts, Request(beam=4, min_length=2, max_length=9))
    ended = [(text, best[0]) for text, best in zip(texts, found, strict=True)]
    ended = [
        (text, one) for text, one in ended if 0 < len(one.tokens) < 9 and UNK not in one.tokens
    ]
    assert ended
    given = task.read_pairs([f"{text}\t{task.target.decode(one.tokens)}" for text, one in ended])
    answers = task.answer(model, given, Request(score_pairs=True))
    for answer, (_, one) in zip(answers, ended, strict=True):
        assert answer.record["log_probability"] == pytest.approx(one.log_probability, abs=1e-4)
        assert answer.record["score"] == pytest.approx(one.score, abs=1e-4)
        assert answer.record["tokens"] == len(one.tokens) + 1
        assert float(answer.plain) == pytest.approx(one.log_probability, abs=1e-4)


def test_least_length_and_blocked_runs() -> None:
    task, model, rows = make_task(tokens="word")
    for request in (Request(min_length=7), Request(min_length=7, beam=3, no_repeat_ngram=2)):
        for best in task.search(model, rows["source"][:8], request):
            for one in best:
                runs = list(zip(one.tokens, one.tokens[1:], strict=False))
                assert len(one.tokens) >= 7
                assert not request.no_repeat_ngram or len(set(runs)) == len(runs)


# ------------------------------------------------------------------------------ scheduled sampling


def test_guesses_replace_all_but_the_first() -> None:
    task, model, rows = make_task(tokens="word")
    lesson = teach(task.encode(rows).take(np.array([0, 3, 5])), torch.device("cpu"))
    mixed = mix_guesses(model, lesson, 1.0)
    guesses = model(lesson.source, lesson.read).argmax(1).split(lesson.read.lengths.tolist())
    for read, guess, true in zip(mixed.split(), guesses, lesson.read.split(), strict=True):
        assert read.tolist() == [true[0].item(), *guess[:-1].tolist()]
    assert torch.equal(mix_guesses(model, lesson, 0.0).values, lesson.read.values)


def test_share_of_guesses_rises_by_epoch() -> None:
    task, _, rows = make_task(scheduled_sampling=0.5, epochs=3)
    encoded = task.encode(rows)
    shares = [{lot.guessed for lot in task.plan(encoded, epoch)} for epoch in (1, 2, 3)]
    assert shares == [{0.0}, {0.25}, {0.5}]


def test_scheduled_sampling_resumes_to_the_bit() -> None:
    def make() -> tuple[Fit, Any]:
        task, model, rows = make_task(scheduled_sampling=0.9, epochs=2, input_feeding=True)
        return Fit(task, model, task.encode(rows), lambda: {"chrf": 0.0}), (task, model, rows)

    whole, _ = make()
    steps = [event.loss for event in whole.events() if isinstance(event, Step)]
    first, _ = make()
    for count, _event in enumerate(first.events()):
        if count == len(steps) // 2 + 3:
            break
    snapshot = first.snapshot()
    again, (task, model, rows) = make()
    again = Fit(task, model, task.encode(rows), lambda: {"chrf": 0.0}, snapshot=snapshot)
    rest = [event.loss for event in again.events() if isinstance(event, Step)]
    assert rest == steps[-len(rest) :]
    assert 0 < len(rest) < len(steps)


@pytest.mark.parametrize("name", ["locked_dropout", "weight_dropout", "embedding_dropout"])
def test_what_is_dropped_for_a_whole_sequence_needs_whole_sequences(name: str) -> None:
    with pytest.raises(UsageError, match="leave out --" + name.replace("_", "-")):
        tiny("translate", None, input_feeding=True, **{name: True if name[0] == "l" else 0.1})


# ------------------------------------------------------------------------------------ command line


def test_options_of_translate(cli: Cli, models: Models, tmp_path: Path) -> None:
    model = models("translate")
    lines = tmp_path / "lines.txt"
    lines.write_text("go to rome\n\nstay in oslo\n")
    plain = cli("predict", model, lines).lines
    assert cli("predict", model, lines, "--with", model, "--with", model).lines == plain
    aligned = cli("predict", model, lines, "--alignment")
    assert [line.split("\t")[0] for line in aligned.lines] == plain
    record = json.loads(cli("predict", model, lines, "--alignment", "--format", "jsonl").lines[0])
    assert len(record["attention"]) == len(record["target_tokens"])
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("go to rome\trome aller\nno tab here\ngo\tx\n")
    scored = cli("predict", model, pairs, "--score-pairs")
    assert scored.status == 1
    assert [bool(line) for line in scored.lines] == [True, False, True]
    assert scored.errors == ["error: line 2: no tab between source and target"]
    assert float(scored.lines[0]) < 0
    records = tmp_path / "pairs.jsonl"
    records.write_text('{"source": "go to rome", "target": "rome aller", "id": 7}\n')
    record = json.loads(cli("predict", model, records, "--score-pairs").lines[0])
    assert record["id"] == 7
    assert record["log_probability"] == pytest.approx(float(scored.lines[0]), abs=1e-5)


def test_evaluate_searches_as_asked(cli: Cli, models: Models) -> None:
    model = models("translate")

    def scores(*options: Any) -> dict[str, Any]:
        found = cli("evaluate", model, "--json", *options)
        assert found.status == 0, found.err
        return json.loads(found.out)["scores"]

    plain = scores()
    both, long, short = (
        scores("--with", model),
        scores("--min-length", 30),
        scores("--max-length", 1),
    )
    assert both["chrf"] == plain["chrf"]
    assert both["cross_entropy"] == pytest.approx(plain["cross_entropy"], abs=1e-5)
    assert len({found["chrf"] for found in (plain, long, short)}) == 3
    assert plain["cross_entropy"] == long["cross_entropy"] == short["cross_entropy"]
    refused = cli("evaluate", models("classify"), "--no-repeat-ngram", 2)
    assert refused.status == 2
    assert "--no-repeat-ngram is for models of translate" in " ".join(refused.err.split())


def test_ensembles_that_cannot_be(cli: Cli, models: Models, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("go to rome\n")
    table = make_rows(30, seed=9)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in table))
    run.train(tiny("translate", rows, tokens="word"), tmp_path / "other", Quiet())
    model = models("translate")
    refused = cli("predict", model, lines, "--with", tmp_path / "other")
    assert refused.status == 2
    assert "have different vocabularies" in " ".join(refused.err.split())
    assert cli("predict", model, lines, "--with", models("classify")).status == 2
    assert cli("predict", models("classify"), lines, "--with", model).status == 2
    assert cli("predict", model, lines, "--min-length", "5", "--max-length", "4").status == 2


@pytest.mark.parametrize(
    "option",
    [
        *("--alignment", "--copy-unknown", "--scores", "--n-best=2", "--beam=2", "--min-length=2"),
        *("--max-length=2", "--no-repeat-ngram=2", "--coverage-penalty=0.1"),
    ],
)
def test_given_pairs_are_not_searched_for(cli: Cli, models: Models, option: str) -> None:
    refused = cli("predict", models("translate"), "gone.tsv", "--score-pairs", option)
    assert (refused.status, len(refused.errors)) == (2, 1)
    assert refused.errors[0].endswith("leave out " + option.partition("=")[0])


def test_given_pairs_are_scored_with_a_length_penalty(cli: Cli, models: Models) -> None:
    pairs = Path("pairs.jsonl")
    pairs.write_text('{"source": "go to rome", "target": "rome aller"}\n')
    options = ("predict", models("translate"), pairs, "--score-pairs", "--length-penalty")
    one, none = (json.loads(cli(*options, value).lines[0]) for value in (1, 0))
    assert none["score"] == none["log_probability"] == one["log_probability"] < one["score"]
