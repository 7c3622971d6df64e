"""The line readers, each against a few lines written by hand and against what was written."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.data import arrow, files
from seqcli.errors import SeqcliError

NBSP = "\u00a0"


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ---------------------------------------------------------------------------------- plain lines


def test_lines_are_kept_exactly(tmp_path: Path) -> None:
    text = f" two \n\n a\rb{NBSP}c\u2028d\x85e\x0c \nlast"
    expected = [" two ", "", f" a\rb{NBSP}c\u2028d\x85e\x0c ", "last"]
    assert files.read_lines(write(tmp_path / "a.txt", text)) == expected
    assert files.read_lines(write(tmp_path / "b.txt", text + "\n")) == expected
    assert files.read_lines(write(tmp_path / "c.txt", b"\xef\xbb\xbf" + text.encode())) == expected
    for name in ("d.txt.gz", "D.TXT.GZ"):
        assert files.read_lines(write(tmp_path / name, gzip.compress(text.encode()))) == expected


def test_line_ends_of_windows_are_line_ends(tmp_path: Path) -> None:
    """As they are where lines are answered, whatever ends the others."""
    assert files.read_lines(write(tmp_path / "a.txt", "a\r\nb\r\n")) == ["a", "b"]
    assert files.read_lines(write(tmp_path / "b.txt", "a\r\nb\nc\rd\r")) == ["a", "b", "c\rd"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"good\nb\xe9d\n", "not UTF-8 (line 2)"),
        ("text".encode("utf-16"), "iconv -f utf-16 -t utf-8"),
        ("ÄÖÜ größer für Gäste".encode("latin1"), "iconv -f cp1252 -t utf-8"),
        ("So “it” goes – and on…".encode("cp1252"), "iconv -f cp1252 -t utf-8"),
        ("今天天氣很好，我們去公園玩。".encode("big5"), "big5"),
        ("今日は天気がいいです。公園へ行きましょう。".encode("shift_jis"), "shift_jis"),
        ("오늘은 날씨가 좋습니다.".encode("euc-kr"), "euc-kr"),
        ("Сегодня хорошая погода, мы гуляем.\n".encode("cp1251"), "cp1251"),
        ("OK，今天天气很好，我们去公园。".encode("gb18030"), "iconv -f gb18030 -t utf-8"),
    ],
)
def test_content_that_is_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SeqcliError, match=r"a\.txt") as error:
        files.read_text(write(tmp_path / "a.txt", content))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"PK\x03\x04\xff\xfe\0", "is a spreadsheet; save the sheet as .csv"),
        ("a.zip", b"PK\x03\x04\xff\xfe\0", "is packed; unpack it first"),
        ("a.csv", b"\x28\xb5\x2f\xfd\xff", "is packed; unpack it first"),
        ("a.bin", b"\x80\x04\0\0\xff", "is no text; save it as .csv"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(SeqcliError, match=f"{name} {message}"):
        files.read_text(write(tmp_path / name, content))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (write(tmp_path / "a.gz", "plain"), tmp_path / "none.txt", tmp_path):
        with pytest.raises(SeqcliError, match="cannot read"):
            files.read_text(path)
    cut = write(tmp_path / "b.gz", gzip.compress(b"text" * 1000)[:-10])
    with pytest.raises(SeqcliError, match="cannot read"):
        files.read_text(cut)


@settings(max_examples=50, deadline=None)
@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n")), min_size=1))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, lines: list) -> None:
    text = "\n".join(lines) + "\n"
    path = write(tmp_path_factory.mktemp("lines") / "a.txt", text)
    if text.strip("\r\n") and not text.startswith("\ufeff"):
        assert files.read_lines(path) == [line.removesuffix("\r") for line in lines]


def test_labels_as_fasttext_marks_them(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.txt", "__label__a __label__b one  two\n\n__label__b three\nno mark\n"
    )
    table = files.read_fasttext(path)
    assert table.columns["text"] == ["one two", "three", "no mark"]
    assert table.columns["label"] == [["a", "b"], ["b"], []]
    assert files.looks_like_fasttext(["", "__label__a x", " __label__b"])
    assert not files.looks_like_fasttext(["__label__a x", "y __label__b"])
    assert not files.looks_like_fasttext(["", " "])


# ------------------------------------------------------------------------------- parallel, tsv


def test_parallel_lines_stay_aligned(tmp_path: Path) -> None:
    one = write(tmp_path / "a.en", f"a\rb\nc{NBSP}\u2028d\ne\n")
    two = write(tmp_path / "a.de", "A\nB\tx\nC\n")
    table = files.read_parallel([one, two], ["en", "de"], origin="a")
    assert dict(table.columns) == {
        "en": ["a\rb", f"c{NBSP}\u2028d", "e"],
        "de": ["A", "B\tx", "C"],
    }


def test_unequal_parallel_files_name_both_counts(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.en", "a\nb\n"), write(tmp_path / "a.de", "a\n")
    with pytest.raises(SeqcliError, match=r"a\.en has 2 lines, a\.de has 1 lines"):
        files.read_parallel([one, two], ["en", "de"], origin="a")


def test_tsv_knows_no_quotes(tmp_path: Path) -> None:
    table = files.read_tsv(write(tmp_path / "a.tsv", 'say "hi\tsag\r"hallo"\n\nNA\t007\n'))
    assert not table.header
    assert dict(table.columns) == {"1": ['say "hi', "NA"], "2": ['sag\r"hallo"', "007"]}


def test_tsv_with_header(tmp_path: Path) -> None:
    table = files.read_tsv(write(tmp_path / "a.tsv", "Text\tLabel\na\tx\n"))
    assert dict(table.columns) == {"Text": ["a"], "Label": ["x"]}
    table = files.read_tsv(write(tmp_path / "b.tsv", "foo\tbar\na\tx\n"), wanted=["bar"])
    assert dict(table.columns) == {"foo": ["a"], "bar": ["x"]}


def test_ragged_tsv_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(SeqcliError, match=r"a\.tsv line 4 has 3 instead of 2 columns"):
        files.read_tsv(write(tmp_path / "a.tsv", "a\tb\n\nc\td\ne\tf\tg\n"))


def test_tsv_without_rows(tmp_path: Path) -> None:
    for text, message in (("\t\n \n", "no rows"), ("text\tlabel\n", "a header and no rows")):
        with pytest.raises(SeqcliError, match=message):
            files.read_tsv(write(tmp_path / "a.tsv", text))


# ----------------------------------------------------------------------------------------- json

ROWS = [{"text": "2020-01-01", "label": "007"}, {"text": "b", "label": 1, "more": None}]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n".join(map(json.dumps, ROWS)),
        "\n\n".join(map(json.dumps, ROWS)) + "\r\n\n",
    ],
)
def test_json_values_are_kept_as_they_are(tmp_path: Path, text: str) -> None:
    table = files.read_json(write(tmp_path / "a.json", text))
    assert dict(table.columns) == {
        "text": ["2020-01-01", "b"],
        "label": ["007", 1],
        "more": [None, None],
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"data": [{"a": "x", "b": 1}, {"a": "y"}], "version": 2}',
        '{\n  "rows": [\n    {"a": "x", "b": 1},\n    {"a": "y"}\n  ]\n}\n',
        '{"a":{"0":"x","10":"y"},"b":{"0":1}}',
        '{"3166-2": [{"a": "x", "b": 1}, {"a": "y"}]}',
    ],
)
def test_json_whose_rows_lie_in_an_object(tmp_path: Path, text: str) -> None:
    table = files.read_json(write(tmp_path / "a.json", text))
    assert dict(table.columns) == {"a": ["x", "y"], "b": [1, None]}


@pytest.mark.parametrize(
    "whole",
    [
        {"text": ["a", "b"], "label": ["x", "y"]},
        {"tokens": [["a", "b"], ["c"]], "tags": [[1], [2]]},
    ],
)
def test_json_of_columns(tmp_path: Path, whole: dict[str, list]) -> None:
    for text in (json.dumps(whole), json.dumps(whole, indent=1)):
        assert dict(files.read_json(write(tmp_path / "a.json", text)).columns) == whole
    sentence = '{"tokens": ["a", "b"], "tags": ["x", "y"]}'
    table = files.read_json(write(tmp_path / "b.json", sentence))
    assert table.columns["tokens"] == [["a", "b"]]


def test_a_field_of_an_object_within_is_a_column_if_it_is_wanted(tmp_path: Path) -> None:
    text = '{"user": {"name": "x", "of": {"a": 1}}, "b.c": 1}\n{"user": null, "b.c": 2}\n'
    wanted = ["user.name", "user.of.a", "b.c", "user.age", "no"]
    table = files.read_json(write(tmp_path / "a.jsonl", text), wanted=wanted)
    assert list(table.columns) == ["user", "b.c", "user.name", "user.of.a"]
    assert table.columns["user.of.a"] == [1, None]
    assert table.columns["b.c"] == [1, 2]


def test_the_full_export_of_label_studio(tmp_path: Path) -> None:
    text = '[{"id": 1, "data": {"text": "a"}, "annotations": []}]'
    with pytest.raises(SeqcliError, match=r"a\.json is the full export .* as JSON-MIN"):
        files.read_json(write(tmp_path / "a.json", text))


@pytest.mark.parametrize("text", ['{"a": {"en": "x"}}', '{\n"a":\n{"en": "x"}}\n', '{"a": []}'])
def test_json_that_is_one_row(tmp_path: Path, text: str) -> None:
    table = files.read_json(write(tmp_path / "a.json", text))
    assert table.columns["a"] == [json.loads(text)["a"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        ('{"a": \n', "is not JSON"),
        ('{\n"a": "\\ud83d"\n}', "holds half a surrogate pair"),
        ('{"data": []}', "has no rows"),
        ('{"data": [1]}', "row 1 is not an object"),
        ('{"a": 1}\n\n[1]\n', "line 3 is not an object"),
        ('{"a": "\\ud83d\\ude00"}\n{"a": "\\uD83D"}\n', "line 2 holds half a surrogate pair"),
        ("[1, 2]", "row 1 is not an object"),
        ('[{"a": 1},', "is not JSON"),
        ("[]", "has no rows"),
        ("{}", "has no rows"),
    ],
)
def test_json_that_is_no_rows(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SeqcliError, match=message):
        files.read_json(write(tmp_path / "a.jsonl", text))


# -------------------------------------------------------------------------------------- parquet


def test_parquet_classes_become_names(tmp_path: Path) -> None:
    datasets = arrow.import_datasets()
    path = tmp_path / "a.parquet"
    tags = datasets.List(datasets.ClassLabel(names=["O", "B"]))
    datasets.Dataset.from_dict(
        {"text": ["a", "b"], "y": [1, -1], "tags": [[0, 1], []]},
        features=datasets.Features(
            {
                "text": datasets.Value("string"),
                "y": datasets.ClassLabel(names=["n", "p"]),
                "tags": tags,
            }
        ),
    ).to_parquet(path)
    table = arrow.read_parquet(path)
    assert dict(table.columns) == {"text": ["a", "b"], "y": ["p", None], "tags": [["O", "B"], []]}
    assert table.classes == {"y"}
    with pytest.raises(SeqcliError, match="cannot read"):
        arrow.read_parquet(write(tmp_path / "b.parquet", "no parquet"))
    datasets.Dataset.from_dict({"text": [], "y": []}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(SeqcliError, match=r"^c\.parquet has no rows$"):
        arrow.read_parquet(tmp_path / "c.parquet")


def test_arrow_comes_as_a_file_and_as_a_stream(tmp_path: Path) -> None:
    """Polars and pandas write files, datasets writes streams."""
    import pyarrow

    kinds = pyarrow.array(["n", "p", "n"]).dictionary_encode()
    table = pyarrow.table({"text": ["a", "b", "c"], "y": kinds})
    for open_new in (pyarrow.ipc.new_file, pyarrow.ipc.new_stream):
        with open_new(tmp_path / "a.arrow", table.schema) as writer:
            writer.write_table(table)
        found = arrow.read_arrow(tmp_path / "a.arrow")
        assert dict(found.columns) == {"text": ["a", "b", "c"], "y": ["n", "p", "n"]}


def test_bytes_that_are_text_are_decoded(tmp_path: Path) -> None:
    datasets = arrow.import_datasets()
    columns = {"text": ["gr\u00f6\u00dfer".encode(), None], "image": [b"\x89PNG", b"\xff\xd8"]}
    datasets.Dataset.from_dict(columns).to_parquet(tmp_path / "a.parquet")
    table = arrow.read_parquet(tmp_path / "a.parquet")
    assert dict(table.columns) == {**columns, "text": ["gr\u00f6\u00dfer", None]}


def test_nothing_is_asked_of_the_network_nor_left_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = arrow.import_datasets()
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(path)
    asked: list[object] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *address, **_: asked.append(address) or [])
    monkeypatch.setattr("socket.socket.connect", lambda _, address: asked.append(address))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    arrow.read_parquet(path)
    assert asked == []
    assert [one.name for one in tmp_path.iterdir()] == ["a.parquet"]
