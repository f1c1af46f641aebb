"""Records of a table as typed columns, and the checks that take a whole column at once.

A check here is a short cut: it accepts no value that `records` refuses. What it does not
accept may still be valid, and `records` says so, or names the record and the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import polars as pl

from payworld.storage.database.records import (
    CHOICES,
    COLUMNS,
    CREDIT_FIELDS,
    MAX_CENTS,
    SUBTYPE_TYPES,
    Batch,
    column_names,
)

__all__ = [
    "FLAGS",
    "TIMES",
    "WHOLE_NUMBERS",
    "Frame",
    "dtype",
    "from_batch",
    "is_date",
    "is_valid",
]

TIMES = ("created_at", "date")
FLAGS = ("consent", "is_overdue", "pending")
WHOLE_NUMBERS = ("balance", "limit", "min_payment", "amount")

_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_TEXT = r"^[^\x00-\x1f\x7f]{1,200}$"
# Printable ASCII without spaces, with one @ and a dot after it.
_EMAIL = r"^[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+$"
# Of the years 1 to 9999, from 1970 on.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


class Frame(NamedTuple):
    """Records of one table: a column each in the order of COLUMNS, of the types of `dtype`."""

    table: str
    rows: pl.DataFrame


def dtype(name: str) -> pl.DataType:
    """Return the type of the column of a name, which is the same in every table."""
    if name in TIMES:
        return pl.Datetime("us")
    if name in FLAGS:
        return pl.Boolean()
    if name in WHOLE_NUMBERS:
        return pl.Int64()
    return pl.Float64() if name == "apr" else pl.String()


def is_date(name: str, kind: pl.Datetime) -> pl.Expr:
    """Return whether times lie in the years that a date can have: Polars shows no others."""
    each = {"ms": 10**3, "us": 10**6, "ns": 10**9}[kind.time_unit]
    low, high = max(_FIRST_SECOND * each, -(2**63)), min(_LAST_SECOND * each, 2**63 - 1)
    return pl.col(name).to_physical().is_between(low, high)


def from_batch(batch: Batch) -> Frame:
    """Return the records of a batch that has been checked; times with a zone are in UTC."""
    columns = []
    for name in column_names(batch.table):
        values = batch.columns[name]
        convert = _CONVERSIONS.get(name)
        columns.append(
            pl.Series(name, list(map(convert, values)) if convert else values, dtype(name))
        )
    return Frame(batch.table, pl.DataFrame(columns))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {**dict.fromkeys(TIMES, _time), "apr": _number}


def is_valid(frame: Frame) -> bool:
    """Return whether all values are certain to be as expected."""
    # `all` takes a check of no value for true: each says for itself whether it may be missing.
    checks = [check.all().alias(str(at)) for at, check in enumerate(_checks(frame.table))]
    return all(frame.rows.select(checks).row(0))


def _checks(table: str) -> Iterator[pl.Expr]:
    for column in COLUMNS[table]:
        value = pl.col(column.name)
        if column.name in _CHECKS:
            yield _CHECKS[column.name](value)
        if not column.optional:
            yield value.is_not_null()
    if table == "accounts":
        yield from _kind_checks()


def _kind_checks() -> Iterator[pl.Expr]:
    """Yield that type, subtype, balance and the credit fields of each account go together."""
    is_credit = pl.col("type") == "credit"
    yield pl.col("subtype").replace_strict(SUBTYPE_TYPES, default=None) == pl.col("type")
    for field in CREDIT_FIELDS:
        yield pl.col(field).is_not_null() == is_credit
    yield ~is_credit | (pl.col("balance") <= pl.col("limit"))


def _is_in(name: str) -> Callable[[pl.Expr], pl.Expr]:
    return lambda value: value.is_in(sorted(CHOICES[name]))


def _between(low: object, high: object) -> Callable[[pl.Expr], pl.Expr]:
    return lambda value: value.is_between(pl.lit(low), pl.lit(high))


def _matches(pattern: str) -> Callable[[pl.Expr], pl.Expr]:
    return lambda value: value.str.contains(pattern)


# Of a flag its type says all.
_CHECKS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    **dict.fromkeys(("id", "user_id", "account_id"), _matches(_UUID)),
    **dict.fromkeys(("name", "merchant_name"), _matches(_TEXT)),
    "email": lambda value: value.str.contains(_EMAIL) & (value.str.len_bytes() <= 254),
    "mask": _matches("^[0-9]{4}$"),
    **{name: _is_in(name) for name in CHOICES},
    **dict.fromkeys(("balance", "amount"), _between(-MAX_CENTS, MAX_CENTS)),
    **dict.fromkeys(("limit", "min_payment"), _between(0, MAX_CENTS)),
    "apr": lambda value: value.is_finite() & value.is_between(0, 100),
    **dict.fromkeys(TIMES, _between(datetime.min, datetime.max)),
}
