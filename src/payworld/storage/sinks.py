"""Chunk files in the making: rendered bytes go in, a whole file comes out."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl

from payworld.schema import MERCHANTS, TRANSACTIONS, frame_schema
from payworld.storage.csv import csv_header, write_csv_text
from payworld.storage.files import (
    begin_writing,
    file_sha256,
    fsync_file,
    naming,
    open_partial,
    prefix_hash,
    remove,
    write_all,
)
from payworld.storage.parquet import arrow_stream, spool_to_parquet, write_parquet
from payworld.timeline import Period

__all__ = ["ChunkFile", "chunk_name", "partial_path", "write_merchants"]

SLICE_BYTES = 1 << 18
BESIDE_BYTES = 1 << 20
# How much is written before the disk is told to begin: the final fsync then finds little to do.
FLUSH_BYTES = 32 << 20


def chunk_name(table: str, period: Period, file_format: str) -> str:
    """Return the final name of a chunk's file."""
    return f"{table}_{period}.{file_format}"


def partial_path(output_dir: Path, name: str) -> Path:
    """Return where a file lies until it is whole: readers skip names that begin with a dot."""
    return output_dir / f".{name}.partial"


class ChunkFile:
    """A month's payments on their way to the disk; lives until the chunk is whole.

    For CSV the partial file is the file itself; for Parquet it is a spool of Arrow streams that
    `finish` turns into one Parquet file. Either way bytes are only ever appended, so that a
    killed run goes on from the last checkpoint.
    """

    def __init__(self, output_dir: Path, period: Period, file_format: str) -> None:
        self.period = period
        self.format = file_format
        self.name = chunk_name("transactions", period, file_format)
        self.path = partial_path(output_dir, self.name)
        self._whole = self.path.with_name(self.path.name + ".whole")
        self.rows = 0
        self.bytes = 0
        self.sha256 = ""
        self._digest = hashlib.sha256()
        self._descriptor = -1
        self._flushed = 0
        # Where there are workers, this process hashes and a thread of it writes at the same time.
        self.beside: ThreadPoolExecutor | None = None

    def begin(self) -> None:
        """Begin with an empty file."""
        self._descriptor = open_partial(self.path)
        if self.format == "csv":
            self.append(csv_header(TRANSACTIONS.names), 0)
        else:
            # A chunk without a payment still has its columns.
            empty = pl.DataFrame(schema=frame_schema(TRANSACTIONS))
            self.append(arrow_stream(empty), 0)

    def resume(self, mark: dict[str, Any]) -> bool:
        """Go on from a checkpoint's mark; False if the file does not hold what it says."""
        if not self.path.is_file() or self.path.is_symlink():
            return False
        if self.path.stat().st_size < mark["bytes"]:
            return False
        digest = prefix_hash(self.path, mark["bytes"])
        if digest.hexdigest() != mark["sha256"]:
            return False
        self._digest, self.bytes, self.rows = digest, mark["bytes"], mark["rows"]
        self._descriptor = open_partial(self.path, keep=self.bytes)
        return True

    def append(self, data: memoryview | bytes, rows: int) -> None:
        """Add rendered bytes that hold a number of rows."""
        view = memoryview(data)
        if self.beside is not None and len(view) >= BESIDE_BYTES:
            written = self.beside.submit(write_all, self._descriptor, view, self.path)
            self._digest.update(view)
            written.result()
        else:
            # Slice by slice: what was just hashed is still in the cache when it is written.
            for at in range(0, len(view), SLICE_BYTES):
                part = view[at : at + SLICE_BYTES]
                self._digest.update(part)
                write_all(self._descriptor, part, self.path)
        self.bytes += len(view)
        if self.bytes - self._flushed >= FLUSH_BYTES:
            begin_writing(self._descriptor, self._flushed, self.bytes - self._flushed)
            self._flushed = self.bytes
        self.rows += rows

    def mark(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the file."""
        return {"bytes": self.bytes, "rows": self.rows, "sha256": self._digest.hexdigest()}

    def finish(self) -> None:
        """Make the file whole and force it to the disk; it still has its partial name."""
        if self.format == "parquet":
            self._spool_to_parquet()
        fsync_file(self._descriptor, self.path)
        self.sha256 = self._digest.hexdigest()
        self.close()

    def _spool_to_parquet(self) -> None:
        # What has this name was left by a crash; a link would be written through.
        remove(self._whole)
        # Compressed, the file is smaller than its spool.
        with naming(self._whole, "write", needed=self.bytes, bound="up to"):
            spool_to_parquet(self.path, self._whole)
            self.close()
            self._whole.replace(self.path)
        self._descriptor = open_partial(self.path, keep=self.path.stat().st_size)
        self.bytes = self.path.stat().st_size
        self._digest = prefix_hash(self.path)

    def close(self) -> None:
        """Close the file; what was written stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Close and remove the file."""
        self.close()
        remove(self.path)
        remove(self._whole)


def write_merchants(output_dir: Path, frame: pl.DataFrame, name: str) -> dict[str, Any]:
    """Write a chunk's merchant versions under their partial name, durably; returns its mark."""
    path = partial_path(output_dir, name)
    descriptor = open_partial(path)
    try:
        if name.endswith(".csv"):
            data = csv_header(MERCHANTS.names) + write_csv_text(frame)
            write_all(descriptor, data, path)
        else:
            size = int(frame.estimated_size())
            with naming(path, "write", needed=size, bound="up to"):
                write_parquet(path, frame)
        fsync_file(descriptor, path)
    except BaseException:
        remove(path)
        raise
    finally:
        os.close(descriptor)
    return {"bytes": path.stat().st_size, "rows": len(frame), "sha256": file_sha256(path)}
