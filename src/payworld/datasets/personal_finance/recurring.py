"""Days of what comes back every month, newest first, always inside the history."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from payworld.datasets.personal_finance.draws import Words, uniforms
from payworld.world.arrays import IntArray

__all__ = [
    "EPOCH",
    "Series",
    "bill_days",
    "bill_streams",
    "month_capacity",
    "monthly_days",
    "split",
]

# The ordinal of 1970-01-01.
EPOCH = 719_163


class Series(NamedTuple):
    """Where each row stands in its series of payments; one array each, all of one length."""

    stream: IntArray
    """Which of the account's series."""
    step: IntArray
    """0 for the newest payment."""
    length: IntArray
    """Payments in the series."""


def split(position: IntArray, count: IntArray, streams: IntArray) -> Series:
    """Return a split of an account's `count` payments into even series.

    >>> split(np.arange(7), np.full(7, 7), np.full(7, 2)).length.tolist()
    [4, 3, 4, 3, 4, 3, 4]
    """
    stream = position % streams
    return Series(stream, position // streams, (count - stream + streams - 1) // streams)


def bill_streams(count: IntArray, history: IntArray) -> IntArray:
    """Return how many monthly bills hold an account's payments, in its days of history."""
    return -(-count // month_capacity(history))


def monthly_days(newest: IntArray, step: IntArray) -> IntArray:
    """Return the day (ordinal) that lies `step` months before; month ends hold short ones.

    >>> from datetime import date
    >>> ordinals = monthly_days(np.array([date(2024, 3, 31).toordinal()] * 2), np.array([0, 1]))
    >>> [str(date.fromordinal(day)) for day in ordinals]
    ['2024-03-31', '2024-02-29']
    """
    day = (newest - EPOCH).astype("M8[D]")
    month = day.astype("M8[M]")
    into = day - month.astype("M8[D]")
    target = month - step.astype("m8[M]")
    first = target.astype("M8[D]")
    last = (target + np.timedelta64(1, "M")).astype("M8[D]") - first - np.timedelta64(1, "D")
    return np.asarray((first + np.minimum(into, last)).astype(np.int64) + EPOCH)


def month_capacity(days: IntArray) -> IntArray:
    """Return how many days of a month, the same in each, surely lie in so many days."""
    return np.maximum((days - 1) // 31 + 1, 1)


def bill_days(
    seed: int,
    purpose: str,
    keys: Words,
    history: IntArray,
    rows: tuple[IntArray, IntArray],
    as_of: int,
) -> tuple[IntArray, Series]:
    """Return the days of monthly bills, and their series.

    Args:
        seed: of the data set.
        purpose: names the kind of bill.
        keys: low words of the rows' accounts.
        history: days of history that the rows' accounts have.
        rows: position and count of each row within its account and group.
        as_of: ordinal; all days lie before it.
    """
    position, count = rows
    series = split(position, count, bill_streams(count, history))
    share = uniforms(seed, f"{purpose}.day", keys + series.stream.astype(np.uint64))
    room = np.clip(history - 31 * (series.length - 1), 1, 31)
    newest = as_of - 1 - (share * room).astype(np.int64)
    return monthly_days(newest, series.step), series
