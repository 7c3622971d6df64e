"""Tables through HuggingFace datasets: csv and parquet files here, Hub data sets in hub.py."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import sys
import tempfile
import types
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from seqcli.data.files import name_columns, open_bytes, read_text
from seqcli.data.tables import Columns, Table
from seqcli.errors import SeqcliError


def import_datasets() -> types.ModuleType:
    """The library, which takes a second to import, without its bars, its log lines and its habit
    of reporting each load of a file to a server."""
    import datasets
    import huggingface_hub.utils

    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    for library in (datasets.utils, huggingface_hub.utils):
        library.disable_progress_bars()
        library.logging.set_verbosity(library.logging.CRITICAL)
    return datasets


def read_csv(path: Path, *, wanted: Collection[str] = ()) -> Table:
    """Comma-separated values (or ; tab | where these divide every record), header or not.

    Every value stays the string it is: 007, NA and the empty string included.
    """
    read_text(path)  # an encoding error names its line here, and nowhere later
    delimiter, records = _sniff(path)
    if len(set(map(len, records))) > 1:
        _check_records(path, delimiter)
    names, header = name_columns(path, records, wanted=wanted, assume=True)
    datasets = import_datasets()
    try:
        table, _ = _stream(
            datasets,
            "csv",
            path,
            features=datasets.Features({name: datasets.Value("string") for name in names}),
            column_names=names,
            header=0 if header else None,
            sep=delimiter,
            encoding="utf-8-sig",
            keep_default_na=False,
            na_filter=False,
        )
    except ValueError as error:
        _check_records(path, delimiter)
        raise SeqcliError(f"cannot read {path.name}: {str(error).splitlines()[0]}") from None
    columns = Columns(names, lambda name: table.column(name).to_pylist())
    if len(names) > 1 and "" in columns[names[-1]]:  # it may be missing and not only empty
        _check_records(path, delimiter)
    return Table(path.name, columns, header)


def read_parquet(path: Path) -> Table:
    """A parquet file, its class columns as names."""
    from pyarrow.parquet import read_metadata

    datasets = import_datasets()
    try:
        if not read_metadata(path).num_rows:  # of which a stream makes batches of no size
            raise SeqcliError(f"{path.name} has no rows")
        table, features = _stream(datasets, "parquet", path)
    except (ValueError, OSError) as error:
        raise SeqcliError(f"cannot read {path.name}: {str(error).splitlines()[0]}") from None
    return make_table(table, features, origin=path.name)


def make_table(table: Any, features: Any, *, origin: str, place: str = "") -> Table:
    """A Table of an Arrow table: classes become their names, unlabelled ones (-1) None."""
    import datasets

    def read_column(name: str) -> list[Any]:
        feature, values = features[name], table.column(name).to_pylist()
        inner = getattr(feature, "feature", None)
        if isinstance(feature, datasets.ClassLabel):
            return [_name_class(feature.names, value) for value in values]
        if isinstance(inner, datasets.ClassLabel):
            return [
                None if row is None else [_name_class(inner.names, value) for value in row]
                for row in values
            ]
        return values

    classes = frozenset(n for n, f in features.items() if isinstance(f, datasets.ClassLabel))
    return Table(origin, Columns(list(features), read_column), classes=classes, place=place)


def _name_class(names: list[str], value: int | None) -> str | None:
    return None if value is None or value < 0 else names[value]


def _stream(datasets: types.ModuleType, kind: str, path: Path, **options: Any) -> tuple[Any, Any]:
    """The file as one Arrow table, and its features. Streamed, since the cache would notice a
    change of the file by its time in whole seconds only."""
    import pyarrow

    with tempfile.TemporaryDirectory() as cache:
        data = datasets.load_dataset(
            kind,
            data_files=glob.escape(str(path)),
            split="train",
            streaming=True,
            cache_dir=cache,
            **options,
        )
        batches = list(data.with_format("arrow").iter(batch_size=1 << 20))
    if not batches:
        raise SeqcliError(f"{path.name} has no rows")
    return pyarrow.concat_tables(batches), data.features


# --------------------------------------------------------------------------- the shape of a csv


def _open_records(path: Path, delimiter: str, **options: Any) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank, each with the number of its first line."""
    csv.field_size_limit(sys.maxsize)
    with open_bytes(path) as file:
        reader = csv.reader(
            io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), delimiter=delimiter, **options
        )
        start = 1
        try:
            for record in reader:
                if record:
                    yield start, record
                start = reader.line_num + 1
        except csv.Error:
            raise SeqcliError(
                f"{path.name} line {start}: a quotation mark that opens here or below is not "
                'closed properly; write a quotation mark inside a quoted value twice ("")'
            ) from None


def _sniff(path: Path) -> tuple[str, list[list[str]]]:
    """The delimiter, and the first records it makes: of , ; tab | the first that divides all of
    them into the same number of columns, two or more; else the comma."""
    found = {}
    for delimiter in ",;\t|":
        records = [r for _, r in itertools.islice(_open_records(path, delimiter), 500)]
        if len(records[0]) > 1 and len({len(record) for record in records}) == 1:
            return delimiter, records
        found[delimiter] = records
    return ",", found[","]


def _check_records(path: Path, delimiter: str) -> None:
    """Raise SeqcliError for the first record of another width than the header's."""
    width = 0
    for number, record in _open_records(path, delimiter, strict=True):
        width = width or len(record)
        if len(record) != width:
            raise SeqcliError(
                f"{path.name} line {number} has {len(record)} instead of {width} columns; "
                f"put values that hold a {delimiter!r} in quotation marks"
            )
