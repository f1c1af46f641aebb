"""The wall clock, read here alone; it never reaches the data."""

from __future__ import annotations

from datetime import UTC, date, datetime

__all__ = ["now_stamp", "now_text", "today", "yesterday"]


def today() -> date:
    """Return the machine's local date."""
    return date.today()


def yesterday() -> int:
    """Return the ordinal of the day before today."""
    return today().toordinal() - 1


def now_text() -> str:
    """Return the present instant in UTC for people, as YYYY-MM-DDTHH:MM:SSZ."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_stamp() -> str:
    """Return the present instant in UTC as YYYY-MM-DDTHH-MM-SSZ, fit for a folder's name."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
