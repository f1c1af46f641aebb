"""The journal of a run in progress: what a later run needs to go on after a crash.

A text file with one record a line, each with its own checksum, so a torn last line is ignored.
It is removed when the run ends well.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import orjson

from payworld.errors import StorageError
from payworld.storage.files import (
    fsync_file,
    fsync_folder,
    naming,
    open_partial,
    read_bytes,
    remove,
    replace_file,
    write_all,
    write_durably,
)

__all__ = ["JOURNAL", "Journal", "read_journal"]

JOURNAL = ".journal"


def _line(record: dict[str, Any]) -> bytes:
    body = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def read_journal(state_dir: Path) -> list[dict[str, Any]]:
    """Return the whole records of a journal, in order; empty if there is none."""
    path = state_dir / JOURNAL
    if not os.path.lexists(path):
        return []
    records = []
    for line in read_bytes(path).split(b"\n"):
        crc, _, body = line.partition(b" ")
        if crc != b"%08x" % zlib.crc32(body):
            break
        records.append(orjson.loads(body))
    return records


class Journal:
    """Appends records to the journal of the present run; lives as long as the run.

    `decided` says whether the last record is a commit's: the next run will finish it.
    """

    def __init__(self, state_dir: Path, header: dict[str, Any], records: int = 0) -> None:
        self._state_dir = state_dir
        self._path = state_dir / JOURNAL
        self.header = header
        self.decided = False
        if records:
            self._descriptor = self._reopen()
        else:
            self._descriptor = self._begin()

    def _begin(self) -> int:
        work = self._state_dir / f"{JOURNAL}.next"
        write_durably(work, _line(self.header))
        try:
            replace_file(work, self._path)
        except StorageError:
            remove(work)
            raise
        try:
            return self._reopen()
        except StorageError:
            # It holds nothing yet.
            remove(self._path)
            raise

    def _reopen(self) -> int:
        with naming(self._path, "write"):
            size = 0
            for record_end in _record_ends(read_bytes(self._path)):
                size = record_end
        return open_partial(self._path, keep=size)

    def restart(self, header: dict[str, Any]) -> None:
        """Begin again with a header, in place of all records."""
        self.close()
        self.header = header
        self._descriptor = self._begin()
        self.decided = False

    def append(self, record: dict[str, Any], durably: bool = False) -> None:
        """Add a record; a kill right after it does not lose it, with `durably` no power cut."""
        write_all(self._descriptor, _line(record), self._path)
        if durably:
            fsync_file(self._descriptor, self._path)
        self.decided = "commit" in record

    def close(self) -> None:
        """Close the file; the records stay."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def rewind(self) -> None:
        """Drop all records but the header, in place: it takes no space."""
        self.close()
        ends = _record_ends(read_bytes(self._path))
        os.close(open_partial(self._path, keep=ends[0]))

    def finish(self) -> None:
        """Remove the journal: the run ended well."""
        self.close()
        remove(self._path)
        fsync_folder(self._state_dir)


def _record_ends(data: bytes) -> list[int]:
    """Return where each whole record ends, in order."""
    ends, at = [], 0
    for line in data.split(b"\n")[:-1]:
        crc, _, body = line.partition(b" ")
        if crc != b"%08x" % zlib.crc32(body):
            break
        at += len(line) + 1
        ends.append(at)
    if not ends:
        raise StorageError("the journal has no whole record")
    return ends
