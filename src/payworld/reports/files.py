"""Which published files tell of days that a consumer has not seen yet."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from payworld.errors import StateMissingError, UsageError
from payworld.schema import TABLES
from payworld.storage.manifest import MANIFEST, read_manifest
from payworld.timeline import parse_date

__all__ = ["Listing", "PublishedFile", "list_files"]


@dataclass(frozen=True)
class PublishedFile:
    """A file of the manifest; lives until it is printed.

    `path` is absolute, `name` as in the manifest, from the output folder; `start` and `end` are
    its first and last day.
    """

    table: str
    name: str
    path: Path
    rows: int
    bytes: int
    sha256: str
    start: date
    end: date
    run: str

    @classmethod
    def of(cls, folder: Path, resource: dict[str, Any]) -> PublishedFile:
        """Return the file of a resource of the manifest."""
        return cls(
            table=resource["table"],
            name=resource["path"],
            path=folder / resource["path"],
            rows=resource["rows"],
            bytes=resource["bytes"],
            sha256=resource["hash"].removeprefix("sha256:"),
            start=date.fromisoformat(resource["period"]["start"]),
            end=date.fromisoformat(resource["period"]["end"]),
            run=resource.get("run", ""),
        )

    @property
    def is_whole(self) -> bool:
        """Return whether the file is there in its full length."""
        try:
            found = self.path.lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == self.bytes


@dataclass(frozen=True)
class Listing:
    """The files that were asked for, in order of their days; lives until it is printed.

    `through` is the last day up to which nothing is lost: what a consumer gives as `since` next
    time, once it has taken the files. None where there is no file at all.
    """

    world: dict[str, Any]
    files: list[PublishedFile]
    lost: list[PublishedFile]
    through: date | None


def list_files(output_dir: Path, since: str | None = None, table: str | None = None) -> Listing:
    """Return the published files with a day after `since`.

    A file counts as lost if it is not there in its full length. Raises StateMissingError if no
    run has published files there, UsageError for a date or table that is none.
    """
    if since is not None:
        parse_date(since, "--since")
    if table is not None and table not in TABLES:
        raise UsageError(f"--table = {table!r}: expected one of {', '.join(TABLES)}")
    manifest = read_manifest(output_dir) if output_dir.is_dir() else None
    if manifest is None:
        raise StateMissingError(
            f"there is no {MANIFEST} in {str(output_dir)!r}: no run has published files there; "
            "name the folder with --output-dir, or make a world: gen --initial"
        )
    # Path.resolve would follow links.
    folder = Path(os.path.abspath(output_dir))  # noqa: PTH100
    known = [
        PublishedFile.of(folder, resource)
        for resource in manifest["resources"]
        if table is None or resource["table"] == table
    ]
    known.sort(key=lambda file: (file.start, file.end, file.name))
    seen = date.min if since is None else date.fromisoformat(since)
    wanted = [file for file in known if file.end > seen]
    lost = [file for file in wanted if not file.is_whole]
    files = [file for file in wanted if file not in set(lost)] if lost else wanted
    through = max((file.end for file in known), default=None)
    if lost:
        through = max(lost[0].start - timedelta(days=1), seen)
    return Listing(manifest.get("world", {}), files, lost, through)
