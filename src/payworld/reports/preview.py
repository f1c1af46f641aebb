"""The newest rows of a table, from the ends of the newest files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from payworld.errors import UsageError
from payworld.reports.files import PublishedFile, list_files
from payworld.schema import TABLES
from payworld.storage.excerpts import read_tail

__all__ = ["MAX_ROWS", "Preview", "read_newest"]

MAX_ROWS = 10_000


@dataclass(frozen=True)
class Preview:
    """Rows in file order, the newest last; lives until it is printed."""

    table: str
    rows: list[dict[str, Any]]
    files: list[str]
    total_rows: int
    lost: list[PublishedFile]


def read_newest(output_dir: Path, table: str, rows: int = 10) -> Preview:
    """Return the newest rows of a table, at most so many: the last ones of its newest files.

    Values are texts as in CSV, None for null; integers are numbers. Lost files that would have
    been read are named. Raises UsageError for a table or number that is none, StateMissingError
    if no run has published files there, StorageError for a file that cannot be read.
    """
    if table not in TABLES:
        raise UsageError(f"TABLE = {table!r}: expected one of {', '.join(TABLES)}")
    if not 1 <= rows <= MAX_ROWS:
        raise UsageError(f"--rows = {rows}: expected a whole number from 1 to {MAX_ROWS:,}")
    listing = list_files(output_dir, table=table)
    found: list[dict[str, Any]] = []
    files: list[str] = []
    oldest = date.max
    for file in reversed(listing.files):
        if len(found) >= rows:
            break
        if file.rows:
            found = read_tail(file.path, TABLES[table], rows - len(found)) + found
            files.insert(0, file.name)
        oldest = file.start
    return Preview(
        table=table,
        rows=found,
        files=files,
        total_rows=sum(file.rows for file in listing.files),
        lost=[file for file in listing.lost if len(found) < rows or file.end >= oldest],
    )
