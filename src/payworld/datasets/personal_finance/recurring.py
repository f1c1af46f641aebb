"""Days of what comes back: monthly bills and pay, newest first, always inside the history."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from payworld.datasets.personal_finance.config import RHYTHMS
from payworld.datasets.personal_finance.draws import Words, uniforms, whole_numbers
from payworld.datasets.personal_finance.rules import Rules
from payworld.timeline import day_of_month, days_in_month
from payworld.world.arrays import IntArray

__all__ = ["Series", "bill_days", "bill_streams", "monthly_days", "pay_days", "split"]

_EPOCH = 719_163
_FRIDAY = 4


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
    return -(-count // _month_capacity(history))


def monthly_days(newest: IntArray, step: IntArray) -> IntArray:
    """Return the day (ordinal) that lies `step` months before; month ends hold short ones.

    >>> from datetime import date
    >>> ordinals = monthly_days(np.array([date(2024, 3, 31).toordinal()] * 2), np.array([0, 1]))
    >>> [str(date.fromordinal(day)) for day in ordinals]
    ['2024-03-31', '2024-02-29']
    """
    day = (newest - _EPOCH).astype("M8[D]")
    month = day.astype("M8[M]")
    into = day - month.astype("M8[D]")
    target = month - step.astype("m8[M]")
    first = target.astype("M8[D]")
    last = (target + np.timedelta64(1, "M")).astype("M8[D]") - first - np.timedelta64(1, "D")
    return np.asarray((first + np.minimum(into, last)).astype(np.int64) + _EPOCH)


def _month_capacity(days: IntArray) -> IntArray:
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


def _capacities(history: IntArray) -> IntArray:
    """Return how many paydays surely fit, shape (rows, rhythms); weekends may shift two days."""
    months = _month_capacity(history - 2)
    each = [history // 7, history // 14, (history - 2) // 16, months]
    return np.maximum(np.stack(each, axis=1), 1)


def pay_days(
    seed: int, people: Words, history: IntArray, rows: tuple[IntArray, ...], rules: Rules
) -> tuple[IntArray, Series, IntArray]:
    """Return the days of pay, their series and rhythms (index into RHYTHMS).

    A person has one rhythm on all accounts. Among those that hold the payments of each account,
    the ones that the fullest nearly fills are likelier: few people changed jobs within the
    history. An account with fewer payments has the newest days: its part of the pay came later.

    Args:
        seed: of the data set.
        people: low words of the rows' users.
        history: days of history that the rows' users have.
        rows: position and count of each row within its account, and the largest count of its
            person's accounts.
        rules: of the data set.
    """
    position, count, most = rows
    rhythms = rules.config.income.rhythms
    weights = np.array([getattr(rhythms, name) for name in RHYTHMS])
    capacity = _capacities(history)
    largest = np.where(weights > 0, capacity, 0).max(axis=1)
    streams = -(-most // largest)
    series = split(position, count, streams)
    longest = -(-most // streams)
    fill = longest[:, None] / capacity
    chance = np.cumsum(np.where(fill <= 1, weights * fill**2, 0.0), axis=1)
    point = uniforms(seed, "pay.rhythm", people) * chance[:, -1]
    rhythm = (chance <= point[:, None]).sum(axis=1)
    employer = people + series.stream.astype(np.uint64)
    table = np.stack(
        [
            _weekly(seed, employer, series.step, 7, rules),
            _weekly(seed, employer, series.step, 14, rules),
            _semi_monthly(series.step, rules.as_of),
            _monthly(seed, employer, history, (series.step, longest), rules.as_of),
        ],
        axis=1,
    )
    return table[np.arange(len(rhythm)), rhythm], series, rhythm


def _weekly(seed: int, keys: Words, step: IntArray, days: int, rules: Rules) -> IntArray:
    """Return paydays every 7 or 14 days, on Fridays mostly, otherwise on Thursdays."""
    on_thursday = uniforms(seed, "pay.weekday", keys) < rules.config.income.thursday_share
    payday = _FRIDAY - on_thursday
    newest = rules.as_of - 1 - (rules.as_of - 1 + 6 - payday) % 7
    skipped = uniforms(seed, "pay.week", keys) < 0.5
    return np.asarray(newest - np.where(days == 14, 7 * skipped, 0) - days * step)


def _semi_monthly(step: IntArray, as_of: int) -> IntArray:
    """Return paydays on the 15th and the last day of the month."""
    yesterday = as_of - 1
    day, length = day_of_month(yesterday), days_in_month(yesterday)
    months = (np.array([yesterday - _EPOCH]).astype("M8[D]").astype("M8[M]")).astype(np.int64)[0]
    newest = 2 * months + (1 if day == length else 0 if day >= 15 else -1)
    half = newest - step
    month = (half // 2).astype("M8[M]")
    middle = month.astype("M8[D]").astype(np.int64) + 14
    end = (month + np.timedelta64(1, "M")).astype("M8[D]").astype(np.int64) - 1
    return _before_weekend(np.where(half % 2 == 0, middle, end) + _EPOCH)


def _monthly(
    seed: int, keys: Words, history: IntArray, steps: tuple[IntArray, IntArray], as_of: int
) -> IntArray:
    step, longest = steps
    room = np.clip(history - 2 - 31 * (longest - 1), 1, 31)
    back = whole_numbers(uniforms(seed, "pay.day", keys), 0, room - 1)
    return _before_weekend(monthly_days(as_of - 1 - back, step))


def _before_weekend(day: IntArray) -> IntArray:
    """Return the Friday before, where a day is a Saturday or Sunday."""
    return day - np.maximum((day + 6) % 7 - _FRIDAY, 0)
