"""What a record of each table must look like, column by column.

A check takes a whole column, so that a million values cost a few calls; a column that fails
is searched for its first bad value.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from payworld.errors import StorageError
from payworld.storage.finance_files import CATEGORIES

__all__ = [
    "BATCH_ROWS",
    "CHOICES",
    "COLUMNS",
    "CREDIT_FIELDS",
    "MAX_CENTS",
    "SUBTYPE_TYPES",
    "Batch",
    "Column",
    "bad_value",
    "check_batch",
    "column_names",
    "is_rounded",
    "shown",
    "unknown",
]

BATCH_ROWS = 10_000

SUBTYPE_TYPES = {"checking": "depository", "savings": "depository", "credit_card": "credit"}
CREDIT_FIELDS = ("limit", "apr", "min_payment", "is_overdue")
CHOICES = {
    "type": frozenset(SUBTYPE_TYPES.values()),
    "subtype": frozenset(SUBTYPE_TYPES),
    "currency": frozenset({"USD"}),
    "category": frozenset(CATEGORIES),
}
# Ten billion dollars: larger figures are broken ones, and sums stay inside 64 bits.
MAX_CENTS = 10**12

# 1: a hexadecimal digit, 2: a dash.
_UUID_KINDS = np.zeros(256, np.uint8)
_UUID_KINDS[list(b"0123456789abcdef")] = 1
_UUID_KINDS[ord("-")] = 2
_UUID_PATTERN = np.array([int(mark) for mark in "111111112111121111211112111111111111"], np.uint8)
_MASK = re.compile(r"[0-9]{4}", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Many lines of 2025-11-02T18:30:00.
_PLAIN_TIMES = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:\n|\Z))+")
# Python reads more of ISO 8601: weeks, dates alone, any letter between date and time.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_CONTROL = re.compile("[\x00-\x1f\x7f]")

Values = Sequence[Any]


class Batch(NamedTuple):
    """Records of one table side by side, as columns in the order of COLUMNS."""

    table: str
    columns: dict[str, list[Any]]
    numbers: Sequence[int]
    """Where each record is: its number in its list, or its line."""
    label: str
    """How a place is shown: a format with the number."""

    def place(self, row: int) -> str:
        """Return the name of a record, as messages give it."""
        return self.label.format(self.numbers[row])


@dataclass(frozen=True)
class Column:
    """A column: its name, what it holds in words, and the check of a list of values."""

    name: str
    expected: str
    holds: Callable[[Values], bool]
    optional: bool = False


def _only(values: Values, *kinds: type) -> bool:
    return set(map(type, values)) <= set(kinds)


def _matches(pattern: re.Pattern[str]) -> Callable[[Values], bool]:
    return lambda values: _only(values, str) and all(map(pattern.fullmatch, values))


def _is_text(longest: int) -> Callable[[Values], bool]:
    def holds(values: Values) -> bool:
        if not _only(values, str):
            return False
        # Names repeat: each is looked at once.
        texts = set(values)
        lengths = set(map(len, texts))
        return (
            0 not in lengths
            and max(lengths, default=0) <= longest
            and not _CONTROL.search("".join(texts))
        )

    return holds


def _is_whole(low: int, high: int) -> Callable[[Values], bool]:
    return lambda values: (
        _only(values, int) and low <= min(values, default=low) and max(values, default=high) <= high
    )


def _is_number(low: float, high: float) -> Callable[[Values], bool]:
    return lambda values: (
        _only(values, int, float)
        and all(map(math.isfinite, values))
        and low <= min(values, default=low)
        and max(values, default=high) <= high
    )


def _is_time(values: Values) -> bool:
    if not _only(values, str):
        return False
    # One match for all of the usual form: a match for each costs twice as much.
    if not _PLAIN_TIMES.fullmatch("\n".join(values)) and not all(map(_TIME.fullmatch, values)):
        return False
    try:
        for time in map(datetime.fromisoformat, values):
            # In UTC too it must lie in the years that a date can have.
            if time.tzinfo:
                time.astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _is_flag(values: Values) -> bool:
    return _only(values, bool)


def _is_one_of(allowed: frozenset[str]) -> Callable[[Values], bool]:
    return lambda values: _only(values, str) and set(values) <= allowed


def _is_email(values: Values) -> bool:
    return _is_text(254)(values) and all(map(_EMAIL.fullmatch, values))


def _is_uuid(values: Values) -> bool:
    if not _only(values, str):
        return False
    ids = set(values)
    if not set(map(len, ids)) <= {36}:
        return False
    try:
        letters = np.frombuffer("".join(ids).encode("ascii"), np.uint8).reshape(-1, 36)
    except UnicodeEncodeError:
        return False
    return bool((_UUID_KINDS[letters] == _UUID_PATTERN).all())


def _id(name: str) -> Column:
    return Column(name, "a UUID in lower case with dashes", _is_uuid)


def _text(name: str) -> Column:
    return Column(name, "a text of 1 to 200 characters without control characters", _is_text(200))


def _cents(name: str, low: int = -MAX_CENTS, optional: bool = False) -> Column:
    expected = f"a whole number of cents from {low:,} to {MAX_CENTS:,}"
    return Column(name, expected, _is_whole(low, MAX_CENTS), optional)


def _time(name: str) -> Column:
    return Column(name, "an ISO 8601 date and time such as 2025-11-02T18:30:00", _is_time)


def _choice(name: str) -> Column:
    allowed = CHOICES[name]
    return Column(name, "one of " + ", ".join(sorted(allowed)), _is_one_of(allowed))


def _flag(name: str, optional: bool = False) -> Column:
    return Column(name, "true or false", _is_flag, optional)


COLUMNS: dict[str, tuple[Column, ...]] = {
    "users": (
        _id("id"),
        _text("name"),
        Column("email", "an email address", _is_email),
        _flag("consent"),
        _time("created_at"),
    ),
    "accounts": (
        _id("id"),
        _id("user_id"),
        _choice("type"),
        _choice("subtype"),
        _text("name"),
        Column("mask", "four digits, as a text", _matches(_MASK)),
        _cents("balance"),
        _choice("currency"),
        _cents("limit", 0, optional=True),
        Column("apr", "a number from 0 to 100", _is_number(0, 100), optional=True),
        _cents("min_payment", 0, optional=True),
        _flag("is_overdue", optional=True),
    ),
    "transactions": (
        _id("id"),
        _id("account_id"),
        _time("date"),
        _cents("amount"),
        _choice("category"),
        _text("merchant_name"),
        _flag("pending"),
    ),
}


def column_names(table: str) -> list[str]:
    """Return the names of a table's columns."""
    return [column.name for column in COLUMNS[table]]


