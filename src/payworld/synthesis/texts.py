"""Fixed-width texts made as byte matrices that become string columns without a loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from payworld.world.arrays import Int32Array, IntArray

__all__ = [
    "TextTable",
    "clock_texts",
    "decimal_series",
    "digit_groups",
    "text_series",
    "write_number",
]

# Arrow's and Polars' own form of a text: its size, then up to twelve bytes of it, or the first
# four and where the rest is found. NumPy gathers the sixteen bytes as one element.
_VIEW = np.dtype([("size", "<u4"), ("prefix", "S4"), ("buffer", "<u4"), ("offset", "<u4")])
_INLINE = 12
_CARRIER = np.complex128


@lru_cache(maxsize=1)
def digit_groups() -> NDArray[np.uint32]:
    """Return the texts 0000 to 9999, four bytes each as one uint32, shape (10000,)."""
    digits = np.arange(10_000)[:, None] // np.array([1000, 100, 10, 1]) % 10
    texts: NDArray[np.uint32] = (digits + ord("0")).astype(np.uint8).view(np.uint32)
    return texts.ravel()


@lru_cache(maxsize=1)
def clock_texts() -> NDArray[np.uint64]:
    """Return HH:MM:SS of each second of a day, eight bytes each as one uint64."""
    seconds = np.arange(86_400)
    fields = np.stack([seconds // 3600, seconds // 60 % 60, seconds % 60], axis=1)
    text = np.full((86_400, 8), ord(":"), np.uint8)
    text[:, [0, 3, 6]] = fields // 10 + ord("0")
    text[:, [1, 4, 7]] = fields % 10 + ord("0")
    return text.view(np.uint64).ravel()


def write_number(rows: NDArray[np.void], fields: tuple[str, ...], numbers: IntArray) -> None:
    """Write zero-padded numbers into four-byte fields of a record array, last field lowest.

    A two-byte first field takes the leading two digits.
    """
    groups = digit_groups()
    rest = numbers
    for name in reversed(fields):
        low = rest
        if name != fields[0]:
            rest = rest // 10_000
            low = low - rest * 10_000
        text = groups[low]
        if rows.dtype[name].itemsize == 2:
            text = (text >> np.uint32(16)).astype(np.uint16)
        rows[name] = text


@lru_cache(maxsize=16)
def _offsets(n: int, width: int) -> NDArray[np.int64]:
    return np.arange(0, (n + 1) * width, width, dtype=np.int64)


def text_series(rows: NDArray[np.void]) -> pl.Series:
    """Return a record array of ASCII bytes as a string column, one row each."""
    offsets = pa.py_buffer(_offsets(len(rows), rows.dtype.itemsize))
    array = pa.LargeStringArray.from_buffers(len(rows), offsets, pa.py_buffer(rows))
    return pl.Series(array)


@dataclass(frozen=True, eq=False)
class TextTable:
    """Texts to gather from: their views, and the bytes of those longer than twelve."""

    views: NDArray[np.complex128]
    data: tuple[pa.Buffer, ...] = ()

    def __len__(self) -> int:
        return len(self.views)

    @classmethod
    def of(cls, texts: pl.Series) -> TextTable:
        """Return the table of a string column without nulls."""
        array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
        _, views, *data = array.buffers()
        return cls(np.frombuffer(views, _CARRIER)[array.offset :][: len(array)], tuple(data))

    @classmethod
    def of_rows(cls, rows: NDArray[np.void]) -> TextTable:
        """Return the table of a record array of ASCII bytes, one row each."""
        n, width = len(rows), rows.dtype.itemsize
        views = np.zeros(n, _VIEW)
        views["size"] = width
        if width <= _INLINE:
            inline = views.view(np.uint8).reshape(n, _VIEW.itemsize)[:, 4:]
            inline[:, :width] = rows.view(np.uint8).reshape(n, width)
            return cls(views.view(_CARRIER))
        views["prefix"] = rows.view(np.uint8).reshape(n, width)[:, :4].copy().view("S4").ravel()
        views["offset"] = _offsets(n, width)[:-1]
        return cls(views.view(_CARRIER), (pa.py_buffer(rows),))

    def followed_by(self, other: TextTable) -> TextTable:
        """Return a table with another one's texts behind this one's."""
        behind = other.views.copy()
        fields = behind.view(_VIEW)
        fields["buffer"][fields["size"] > _INLINE] += len(self.data)
        return TextTable(np.concatenate([self.views, behind]), self.data + other.data)

    def take(self, rows: NDArray[np.integer]) -> pl.Series:
        """Return the texts of some rows as a string column."""
        views = np.take(self.views, rows)
        buffers = [None, pa.py_buffer(views), *self.data]
        return pl.Series(pa.Array.from_buffers(pa.string_view(), len(views), buffers))


def decimal_series(units: IntArray | Int32Array, precision: int, scale: int) -> pl.Series:
    """Return integers as decimals: units of 10^-scale, exact.

    >>> decimal_series(np.array([4550]), 12, 2).to_list()
    [Decimal('45.50')]
    """
    words = np.empty((len(units), 2), np.int64)
    words[:, 0] = units
    words[:, 1] = words[:, 0] >> 63
    buffers = [None, pa.py_buffer(words)]
    return pl.Series(pa.Array.from_buffers(pa.decimal128(precision, scale), len(units), buffers))
