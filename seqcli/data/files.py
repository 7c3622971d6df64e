"""Readers of the formats made of lines: plain text, parallel text, tsv, json.

They split at line feeds alone, so that a stray carriage return, a non-breaking space or U+2028
inside a line neither breaks nor shifts it, and they know the number of a line that is wrong.
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, Any, cast

from seqcli.data.names import TAGS, TOKENS, has_header
from seqcli.data.tables import Columns, Table
from seqcli.data.values import reach
from seqcli.errors import SeqcliError

_LABEL = "__label__"
ROWS = ("data", "rows", "records", "examples", "items", "instances")
"""Names under which an object of JSON may hold its rows."""
_PACKED = (b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
_DENSE = ("gb18030", "big5", "shift_jis", "euc-kr", "cp1251")
_SHEETS = (".xlsx", ".xlsm", ".xls", ".ods")


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where its name ends in .gz."""
    return cast("IO[bytes]", gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb"))


def read_text(path: Path) -> str:
    """`read_any_text` of a file that must not be empty: line ends alone are nothing."""
    text = read_any_text(path)
    if not text.strip("\r\n"):
        raise SeqcliError(f"{path.name} is empty")
    return text


def read_any_text(path: Path) -> str:
    """The whole file as text, without a byte order mark.

    Raises SeqcliError where it cannot be read or is not UTF-8 (naming the line).
    """
    try:
        with open_bytes(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise SeqcliError(f"cannot read {path}: {reason}") from None
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        _refuse_bytes(path, content)
        line = content.count(b"\n", 0, error.start) + 1
        guess, *others = _guess_encodings(content)
        either = f" (or {', '.join(others)}, whichever it is)" if others else ""
        raise SeqcliError(
            f"{path.name} is not UTF-8 (line {line}); if it is {guess}{either}, convert it: "
            f"iconv -f {guess} -t utf-8 {path.name} > utf8-{path.name}"
        ) from None


def _refuse_bytes(path: Path, content: bytes) -> None:
    """Raise SeqcliError for a file that is no text in any encoding."""
    if path.suffix.lower() in _SHEETS:
        raise SeqcliError(f"{path.name} is a spreadsheet; save the sheet as .csv, in UTF-8")
    if content.startswith(_PACKED):
        raise SeqcliError(f"{path.name} is packed; unpack it first (.gz alone is read as it is)")
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in content[:10_000] and not utf16:
        raise SeqcliError(f"{path.name} is no text; save it as .csv, .jsonl, .parquet or .txt")


def _guess_encodings(content: bytes) -> list[str]:
    """Encodings that bytes which are not UTF-8 may have, as iconv calls them, one or more."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    high = sum(byte > 127 for byte in content[:10_000])
    together = 2 * len(re.findall(rb"[\x80-\xff]{2}", content[:10_000]))
    dense = together > 0.6 * high  # letters of another script, not accents here and there
    return [name for name in _DENSE if dense and _can_be(content, name)] or ["cp1252"]


def _can_be(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def read_lines(path: Path) -> list[str]:
    """The lines as they are, without line ends: LF or CR LF, also where a file has both."""
    text = read_text(path).removesuffix("\n").removesuffix("\r")
    return re.split("\r?\n", text)


def is_full(line: str) -> bool:
    """Whether a line is not blank. A non-breaking space is no blank."""
    return bool(line.strip(" \t\r"))


def read_plain(path: Path) -> Table:
    """Plain text: column `text`, a row a line."""
    return Table(path.name, {"text": read_lines(path)})


def looks_like_fasttext(lines: Sequence[str]) -> bool:
    """Whether the first lines that are not blank begin with a label as fastText marks them."""
    full = [line for line in lines[:500] if is_full(line)]
    return bool(full) and all(line.lstrip().startswith(_LABEL) for line in full)


def read_fasttext(path: Path) -> Table:
    """A text a line with its labels, words that begin with __label__, as fastText reads them.

    Columns `text` and `label`, a list of labels without their mark; blank lines are skipped.
    """
    lines = [line.split() for line in read_lines(path) if is_full(line)]
    texts = [" ".join(word for word in row if not word.startswith(_LABEL)) for row in lines]
    labels = [[w.removeprefix(_LABEL) for w in row if w.startswith(_LABEL)] for row in lines]
    return Table(path.name, {"text": texts, "label": labels})


def read_parallel(files: Sequence[Path], names: Sequence[str], *, origin: str) -> Table:
    """Files whose lines belong together by number: a column for each, called by these names."""
    columns = {name: read_lines(path) for name, path in zip(names, files, strict=True)}
    counts = {len(lines) for lines in columns.values()}
    if len(counts) > 1:
        found = ", ".join(
            f"{path.name} has {len(lines):,} lines"
            for path, lines in zip(files, columns.values(), strict=True)
        )
        raise SeqcliError(f"parallel files must have a line for each line: {found}")
    return Table(origin, columns)


def read_tsv(path: Path, *, wanted: Collection[str] = ()) -> Table:
    """Tab-separated values without quoting; blank lines are skipped."""
    numbered = [
        (number, line.removesuffix("\r").split("\t"))
        for number, line in enumerate(read_lines(path), start=1)
        if is_full(line)
    ]
    records = [record for _, record in numbered]
    names, header = name_columns(path, records[:500], wanted=wanted, assume=False)
    for number, record in numbered:
        if len(record) != len(names):
            raise SeqcliError(
                f"{path.name} line {number} has {len(record)} instead of {len(names)} columns"
            )
    values = zip(*records[header:], strict=True)
    return Table(path.name, dict(zip(names, map(list, values), strict=True)), header)


def name_columns(
    path: Path, records: Sequence[Sequence[str]], *, wanted: Collection[str], assume: bool
) -> tuple[list[str], bool]:
    """The names of a file's columns, and whether its first record gives them; else '1', '2', ….

    assume: what to think of a first record that speaks neither way.
    """
    if not records:
        raise SeqcliError(f"{path.name} has no rows")
    numbers = [str(i + 1) for i in range(len(records[0]))]
    if not has_header(records, wanted=wanted, assume=assume):
        return numbers, False
    if len(records) == 1:
        raise SeqcliError(f"{path.name} has a header and no rows")
    names = [cell.strip() or number for cell, number in zip(records[0], numbers, strict=True)]
    if len(set(names)) < len(names):
        raise SeqcliError(f"{path.name} has two columns of one name: {', '.join(names)}")
    return names, True


def read_json(path: Path, *, wanted: Collection[str] = ()) -> Table:
    """An array of objects, or an object a line; keys that an object lacks are missing values. Also
    an object that holds such an array under one of ROWS or nothing else, or a column under each
    name: a list, or numbered cells, as pandas writes them. A wanted column such as 'user.name' is
    a field of objects within.

    Read here and not by Arrow, which turns columns of date strings into timestamps and columns of
    mixed types into JSON text.
    """
    text = read_text(path)
    array = text.lstrip().startswith("[")
    whole = _parse(text, path.name) if array else _parse_object(text, path.name)
    if whole is not None:
        unit, parsed = "row", dict(enumerate(whole, start=1))
    else:
        lines = enumerate(text.split("\n"), start=1)
        unit = "line"
        parsed = {n: _parse(line, f"{path.name} line {n}") for n, line in lines if line.strip()}
    names: dict[str, None] = {}
    for number, row in parsed.items():
        if not isinstance(row, dict):
            raise SeqcliError(f"{path.name} {unit} {number} is not an object with named fields")
        names.update(dict.fromkeys(row))
    if not names:
        raise SeqcliError(f"{path.name} has no rows")
    rows = list(parsed.values())
    inner = [one for one in wanted if any(reach(row, one) is not None for row in rows)]
    names.update(dict.fromkeys(inner))
    if "annotations" in names and isinstance(rows[0].get("data"), dict):
        raise SeqcliError(
            f"{path.name} is the full export of Label Studio; export as JSON-MIN, which is read"
        )
    return Table(path.name, Columns(list(names), lambda name: [reach(row, name) for row in rows]))


def _parse_object(text: str, where: str) -> list[Any] | None:
    """The rows of a text that is one object, which may be the only row; None where it is several,
    one a line."""
    first, _, rest = text.strip().partition("\n")
    if first.endswith("}") and rest:
        return None
    try:
        whole = json.loads(text)
    except ValueError:
        return None
    _check_pairs(whole, text, where)
    if not isinstance(whole, dict):
        return [whole]
    held = [whole[name] for name in ROWS if isinstance(whole.get(name), list)]
    if len(held) == 1:
        return cast("list[Any]", held[0])
    columns = list(whole.values())
    if len(columns) == 1 and _are_objects(columns[0]):
        return cast("list[Any]", columns[0])
    if _are_columns(whole):
        return [dict(zip(whole, row, strict=True)) for row in zip(*columns, strict=True)]
    if all(isinstance(cells, dict) and "".join(cells).isdecimal() for cells in columns):
        numbers = dict.fromkeys(number for cells in columns for number in cells)
        return [{name: whole[name].get(number) for name in whole} for number in numbers]
    return [whole]


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _are_columns(whole: dict[str, Any]) -> bool:
    """Whether an object holds lists of equal length, two or more, that are not the tokens and tags
    of one sentence."""
    columns = list(whole.values())
    if not all(isinstance(column, list) and len(column) > 1 for column in columns):
        return False
    names = {name.lower() for name in whole}
    if (
        names & {*TOKENS}
        and names & {*TAGS}
        and not any(isinstance(column[0], list) for column in columns)
    ):
        return False
    return len(set(map(len, columns))) == 1


def _parse(text: str, where: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SeqcliError(f"{where} is not JSON: {error}") from None
    _check_pairs(value, text, where)
    return value


def _check_pairs(value: Any, text: str, where: str) -> None:
    """Raise SeqcliError where what was parsed of a text has an escaped half of a character that
    lacks the other half."""
    if "\\ud" not in text.lower():
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise SeqcliError(f"{where} holds half a surrogate pair, which is no character") from None
