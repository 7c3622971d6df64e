"""Tags with a CRF, in other schemes, n-best, and with a label of the sentence."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Quiet, Result, make_rows, tiny

from seqcli import bundle, run
from seqcli.config import Request
from seqcli.data.rows import Rows
from seqcli.data.schemes import can_follow, spans
from seqcli.data.words import face_each_other
from seqcli.errors import SeqcliError, UsageError
from seqcli.tasks.tag import Tag
from seqcli.tasks.tagset import Tagset

Cli = Callable[..., Result]
SMALL = ("--epochs", "1", "--hidden", "8", "--embedding", "8", "--threads", "1")


def rows_of(count: int = 40) -> Rows:
    table = make_rows(count, seed=1)
    return Rows({name: [row[name] for row in table] for name in ("tokens", "tags", "label")}, "t")


def make(**settings: Any) -> tuple[Tag, Any]:
    rows = rows_of()
    if "with_label" not in settings:
        del rows.columns["label"]
    task = Tag.learn(tiny("tag", None, **settings), rows)
    torch.manual_seed(1)
    return task, task.build().eval().requires_grad_(False)


def test_crf_where_tags_mark_spans() -> None:
    assert make()[1].crf is not None
    assert make(crf=False)[1].crf is None
    plain = Rows({"tokens": [["a", "b"]] * 3, "tags": [["X", "Y"]] * 3}, "t")
    assert not Tag.learn(tiny("tag", None), plain).crf
    assert Tag.learn(tiny("tag", None, crf=True), plain).crf


def test_too_many_tags_for_a_crf() -> None:
    rows = Rows({"tokens": [["a"]] * 1001, "tags": [[f"T{i}"] for i in range(1001)]}, "t")
    assert not Tag.learn(tiny("tag", None), rows).crf
    with pytest.raises(UsageError, match="--crf weighs every pair of tags, and 1,001 tags are"):
        Tag.learn(tiny("tag", None, crf=True), rows)


@pytest.mark.parametrize("scheme", ["auto", "iob1", "bioes"])
def test_answers_keep_the_scheme_of_the_data(scheme: str) -> None:
    """An untrained network says anything; a CRF never breaks the scheme."""
    task, model = make(scheme=scheme)
    assert task.scheme == ("BIO" if scheme == "auto" else scheme.upper())
    rows = rows_of()
    for one in task.predict(model, rows, paths=3):
        for tags in (one.tags, *(tags for tags, _ in one.paths)):
            pairs = itertools.pairwise(["O", *tags, "O"])
            assert all(can_follow(*pair, "BIO") for pair in pairs)
    encoded = task.encode(rows)
    back = [task.tags[number] for number in encoded.tags]
    bounds = encoded.tokens.offsets
    for row, (a, b) in enumerate(itertools.pairwise(bounds)):
        assert spans(back[a:b]) == spans(rows["tags"][row])
        assert task.tagset.decode(encoded.tags[a:b].tolist()) == rows["tags"][row]


def test_scheme_needs_spans() -> None:
    with pytest.raises(UsageError, match="--scheme bioes is for tags that mark spans"):
        Tagset.learn([["NOUN", "VERB"]], "bioes")
    with pytest.raises(SeqcliError, match="every training token has the tag 'O'"):
        Tagset.learn([["O", "O"]], "auto")


@pytest.mark.parametrize("crf", [False, True])
def test_n_best_sums_to_one(crf: bool) -> None:
    task, model = make(crf=crf)
    rows = Rows({"tokens": [["go"], [], ["to", "rome"]]}, "t")
    single, empty, double = task.answer(model, rows, Request(n_best=50))
    for answer, paths in ((single, 4), (double, 16)):
        ways = answer.record["n_best"]
        assert len(ways) <= paths
        assert len({tuple(way["tags"]) for way in ways}) == len(ways)
        shares = [way["log_probability"] for way in ways]
        assert shares == sorted(shares, reverse=True)
        assert sum(map(math.exp, shares)) == pytest.approx(1, abs=1e-5)
        assert answer.record["tags"] == ways[0]["tags"]
        assert answer.plain.count("\t") == 2 * len(ways) - 1
    assert (empty.plain, empty.record["n_best"]) == ("", [])


def test_sentences_of_any_length() -> None:
    task, model = make(crf=True)
    rows = Rows({"tokens": [["go"], ["to", "rome"] * 3_000, ["on"]]}, "t")
    found = task.predict(model, rows)
    assert [len(one.tags) for one in found] == [1, 6_000, 1]
    assert found[2].tags == task.predict(model, rows.take([2]))[0].tags


def test_scores_of_a_crf_are_log_marginals() -> None:
    task, model = make(crf=True)
    rows = Rows({"tokens": [["to", "rome"]]}, "t")
    (batch,) = task.batches(task.encode(rows), [torch.zeros(1, dtype=torch.int64).numpy()], 0)
    share_NL = task.scores(model, batch).exp()
    torch.testing.assert_close(share_NL.sum(1), torch.ones(2))
    (answer,) = task.answer(model, rows, Request(n_best=50))
    for at, tag in itertools.product(range(2), range(len(task.tags))):
        ways = (way for way in answer.record["n_best"] if way["tags"][at] == task.tags[tag])
        total = sum(math.exp(way["log_probability"]) for way in ways)
        assert float(share_NL[at, tag]) == pytest.approx(total, abs=1e-5)


def test_loss_is_that_of_tags_and_label() -> None:
    """Nats of all tags and labels of the batch, by token."""
    task, model = make(with_label="label", crf=True)
    rows = rows_of(6)
    encoded = task.encode(rows)
    (batch,) = task.batches(encoded, [torch.arange(6).numpy()], 0)
    loss = task.loss(model, batch, None)
    found = 0.0
    for at in range(6):
        one = rows.take([at])
        (single,) = task.batches(task.encode(one), [torch.zeros(1, dtype=torch.int64).numpy()], 0)
        found += float(task.loss(model, single, None).mean) * len(one["tokens"][0])
    assert float(loss.mean) == pytest.approx(found / loss.count, rel=1e-5)


def test_model_of_before_the_crf_loads(tmp_path: Path, data: Path) -> None:
    """Its labels.json says nothing of a CRF, of labels or of answers."""
    folder = tmp_path / "m"
    run.train(tiny("tag", data, crf=False), folder, Quiet())
    stored = json.loads((folder / "labels.json").read_text())
    for name in ("crf", "labels", "cut"):
        del stored[name]
    (folder / "labels.json").write_text(json.dumps(stored))
    config = json.loads((folder / "config.json").read_text())
    for name in ("crf", "with_label", "scheme"):
        del config["settings"][name]
    (folder / "config.json").write_text(json.dumps(config))
    task, model, _ = bundle.load(folder)
    assert len(task.answer(model, task.read(["go to rome"]), Request())) == 1


# ------------------------------------------------------------------------- on the command line


@pytest.fixture
def joint(cli: Cli, data: Path) -> Path:
    assert cli("tag", data, "--with-label", "label", "--out", "joint", *SMALL).status == 0
    return Path("joint").resolve()


def test_joint_model(cli: Cli, joint: Path, data: Path) -> None:
    Path("in.txt").write_text("go to rome\n\nstay\n")
    plain = cli("predict", joint, "in.txt").lines
    labels, tags = zip(*(line.split("\t") for line in (plain[0], plain[2])), strict=True)
    assert set(labels) <= {"go", "stay"}
    assert [len(line.split()) for line in tags] == [3, 1]
    assert plain[1] == ""
    records = [
        json.loads(one) for one in cli("predict", joint, "in.txt", "--format", "jsonl").lines
    ]
    assert [one["label"] for one in records] == [labels[0], "", labels[1]]
    columns = cli("predict", joint, "in.txt", "--format", "conll").lines
    assert columns[0].split("\t") == ["go", records[0]["tags"][0], labels[0]]
    Path("in.conll").write_text("go\nto\nrome\n\nstay\n\n")
    lines = cli("predict", joint, "in.conll", "--n-best", "2").lines
    assert len(lines) == 6
    assert [len(line.split("\t")) for line in lines] == [4, 4, 4, 1, 4, 1]

    scores = json.loads(cli("evaluate", joint, "--json").out)["scores"]
    assert {"span_f1", "label_accuracy", "exact_match", "per_label"} <= set(scores)
    assert scores["score"] == pytest.approx((scores["span_f1"] + scores["label_accuracy"]) / 2)
    assert scores["exact_match"] <= scores["label_accuracy"]
    shown = cli("evaluate", joint, data).out
    assert "exact match" in shown
    stored = json.loads((joint / "metrics.json").read_text())
    assert stored["baselines"]["test"]["tag bigram"]["label_accuracy"] == 1.0


def test_label_column_of_conll(cli: Cli) -> None:
    lines = ["go\tO\tgo", "rome\tB-City\tgo", "", "stay\tO\tstay", "", ""] * 10
    Path("t.conll").write_text("\n".join(lines))
    options = ("--tags-column", "2", "--with-label", "3", "--out", "m", *SMALL)
    done = cli("tag", "t.conll", *options)
    assert done.status == 0
    assert "labels      2: go, stay" in done.err
    Path("t.conll").write_text("\n".join([*lines, "go\tO\tgo", "rome\tB-City\tstay", ""]))
    said = cli("tag", "t.conll", *options[:4], "--out", "n", *SMALL)
    assert said.status == 1
    assert "row 21 has several labels (go, stay)" in said.errors[0]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["x"] * 40, "every row has the label 'x'"),
        ([str(i) for i in range(40)], "has 40 values in 40 rows, so it is probably not a label"),
    ],
)
def test_labels_that_are_none(cli: Cli, labels: list[str], said: str) -> None:
    rows = [{**row, "kind": kind} for row, kind in zip(make_rows(40, seed=1), labels, strict=True)]
    Path("t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = cli("tag", "t.jsonl", "--with-label", "kind", *SMALL)
    assert result.status in (1, 2)
    assert said in result.errors[0]
    missing = cli("tag", "t.jsonl", "--with-label", "sort", *SMALL)
    assert missing.status == 2
    assert "no column 'sort' (--with-label)" in missing.errors[0]


def test_a_token_a_row_of_csv(cli: Cli) -> None:
    """As the sentences that a column numbers; a spreadsheet leaves the number out below the first
    token."""
    lines = ["Sentence #,Word,POS,Tag"]
    for number in range(40):
        lines += [f"Sentence: {number},go,VB,O", ",rome,NN,B-City"]
    Path("t.csv").write_text("\n".join(lines) + "\n")
    done = cli("tag", "t.csv", "--out", "m", *SMALL)
    assert done.status == 0
    assert "80 rows of a token are 40 sentences by 'Sentence #'" in done.err
    assert "rows        train 30, validation 10" in done.err
    judged = cli("evaluate", "m", "t.csv", "--json")
    assert "|rows:40|tokens:80|" in judged.out
    Path("w.csv").write_text("id,Word\n1,\"['go', 'rome']\"\n2,go rome\n")
    answers = cli("predict", "m", "w.csv").lines
    assert answers[-1] == answers[-2]
    assert [word.split("/")[0] for word in answers[-1].split()] == ["go", "rome"]


def test_tag_and_label_of_the_test_split_alone(cli: Cli) -> None:
    """They count as mistakes; nothing is lost."""
    rows = make_rows(40, seed=1)
    for split in ("train", "validation", "test"):
        if split == "test":
            rows[0] = {**rows[0], "label": "fly", "tags": ["B-New", *["O"] * 5]}
        Path(f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli("tag", ".", "--with-label", "label", "--out", "m", *SMALL).status == 0
    scores = json.loads(cli("evaluate", "m", "--json").out)["scores"]
    assert scores["per_type"]["New"]["support"] == 1
    assert scores["per_label"]["fly"]["recall"] == 0
    assert scores["exact_match"] < 1


@pytest.fixture
def marked(cli: Cli) -> Path:
    """A model of texts in which spans are marked by the places of their characters."""
    rows = [
        {"text": f"Go to {city}.", "label": [[6, 6 + len(city), "City"]]}
        for city in ("Rome", "Lima", "New York", "Oslo")
    ] + [{"text": "Go to bed.", "label": []}]
    Path("t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 8))
    options = ("--epochs", "20", "--learning-rate", "0.02", "--adversarial", "0")
    done = cli("tag", "t.jsonl", "--out", "m", *SMALL, *options)
    assert done.status == 0, done.err
    assert "t.jsonl: marked spans now tags of tokens: 32" in done.err
    return Path("m").resolve()


def test_answers_to_texts_tell_the_places_of_characters(cli: Cli, marked: Path) -> None:
    Path("in.txt").write_text("Go to  New York.\n\n Go to bed.\n")
    assert cli("predict", marked, "in.txt").lines == [
        "Go/O to/O New/B-City York/I-City ./O",
        "",
        "Go/O to/O bed/O ./O",
    ]
    record = json.loads(cli("predict", marked, "in.txt", "--format", "jsonl").lines[0])
    assert record["text"] == "Go to  New York."
    span = {"type": "City", "start": 7, "end": 15, "text": "New York"}
    assert record["spans"] == [span]
    Path("in.jsonl").write_text(
        json.dumps({"text": "Go to Oslo.", "label": [[6, 10, "City"]]})
        + "\n"
        + json.dumps({"text": ["Go", "to", "Oslo", "."]})
        + "\n"
    )
    text, tokens = map(json.loads, cli("predict", marked, "in.jsonl").lines)
    assert text["spans"] == [{"type": "City", "start": 6, "end": 10, "text": "Oslo"}]
    assert tokens["spans"] == [{"type": "City", "start": 2, "end": 3, "text": "Oslo"}]
    assert text["label"] == [[6, 10, "City"]]
    ways = cli("predict", marked, "in.jsonl", "--n-best", "2").lines
    assert json.loads(ways[0])["n_best"][0]["spans"] == text["spans"]


def test_marked_texts_are_evaluated_as_they_were_learned(cli: Cli, marked: Path) -> None:
    scores = json.loads(cli("evaluate", marked, "t.jsonl", "--json").out)["scores"]
    assert scores["span_f1"] == 1
    Path("t.conll").write_text("Go O\nto O\nOslo B-City\n. O\n\n")
    scores = json.loads(cli("evaluate", marked, "t.conll", "--json").out)["scores"]
    assert scores["span_f1"] == 1


# ---------------------------------------------------------------------------------- couplets


def write_couplets(name: str, count: int, *, seed: int) -> None:
    """Each character of the second line is the next of the alphabet, unless a stop."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        first = [draw.choice("东南西北春夏秋冬") for _ in range(draw.choice((2, 3, 5)))]
        first.insert(1, draw.choice("，山"))
        second = ["，" if one == "，" else chr(ord(one) + 1) for one in first]
        lines.append(f"{''.join(first)}\t{''.join(second)}\n")
    Path(name).write_text("".join(lines), encoding="utf-8")


