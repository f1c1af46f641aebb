"""Reads tables of their own files, CSV or Parquet, as gen finance writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import polars as pl

from payworld.storage.database.columnar import (
    FrameItem,
    Part,
    UnusualError,
    checked,
    done_in_order,
    pieces,
    require,
    unusual_where_refused,
    with_times,
)
from payworld.storage.database.frames import (
    FLAGS,
    WHOLE_NUMBERS,
    Frame,
    dtype,
    is_date,
)
from payworld.storage.database.records import column_names
from payworld.storage.database.tables import arrow_batches
from payworld.storage.finance_files import TABLES

__all__ = ["read_tables"]

_PARQUET_ROWS = 65_536


def read_tables(folder: Path, suffix: str) -> Iterator[FrameItem]:
    """Yield the records of a folder with a file for each table, in CSV or Parquet."""
    for table in TABLES:
        path = folder / f"{table}{suffix}"
        # Parquet is read by two threads already.
        yield from done_in_order(_csv(path, table)) if suffix == ".csv" else _parquet(path, table)


def _csv(path: Path, table: str) -> Iterator[Part]:
    with path.open("rb") as file:
        require(file.readline() == ",".join(column_names(table)).encode() + b"\n")
        for lines in pieces(file):
            yield partial(_parse_csv, lines, table)


def _parse_csv(lines: bytes, table: str) -> Frame:
    import pyarrow as pa
    from pyarrow import csv

    # Quotes are taken in the middle of a field too, and other line breaks are more than one.
    require(b'"' not in lines and b"\r" not in lines)
    names = column_names(table)
    arrow = csv.read_csv(
        pa.BufferReader(lines),
        read_options=csv.ReadOptions(
            use_threads=False, column_names=names, block_size=len(lines) + 1
        ),
        parse_options=csv.ParseOptions(ignore_empty_lines=False),
        # PyArrow would trim numbers, and read hexadecimal ones.
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    texts = pl.DataFrame(arrow)
    require(len(texts) == lines.count(b"\n") + 1)
    typed = [name for name in names if name in _TEXT_PATTERNS]
    require(all(texts[name].str.contains(_TEXT_PATTERNS[name]).all() for name in typed))
    rows = texts.with_columns(
        pl.col(name) == "true" if name in FLAGS else pl.col(name).cast(dtype(name))
        for name in typed
    )
    return checked(table, with_times(rows))


_TEXT_PATTERNS: Mapping[str, str] = {
    **dict.fromkeys(FLAGS, "^(?:true|false)$"),
    **dict.fromkeys(WHOLE_NUMBERS, "^-?[0-9]{1,18}$"),
    "apr": "^[0-9]{1,3}(?:[.][0-9]{1,15})?$",
}


def _parquet(path: Path, table: str) -> Iterator[Frame]:
    import pyarrow.parquet as pq

    names = column_names(table)
    with unusual_where_refused(), pq.ParquetFile(path) as file:
        require(sorted(file.schema_arrow.names) == sorted(names))
        for arrow in arrow_batches(file, names, _PARQUET_ROWS):
            yield checked(table, _with_types(pl.DataFrame(arrow)))


def _with_types(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of the right types; UnusualError for others than shorter whole numbers."""
    for name, found in rows.schema.items():
        wanted = dtype(name)
        if isinstance(wanted, pl.Datetime):
            if not isinstance(found, pl.Datetime) or found.time_zone:
                raise UnusualError
            require(rows.select(is_date(name, found).all()).item())
            rows = rows.with_columns(pl.col(name).dt.cast_time_unit("us"))
        elif wanted == pl.Int64:
            require(found.is_integer())
            rows = rows.with_columns(pl.col(name).cast(pl.Int64))
        else:
            require(found == wanted)
    return rows
