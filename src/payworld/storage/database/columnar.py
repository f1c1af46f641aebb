"""What the columnar readers share, which read files laid out as gen finance writes them.

JSON is parsed by PyArrow and CSV split by it, which takes a fifth of the time that records in
Python do. Where anything is not as expected the file is left to `readers`, which takes more
layouts and says what is wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias

import polars as pl

from payworld.storage.database.frames import TIMES, Frame, is_valid
from payworld.storage.database.records import column_names
from payworld.storage.finance_files import TIME_FORMAT

__all__ = [
    "FrameItem",
    "Part",
    "UnusualError",
    "checked",
    "done_in_order",
    "pieces",
    "require",
    "unusual_where_refused",
    "with_times",
]

FrameItem: TypeAlias = "Frame | dict[str, Any]"
"""Records of one table, all valid, or the file's meta object."""
Part: TypeAlias = "Callable[[], FrameItem]"
"""A part of a file, to be parsed and checked."""

PIECE_BYTES = 8 << 20
_AT_ONCE = 2
_AHEAD = 4

# Whether a date is one, the parser says; it would take other numbers of digits too.
_PLAIN_TIME = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]$"


class UnusualError(Exception):
    """The file is not laid out as gen finance does it, or a value is not as expected."""


@contextmanager
def unusual_where_refused() -> Iterator[None]:
    """Turn what a parser refuses into an UnusualError."""
    import pyarrow as pa

    try:
        yield
    except (
        *(pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException),
        *(ValueError, OverflowError),
    ) as error:
        raise UnusualError from error


def require(is_usual: object) -> None:
    """Raise UnusualError if something is not as expected."""
    if not is_usual:
        raise UnusualError


def checked(table: str, rows: pl.DataFrame) -> Frame:
    """Return rows as a frame; UnusualError if a value may be wrong."""
    frame = Frame(table, rows.select(column_names(table)))
    require(is_valid(frame))
    return frame


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that are left in a file, some megabytes at a time, without the last end."""
    while lines := file.read(PIECE_BYTES) + file.readline():
        yield lines.removesuffix(b"\n")


def done_in_order(parts: Iterator[Part]) -> Iterator[FrameItem]:
    """Yield what the parts of a file come to; two are parsed at a time, outside Python's lock."""
    with unusual_where_refused(), ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: deque[Future[FrameItem]] = deque()
        for part in parts:
            waiting.append(pool.submit(part))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def with_times(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows whose texts of times are times; UnusualError for another form than ours."""
    for name in TIMES:
        if rows.schema.get(name) == pl.String:
            require(rows[name].str.contains(_PLAIN_TIME).all())
            time = pl.col(name).str.to_datetime(TIME_FORMAT, time_unit="us", strict=True)
            rows = rows.with_columns(time)
    return rows
