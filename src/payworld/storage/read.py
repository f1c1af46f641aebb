"""Reads published files back as typed frames, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from payworld.errors import StorageError
from payworld.schema import Column, Table

__all__ = ["arrow_schema", "read_batches"]

BATCH_BYTES = 8 << 20
BATCH_ROWS = 65_536


def _arrow_type(column: Column) -> pa.DataType:
    if column.type == "decimal":
        return pa.decimal128(column.precision, column.scale)
    plain = {"integer": pa.int32(), "date": pa.date32(), "datetime": pa.timestamp("us")}
    return plain.get(column.type, pa.string())


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow types of a table's columns."""
    return pa.schema([pa.field(column.name, _arrow_type(column)) for column in table.columns])


def _csv_batches(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    nullable = [column.name for column in table.columns if column.nullable]
    reader = pc.open_csv(
        path,
        read_options=pc.ReadOptions(block_size=BATCH_BYTES, use_threads=False),
        parse_options=pc.ParseOptions(newlines_in_values=False),
        convert_options=pc.ConvertOptions(
            column_types=arrow_schema(table),
            null_values=[""],
            strings_can_be_null=bool(nullable),
            quoted_strings_can_be_null=False,
            timestamp_parsers=["%Y-%m-%dT%H:%M:%S"],
        ),
    )
    if reader.schema.names != table.names:
        raise pa.ArrowInvalid(f"the header is {','.join(reader.schema.names)}")
    yield from reader


def read_batches(path: Path, table: Table) -> Iterator[pl.DataFrame]:
    """Yield a file's rows with exact types, in order and in bounded memory.

    Raises StorageError with the reader's own words where the file does not fit the schema.
    """
    try:
        if path.name.endswith(".csv"):
            batches: Iterator[pa.RecordBatch] = _csv_batches(path, table)
        else:
            batches = pq.ParquetFile(path).iter_batches(BATCH_ROWS)
        for batch in batches:
            frame = pl.DataFrame(pa.Table.from_batches([batch]))
            yield frame.select(table.names)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise StorageError(f"it cannot be read as {table.name}: {error}") from error
