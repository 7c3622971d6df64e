"""Tables as the input of predict: the column of training is read, a line answers each line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Result, spawn

from seqcli.data.delimited import read_csv

Cli = Callable[..., Result]
Models = Callable[[str], Path]
ROWS = ["go to rome", 'say "stay, there"', "", "a, b"]


def write(name: str, delimiter: str, *, header: list[str] | None = None) -> None:
    out = io.StringIO()
    table = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    table.writerow(header or ["id", "text", "sentence"])
    table.writerows([number, text, "?"] for number, text in enumerate(ROWS))
    Path(name).write_text(out.getvalue())


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
def test_csv(cli: Cli, models: Models, delimiter: str) -> None:
    write("in.csv", delimiter)
    Path("in.txt").write_text("".join(f"{text}\n" for text in ROWS))
    found = cli("predict", models("classify"), "in.csv")
    assert (found.status, found.err) == (0, "")
    assert found.lines == ["label", *cli("predict", models("classify"), "in.txt").lines]
    asked = cli("predict", models("classify"), "in.csv", "--input", "csv")
    assert asked.out == found.out
    records = [
        json.loads(line)
        for line in cli("predict", models("classify"), "in.csv", "--format", "jsonl").lines
    ]
    assert [record["text"] for record in records] == ROWS
    assert [record["label"] for record in records] == found.lines[1:]
    assert records[0]["id"] == "0"


def test_tsv(cli: Cli, models: Models) -> None:
    Path("in.tsv").write_text("source\tother\ngo to rome\tx\nstay\ty\n")
    found = cli("predict", models("translate"), "in.tsv")
    Path("in.txt").write_text("go to rome\nstay\n")
    assert found.lines == ["translation", *cli("predict", models("translate"), "in.txt").lines]


def test_text_in_a_file_called_csv_is_text(cli: Cli, models: Models) -> None:
    Path("in.csv").write_text("go to rome, they said\nstay in oslo\n")
    assert len(cli("predict", models("classify"), "in.csv").lines) == 2
    refused = cli("predict", models("classify"), "in.csv", "--input", "csv")
    assert (refused.status, len(refused.errors)) == (2, 1)
    assert "the header of the table: no field 'text'" in refused.err


def test_bad_rows(cli: Cli, models: Models) -> None:
    Path("in.csv").write_text('id,text\n1,go\n2,"go\n3\n\n5,stay\n')
    found = cli("predict", models("classify"), "in.csv")
    assert (found.status, len(found.lines)) == (1, 6)
    assert found.lines[2] == found.lines[3] == found.lines[4] == ""
    assert "line 3: a quoted cell goes on beyond the line" in found.err
    assert "line 4: 1 cells, and the header has 2" in found.err


def test_cells_of_several_lines_are_no_rows(cli: Cli, models: Models) -> None:
    Path("in.csv").write_text('text,id\n"go\nto rome",1\nstay,2\n6" pipe,3\n')
    found = cli("predict", models("classify"), "in.csv")
    assert [bool(line) for line in found.lines] == [True, False, False, True, True]
    assert "line 3: ends a row that began before" in found.err


def test_quotation_marks_are_read_as_in_training(cli: Cli, models: Models) -> None:
    rows = ['"He said "hi" to me"', '"fine" ', 'a 6" pipe', '6"', 'x"y']
    Path("in.csv").write_text("id,text\n" + "".join(f"1,{row}\n" for row in rows))
    found = cli("predict", models("classify"), "in.csv", "--format", "jsonl")
    assert (found.status, found.err) == (0, "")
    trained = read_csv(Path("in.csv")).columns["text"]
    assert [json.loads(line)["text"] for line in found.lines] == trained
    # What is wrong with one row says nothing of the next.
    Path("in.csv").write_text('id,text\n6"\n2,6" pipe\n1,a\rb\n"\n')
    found = cli("predict", models("classify"), "in.csv")
    assert [bool(line) for line in found.lines] == [True, False, True, False, False]
    for said in ("line 2: 1 cells", "line 4: holds a carriage return", "line 5: a quoted cell"):
        assert said in found.err


@pytest.mark.parametrize("lead", ["sep=;\n", "\n", '"sep=;"\n\n'])
def test_lines_before_the_header(cli: Cli, models: Models, lead: str) -> None:
    model, table = models("classify"), "text;id\ngo to rome;1, 2\nstay;3\n"
    Path("in.csv").write_text(table)
    plain = cli("predict", model, "in.csv").lines
    records = cli("predict", model, "in.csv", "--format", "jsonl")
    Path("in.csv").write_text(lead + table)
    assert cli("predict", model, "in.csv", "--format", "jsonl") == records
    found = cli("predict", model, "in.csv")
    assert (found.status, found.err) == (0, "")
    assert found.lines == [""] * lead.count("\n") + plain
    assert cli("predict", model, "in.csv", "--input", "csv").lines == found.lines
    Path("in.csv").write_text(lead)
    alone = cli("predict", model, "in.csv", "--input", "csv")
    assert alone.lines == [""] * lead.count("\n")
    assert cli("predict", model, "in.csv").status == 0


def test_a_divider_that_is_named_is_known_when_the_header_comes(models: Models) -> None:
    process = spawn("predict", models("classify"), "--input", "csv")
    assert process.stdin
    assert process.stdout
    lines = []
    for sent in (b"sep=:\n", b"\n", b"text:id\n", b"go, or stay; or not:1\n"):
        process.stdin.write(sent)
        process.stdin.flush()
        lines.append(process.stdout.readline())
    assert lines[:3] == [b"\n", b"\n", b"label\n"]
    assert lines[3].strip() in (b"go", b"stay")
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_columns_that_are_not_read_may_be_empty_or_twice_there(cli: Cli, models: Models) -> None:
    plain = "go to rome", "stay"
    for header in ("text,,", "id,text,id", "sentence,a,b"):
        at = header.split(",").index("sentence" if "sentence" in header else "text")
        rows = [",".join(text if i == at else "" for i in range(3)) for text in plain]
        Path("in.csv").write_text("\n".join([header, *rows]) + "\n")
        Path("in.txt").write_text("".join(f"{text}\n" for text in plain))
        found = cli("predict", models("classify"), "in.csv")
        assert found.lines == ["label", *cli("predict", models("classify"), "in.txt").lines]
    Path("in.csv").write_text("text,text\na,b\n")
    refused = cli("predict", models("classify"), "in.csv", "--input", "csv")
    assert "two columns are called 'text'" in refused.err


def test_a_very_long_cell(cli: Cli, models: Models) -> None:
    Path("in.csv").write_text(f"text,id\n{'go ' * 60_000},1\n")
    found = cli("predict", models("classify"), "in.csv")
    assert (found.status, len(found.lines)) == (0, 2), found.err
