"""Tables through HuggingFace datasets: parquet and arrow files here, Hub data sets in hub.py."""

from __future__ import annotations

import glob
import tempfile
import types
from pathlib import Path
from typing import Any

from seqcli.data.tables import Columns, Table
from seqcli.errors import SeqcliError

ARROW = b"ARROW1"
"""How an Arrow file begins; a stream has no such mark."""


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


def read_parquet(path: Path) -> Table:
    """A parquet file, its class columns as names."""
    from pyarrow.parquet import read_metadata

    datasets = import_datasets()
    try:
        if not read_metadata(path).num_rows:  # of which a stream makes batches of no size
            raise SeqcliError(f"{path.name} has no rows")
        table, features = _stream(datasets, path)
    except (ValueError, OSError) as error:
        raise SeqcliError(f"cannot read {path.name}: {str(error).splitlines()[0]}") from None
    return make_table(table, features, origin=path.name)


def read_arrow(path: Path) -> Table:
    """A file or a stream of Arrow, such save_to_disk writes, its class columns as names."""
    import pyarrow

    datasets = import_datasets()
    try:
        with path.open("rb") as file:
            whole = file.read(len(ARROW)) == ARROW
            file.seek(0)
            table = (pyarrow.ipc.open_file if whole else pyarrow.ipc.open_stream)(file).read_all()
    except (pyarrow.ArrowException, OSError) as error:
        raise SeqcliError(f"cannot read {path.name}: {str(error).splitlines()[0]}") from None
    return make_table(table, datasets.Features.from_arrow_schema(table.schema), origin=path.name)


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
        return _decode(values)

    classes = frozenset(n for n, f in features.items() if isinstance(f, datasets.ClassLabel))
    return Table(origin, Columns(list(features), read_column), classes=classes, place=place)


def _decode(values: list[Any]) -> list[Any]:
    """Values, those of bytes as text if all are UTF-8: others may be images."""
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    except UnicodeDecodeError:
        return values


def _name_class(names: list[str], value: int | None) -> str | None:
    return None if value is None or value < 0 else names[value]


def _stream(datasets: types.ModuleType, path: Path) -> tuple[Any, Any]:
    """The file as one Arrow table, and its features. Streamed, since the cache would notice a
    change of the file by its time in whole seconds only."""
    import pyarrow

    with tempfile.TemporaryDirectory() as cache:
        data = datasets.load_dataset(
            "parquet",
            data_files=glob.escape(str(path)),
            split="train",
            streaming=True,
            cache_dir=cache,
        )
        batches = list(data.with_format("arrow").iter(batch_size=1 << 20))
    if not batches:
        raise SeqcliError(f"{path.name} has no rows")
    return pyarrow.concat_tables(batches), data.features
