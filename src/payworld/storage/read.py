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
from payworld.storage.style import FileStyle

__all__ = ["arrow_schema", "parse_rows", "read_batches", "row_pieces"]

BATCH_BYTES = 4 << 20
BATCH_ROWS = 32_768
# No row comes near it: a file of another kind is not taken into memory whole.
LINE_BYTES = 1 << 24


def _arrow_type(column: Column) -> pa.DataType:
    if column.type == "decimal":
        return pa.decimal128(column.precision, column.scale)
    plain = {"integer": pa.int32(), "date": pa.date32(), "datetime": pa.timestamp("us")}
    return plain.get(column.type, pa.string())


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow types of a table's columns."""
    return pa.schema([pa.field(column.name, _arrow_type(column)) for column in table.columns])


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield a text file's bytes in pieces that end with a line; the suffix tells a compression.

    Arrow's own streaming reader reads dozens of blocks ahead, which a file's size shows in.
    """
    rest = b""
    with pa.input_stream(str(path), compression="detect") as stream:
        while data := stream.read(BATCH_BYTES):
            end = data.rfind(b"\n") + 1
            if end:
                yield rest + data[:end]
                rest = data[end:]
            elif len(rest) > LINE_BYTES:
                raise pa.ArrowInvalid(f"a line of more than {LINE_BYTES:,} bytes")
            else:
                rest += data
    if rest:
        yield rest


def row_pieces(path: Path, table: Table) -> Iterator[bytes]:
    """Yield a CSV file's rows, without its header, in pieces of whole lines.

    Raises ArrowInvalid if the header is not the table's.
    """
    header = b""
    for piece in _whole_lines(path):
        lines = piece
        if not header:
            header, _, lines = piece.partition(b"\n")
            if header.decode(errors="replace").split(",") != table.names:
                raise pa.ArrowInvalid(f"the header is {header[:1_000].decode(errors='replace')}")
        if lines:
            yield lines
    if not header:
        raise pa.ArrowInvalid("it is empty")


def parse_rows(lines: bytes, table: Table, columns: list[str] | None = None) -> pa.Table:
    """Return some CSV rows, or some of their columns, with exact types."""
    nullable = [column.name for column in table.columns if column.nullable]
    convert = pc.ConvertOptions(
        column_types=arrow_schema(table),
        include_columns=columns,
        null_values=[""],
        strings_can_be_null=bool(nullable),
        quoted_strings_can_be_null=False,
        timestamp_parsers=["%Y-%m-%dT%H:%M:%S"],
    )
    parse = pc.ParseOptions(newlines_in_values=False)
    read = pc.ReadOptions(column_names=table.names, use_threads=False, block_size=len(lines) + 1)
    return pc.read_csv(pa.BufferReader(lines), read, parse, convert)


def _csv_batches(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    for lines in row_pieces(path, table):
        yield from parse_rows(lines, table).to_batches()


def read_batches(path: Path, table: Table) -> Iterator[pl.DataFrame]:
    """Yield a file's rows with exact types, in order and in bounded memory.

    Raises StorageError with the reader's own words where the file does not fit the schema.
    """
    try:
        if FileStyle.of(path.name).format == "csv":
            batches: Iterator[pa.RecordBatch] = _csv_batches(path, table)
        else:
            batches = pq.ParquetFile(path).iter_batches(BATCH_ROWS)
        for batch in batches:
            frame = pl.DataFrame(pa.Table.from_batches([batch]))
            yield frame.select(table.names)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise StorageError(f"it cannot be read as {table.name}: {error}") from error
