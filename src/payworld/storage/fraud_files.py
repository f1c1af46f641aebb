"""Files of the fraud stream, by name and content: what is uploaded, and under which key."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from payworld.errors import ConfigError, StorageError
from payworld.storage.files import naming

__all__ = ["check_whole", "stream_key"]

_PAYMENTS = re.compile(
    r"payments_([0-9]+(?:_[0-9]{3})*)_([0-9]{4}-[0-9]{2}-[0-9]{2})\.(parquet|csv)", re.ASCII
)
# Each catalog, and the column that no other file has first.
_CATALOGS = {
    "customers.parquet": "customer_id",
    "merchants.parquet": "merchant_id",
    "cards.parquet": "card_pan_hash",
}
_READ_BYTES = 1 << 20


def stream_key(path: Path) -> str:
    """Return the key of a payments or catalog file; ConfigError for any other name.

    >>> stream_key(Path("payments_3_000_2024-05-06.csv"))
    'payments/year=2024/month=05/payments_3_000_2024-05-06.csv'
    """
    if match := _PAYMENTS.fullmatch(path.name):
        try:
            day = date.fromisoformat(match[2])
        except ValueError as error:
            raise ConfigError(
                f"{str(path)!r}: {match[2]} is no day of the calendar; expected the name that gen "
                "fraud gave it"
            ) from error
        return f"payments/year={day.year:04}/month={day.month:02}/{path.name}"
    if path.name in _CATALOGS:
        return f"catalogues/{path.name}"
    raise ConfigError(
        f"{str(path)!r} is not a file of the fraud stream; expected "
        f"payments_<rows>_<run date>.parquet or .csv, or one of {', '.join(_CATALOGS)}"
    )


def check_whole(path: Path) -> None:
    """Raise StorageError unless a file of the stream holds what its name says."""
    match = _PAYMENTS.fullmatch(path.name)
    if match and match[3] == "csv":
        found = _count_lines(path) - 1
    else:
        found, columns = _read_footer(path)
        marks = [_CATALOGS[path.name]] if path.name in _CATALOGS else []
        if columns[: len(marks)] != marks:
            raise _other(path, f"its first column is {columns[0] if columns else 'none'}")
    if match and found != int(match[1]):
        raise _other(path, f"it holds {max(found, 0):,} payments")


def _other(path: Path, why: str) -> StorageError:
    return StorageError(
        f"{str(path)!r} is not the file that its name says: {why}; write it again with gen fraud"
    )


def _read_footer(path: Path) -> tuple[int, list[str]]:
    """Return the rows and columns of a Parquet file."""
    # The command line imports this module for every run, also where none is uploaded.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with naming(path, "read"), path.open("rb") as source:
            found = pq.read_metadata(source)
    except pa.ArrowException as error:
        raise _other(path, "it is not a whole Parquet file") from error
    return found.num_rows, found.schema.to_arrow_schema().names


def _count_lines(path: Path) -> int:
    """Return how many lines end in a file; no value of the stream holds a line's end."""
    lines, last = 0, b""
    with naming(path, "read"), path.open("rb") as source:
        while part := source.read(_READ_BYTES):
            lines += part.count(b"\n")
            last = part[-1:]
    if last not in (b"", b"\n"):
        raise _other(path, "its last line does not end")
    return lines
