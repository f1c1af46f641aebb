"""Fixed-width texts made as byte matrices that become string columns without a loop."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from payworld.world.arrays import Int32Array, IntArray

__all__ = ["clock_texts", "decimal_series", "digit_groups", "text_series", "write_number"]


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
