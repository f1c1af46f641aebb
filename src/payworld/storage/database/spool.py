"""Keeps the validated records on disk, so that what was checked is what is loaded."""

from __future__ import annotations

import errno
import io
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Self

import polars as pl

from payworld.errors import StorageError
from payworld.storage.database.frames import Frame

__all__ = ["Spool"]


@contextmanager
def _naming_folder() -> Iterator[None]:
    """Turn an OSError into a StorageError that names the folder of temporary files."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        way_out = "; free some space, or let TMPDIR name a larger folder" if is_full else ""
        raise StorageError(
            f"cannot write a temporary file in {tempfile.gettempdir()!r}: {error.strerror}{way_out}"
        ) from error


class Spool(AbstractContextManager["Spool"]):
    """Records in a temporary file without a name (TMPDIR says where); lives for a load."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        with _naming_folder():
            self._file = tempfile.TemporaryFile(prefix="payworld-")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What a full disk has no room for is not needed any more.
        with suppress(OSError):
            self._file.close()

    def clear(self) -> None:
        """Forget all records."""
        self._parts.clear()
        with _naming_folder():
            self._file.seek(0)
            self._file.truncate()

    def add(self, frame: Frame) -> None:
        """Append records."""
        # Parquet's dictionaries make a third of the bytes; compression takes longer than it saves.
        data = io.BytesIO()
        frame.rows.write_parquet(data, compression="uncompressed", statistics=False)
        with _naming_folder():
            self._file.write(data.getbuffer())
        self._parts.append((frame.table, data.tell()))

    def frames(self) -> Iterator[Frame]:
        """Yield the records in the order in which they came."""
        with _naming_folder():
            # This writes what was held back.
            self._file.seek(0)
        for table, size in self._parts:
            yield Frame(table, pl.read_parquet(io.BytesIO(self._file.read(size))))
