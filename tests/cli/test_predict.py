"""The pipeline contract of `predict`: N lines in, N lines out, in order, as they arrive."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TASKS, Result, call, command, spawn

from seqcli.stream import UNDECIDED

Cli = Callable[..., Result]
Models = Callable[[str], Path]
TEXT = ["go to rome", "", "stay in oslo on day 3", "  ", "\u2028 odd \x85 spaces\u00a0", "été 巴黎"]
TEXT_FIELD = {"classify": "text", "tag": "tokens", "translate": "source", "lm": "text"}


def answer(cli: Cli, model: Path, content: bytes, *options: str, name: str = "in.txt") -> Result:
    Path(name).write_bytes(content)
    return cli("predict", model, name, *options)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_for_each_line(cli: Cli, models: Models, task: str, end: str) -> None:
    whole = end.join(TEXT) + end
    result = answer(cli, models(task), whole.encode())
    assert (result.status, result.err) == (0, "")
    assert len(result.lines) == len(TEXT)
    assert "\r" not in result.out
    # A last line without a newline counts; the answers follow the order of the lines.
    back = answer(cli, models(task), "\n".join(reversed(TEXT)).encode()).lines
    for line, same in zip(result.lines, reversed(back), strict=True):
        assert _plain(line) == _plain(same)


def _plain(line: str) -> list[object]:
    """An answer with its numbers, if it has any, to be compared to rounding."""
    return [
        pytest.approx(float(part), abs=1e-5) if re.fullmatch(r"-?\d+\.\d+", part) else part
        for part in line.split("\t")
    ]


@pytest.mark.parametrize("task", TASKS)
def test_no_lines(cli: Cli, models: Models, task: str) -> None:
    assert answer(cli, models(task), b"") == Result(0, "", "")


@pytest.mark.parametrize("task", TASKS)
def test_json_lines_keep_their_fields(cli: Cli, models: Models, task: str) -> None:
    field = TEXT_FIELD[task]
    value = ["go", "to", "rome"] if task == "tag" else "go to rome"
    records = [
        {"id": 7, "nested": {"a": [1, None]}, field: value, "label": "gold", "tags": ["X"]},
        {field: value},
    ]
    content = "\n\n".join(map(json.dumps, records))
    result = answer(cli, models(task), content.encode())
    assert result.status == 0, result.err
    assert len(result.lines) == 3
    assert result.lines[1] == ""
    found = [json.loads(line) for line in result.lines[::2]]
    for record, given in zip(found, records, strict=True):
        assert {name: record[name] for name in given} == given
        assert len(record) > len(given)
    # An answer never takes the place of a field.
    if task == "classify":
        assert found[0]["predicted_label"] == found[1]["label"]
    if task == "tag":
        assert found[0]["predicted_tags"] == found[1]["tags"]
        assert len(found[0]["predicted_tags"]) == 3


@pytest.mark.parametrize("task", TASKS)
def test_bad_lines_of_text(cli: Cli, models: Models, task: str) -> None:
    result = answer(cli, models(task), b"go to rome\n\xff\xfe\nstay in oslo\n\xc3")
    assert result.status == 1
    assert result.lines[1] == result.lines[3] == ""
    assert all(result.lines[::2])
    assert [line.split(":")[1].strip() for line in result.errors] == ["line 2", "line 4"]
    assert len(result.err.splitlines()) == 2


BAD_RECORDS = {
    "{": "not JSON",
    "[1]": "not a JSON object",
    '{"x": 1}': "field",
    '{"TEXT": {"a": 5}}': "field",
    '{"TEXT": "\\ud800"}': "surrogate",
    "[" * 100_000: "deeply",
    '{"TEXT": ' + "9" * 5_000 + "}": "not JSON",
}


@pytest.mark.parametrize("task", TASKS)
def test_bad_records(cli: Cli, models: Models, task: str) -> None:
    field = TEXT_FIELD[task]
    good = json.dumps({field: "go to rome"})
    bad = [line.replace("TEXT", field) for line in BAD_RECORDS]
    lines = [good, *bad, good]
    result = answer(cli, models(task), "\n".join(lines).encode())
    assert result.status == 1
    assert len(result.lines) == len(lines)
    assert result.lines[1:-1] == [""] * len(bad)
    assert result.lines[0] == result.lines[-1] != ""
    assert len(result.errors) == len(result.err.splitlines()) == len(bad)
    for number, (line, said) in enumerate(zip(result.errors, BAD_RECORDS.values(), strict=True)):
        assert line.startswith(f"error: line {number + 2}: ")
        assert (field if said == "field" else said) in line


def test_byte_order_mark_and_gzip(cli: Cli, models: Models) -> None:
    content = "".join(f"{text}\n" for text in TEXT).encode()
    plain = answer(cli, models("lm"), content)
    assert answer(cli, models("lm"), b"\xef\xbb\xbf" + content) == plain
    packed = gzip.compress(content)
    assert answer(cli, models("lm"), packed, name="in.txt.gz") == plain
    assert answer(cli, models("lm"), packed) == plain  # whatever its name
    two = gzip.compress(content[:9]) + gzip.compress(content[9:])
    assert answer(cli, models("lm"), two) == plain
    cut = answer(cli, models("lm"), packed[:-10])
    assert cut.status == 1
    assert cut.err.startswith("error: cannot read in.txt: Compressed file ended before")


@pytest.mark.parametrize("task", TASKS)
def test_a_line_of_a_megabyte(cli: Cli, models: Models, task: str) -> None:
    long = b"go to rome " * 95_325
    assert len(long) >= 2**20 - 11
    result = answer(cli, models(task), b"go\n" + long + b"\nstay\n")
    assert len(result.lines) == 3
    assert result.lines[0]
    assert result.lines[2]
    if task == "translate":  # which takes a step for each token written
        assert result.status == 1
        assert "line 2: 1,048,575 characters are too many" in result.err
    else:
        assert result.status == 0
        assert result.lines[1]


# ------------------------------------------------------------------------------ forms of answers


def test_classify_forms(cli: Cli, models: Models) -> None:
    lines = answer(cli, models("classify"), b"go to rome\nstay\n").lines
    assert set(lines) <= {"go", "stay"}
    shown = answer(cli, models("classify"), b"go to rome\n", "--probabilities").lines[0]
    label, *pairs = shown.split("\t")
    chances = {name: float(value) for name, value in (pair.split("=") for pair in pairs)}
    assert set(chances) == {"go", "stay"}
    assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
    assert label == max(chances, key=lambda name: chances[name])
    limited = answer(cli, models("classify"), b"go to rome\n", "--probabilities", "--top-k", 1)
    assert limited.lines[0].split("\t") == [label, *pairs[:1]]
    options = ("--probabilities", "--format", "jsonl")
    record = json.loads(answer(cli, models("classify"), b"go to rome\n", *options).out)
    assert (record["text"], record["label"]) == ("go to rome", label)
    assert record["probabilities"] == pytest.approx(chances, abs=1e-5)
    assert record["probability"] == max(record["probabilities"].values())


def test_language_model_forms(cli: Cli, models: Models) -> None:
    plain = answer(cli, models("lm"), b"go to rome\n").lines[0]
    total, perplexity, count = map(float, plain.split("\t"))
    record = json.loads(answer(cli, models("lm"), b"go to rome\n", "--format", "jsonl").out)
    assert record["log_probability"] == pytest.approx(total, abs=1e-5)
    assert record["tokens"] == count == len("go to rome") + 1  # characters and the end
    assert perplexity == pytest.approx(2.718281828 ** (-total / count), rel=1e-5)


def test_translate_forms(cli: Cli, models: Models) -> None:
    model = models("translate")
    lines = answer(cli, model, b"go to rome\nstay in oslo\n", "--n-best", "3").lines
    assert len(lines) == 2
    for line in lines:
        parts = line.split("\t")
        scores = [float(part) for part in parts[1::2]]
        assert 2 < len(parts) == 2 * len(set(parts[::2])) <= 6  # some may read alike
        assert scores == sorted(scores, reverse=True)
    first = [line.split("\t")[0] for line in lines]
    beam = answer(cli, model, b"go to rome\nstay in oslo\n", "--beam", "3").lines
    assert beam == first
    scored = answer(cli, model, b"go to rome\n", "--beam", "3", "--scores").lines[0]
    assert scored == "\t".join(lines[0].split("\t")[:2])
    options = ("--n-best", "3", "--format", "jsonl")
    record = json.loads(answer(cli, model, b"go to rome\n", *options).out)
    assert record["source"] == "go to rome"
    assert 2 * len(record["n_best"]) == lines[0].count("\t") + 1
    assert record["translation"] == record["n_best"][0]["translation"]
    short = json.loads(
        answer(cli, model, b"go to rome\n", "--max-length", "1", "--format", "jsonl").out
    )
    assert short["log_probability"] < 0


def test_tag_forms(cli: Cli, models: Models) -> None:
    model = models("tag")
    plain = answer(cli, model, b"go to rome\n\nstay\n").lines
    tags = [[token.rsplit("/", 1)[1] for token in line.split()] for line in plain]
    assert list(map(len, tags)) == [3, 0, 1]
    columns = answer(cli, model, b"go to rome\n\nstay\n", "--format", "conll").out
    first, second, third = tags[0]
    start = f"go\t{first}\nto\t{second}\nrome\t{third}\n\n"
    assert columns == f"{start}\nstay\t{tags[2][0]}\n\n"
    record = json.loads(answer(cli, model, b"go to rome\n", "--format", "jsonl").out)
    assert (record["tokens"], record["tags"]) == (["go", "to", "rome"], tags[0])
    for span in record["spans"]:
        assert span["text"] == " ".join(record["tokens"][span["start"] : span["end"]])


CONLL = (
    "-DOCSTART- -X- O\n\n# id = 1\ngo\tVB\tO\nto\tTO\tO\nrome\tNN\tB-City\n\n\n"
    "# a longer comment\n#\tSYM\tO\nstay\tVB\tO"
)


def test_columns_are_answered_line_for_line(cli: Cli, models: Models) -> None:
    model = models("tag")
    result = answer(cli, model, CONLL.encode(), name="in.conll")
    assert (result.status, result.err) == (0, "")
    given = CONLL.split("\n")
    assert len(result.lines) == len(given)
    known = json.loads((model / "labels.json").read_text())["tags"]
    for line, text in zip(result.lines, given, strict=True):
        if not text or text.startswith(("# ", "-DOCSTART-")):
            assert line == text
        else:
            token, tag = line.split("\t")
            assert token == text.split("\t")[0]
            assert tag in known
    plain = answer(cli, model, b"go to rome\n# stay\n")
    expected = [line.rsplit("\t", 1)[1] for line in result.lines if "\t" in line]
    assert [word.rsplit("/", 1)[1] for word in plain.out.split()] == expected
    asked = answer(cli, model, CONLL.encode(), "--input", "conll")
    assert asked.out == result.out
    crlf = answer(cli, model, CONLL.replace("\n", "\r\n").encode(), name="in.conll")
    assert crlf.out == result.out
    spaces = answer(cli, model, CONLL.replace("\t", " ").encode(), name="in.conll")
    assert spaces.out.split() == result.out.split()
    records = answer(cli, model, CONLL.encode(), "--format", "jsonl", name="in.conll").lines
    found = [json.loads(line)["tokens"] for line in records]
    assert found == [["go", "to", "rome"], ["#", "stay"]]


@pytest.mark.parametrize("name", ["in.txt", "in.tsv", "in"])
def test_columns_of_any_name_are_known_by_their_tags(cli: Cli, models: Models, name: str) -> None:
    model = models("tag")
    content = b"go O\nto O\nrome B-City\n\nstay O\n".replace(b" ", b"\t")
    found = answer(cli, model, content, name=name)
    assert found.out == answer(cli, model, content, name="in.conll").out
    text = answer(cli, model, b"go to O\nstay in oslo\n", name="in.txt")
    assert [len(line.split()) for line in text.lines] == [3, 3]


def test_a_sentence_a_row_of_tsv(cli: Cli, models: Models) -> None:
    found = answer(cli, models("tag"), b"tokens\ttags\ngo to rome\tO O O\nstay\tO\n", name="in.tsv")
    assert [len(line.split()) for line in found.lines] == [1, 3, 1]
    assert found.lines[0] == "tags"
    # Numbers that tell each row apart join nothing.
    rows = b"sentence_id,tokens\n1,go to rome\n2,stay\n"
    numbered = answer(cli, models("tag"), rows, name="in.csv")
    assert "each row is answered by itself" in numbered.err
    assert numbered.lines == found.lines


TOKEN_ROWS = "sentence #,tokens\nS 1,go\n,to\n,rome\nS 2,stay\nS 3,go\nS 3,on\nS 3,\nS 3,3\n"


def test_a_token_a_row_of_csv(cli: Cli, models: Models) -> None:
    """A tag for each row, so that both can be pasted together, known in the light of a sentence."""
    model = models("tag")
    sentences = ["go to rome", "stay", "go on 3"]
    pairs = [line.split() for line in answer(cli, model, "\n".join(sentences).encode()).lines]
    tags = [[pair.rpartition("/")[2] for pair in line] for line in pairs]
    found = answer(cli, model, TOKEN_ROWS.encode(), name="in.csv")
    assert (found.status, found.err) == (0, "")
    first, second, (go, on, three) = tags
    assert found.lines == ["tags", *first, *second, go, on, "", three]
    records = answer(cli, model, TOKEN_ROWS.encode(), "--format", "jsonl", name="in.csv").lines
    assert [json.loads(line)["tokens"] for line in records] == [one.split() for one in sentences]
    columns = answer(cli, model, TOKEN_ROWS.encode(), "--format", "conll", name="in.csv").out
    assert [one.split("\n")[-1].split("\t")[0] for one in columns.strip().split("\n\n")] == [
        *("rome", "stay", "3")
    ]
    ways = answer(cli, model, TOKEN_ROWS.encode(), "--n-best", 2, name="in.csv").lines
    assert [len(line.split("\t")) for line in ways] == [1, 2, 2, 2, 2, 2, 2, 1, 2]


def test_rows_of_tokens_that_begin_with_short_sentences(cli: Cli, models: Models) -> None:
    """The first of several rows, or with several tokens, tells what rows are."""
    model = models("tag")
    whole = answer(cli, model, TOKEN_ROWS.encode(), name="in.csv").lines
    stay = answer(cli, model, b"stay\n").lines[0].rpartition("/")[2]
    head, _, rest = TOKEN_ROWS.partition("\n")
    for few in (1, 2, 40):
        short = "".join(f"T {number},stay\n" for number in range(few))
        found = answer(cli, model, f"{head}\n{short}{rest}".encode(), name="in.csv")
        assert (found.status, found.err) == (0, "")
        assert found.lines == [whole[0], *[stay] * few, *whole[1:]]
        alone = answer(cli, model, f"{head}\n{short}".encode(), name="in.csv")
        assert alone.lines == ["tags", *[f"stay/{stay}"] * few]
        sentences = answer(cli, model, f"{head}\n{short}8,go to rome\n9,\n".encode(), name="in.csv")
        assert [len(line.split()) for line in sentences.lines] == [1] * (few + 1) + [3, 0]


def test_rows_that_tell_nothing_wait_up_to_a_number(models: Models) -> None:
    process = spawn("predict", models("tag"), "--input", "csv")
    assert process.stdin
    assert process.stdout
    rows = [f"{number},stay\n" for number in range(UNDECIDED + 1)]
    process.stdin.write("".join(["sentence_id,tokens\n", *rows]).encode())
    process.stdin.flush()
    assert [process.stdout.readline()[:5] for _ in range(len(rows))][1:] == [b"stay/"] * UNDECIDED
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_rows_of_tokens_that_cannot_be_read(cli: Cli, models: Models) -> None:
    lines = TOKEN_ROWS.encode().splitlines()
    lines[2:2] = [b"1,to,much", b"\xff,x", b""]
    found = answer(cli, models("tag"), b"\n".join(lines), name="in.csv")
    whole = answer(cli, models("tag"), TOKEN_ROWS.encode(), name="in.csv")
    assert found.status == 1
    assert found.lines == [*whole.lines[:2], "", "", "", *whole.lines[2:]]
    assert [error.split(":")[1].strip() for error in found.errors] == ["line 3", "line 4"]


def test_rows_of_tokens_in_documents(cli: Cli, models: Models) -> None:
    """Numbers may begin anew in each."""
    rows = "doc_id,sentence_id,tokens\na,1,go\na,1,to\nb,1,rome\nb,1,stay\n"
    found = answer(cli, models("tag"), rows.encode(), "--format", "jsonl", name="in.csv").lines
    assert [json.loads(line)["tokens"] for line in found] == [["go", "to"], ["rome", "stay"]]


@pytest.mark.parametrize("content", [b"go to rome\tgo\nstay\tstay\n", b"__label__go go\n"])
def test_lines_with_labels_are_doubted(cli: Cli, models: Models, content: bytes) -> None:
    found = answer(cli, models("classify"), content)
    assert found.status == 0
    assert "in.txt: its lines seem to hold labels" in found.err
    assert answer(cli, models("classify"), b"go\tto rome\nstay\n").err == ""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.json", b'[{"text": "go"}]', "is one JSON value; predict reads JSON Lines"),
        ("in.json", b'{\n  "text": "go"\n}\n', "is one JSON value; predict reads JSON Lines"),
        ("in.parquet", b"PAR1\x00", "predict reads lines of text, tables or JSON"),
    ],
)
def test_files_that_are_not_lines(
    cli: Cli, models: Models, name: str, content: bytes, said: str
) -> None:
    refused = answer(cli, models("classify"), content, name=name)
    assert (refused.status, len(refused.errors), refused.out) == (2, 1, "")
    assert said in refused.err


def test_numbers_are_read_as_they_are_written(cli: Cli, models: Models) -> None:
    for task, one, other in (
        ("classify", {"text": 12}, {"text": "12"}),
        ("tag", {"tokens": ["on", 12]}, {"tokens": ["on", "12"]}),
    ):
        lines = answer(
            cli, models(task), f"{json.dumps(one)}\n{json.dumps(other)}\n".encode()
        ).lines
        first, second = map(json.loads, lines)
        assert {**first, **other} == second


def test_a_field_of_another_name_does_not_answer(cli: Cli, models: Models) -> None:
    result = answer(cli, models("classify"), b'{"id": 3, "input": "zzz"}\n')
    assert (result.status, result.lines) == (1, [""])
    assert "no field 'text'; it has: id, input" in result.err


def test_table_without_a_header(cli: Cli, models: Models) -> None:
    model = models("classify")
    plain = answer(cli, model, b"x,go to rome\n", name="in.txt")
    table = answer(cli, model, b"x,go to rome\n", name="in.csv")
    assert (table.status, table.out) == (0, plain.out)
    assert "in.csv: its first line names no column that the model reads" in table.err
    assert plain.err == answer(cli, model, b"id,text\n1,go\n", name="in.csv").err == ""


def test_columns_are_read_as_in_training(cli: Cli, models: Models) -> None:
    """Without a first one that numbers the tokens, also where a sentence has one; as CoNLL-X."""
    model = models("tag")
    plain = answer(cli, model, b"go\tX\tO\nto\tX\tO\n\nstay\tX\tO\n\n", name="in.conll").lines
    numbered = b"# id 7\n1\tgo\tO\n2\tto\tO\n\n1\tstay\tO\n\n"
    assert answer(cli, model, numbered, name="in.conll").lines == ["# id 7", *plain]
    rest = "\t_\tVB\tVB\t_\t{}\troot\t_\t_"
    rows = [
        f"1\tgo{rest.format(2)}",
        f"2\tto{rest.format(0)}",
        "",
        f"1\tstay{rest.format(0)}",
        "\n",
    ]
    assert answer(cli, model, "\n".join(rows).encode(), name="in.conll").lines == plain
    hashtag = answer(cli, model, b"#rome\tX\n\n", name="in.conll").lines
    assert hashtag[0].startswith("#rome\t")


@pytest.mark.parametrize("name", ["in.conll", "in.txt"])
def test_spaces_that_are_a_tokens_own(cli: Cli, models: Models, name: str) -> None:
    """Between columns stand plain spaces; others are read as in training."""
    content = "10\u00a0000 O\nto  O\n\u3000 O\n\nstay O\n\n"
    found = answer(cli, models("tag"), content.encode(), name=name)
    tokens = [line.split("\t")[0] for line in found.lines]
    assert (found.status, tokens) == (0, ["10\u00a0000", "to", "\u3000", "", "stay", ""])


def test_bad_line_among_columns(cli: Cli, models: Models) -> None:
    result = answer(cli, models("tag"), b"go\tX\n\xff\tX\nrome\tX\n\n", name="in.conll")
    assert result.status == 1
    assert result.errors == ["error: line 2: not UTF-8 (byte 1); convert it with iconv"]
    assert [bool(line) for line in result.lines] == [True, False, True, False]


def test_conllu(cli: Cli, models: Models) -> None:
    rest = "\t_" * 8
    content = f"# text = dont\n1-2\tdont{rest}\n1\tdo{rest}\n2\tnt{rest}\n2.1\tx{rest}\n\n"
    lines = answer(cli, models("tag"), content.encode(), name="in.conllu").lines
    assert [lines[0], lines[1], lines[4], lines[5]] == [
        *content.split("\n")[:2],
        f"2.1\tx{rest}",
        "",
    ]
    assert [line.split("\t")[0] for line in lines[2:4]] == ["do", "nt"]


@pytest.mark.parametrize("task", TASKS)
def test_products_in_bf16(cli: Cli, models: Models, task: str) -> None:
    """Answers come near those in fp32, with numbers that show that products were others."""
    form = {"classify": ["--probabilities"], "lm": []}.get(task, ["--scores"])
    content = "\n".join(TEXT).encode()
    exact, near = (
        answer(cli, models(task), content, *form, "--precision", name).lines
        for name in ("fp32", "bf16")
    )
    assert len(near) == len(TEXT)
    assert near != exact
    numbers = [
        [float(number) for number in re.findall(r"-?\d+\.\d+", line)]
        for line in (exact[0], near[0])
    ]
    assert numbers[1] == pytest.approx(numbers[0], rel=0.05, abs=0.02)
    again = answer(cli, models(task), TEXT[0].encode(), *form, "--precision", "bf16").lines
    assert _plain(again[0]) == _plain(near[0])


@pytest.mark.parametrize(
    ("task", "option"),
    [
        ("lm", ("--probabilities",)),
        ("classify", ("--beam", "2")),
        ("tag", ("--beam", "2")),
        ("lm", ("--n-best", "2")),
        ("translate", ("--probabilities",)),
        ("classify", ("--format", "conll")),
        ("lm", ("--input", "conll")),
    ],
)
def test_option_of_another_task(
    cli: Cli, models: Models, task: str, option: tuple[str, ...]
) -> None:
    result = answer(cli, models(task), b"go\n", *option)
    assert result.status == 2
    assert result.out == ""
    assert len(result.errors) == len(result.err.splitlines()) == 1
    assert task in result.err


def test_newlines_in_answers(cli: Cli, tmp_path: Path) -> None:
    """A label that holds a newline cannot break the count of lines."""
    rows = [{"text": f"word {i % 2}", "label": "a\nb" if i % 2 else "c\r\nd"} for i in range(30)]
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--epochs", "1", "--hidden", "8", "--embedding", "8")
    assert cli("classify", "train.jsonl", "--out", "m", *options).status == 0
    lines = answer(cli, Path("m"), b"word 1\nword 0\n").lines
    assert len(lines) == 2
    assert set(lines) <= {"a b", "c  d"}
    lines = answer(cli, Path("m"), b"word 1\nword 0\n", "--probabilities").lines
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("file", "said"),
    [("gone.txt", "cannot read gone.txt: No such file"), (".", "cannot read .: Is a directory")],
)
def test_unreadable_file(cli: Cli, models: Models, file: str, said: str) -> None:
    result = cli("predict", models("lm"), file)
    assert result.status == 1
    assert said in result.err
    assert len(result.err.splitlines()) == 1


# ------------------------------------------------------------------------------- other processes


def test_answers_come_as_lines_arrive(models: Models) -> None:
    """The first answer is there before the second line is sent; for columns, the first sentence."""
    for options, sent in (((), [b"go to rome\n"] * 3), (("--input", "conll"), [b"go\nto\n\n"] * 2)):
        process = spawn("predict", models("tag"), *options)
        assert process.stdin
        assert process.stdout
        for piece in sent:
            process.stdin.write(piece)
            process.stdin.flush()
            answered = b"".join(process.stdout.readline() for _ in range(piece.count(b"\n")))
            assert answered.count(b"\n") == piece.count(b"\n")
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(30) == 0
        process.stdout.close()
        if process.stderr:
            assert process.stderr.read() == b""
            process.stderr.close()


def test_a_packed_pipe(models: Models) -> None:
    lines = b"go to rome\nstay\n"
    whole = call("predict", models("lm"), given=lines)
    assert call("predict", models("lm"), given=gzip.compress(lines)) == whole
    assert (whole.status, len(whole.lines)) == (0, 2)


def test_a_pipe_that_does_not_block(models: Models) -> None:
    """What has not arrived yet is not the end."""
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    with subprocess.Popen(
        command("predict", models("lm")), stdin=ends[0], stdout=subprocess.PIPE
    ) as process:
        os.close(ends[0])
        with open(ends[1], "wb", buffering=0) as out:
            assert process.stdout
            for _ in range(2):
                out.write(b"go to rome\n")
                assert process.stdout.readline().count(b"\t") == 2
                time.sleep(0.5)  # it asks for more in vain
    assert process.returncode == 0


def test_closed_pipe_is_quiet(models: Models) -> None:
    predict = " ".join(command("predict", models("lm")))
    script = f"yes 'go to rome' | head -200000 | {predict} | head -1; echo ${{PIPESTATUS[2]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    line, status = done.stdout.splitlines()
    assert re.fullmatch(r"-\d+\.\d+\t\d+\.\d+\t11", line)
    assert (status, done.stderr) == ("0", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_output(models: Models) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command("predict", models("lm")),
            input=b"go\n",
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert done.returncode == 1
    said = done.stderr.decode().splitlines()
    assert said == ["error: cannot read or write: No space left on device"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_answers_go_on_without_notes(models: Models) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command("predict", models("lm")),
            input=b"\xff\ngo\n\xff\ngo\n",
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=120,
        )
    bad, good, *rest = done.stdout.decode().splitlines()
    assert (done.returncode, bad, rest) == (1, "", ["", good])


def test_closed_output(models: Models) -> None:
    shell = f"echo go | {' '.join(command('predict', models('lm')))} >&-"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_closed_input(models: Models) -> None:
    shell = f"{' '.join(command('predict', models('lm')))} <&-"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_interrupted(models: Models) -> None:
    def listen() -> None:  # a shell's background jobs are started deaf to it, and so would these be
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = spawn("predict", models("lm"), preexec_fn=listen)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"go\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"error: interrupted\n")


def test_output_is_utf8_in_any_locale(models: Models) -> None:
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    result = call("predict", models("tag"), given="巴黎\n".encode(), env=env)
    assert result.status == 0
    assert result.out.startswith("巴黎/")


@pytest.mark.slow
def test_memory_stays_flat(models: Models) -> None:
    """Ten times the lines need no more memory."""
    peaks = []
    for count in (20_000, 200_000):
        process = spawn("predict", models("classify"), stdout=subprocess.DEVNULL)
        assert process.stdin
        for _ in range(count // 1000):
            process.stdin.write(b"what time is the flight\n" * 1000)
        process.stdin.flush()
        status = Path(f"/proc/{process.pid}/status").read_text()
        peaks.append(int(status.split("VmHWM:")[1].split()[0]))  # KiB
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert peaks[1] < peaks[0] + 20_000
