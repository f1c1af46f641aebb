"""Reads a part of a published file in little memory: its last rows, or one merchant's payments.

CSV may be compressed, which the file's name tells; a value never holds a line feed.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from payworld.errors import StorageError
from payworld.schema import Table
from payworld.storage.csv import csv_header, write_csv_text
from payworld.storage.files import naming
from payworld.storage.read import parse_rows, row_pieces
from payworld.storage.style import FileStyle

__all__ = ["read_merchant", "read_tail"]

BLOCK_BYTES = 1 << 20
# Rows of a Parquet file that are held at once.
BATCH_ROWS = 16_384


@contextmanager
def _reading(path: Path, table: Table) -> Iterator[None]:
    """Turn what goes wrong with a file into a StorageError that names it."""
    try:
        with naming(path, "read"):
            yield
    except (pa.ArrowException, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise StorageError(
            f"{str(path)!r} cannot be read as {table.name}: {error}; gen verify tells more"
        ) from error


def _last_lines(path: Path, table: Table, rows: int) -> list[bytes]:
    """Return the last lines of a CSV file, at most so many, without the header."""
    if FileStyle.of(path.name).compression != "none":
        return _last_lines_of_stream(path, table, rows)
    with path.open("rb") as file:
        header = file.readline(BLOCK_BYTES)
        if header != csv_header(table.names):
            raise ValueError(f"the header is {header[:200].decode(errors='replace').rstrip()!r}")
        first, end = file.tell(), file.seek(0, io.SEEK_END)
        blocks: deque[bytes] = deque()
        feeds = 0
        # One line more than is wanted: the first may be a part of one.
        while end > first and feeds <= rows:
            start = max(first, end - BLOCK_BYTES)
            file.seek(start)
            blocks.appendleft(file.read(end - start))
            feeds += _feeds(blocks[0])
            end = start
    data = b"".join(blocks).removesuffix(b"\n")
    return data.split(b"\n")[-rows:] if data else []


def _last_lines_of_stream(path: Path, table: Table, rows: int) -> list[bytes]:
    """Return the last lines of a file that can be read from its beginning alone."""
    kept: deque[bytes] = deque(maxlen=rows)
    for piece in row_pieces(path, table):
        kept.extend(piece.removesuffix(b"\n").split(b"\n")[-rows:])
    return list(kept)


def _feeds(block: bytes) -> int:
    """Return the number of lines that end in a block; a file without any is no table."""
    feeds = block.count(b"\n")
    if not feeds and len(block) >= BLOCK_BYTES:
        raise ValueError(f"a line is longer than {BLOCK_BYTES:,} bytes")
    return feeds


def _parquet_tail(path: Path, table: Table, rows: int) -> list[bytes]:
    """Return the last rows of a Parquet file as lines of the CSV dialect."""
    with pq.ParquetFile(path) as file:
        _check_columns(file, table.names)
        groups, found = file.num_row_groups, 0
        while groups and found < rows:
            groups -= 1
            found += file.metadata.row_group(groups).num_rows
        kept: deque[pl.DataFrame] = deque()
        held = 0
        wanted = list(range(groups, file.num_row_groups))
        for batch in file.iter_batches(BATCH_ROWS, row_groups=wanted, columns=table.names):
            kept.append(pl.DataFrame(batch))
            held += len(kept[-1])
            while held - len(kept[0]) >= rows:
                held -= len(kept.popleft())
    if not kept:
        return []
    return write_csv_text(pl.concat(kept).select(table.names).tail(rows)).split(b"\n")[:-1]


def read_tail(path: Path, table: Table, rows: int) -> list[dict[str, Any]]:
    """Return the last rows of a file, at most so many, in file order.

    Values are texts as in CSV, None for null; integers are numbers. Raises StorageError with the
    reader's own words where the file does not fit the schema.
    """
    with _reading(path, table):
        read = _parquet_tail if FileStyle.of(path.name).format == "parquet" else _last_lines
        lines = read(path, table, rows)
        found = []
        for fields in csv.reader((line.decode() for line in lines), strict=True):
            if len(fields) != len(table.columns):
                raise ValueError(f"a row of {len(fields)} fields: {','.join(fields)[:200]}")
            found.append(
                {
                    column.name: int(text) if text and column.type == "integer" else text or None
                    for column, text in zip(table.columns, fields, strict=True)
                }
            )
        return found


def read_merchant(
    path: Path, table: Table, merchant: str, columns: list[str]
) -> Iterator[pl.DataFrame]:
    """Yield frames of some columns with exact types: a merchant's rows of a payments file.

    The rows of others are looked over as bytes and never parsed. Raises StorageError where the
    file does not fit the schema.
    """
    with _reading(path, table):
        if FileStyle.of(path.name).format == "parquet":
            batches = _parquet_batches(path, [*columns, "merchant_id"])
        else:
            batches = _csv_batches(path, table, merchant, [*columns, "merchant_id"])
        for batch in batches:
            frame = pl.DataFrame(batch).filter(pl.col("merchant_id") == merchant)
            if len(frame):
                yield frame.select(columns)


def _check_columns(file: pq.ParquetFile, columns: list[str]) -> None:
    missing = set(columns) - set(file.schema_arrow.names)
    if missing:
        raise ValueError(f"it has no column {min(missing)!r}")


def _parquet_batches(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        _check_columns(file, columns)
        yield from file.iter_batches(BATCH_ROWS, columns=columns)


def _csv_batches(path: Path, table: Table, merchant: str, columns: list[str]) -> Iterator[pa.Table]:
    """Yield the rows that name a merchant; another column may name it too."""
    needle = f",{merchant},".encode()
    for piece in row_pieces(path, table):
        lines = b"".join(_lines_with(piece, needle))
        if lines:
            yield parse_rows(lines, table, columns)


def _lines_with(block: bytes, needle: bytes) -> Iterator[bytes]:
    r"""Yield the lines of a block that hold a text.

    >>> list(_lines_with(b"a,1,x\nb,2,x\nc,1,x\n", b",1,"))
    [b'a,1,x\n', b'c,1,x\n']
    """
    at = block.find(needle)
    while at >= 0:
        start = block.rfind(b"\n", 0, at) + 1
        end = block.find(b"\n", at)
        end = len(block) if end < 0 else end + 1
        yield block[start:end]
        at = block.find(needle, end)
