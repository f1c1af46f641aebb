"""Columns of a batch of payments as plain integers, as the laws compute with them."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from payworld.world.arrays import BoolArray, IntArray

__all__ = ["EPOCH", "is_value", "numbers", "seconds_and_days", "units"]

EPOCH = date(1970, 1, 1).toordinal()
DAY_MICROSECONDS = 86_400_000_000
# What stands for an empty cell: no law allows it.
EMPTY = -(1 << 50)


def numbers(series: pl.Series, prefix: str) -> IntArray:
    """Return the numbers behind a prefix; -1 where the text has another form."""
    digits = series.str.strip_prefix(prefix).cast(pl.Int64, strict=False).fill_null(-1)
    return np.where(series.str.starts_with(prefix).fill_null(False), digits, -1)


def units(series: pl.Series, scale: int) -> IntArray:
    """Return decimals as whole units of 10^-scale."""
    whole = series.cast(pl.Decimal(38, scale)).to_physical().cast(pl.Int64)
    return whole.fill_null(EMPTY).to_numpy()


def seconds_and_days(series: pl.Series) -> tuple[IntArray, IntArray]:
    """Return the second of the day and the day's ordinal (0 where empty)."""
    instant = series.to_physical().fill_null(-EPOCH * DAY_MICROSECONDS).to_numpy()
    days = instant // DAY_MICROSECONDS
    return (instant - days * DAY_MICROSECONDS) // 1_000_000, days + EPOCH


def is_value(series: pl.Series, value: str) -> BoolArray:
    """Return where a text column has a value."""
    found: BoolArray = (series == value).fill_null(False).to_numpy()
    return found
