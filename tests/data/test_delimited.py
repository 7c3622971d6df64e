"""Tables of comma-separated values: quotes, delimiters, headers, and what is broken."""

import gzip
from pathlib import Path

import pytest

from seqcli.data.delimited import read_csv
from seqcli.errors import SeqcliError


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv_values_are_strings_as_written(tmp_path: Path) -> None:
    text = '\ufefftext,label\r\nNA,007\r\n"a, ""b""\nc",1.50\r\n,true\r\nnull,\r\n'
    table = read_csv(write(tmp_path / "a [b] #c.csv", text))
    assert dict(table.columns) == {
        "text": ["NA", 'a, "b"\nc', "", "null"],
        "label": ["007", "1.50", "true", ""],
    }


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        # As pandas writes a table with its index.
        (["", "remark", "grade"], ["1", "remark", "grade"]),
        # As the SMS spam collection is passed on, with columns of nothing behind.
        (["v1", "v2", "", ""], ["v1", "v2", "3", "4"]),
        # A row with a missing value.
        (["", "a fine day", "good"], None),
    ],
)
def test_csv_headers_with_empty_cells(
    tmp_path: Path, rows: list[str], names: list[str] | None
) -> None:
    filled = {"": "", "v1": "ham", "v2": "so it goes", "remark": "it rains", "grade": "bad"}
    body = [[filled.get(name, name + "!") for name in rows] for _ in range(12)]
    if names and names[0] == "1":
        body = [[str(number), *row[1:]] for number, row in enumerate(body)]
    if names is None:
        body = [["x y", f"day {number}", "good"] for number in range(12)]
    text = "\n".join(",".join(row) for row in [rows, *body])
    table = read_csv(write(tmp_path / "a.csv", text))
    assert table.header == (names is not None)
    assert list(table.columns) == (names or ["1", "2", "3"])


def test_csv_header_of_languages(tmp_path: Path) -> None:
    text = "English words/sentences,French words/sentences\nHi.,Salut!\nGerman is hard.,Oui.\n"
    assert read_csv(write(tmp_path / "a.csv", text)).header
    body = text.split("\n", 1)[1]
    assert not read_csv(write(tmp_path / "b.csv", body)).header


def test_csv_gz_semicolons_and_no_header(tmp_path: Path) -> None:
    text = "I love it, truly;good\nnever again;bad\nfine;good\n"
    table = read_csv(write(tmp_path / "a.csv.gz", gzip.compress(text.encode())))
    assert not table.header
    assert table.columns["1"] == ["I love it, truly", "never again", "fine"]
    assert table.columns["2"] == ["good", "bad", "good"]


def test_csv_notices_a_change_at_once(tmp_path: Path) -> None:
    for value in "ab":
        table = read_csv(write(tmp_path / "a.csv", f"text,label\n{value},x\n"))
        assert table.columns["text"] == [value]


def test_csv_line_of_a_megabyte(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path / "a.csv", "text,label\n" + "ab " * 400_000 + ",x\n"))
    assert len(table.columns["text"][0]) == 1_200_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("text,label\n", "has a header and no rows"),
        ('text,label\na,"b\nc",d\ne,f,g\n', "line 2 has 3 instead of 2 columns"),
        ('text,label\na,"b\nc"\ne,f,g\n', "line 4 has 3 instead of 2 columns"),
        ("text,label\n" + "a,b\n" * 1000 + "a,b,c\n", "line 1002 has 3 instead of 2 columns"),
        ("text,label\n" + "a,b\n" * 1000 + "a\n", "line 1002 has 1 instead of 2 columns"),
        ("text,label\na,b\nc\nd,e\n", "line 3 has 1 instead of 2 columns"),
        ('"text,label\na,b\nc,d\n', "line 1: a quotation mark"),
        ("text,text\na,b\n", "two columns of one name"),
    ],
)
def test_csv_that_is_broken(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SeqcliError, match=message):
        read_csv(write(tmp_path / "a.csv", text))


def test_csv_that_is_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(SeqcliError, match=r"a\.csv is not UTF-8 \(line 3\)"):
        read_csv(write(tmp_path / "a.csv", b"text,label\na,b\n\xff,c\n"))


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_a_stray_quotation_mark_swallows_no_rows(tmp_path: Path, delimiter: str) -> None:
    rows = [[f"{'ham' if i % 2 else 'spam'}", f"see you at {i}"] for i in range(20)]
    rows[4][1], rows[15][1] = '"hello he wrote', '"free entry'
    rows[18][1] = 'so "they" said'
    text = "".join(delimiter.join(row) + "\n" for row in [["label", "text"], *rows])
    table = read_csv(write(tmp_path / "a.csv", text))
    assert list(zip(*table.columns.values(), strict=True)) == list(map(tuple, rows))
    assert [note.rpartition("(")[2] for note in table.notes] == ["line 6, 17)"]


@pytest.mark.parametrize("end", ['"', '" ', '"  '])
def test_what_is_closed_well_stays_whole(tmp_path: Path, end: str) -> None:
    """Though its lines could be rows: there is such text, and blanks behind it do no harm."""
    rows = [f"good film {i},pos" for i in range(20)]
    text = "Classify, as below:\ngreat film,pos\nbad film,neg\nok film"
    lines = ["text,label", *rows, f'"{text}{end},pos', *rows]
    table = read_csv(write(tmp_path / "a.csv", "\n".join(lines)))
    assert len(table.columns["text"]) == 41
    assert table.columns["text"][20].strip() == text
    assert set(table.columns["label"]) == {"pos"}
    assert table.notes == ()


def test_a_quotation_mark_that_is_never_closed(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path / "a.csv", 'text,label\na,b\n"c,d\ne,"f, g"\nh,i\n'))
    assert table.columns["text"] == ["a", '"c', "e", "h"]
    assert table.columns["label"] == ["b", "d", "f, g", "i"]


def test_cells_of_several_lines_stay_whole(tmp_path: Path) -> None:
    """Also where each line could be a row: what closes them is at the end of a cell."""
    poem = "so, it goes\nand, on\nand, on\nand on"
    table = read_csv(write(tmp_path / "a.csv", f'text,label\n"{poem}",x\n"he said ""no""",y\n'))
    assert table.columns["text"] == [poem, 'he said "no"']
    assert table.notes == ()
    table = read_csv(write(tmp_path / "b.csv", 'label,text\nno,so\nyes,"is it?\nno, it is"\n'))
    assert table.columns["text"] == ["so", "is it?\nno, it is"]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "sep=\t"])
def test_a_line_that_names_the_delimiter(tmp_path: Path, first: str) -> None:
    rows = [["text", "label"], ["one, two", "x"], ["three", "y"]]
    body = "".join(first.strip('"')[-1].join(row) + "\r\n" for row in rows)
    table = read_csv(write(tmp_path / "a.csv", f"{first}\r\n{body}"))
    assert dict(table.columns) == {"text": ["one, two", "three"], "label": ["x", "y"]}
    with pytest.raises(SeqcliError, match="has no rows"):
        read_csv(write(tmp_path / "b.csv", f"{first}\r\n"))
