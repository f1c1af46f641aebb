"""Chunk files in the making: rendered bytes go in, a whole file comes out.

Polars is loaded where a frame is at hand: a run's first process loads it while others render.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from payworld.schema import MERCHANTS, TRANSACTIONS, frame_schema
from payworld.storage.appended import AppendedFile, writing
from payworld.storage.compress import compress
from payworld.storage.csv import csv_header, write_csv_text
from payworld.storage.files import (
    file_sha256,
    fsync_file,
    naming,
    open_partial,
    prefix_hash,
    remove,
)
from payworld.storage.manifest import Cents
from payworld.storage.style import FileStyle, partial_path
from payworld.timeline import Period

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ChunkFile", "write_merchants"]


# What is copied and hashed at a time.
PIECE_BYTES = 256 << 10
# Merchants whose text is made at a time: a text of all is memory that nothing else needs.
MERCHANT_ROWS = 8_192


class ChunkFile:
    """A month's payments on their way to the disk; lives until the chunk is whole.

    For CSV the partial file is the file itself; for Parquet it is a spool of Arrow streams that
    `finish` turns into one Parquet file. Either way bytes are only ever appended, so that a
    killed run goes on from the last checkpoint.
    """

    def __init__(
        self, output_dir: Path, period: Period, style: FileStyle, mark: dict[str, Any] | None = None
    ) -> None:
        self.period = period
        self.style = style
        self.name = style.path("transactions", period)
        self.path = partial_path(output_dir, self.name)
        self._whole = self.path.with_name(self.path.name + ".whole")
        self.bytes: int = mark["bytes"] if mark else 0
        self.rows: int = mark["rows"] if mark else 0
        self.cents: Cents = tuple(mark["cents"]) if mark else (0, 0, 0)
        self.sha256 = ""
        self._digest = prefix_hash(self.path, self.bytes) if mark else sha256()
        self._file = AppendedFile(self.path, keep=self.bytes)
        if mark is None:
            self._append_head()

    def _append_head(self) -> None:
        if self.style.format == "csv":
            self.append(compress(csv_header(TRANSACTIONS.names), self.style.compression))
        else:
            import polars as pl

            from payworld.storage.parquet import arrow_stream

            # A chunk without a payment still has its columns.
            empty = pl.DataFrame(schema=frame_schema(TRANSACTIONS))
            self.append(arrow_stream(empty))

    @classmethod
    def resume(
        cls, output_dir: Path, period: Period, style: FileStyle, mark: dict[str, Any]
    ) -> Self | None:
        """Return a file that goes on from a checkpoint's mark; None if it does not hold it."""
        path = partial_path(output_dir, style.path("transactions", period))
        if not path.is_file() or path.is_symlink() or path.stat().st_size < mark["bytes"]:
            return None
        chunk = cls(output_dir, period, style, mark)
        if chunk._digest.hexdigest() != mark["sha256"]:
            chunk.close()
            return None
        return chunk

    def append(self, data: memoryview | bytes) -> None:
        """Add rendered bytes; what they hold is told to `count`."""
        view = memoryview(data)
        self.bytes += len(view)
        while view:
            # What has just been copied is hashed out of the processor's cache.
            piece, view = view[:PIECE_BYTES], view[PIECE_BYTES:]
            self._file.append(piece)
            self._digest.update(piece)

    def count(self, rows: int, cents: Cents) -> None:
        """Note that so many rows, with so much money, have been appended."""
        self.rows += rows
        amount, cost, mdr = self.cents
        self.cents = (amount + cents[0], cost + cents[1], mdr + cents[2])

    def mark(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the file, which holds it from now on."""
        self._file.flush()
        return {
            "bytes": self.bytes,
            "rows": self.rows,
            "cents": self.cents,
            "sha256": self._digest.hexdigest(),
        }

    def finish(self) -> None:
        """Make the file whole and force it to the disk; it still has its partial name."""
        if self.style.format == "parquet":
            self._spool_to_parquet()
        self._file.force()
        self.sha256 = self._digest.hexdigest()
        self.close()

    def _spool_to_parquet(self) -> None:
        from payworld.storage.parquet import spool_to_parquet

        self._file.flush()
        self.close()
        # What has this name was left by a crash; a link would be written through.
        remove(self._whole)
        # Compressed, the file is smaller than its spool.
        with naming(self._whole, "write", needed=self.bytes, bound="up to"):
            spool_to_parquet(self.path, self._whole)
            self._whole.replace(self.path)
        self.bytes = self.path.stat().st_size
        self._file = AppendedFile(self.path, keep=self.bytes)
        self._digest = prefix_hash(self.path)

    def close(self) -> None:
        """Close the file; what a mark told of stays."""
        self._file.close()

    def discard(self) -> None:
        """Close and remove the file."""
        self.close()
        remove(self.path)
        remove(self._whole)


def _merchant_pieces(frame: pl.DataFrame, style: FileStyle) -> Iterator[bytes]:
    header = csv_header(MERCHANTS.names)
    if style.compression != "none":
        # One gzip member or zstd frame.
        yield compress(header + write_csv_text(frame), style.compression)
        return
    yield header
    for some in frame.iter_slices(MERCHANT_ROWS):
        yield write_csv_text(some)


def write_merchants(output_dir: Path, frame: pl.DataFrame, name: str) -> dict[str, Any]:
    """Write a chunk's merchant versions under their partial name, durably; returns its mark."""
    path, style = partial_path(output_dir, name), FileStyle.of(name)
    if style.format == "csv":
        with writing(path) as file:
            digest = file.append_all(_merchant_pieces(frame, style))
        return {"bytes": file.size, "rows": len(frame), "sha256": digest}
    from payworld.storage.parquet import write_parquet

    descriptor = open_partial(path)
    try:
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