def test_couplets(cli: Cli) -> None:
    Path("data").mkdir()
    for number, split in enumerate(("train", "valid", "test")):
        write_couplets(f"data/{split}.tsv", 200, seed=number)
    options = ("--epochs", "8", "--hidden", "16", "--embedding", "16", "--threads", "1")
    done = cli("tag", "data", "--out", "m", "--learning-rate", "0.02", *options, "--json")
    assert done.status == 0
    assert json.loads((Path("m") / "metrics.json").read_text())["scores"]["test"]["score"] > 0.9
    Path("in.txt").write_text("东，西北\n\n春 夏\n", encoding="utf-8")
    lines = cli("predict", "m", "in.txt").lines
    assert list(map(len, lines)) == [4, 0, 2]
    assert lines[0][1] == "，"
    records = cli("predict", "m", "in.txt", "--n-best", "2", "--format", "jsonl").lines
    first = json.loads(records[0])
    assert first["tokens"] == list("东，西北")
    assert "".join(first["n_best"][0]["tags"]) == lines[0]
    assert len(first["n_best"]) == 2


def test_lines_of_chinese_need_no_spaces(cli: Cli) -> None:
    """Named entities a character a line, as Chinese data come; a line of input is plain text."""
    people, places = ("王伟", "李小娜", "张敏"), ("北京", "长沙")
    blocks = []
    for person, place in itertools.product(people, places):
        marks = [*zip(person, ["B-PER", *["I-PER"] * 2], strict=False), ("去", "O")]
        marks += zip(place, ("B-LOC", "I-LOC"), strict=True)
        blocks.append("".join(f"{character} {tag}\n" for character, tag in marks))
    Path("t.txt").write_text("\n".join(blocks * 5), encoding="utf-8")
    options = ("--epochs", "20", "--learning-rate", "0.02", "--adversarial", "0")
    assert cli("tag", "t.txt", "--out", "m", *SMALL, *options).status == 0
    Path("in.txt").write_text("张敏去北京\n\n张 敏 去 北 京\n", encoding="utf-8")
    plain = "张/B-PER 敏/I-PER 去/O 北/B-LOC 京/I-LOC"
    assert cli("predict", "m", "in.txt").lines == [plain, "", plain]
    record = json.loads(cli("predict", "m", "in.txt", "--format", "jsonl").lines[0])
    assert [span["text"] for span in record["spans"]] == ["张敏", "北京"]


def test_couplet_of_unequal_lines(cli: Cli) -> None:
    write_couplets("t.tsv", 60, seed=1)
    with Path("t.tsv").open("a", encoding="utf-8") as file:
        file.write("东西南\t北\n")
    refused = cli("tag", "t.tsv", *SMALL)
    assert refused.status == 1
    assert "t.tsv row 61 has 3 characters that face 1" in refused.errors[0]


def test_text_that_does_not_face_each_other() -> None:
    assert not face_each_other([("cat", "dog"), ("tea", "pot")])
    assert not face_each_other([("北京", "市"), ("上海", "市的")])
    assert not face_each_other([])
    assert face_each_other([("莲花开并蒂", "兰带结同心")])