def shown(value: Any) -> str:
    """Return a value as messages show it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def unknown(key: str, known: Iterable[str]) -> str:
    """Return what to say about a key that is not known, with the nearest one that is."""
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"{shown(key)}: unknown key; {hint}"


def is_rounded(value: Any) -> bool:
    """Return whether a value is a whole number of more than 64 bits, read as another one."""
    return type(value) is float and abs(value) >= 2**63


def bad_value(batch: Batch) -> tuple[int, Column] | None:
    """Return row and column of the first value that is not as expected."""
    for column in COLUMNS[batch.table]:
        values = batch.columns[column.name]
        given = [value for value in values if value is not None] if column.optional else values
        if column.holds(given):
            continue
        for row, value in enumerate(values):
            if (value is not None or not column.optional) and not column.holds([value]):
                return row, column
    return None


def check_batch(batch: Batch, source: str) -> None:
    """Raise StorageError for the first value that is not as expected, by record and field."""
    if found := bad_value(batch):
        row, column = found
        raise StorageError(
            f"{source}: {batch.place(row)}.{column.name} = "
            f"{shown(batch.columns[column.name][row])}: expected {column.expected}"
        )
    if batch.table == "accounts":
        _check_kinds(batch, source)


def _check_kinds(batch: Batch, source: str) -> None:
    """Check that type, subtype, balance and the credit fields of each account go together."""
    columns = batch.columns
    for row, subtype in enumerate(columns["subtype"]):
        kind = SUBTYPE_TYPES[subtype]
        if columns["type"][row] != kind:
            raise StorageError(
                f"{source}: {batch.place(row)}.type = {columns['type'][row]!r}: expected "
                f"{kind!r} for the subtype {subtype!r}"
            )
        for field in CREDIT_FIELDS:
            value = columns[field][row]
            if (value is not None) != (kind == "credit"):
                wanted = "a value, as for every credit card" if kind == "credit" else "none"
                raise StorageError(
                    f"{source}: {batch.place(row)}.{field} = {shown(value)}: expected {wanted} "
                    f"for the subtype {subtype!r}"
                )
        if kind == "credit" and columns["balance"][row] > columns["limit"][row]:
            raise StorageError(
                f"{source}: {batch.place(row)}.balance = {columns['balance'][row]}: expected at "
                f"most the card's limit, {columns['limit'][row]}"
            )
