"""Files of vectors in every form, written here by hand and by struct."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from seqcli.data.vectors import describe_coverage, read_vectors, read_width
from seqcli.errors import SeqcliError

Table = Mapping[str, Sequence[float]]
WORDS = {"the": [0.5, -1.0, 0.25], "Été": [1.0, 2.0, 3.0], "巴黎": [1e-3, -4.0, 0.0]}


def glove(table: Table) -> bytes:
    return "".join(f"{w} {' '.join(map(str, v))}\n" for w, v in table.items()).encode()


def word2vec(table: Table) -> bytes:
    width = len(next(iter(table.values())))
    return f"{len(table)} {width}\n".encode() + glove(table)


def fasttext(table: Table) -> bytes:
    return word2vec(table).replace(b"\n", b" \n").replace(b" \n", b"\n", 1)


def binary(table: Table, *, end: bytes = b"") -> bytes:
    width = len(next(iter(table.values())))
    rows = [w.encode() + b" " + struct.pack(f"<{width}f", *v) + end for w, v in table.items()]
    return f"{len(table)} {width}\n".encode() + b"".join(rows)


def binary_with_line_ends(table: Table) -> bytes:
    return binary(table, end=b"\n")


FORMS = (glove, word2vec, fasttext, binary, binary_with_line_ends)


def read(path: Path, vocabulary: Sequence[str]) -> dict[str, list[float]]:
    found = read_vectors(path, vocabulary)
    assert found.values.dtype == np.float32
    return {vocabulary[i]: v.tolist() for i, v in zip(found.ids, found.values, strict=True)}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_form(tmp_path: Path, form: Callable[[Table], bytes], packed: bool) -> None:
    path = tmp_path / ("v.txt.gz" if packed else "v.txt")
    content = form(WORDS)
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read_width(path) == 3
    found = read(path, ["<unk>", "巴黎", "Été", "gone"])
    assert found == {w: np.float32(WORDS[w]).tolist() for w in ("巴黎", "Été")}


@pytest.mark.parametrize("form", FORMS)
def test_case(tmp_path: Path, form: Callable[[Table], bytes]) -> None:
    """The same word first, then its lower-case form, then the first that differs in case."""
    path = tmp_path / "v"
    path.write_bytes(
        form({"PARIS": [1], "paris": [2], "Paris": [3], "ROME": [4], "Rome": [5], "oslo": [6]})
    )
    found = read(path, ["Paris", "paris", "pARIS", "rome", "OSLO"])
    assert found == {"Paris": [3], "paris": [2], "pARIS": [2], "rome": [4], "OSLO": [6]}


def test_marks_of_joined_tokens_are_no_part_of_the_word(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(glove({",": [1, 2], "s": [3, 4]}))
    assert read(path, ["￭,", ",", "￭", "s￭"]) == {"￭,": [1, 2], ",": [1, 2], "s￭": [3, 4]}


def test_phrases_are_passed_over(tmp_path: Path) -> None:
    """GloVe's largest file holds entries such as ". . ." among the words."""
    path = tmp_path / "v"
    path.write_bytes(b"a 1 2\n. . . 9 9\n. 3 4\nat name@x 7 7\n\n5 5 6\n")
    assert read(path, ["a", ".", "at", "5"]) == {"a": [1, 2], ".": [3, 4], "5": [5, 6]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no file of vectors"),
        (b"hello world\n", "is no file of vectors"),
        (b"just text\nwithout numbers\n", "is no file of vectors"),
        (b"PK\x03\x04rest", "zip archive; unpack it"),
        (b"\xba\x16\x4f\x2f\x0c\x00", "name its .vec file"),
        (b"b 1 2\na 1\n", "line 2: the vector of 'a' is not 2 finite numbers"),
        (b"b 1 2\na 1 x\n", "line 2: the vector of 'a'"),
        (b"b 1 2\na nan 1\n", "line 2: the vector of 'a'"),
        (b"b 1 2\n5 1\n", "line 2: the vector of '5'"),
        (binary(WORDS)[:-2], "ends after 2 of 3 words"),
        (gzip.compress(glove(WORDS) * 90, mtime=0)[:-20], "cannot read the vectors of"),
    ],
)
def test_what_is_no_file_of_vectors(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "v"
    path.write_bytes(content)
    with pytest.raises(SeqcliError, match=said) as caught:
        read_vectors(path, ["a", "5", "巴黎"])
    assert "\n" not in str(caught.value)
    with pytest.raises(SeqcliError, match=r"cannot read the vectors of .*: No such file"):
        read_vectors(tmp_path / "gone", ["a"])


@pytest.mark.parametrize("form", [glove, binary])
def test_only_what_is_needed_is_kept(tmp_path: Path, form: Callable[[Table], bytes]) -> None:
    path = tmp_path / "v"
    row = np.linspace(0, 1, 200).tolist()
    path.write_bytes(form({f"w{i}": row for i in range(6_000)}))
    assert path.stat().st_size > 4 << 20
    tracemalloc.start()
    try:
        found = read_vectors(path, ["w0", "w5999"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found.values, [row, row], rtol=1e-6)
    assert peak < 4 << 20  # the beginning that tells the form, a chunk, and its rest


def test_coverage_counts_types_and_tokens(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(glove(WORDS))
    vocabulary = ["<unk>", "the", "cat", "巴黎"]
    said = describe_coverage(read_vectors(path, vocabulary), vocabulary, np.array([1, 1, 1, 2]))
    assert said == "2 of 4 types (50.0%), 75.0% of the training tokens; width 3"
