"""The data files as the manifest lists them: read for publishing, and only if they are that."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import orjson

from payworld.errors import LostFileError, StorageError
from payworld.storage.files import naming, read_bytes
from payworld.storage.manifest import MANIFEST, read_manifest

__all__ = ["ListedFile", "check_hash", "content_type", "opened", "read_listing"]

_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    # Not as a content encoding, which clients undo: what is stored is what the manifest hashes.
    ".gz": "application/gzip",
    ".zst": "application/zstd",
    ".parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True)
class ListedFile:
    """A file that the manifest lists; lives for a publish."""

    path: str
    bytes: int
    sha256: str
    start: str
    end: str

    @classmethod
    def of(cls, resource: dict[str, Any]) -> ListedFile:
        """Return the file of a manifest's resource; StorageError if it leads out of the folder."""
        path, period = resource["path"], resource["period"]
        parts = PurePosixPath(path).parts
        if not parts or parts[0] == "/" or any(part[0] == "." for part in parts):
            raise StorageError(
                f"{MANIFEST} names {path!r}, which is no data file of its folder; restore it"
            )
        sha256 = resource["hash"].removeprefix("sha256:")
        return cls(path, resource["bytes"], sha256, period["start"], period["end"])


def read_listing(output_dir: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the manifest's bytes and what they say; StorageError if there is none."""
    while True:
        document = read_manifest(output_dir)
        if document is None:
            raise StorageError(
                f"there is no {MANIFEST} in {str(output_dir)!r}, so there is nothing to publish; "
                "name the folder of the data files with --output-dir"
            )
        data = read_bytes(output_dir / MANIFEST)
        # A run that ends just now replaces it.
        if orjson.loads(data) == document:
            return data, document


def content_type(path: str) -> str:
    """Return the media type of a file.

    >>> content_type("transactions_2024-01-01_2024-01-31.csv.gz")
    'application/gzip'
    """
    return _TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")


@contextmanager
def opened(output_dir: Path, file: ListedFile) -> Iterator[BinaryIO]:
    """Open a listed file to read it; LostFileError if it is gone or of another size."""
    path = output_dir / file.path
    with naming(path, "publish"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise LostFileError(
                f"{str(path)!r} is gone, and is not published; {_way_out(file)}"
            ) from error
    try:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode) or told.st_size != file.bytes:
            raise _damaged(output_dir, file)
        with naming(path, "read"), os.fdopen(descriptor, "rb", closefd=False) as source:
            yield source
    finally:
        os.close(descriptor)


def check_hash(output_dir: Path, file: ListedFile, sha256: str) -> None:
    """Raise LostFileError if the SHA-256 of what was read is not the manifest's."""
    if sha256 != file.sha256:
        raise _damaged(output_dir, file)


def _damaged(output_dir: Path, file: ListedFile) -> LostFileError:
    return LostFileError(
        f"{str(output_dir / file.path)!r} is not what {MANIFEST} says, and is not published; "
        f"{_way_out(file)}"
    )


def _way_out(file: ListedFile) -> str:
    return f"make it again: gen regenerate --start-date {file.start} --end-date {file.end}"
