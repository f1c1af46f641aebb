"""The CSV dialect of every file: RFC 4180 with LF, quotes only where needed, empty for null."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["csv_fields", "csv_header", "write_csv_text"]


def csv_header(names: Iterable[str]) -> bytes:
    """Return the header line of a CSV file."""
    return (",".join(names) + "\n").encode()


def write_csv_text(frame: pl.DataFrame) -> bytes:
    """Return a typed frame as CSV without a header: the dialect of every file.

    RFC 4180 with LF, quotes only where needed, UTF-8, empty for null, fixed decimals.
    """
    buffer = io.BytesIO()
    frame.write_csv(buffer, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S")
    return buffer.getvalue()


def csv_fields(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return each row of texts as one CSV fragment, quoted where a field needs it."""
    texts = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(row)
        texts.append(line.getvalue())
    return texts
