"""One file to object storage: whole, verified on both sides, and never over other bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from payworld.errors import ConflictError, PublishError
from payworld.storage.lanes import in_lanes
from payworld.storage.listed_files import ListedFile, check_hash, content_type, opened
from payworld.storage.s3 import MAX_PARTS, Bucket, ContendedError, Stored, again_if_contended

__all__ = ["LANES", "Destination", "Uploader"]

# A file above it goes up in parts of it, or of more where there would be too many.
PART_BYTES = 16 << 20
# So many requests at once, each with a part in memory.
LANES = 4


@dataclass(frozen=True)
class Destination:
    """A place in a bucket; lives for a run."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, address: str) -> Destination:
        """Return the place of a validated address.

        >>> Destination.parse("s3://lake/raw").key("a.csv")
        'raw/a.csv'
        """
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        return cls(bucket, prefix)

    def key(self, path: str) -> str:
        """Return the key of a file."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def address(self, path: str = "") -> str:
        """Return the s3:// address of a file, or of the place itself."""
        return f"s3://{self.bucket}/{self.key(path)}".rstrip("/")


@dataclass(frozen=True)
class Uploader:
    """Uploads the files of a data folder to a place; lives for a publish.

    Its methods return whether they uploaded: not where equal bytes are there already. They raise
    ConflictError if other bytes are there, StorageError if the local file is not what the manifest
    says, PublishError if the store fails.
    """

    output_dir: Path
    place: Destination
    bucket: Bucket

    def is_large(self, file: ListedFile) -> bool:
        """Return whether a file is to be uploaded in parts."""
        return file.bytes > PART_BYTES

    def is_there(self, file: ListedFile) -> bool:
        """Return whether the store holds a file."""
        stored = self.bucket.head(self.place.key(file.path))
        if stored is None:
            return False
        self._check_equal(file, stored)
        return True

    def upload(self, file: ListedFile) -> bool:
        """Upload a small file in one request."""
        if self.is_there(file):
            return False
        with opened(self.output_dir, file) as source:
            data = source.read()
        check_hash(self.output_dir, file, hashlib.sha256(data).hexdigest())
        self.bucket.put(self.place.key(file.path), data, content_type(file.path), file.sha256)
        self._check_arrived(file)
        return True

    def upload_in_parts(self, file: ListedFile, on_bytes: Callable[[int], None]) -> bool:
        """Upload a large file in parts; nothing of it is visible before it is whole.

        Whatever is unfinished under the key before or after it is taken as left behind and is
        aborted: call it with the folder held for publishing.
        """
        key = self.place.key(file.path)
        # Of a publish that was killed.
        self._abort_unfinished(key)
        if self.is_there(file):
            return False
        again_if_contended(lambda: self._upload_whole(file, key, on_bytes))
        # Of a request whose answer was lost: it was sent again, and began another.
        self._abort_unfinished(key)
        self._check_arrived(file)
        return True

    def _upload_whole(self, file: ListedFile, key: str, on_bytes: Callable[[int], None]) -> None:
        """Upload all parts of a file and make an object of them, where none is yet."""
        upload = ""
        with opened(self.output_dir, file) as source:
            try:
                upload = self.bucket.begin(key, content_type(file.path), file.sha256)
                parts = self._upload_parts(file, source, upload, on_bytes)
                self.bucket.complete(key, upload, parts)
            except ContendedError:
                self._give_up(key, upload)
                # All parts count anew.
                on_bytes(-file.bytes)
                raise
            except PublishError as error:
                if not self._give_up(key, upload):
                    raise
                # A store may say so of an upload that it has completed already.
                if not self.is_there(file):
                    raise PublishError(
                        f"the upload to {self.place.address(file.path)} was aborted by another "
                        "program before it was complete, such as a publish from another machine; "
                        "publish again when that one is done"
                    ) from error
            except Exception:
                self._give_up(key, upload)
                raise
            except BaseException:
                # Interrupted: there is no time to wait for a server that may be silent.
                if upload:
                    with suppress(Exception):
                        self.bucket.abort(key, upload, at_once=True)
                raise

    def _abort_unfinished(self, key: str) -> list[str]:
        """Abort every upload in parts that was begun for a key, and return their ids."""
        found = self.bucket.unfinished(key)
        for upload in found:
            self.bucket.abort(key, upload)
        return found

    def _give_up(self, key: str, upload: str) -> bool:
        """Abort an upload that failed, if the store lets us; return whether others had done it."""
        try:
            return upload not in self._abort_unfinished(key) and bool(upload)
        except PublishError:
            return False

    def _upload_parts(
        self, file: ListedFile, source: BinaryIO, upload: str, on_bytes: Callable[[int], None]
    ) -> list[dict[str, Any]]:
        """Return the parts of a file, uploaded; StorageError if they are not what was listed."""
        size = max(PART_BYTES, -(-file.bytes // MAX_PARTS))
        key, digest, parts = self.place.key(file.path), hashlib.sha256(), []

        def jobs() -> Iterator[Callable[[], tuple[dict[str, Any], int]]]:
            number = 0
            while data := source.read(size):
                digest.update(data)
                number += 1
                yield partial(self._upload_part, key, upload, number, data)

        for part, length in in_lanes(jobs(), LANES):
            parts.append(part)
            on_bytes(length)
        # Before the object is made of them.
        check_hash(self.output_dir, file, digest.hexdigest())
        return sorted(parts, key=lambda part: int(part["PartNumber"]))

    def _upload_part(
        self, key: str, upload: str, number: int, data: bytes
    ) -> tuple[dict[str, Any], int]:
        return self.bucket.part(key, upload, number, data), len(data)

    def _check_arrived(self, file: ListedFile) -> None:
        """Raise if the store does not hold a file that was uploaded just now.

        That it refused the write says little: a request whose answer was lost is sent again, and
        then finds the key taken.
        """
        if not self.is_there(file):
            raise PublishError(
                f"{self.place.address(file.path)} is not there after its upload: another program "
                "ended the upload or removed the object; publish again"
            )

    def _check_equal(self, file: ListedFile, stored: Stored) -> None:
        key = self.place.key(file.path)
        if stored.size == file.bytes and (
            (stored.sha256 or self.bucket.sha256(key)) == file.sha256
        ):
            return
        raise ConflictError(
            f"{self.place.address(file.path)} holds other bytes than the manifest's "
            f"({stored.size:,} bytes; expected {file.bytes:,} with SHA-256 {file.sha256}). "
            "payworld never overwrites an object: move it away, or name another prefix"
        )
