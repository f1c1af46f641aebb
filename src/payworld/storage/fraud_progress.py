"""How far a run has come: what the same command needs to go on after a kill.

A text file beside the files in the making, one record a line, each with its own checksum, so that
a torn last line is ignored. It is removed when the files are published.
"""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from payworld.storage.files import (
    fsync_file,
    fsync_folder,
    open_partial,
    read_bytes,
    remove,
    write_all,
)
from payworld.storage.output_file import OutputFile

__all__ = ["Checkpoint", "Progress"]


@dataclass(frozen=True)
class Checkpoint:
    """What was done at one moment.

    `sizes` are the bytes of each file; `parts` what was told of each since the checkpoint before:
    bytes that its writer needs to go on.
    """

    groups: int
    frauds: int
    sizes: tuple[int, ...]
    parts: tuple[tuple[bytes, ...], ...]

    def to_line(self) -> bytes:
        """Return the record of the journal."""
        parts = [[base64.b64encode(part).decode() for part in given] for given in self.parts]
        return _line(
            {"groups": self.groups, "frauds": self.frauds, "sizes": self.sizes, "parts": parts}
        )

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        """Return the checkpoint of a record."""
        parts = tuple(tuple(map(base64.b64decode, given)) for given in record["parts"])
        return cls(record["groups"], record["frauds"], tuple(record["sizes"]), parts)


def _line(record: dict[str, Any]) -> bytes:
    body = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _read(path: Path) -> list[tuple[dict[str, Any], int]]:
    """Return the whole records of a journal, in order, and where each ends; empty: no journal."""
    records, end = [], 0
    for line in read_bytes(path).split(b"\n") if os.path.lexists(path) else []:
        crc, _, body = line.partition(b" ")
        if crc != b"%08x" % zlib.crc32(body):
            break
        end += len(line) + 1
        records.append((orjson.loads(body), end))
    return records


class Progress:
    """The journal of files in the making; lives as long as they do.

    The first file's lock guards it. `fingerprint` stands for all that their bytes depend on.
    """

    def __init__(self, files: Sequence[OutputFile], fingerprint: str) -> None:
        self._files = files
        self._header = {"fingerprint": fingerprint}
        final = files[0].final
        self._path = final.with_name(f".{final.name}.progress")
        self._size = 0

    def resume(self) -> list[Checkpoint]:
        """Return the checkpoints of an earlier run of the same, and let the files go on there.

        Empty if there is nothing to go on from: then the files begin anew.
        """
        (header, end), *records = _read(self._path) or [({}, 0)]
        checkpoints = []
        for record, line_end in records if header == self._header else []:
            checkpoint = Checkpoint.of_record(record)
            both = zip(self._files, checkpoint.sizes, strict=True)
            if not all(file.holds(size) for file, size in both):
                break
            checkpoints.append(checkpoint)
            end = line_end
        if checkpoints:
            self._size = end
        else:
            # Before the files are cut: it must not speak of bytes that are no longer there.
            self.remove()
        sizes = checkpoints[-1].sizes if checkpoints else [0] * len(self._files)
        for file, size in zip(self._files, sizes, strict=True):
            file.go_on(size)
        return checkpoints

    def add(self, checkpoint: Checkpoint) -> None:
        """Note a checkpoint; the files' bytes so far are on the disk before it is."""
        for file in self._files:
            file.keep()
        line = checkpoint.to_line()
        data = line if self._size else _line(self._header) + line
        is_new = not self._size
        descriptor = open_partial(self._path, self._size)
        try:
            write_all(descriptor, data, self._path)
            fsync_file(descriptor, self._path)
        finally:
            os.close(descriptor)
        if is_new:
            fsync_folder(self._path.parent)
        self._size += len(data)

    def remove(self) -> None:
        """Remove the journal: the files are published, or begin anew."""
        if os.path.lexists(self._path):
            remove(self._path)
            fsync_folder(self._path.parent)
