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
    "concatenated",
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


@dataclass(frozen=True, eq=False)
class _Exported:
    """An array by Arrow's own protocol alone.

    One of PyArrow's own, Polars would first load all of PyArrow's compute functions for.
    """

    array: pa.Array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        capsules: tuple[object, object] = self.array.__arrow_c_array__(requested_schema)
        return capsules


def _column(array: pa.Array) -> pl.Series:
    return pl.Series(_Exported(array))


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


def concatenated(pieces: list[pl.Series], end: str) -> list[memoryview]:
    """Return the texts of all rows, one after another: each row's pieces and what ends a row.

    In parts that follow each other: the buffers in which Polars has put the texts.
    """
    frame = pl.DataFrame([piece.alias(str(column)) for column, piece in enumerate(pieces)])
    texts = frame.select(pl.concat_str(pl.all(), pl.lit(end))).to_series()
    return text_buffers(texts)


def text_buffers(texts: pl.Series) -> list[memoryview]:
    """Return the bytes of a string column without nulls, one text after another."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    _, views, *data = array.buffers()
    if _lie_in_order(np.frombuffer(views, _VIEW)[array.offset :][: len(array)], data):
        return [memoryview(part) for part in data]
    plain = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, values = plain.buffers()
    edges = np.frombuffer(offsets, np.int64)[plain.offset :][[0, len(plain)]]
    return [memoryview(values)[edges[0] : edges[1]]]


def _lie_in_order(views: NDArray[np.void], data: list[pa.Buffer]) -> bool:
    """Return whether the buffers hold the views' texts one after another, and nothing else.

    Short texts are in the views, and those of a column that was gathered are anywhere.
    """
    if not len(views) or views["size"].min() <= _INLINE:
        return not data and not len(views)
    begins = np.cumsum([0, *map(len, data)])
    ends = np.cumsum(views["size"], dtype=np.int64)
    starts = begins[views["buffer"]]
    starts += views["offset"]
    return bool(ends[-1] == begins[-1] and starts[0] == 0 and np.array_equal(starts[1:], ends[:-1]))


def text_series(rows: NDArray[np.void]) -> pl.Series:
    """Return a record array of ASCII bytes as a string column, one row each."""
    offsets = pa.py_buffer(_offsets(len(rows), rows.dtype.itemsize))
    array = pa.LargeStringArray.from_buffers(len(rows), offsets, pa.py_buffer(rows))
    return _column(array)


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
    def of_rows(cls, rows: NDArray[np.void], padding: IntArray | int = 0) -> TextTable:
        """Return the table of a record array of ASCII bytes, one row each.

        A text, without its padding in front, has more than twelve bytes: no view can hold it.
        """
        n, width = len(rows), rows.dtype.itemsize
        views = np.zeros(n, _VIEW)
        views["size"] = width - padding
        views["offset"] = starts = _offsets(n, width)[:-1] + padding
        flat = np.frombuffer(rows, np.uint8)
        views["prefix"] = flat[starts[:, None] + np.arange(4)].view("S4").ravel()
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
        return _column(pa.Array.from_buffers(pa.string_view(), len(views), buffers))


def decimal_series(units: IntArray | Int32Array, precision: int, scale: int) -> pl.Series:
    """Return integers as decimals: units of 10^-scale, exact.

    >>> decimal_series(np.array([4550]), 12, 2).to_list()
    [Decimal('45.50')]
    """
    words = np.empty((len(units), 2), np.int64)
    words[:, 0] = units
    words[:, 1] = words[:, 0] >> 63
    buffers = [None, pa.py_buffer(words)]
    return _column(pa.Array.from_buffers(pa.decimal128(precision, scale), len(units), buffers))
