"""Simulated time: days are proleptic ordinals (date.toordinal()), never the clock."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from payworld.errors import UsageError

__all__ = [
    "FIRST_DATE",
    "LAST_DATE",
    "Period",
    "day_of_month",
    "days_in_month",
    "iso",
    "month_chunks",
    "month_key",
    "parse_date",
    "weekday",
]

# pandas' nanosecond timestamps end in 2262; the calendar is the Gregorian one throughout.
FIRST_DATE = date(1900, 1, 1)
LAST_DATE = date(2199, 12, 31)

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Period(NamedTuple):
    """A range of simulated days, both ends included, as ordinals."""

    start: int
    end: int

    @property
    def days(self) -> int:
        """Return the number of days."""
        return self.end - self.start + 1

    def __str__(self) -> str:
        return f"{iso(self.start)}_{iso(self.end)}"


def iso(day: int) -> str:
    """Return a day as YYYY-MM-DD.

    >>> iso(date(2024, 2, 29).toordinal())
    '2024-02-29'
    """
    return date.fromordinal(day).isoformat()


def parse_date(text: str, name: str) -> int:
    """Return the ordinal of a YYYY-MM-DD text; UsageError names the option and the way out.

    >>> iso(parse_date("2024-02-29", "--date"))
    '2024-02-29'
    """
    expected = f"expected a date as YYYY-MM-DD between {FIRST_DATE} and {LAST_DATE}"
    if not _ISO_DATE.fullmatch(text):
        raise UsageError(f"{name} = {text!r}: {expected}")
    try:
        value = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{name} = {text!r}: no such day in the calendar; {expected}") from error
    if not FIRST_DATE <= value <= LAST_DATE:
        raise UsageError(f"{name} = {text!r}: out of range; {expected}")
    return value.toordinal()


def weekday(day: int) -> int:
    """Return 0 for Monday to 6 for Sunday.

    >>> weekday(date(2024, 1, 1).toordinal())
    0
    """
    return (day + 6) % 7


def day_of_month(day: int) -> int:
    """Return 1 to 31."""
    return date.fromordinal(day).day


def days_in_month(day: int) -> int:
    """Return the length of the month that a day lies in.

    >>> days_in_month(date(2024, 2, 3).toordinal())
    29
    """
    value = date.fromordinal(day)
    return calendar.monthrange(value.year, value.month)[1]


def month_key(day: int) -> str:
    """Return the month of a day as YYYY-MM."""
    return iso(day)[:7]


def month_chunks(period: Period) -> Iterator[Period]:
    """Yield the part of each calendar month that lies in a period, in order.

    >>> jan, mar = date(2024, 1, 20).toordinal(), date(2024, 3, 2).toordinal()
    >>> [str(chunk) for chunk in month_chunks(Period(jan, mar))]
    ['2024-01-20_2024-01-31', '2024-02-01_2024-02-29', '2024-03-01_2024-03-02']
    """
    start = period.start
    while start <= period.end:
        end = min(start - day_of_month(start) + days_in_month(start), period.end)
        yield Period(start, end)
        start = end + 1
