"""Parquet files with exact types, by way of a spool of Arrow streams that can be appended to."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from payworld.errors import StorageError
from payworld.schema import MERCHANTS, TRANSACTIONS

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetWriter

__all__ = ["arrow_stream", "spool_to_parquet", "write_parquet"]

# Rows of a row group: a part of the format, whatever blocks the rows came in.
ROW_GROUP = 262_144


def arrow_stream(frame: pl.DataFrame) -> memoryview:
    """Return a typed frame as one Arrow IPC stream."""
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    return buffer.getbuffer()


def _as_parquet(table: pa.Table) -> pa.Table:
    """Return the table with plain strings: the types that every Parquet reader knows."""
    fields = [
        pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type)
        for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def _dictionary_columns() -> list[str]:
    return [c.name for c in (*TRANSACTIONS.columns, *MERCHANTS.columns) if c.type == "category"] + [
        "terminal_id",
        "card_bin",
        "merchant_id",
        "payment_lat",
        "payment_lng",
        "transactional_cost_rate",
    ]


def _writer(path: Path, schema: pa.Schema) -> ParquetWriter:
    # Imported here: a spool needs nothing of it, nor does a run that writes CSV.
    from pyarrow.parquet import ParquetWriter

    known = set(schema.names)
    return ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in _dictionary_columns() if name in known],
        write_statistics=True,
        store_schema=False,
    )


def spool_to_parquet(spool: Path, whole: Path) -> None:
    """Write the Arrow streams of a spool as one Parquet file with even row groups."""
    writer: ParquetWriter | None = None
    waiting: list[pa.Table] = []
    rows = 0
    with spool.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        while source.tell() < size:
            with pa.ipc.open_stream(source) as stream:
                table = _as_parquet(stream.read_all())
            writer = writer or _writer(whole, table.schema)
            waiting.append(table)
            rows += table.num_rows
            while rows >= ROW_GROUP:
                joined = pa.concat_tables(waiting)
                writer.write_table(joined.slice(0, ROW_GROUP), row_group_size=ROW_GROUP)
                waiting = [joined.slice(ROW_GROUP)]
                rows -= ROW_GROUP
    if writer is None:
        raise StorageError(f"{str(spool)!r} is empty; remove it and run the same command again")
    if rows:
        writer.write_table(pa.concat_tables(waiting), row_group_size=ROW_GROUP)
    writer.close()


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Write a typed frame as one Parquet file."""
    table = _as_parquet(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
    with _writer(path, table.schema) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP)
