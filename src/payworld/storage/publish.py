"""The files of a data folder in object storage: each new file, then the manifest, last.

What a consumer sees is whole at any moment: an object appears when it is complete, the manifest
names only objects that are there, and no object is ever written again but the manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from payworld.errors import ConflictError, PayworldError, PublishError, StorageError
from payworld.storage.lanes import in_lanes
from payworld.storage.listed_files import ListedFile, read_listing
from payworld.storage.manifest import MANIFEST
from payworld.storage.s3 import Bucket, Stored
from payworld.storage.upload import LANES, Destination, Uploader

__all__ = ["Progress", "Publisher", "Report"]

# Another publisher may put a manifest in place between our look at it and our own.
MANIFEST_ATTEMPTS = 5
# So many files that were refused in one message.
TOLD = 20

_STAYS = frozenset(["unchanged", "ahead"])

# Gets (files done, of all, bytes done, of all).
Progress = Callable[[int, int, int, int], None]


@dataclass
class Report:
    """What a publish has come to so far, also where it failed; lives for a publish.

    `manifest` is "new", "replaced", "unchanged", "ahead" (the one that is there knows all files
    of ours and more, and stays) or, as long as it is not there, "missing". `refused` has what is
    wrong with files that cannot be published: other bytes are in the way, or the local ones are
    not what was listed.
    """

    files: int = 0
    uploaded: list[ListedFile] = field(default_factory=list)
    missing: dict[str, ListedFile] = field(default_factory=dict)
    refused: dict[str, PayworldError] = field(default_factory=dict)
    manifest: str = "missing"

    @property
    def present(self) -> int:
        """Return how many files were there already."""
        return self.files - len(self.missing) - len(self.uploaded)


@dataclass(frozen=True)
class _Remote:
    """The manifest that is published already; lives for a look at it."""

    data: bytes
    stored: Stored
    world: Any
    # Bytes and SHA-256 of each file, by path.
    files: dict[str, tuple[int, str]]


class Publisher:
    """Publishes a data folder as it is when this is made; lives for a publish."""

    def __init__(
        self, output_dir: Path, place: Destination, bucket: Bucket, on_progress: Progress
    ) -> None:
        self._local = output_dir / MANIFEST
        self._place = place
        self._bucket = bucket
        self._uploader = Uploader(output_dir, place, bucket)
        self._on_progress = on_progress
        self._manifest, document = read_listing(output_dir)
        self._world = document.get("world")
        self._files = [ListedFile.of(resource) for resource in document["resources"]]
        self._bytes = 0
        self._total_bytes = sum(file.bytes for file in self._files)
        self.report = Report(len(self._files), missing={file.path: file for file in self._files})

    def publish(self, dry_run: bool = False) -> None:
        """Upload what is not there, or with `dry_run` only look; `report` tells what was done.

        Raises PublishError if the store fails, ConflictError where another world is in the way;
        StorageError for local files that are not what the manifest says, ConflictError where other
        bytes are in the way: both after all other files, and before the manifest.
        """
        stored, remote = self._stored(), self._remote()
        state = self._compare(remote)
        if state in _STAYS:
            self.report.manifest = state
        known = [file for file in self._files if self._is_known(file, stored, remote)]
        for file in known:
            self._settle(file)
        self._count(sum(file.bytes for file in known))
        left = [*self.report.missing.values()]
        small = [file for file in left if dry_run or not self._uploader.is_large(file)]
        for size in in_lanes((partial(self._publish, file, dry_run) for file in small), LANES):
            self._count(size)
        for file in left:
            if not dry_run and self._uploader.is_large(file):
                self._publish_large(file)
        self._raise_refused()
        if dry_run:
            self.report.manifest = state
        else:
            self._put_manifest(remote)

    def _publish(self, file: ListedFile, dry_run: bool) -> int:
        """See to it that a small file is there, or only look, and return its bytes."""
        with self._going_on(file):
            if not dry_run:
                self._settle(file, self._uploader.upload(file))
            elif self._uploader.is_there(file):
                self._settle(file)
        return file.bytes

    def _publish_large(self, file: ListedFile) -> None:
        with self._going_on(file):
            uploaded = self._uploader.upload_in_parts(file, self._count)
            self._settle(file, uploaded)
            self._count(0 if uploaded else file.bytes)

    @contextmanager
    def _going_on(self, file: ListedFile) -> Iterator[None]:
        """Let one file that is refused keep no other from being published."""
        try:
            yield
        except (ConflictError, StorageError) as error:
            self.report.refused[file.path] = error

    def _raise_refused(self) -> None:
        """Raise what is wrong with the files that were refused, as one error, if there are any."""
        found = [error for _, error in sorted(self.report.refused.items())]
        if not found:
            return
        lines = [str(error) for error in found[:TOLD]]
        if len(found) > TOLD:
            lines.append(f"and {len(found) - TOLD:,} more files likewise; --json tells of them all")
        local = any(isinstance(error, StorageError) for error in found)
        raise (StorageError if local else ConflictError)("\n".join(lines)) from found[0]

    def _settle(self, file: ListedFile, uploaded: bool = False) -> None:
        if uploaded:
            self.report.uploaded.append(file)
        del self.report.missing[file.path]

    def _count(self, size: int) -> None:
        """Count bytes as published, and tell."""
        self._bytes += size
        total = self.report.files
        done = total - len(self.report.missing)
        self._on_progress(done, total, self._bytes, self._total_bytes)

    def _key(self, path: str) -> str:
        return self._place.key(path)

    def _stored(self) -> dict[str, Stored]:
        """Return what is stored under names that begin as those of our files."""
        words = {file.path.partition("_")[0].partition("/")[0] for file in self._files}
        found: dict[str, Stored] = {}
        # The manifest's too: of a folder without files yet, something is to be asked.
        for word in sorted({*words, MANIFEST}):
            found |= self._bucket.objects(self._key(word))
        return found

    def _remote(self) -> _Remote | None:
        """Return the manifest that is published; ConflictError if it is something else."""
        found = self._bucket.read(self._key(MANIFEST))
        if found is None:
            return None
        try:
            document = orjson.loads(found[0])
            files = {
                resource["path"]: (resource["bytes"], resource["hash"].removeprefix("sha256:"))
                for resource in document["resources"]
            }
            return _Remote(*found, document["world"], files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConflictError(
                f"{self._place.address(MANIFEST)} is not a data package that payworld wrote, and "
                "is left as it is; name another prefix"
            ) from error

    def _compare(self, remote: _Remote | None) -> str:
        """Return what is to become of the manifest that is there; ConflictError if it may not."""
        if remote is None:
            return "new"
        if remote.data == self._manifest:
            return "unchanged"
        if remote.world != self._world:
            raise ConflictError(
                f"{self._place.address()} holds the files of another world ({_told(remote.world)}; "
                f"this one: {_told(self._world)}); name another prefix"
            )
        ours = {file.path: (file.bytes, file.sha256) for file in self._files}
        for path in sorted(ours.keys() & remote.files):
            if ours[path] != remote.files[path]:
                raise ConflictError(
                    f"{self._place.address(path)} was published with other bytes than "
                    f"{str(self._local)!r} lists; nothing is overwritten: find out which are "
                    "right, or name another prefix"
                )
        unknown = sorted(remote.files.keys() - ours)
        if unknown and ours.keys() - remote.files:
            raise ConflictError(
                f"{self._place.address(MANIFEST)} lists {len(unknown):,} files that "
                f"{str(self._local)!r} does not, such as {unknown[0]!r}, and lacks others: two "
                "folders, or two lives of a world, go to one place. Name another prefix; or, if "
                "the local manifest was lost, put the published one in its place"
            )
        return "ahead" if unknown else "replaced"

    def _is_known(
        self, file: ListedFile, stored: dict[str, Stored], remote: _Remote | None
    ) -> bool:
        """Return whether a file is surely published, without a request of its own.

        The manifest was put there after all that it lists. An object of its second or younger may
        be another's: it is to be looked at.
        """
        there = stored.get(self._key(file.path))
        return (
            there is not None
            and remote is not None
            and there.size == file.bytes
            and remote.files.get(file.path) == (file.bytes, file.sha256)
            # A listing has parts of a second, the other whole ones.
            and there.modified.replace(microsecond=0) < remote.stored.modified
        )

    def _put_manifest(self, remote: _Remote | None) -> None:
        """Put the manifest in place of the one that was looked at, and of no other."""
        key, sha256 = self._key(MANIFEST), hashlib.sha256(self._manifest).hexdigest()
        for _ in range(MANIFEST_ATTEMPTS):
            state = self._compare(remote)
            etag = remote.stored.etag if remote else ""
            if state in _STAYS:
                break
            # Not every store heeds the condition of a write.
            now = self._bucket.head(key)
            if etag == (now.etag if now else "") and self._bucket.put(
                key, self._manifest, "application/json", sha256, replaces=etag
            ):
                break
            # It is another's by now; or ours, where an answer was lost.
            remote = self._remote()
        else:
            raise PublishError(
                f"{self._place.address(MANIFEST)} is replaced by others again and again; let one "
                "program publish there, and publish again"
            )
        self.report.manifest = state


def _told(world: Any) -> str:
    if not isinstance(world, dict):
        return "it does not say which"
    return f"seed {world.get('seed')}, begun on {world.get('start_date')}"
