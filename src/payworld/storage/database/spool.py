"""Keeps the validated batches on disk, so that what was checked is what is loaded."""

from __future__ import annotations

import errno
import marshal
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Self

from payworld.errors import StorageError
from payworld.storage.database.records import Batch

__all__ = ["Spool"]

# Without references to repeated objects: their bookkeeping costs more than it saves.
_MARSHAL_VERSION = 2


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
    """Batches in a temporary file without a name (TMPDIR says where); lives for a load."""

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

    def add(self, batch: Batch) -> None:
        """Append a batch."""
        places = batch.numbers
        numbers = (places.start, places.stop) if isinstance(places, range) else list(places)
        with _naming_folder():
            content = (batch.table, batch.columns, numbers, batch.label)
            data = marshal.dumps(content, _MARSHAL_VERSION)
            self._file.write(len(data).to_bytes(8, "little"))
            self._file.write(data)

    def batches(self) -> Iterator[Batch]:
        """Yield the batches in the order in which they came."""
        with _naming_folder():
            # This writes what was held back.
            self._file.seek(0)
        while size := int.from_bytes(self._file.read(8), "little"):
            # The file has no name: nobody else can have written it.
            content = marshal.loads(self._file.read(size))  # noqa: S302
            table, columns, numbers, label = content
            places = range(*numbers) if isinstance(numbers, tuple) else numbers
            yield Batch(table, columns, places, label)
