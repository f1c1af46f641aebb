"""Has a merchants.json the keys it is written with, and values of their types? Column by column."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain
from operator import itemgetter
from typing import Any

from payworld.config.problems import shortened
from payworld.errors import StateCorruptError
from payworld.timeline import parse_date

__all__ = ["Columns", "card_columns", "check_head", "refusal", "version_columns"]

# Values by key, of rows in their order.
Columns = dict[str, tuple[Any, ...]]

_VERSION_TEXTS = (
    "merchant_id", "merchant_name", "industry", "address", "city", "state", "zip_code", "phone",
    "email", "mdr_rate", "size_category", "creation_date", "effective_date", "status",
    "change_type",
)  # fmt: skip
_VERSION_TEXTS_OR_NULL = ("last_transaction_date", "churn_date")
_VERSION_DATES = ("creation_date", "effective_date", *_VERSION_TEXTS_OR_NULL)
_CARD_TEXTS = ("id", "bin", "type", "issuer", "brand")
_POOLS = ("surnames", "first_names", "streets")
_HEAD = (
    "format", "format_version", "generator_version", "seed", "start_date", "last_generated_date",
    "merchant_counter", "card_counter", "total_transactions", "month", "configuration",
    "name_pools", "card_profiles", "merchants",
)  # fmt: skip
_NONE = type(None)
_WORDS: dict[type, str] = {
    str: "text", int: "a whole number", dict: "an object", list: "a list", _NONE: "null",
}  # fmt: skip


def refusal(name: str, value: Any, expected: str) -> StateCorruptError:
    """Return the error that names a value of the state and what was expected in its place."""
    return StateCorruptError(f"{name} = {shortened(value)}: expected {expected}")


def _check(name: str, value: Any, *kinds: type) -> None:
    # Not isinstance: true is not a number here.
    if type(value) not in kinds:
        raise refusal(name, value, " or ".join(_WORDS[kind] for kind in kinds))
    if type(value) is int and value < 0:
        raise refusal(name, value, "a whole number from 0")


def _check_keys(name: str, found: Collection[str], wanted: Collection[str]) -> None:
    """Raise StateCorruptError for an object's first key that is missing or unknown."""
    place = f"{name}." if name else ""
    for key in wanted:
        if key not in found:
            raise StateCorruptError(f"{place}{key}: missing")
    for key in found:
        if key not in wanted:
            raise StateCorruptError(f"{place}{key}: unknown key")


def _columns(
    rows: list[dict[str, Any]], wanted: Collection[str], name: Callable[[int], str]
) -> Columns:
    """Return the rows' values by key; StateCorruptError for a row without one, or with others."""
    if set(map(type, rows)) - {dict}:
        for row, value in enumerate(rows):
            _check(name(row), value, dict)
    # Rows with equal keys in equal order are looked at once.
    if any(len(keys) != len(wanted) or {*keys} != {*wanted} for keys in set(map(tuple, rows))):
        for row, value in enumerate(rows):
            _check_keys(name(row), value, wanted)
    columns = zip(*map(itemgetter(*wanted), rows), strict=True)
    return dict(zip(wanted, columns, strict=True)) if rows else dict.fromkeys(wanted, ())


def _check_column(columns: Columns, key: str, name: Callable[[int], str], *kinds: type) -> None:
    """Raise StateCorruptError for the first row whose value is of another type."""
    if set(map(type, columns[key])) <= {*kinds}:
        return
    for row, value in enumerate(columns[key]):
        _check(f"{name(row)}.{key}", value, *kinds)


def version_columns(lives: dict[str, list[dict[str, Any]]]) -> Columns:
    """Return the columns of all versions in their order.

    Raises StateCorruptError or UsageError for a version with a value that is none.
    """
    _check("merchants", lives, dict)
    for name, life in lives.items():
        _check(f"merchants.{name}", life, list)
        if not life:
            raise StateCorruptError(f"merchants.{name}: it has no version")
    owners = [name for name, life in lives.items() for _ in life]
    rows = list(chain.from_iterable(lives.values()))

    def label(row: int) -> str:
        return f"merchants.{owners[row]}"

    columns = _columns(rows, (*_VERSION_TEXTS, *_VERSION_TEXTS_OR_NULL, "version"), label)
    for key in _VERSION_TEXTS:
        _check_column(columns, key, label, str)
    for key in _VERSION_TEXTS_OR_NULL:
        _check_column(columns, key, label, str, _NONE)
    for key in _VERSION_DATES:
        for text in set(columns[key]) - {None}:
            parse_date(text, f"merchants: {key}")
    _check_column(columns, "version", label, int)
    _check_equal(columns, "merchant_id", owners, label)
    numbers = [number for life in lives.values() for number in range(1, len(life) + 1)]
    _check_equal(columns, "version", numbers, label)
    return columns


def card_columns(cards: dict[str, dict[str, Any]]) -> Columns:
    """Return the columns of the stored cards; StateCorruptError for a value that is none."""
    _check("card_profiles", cards, dict)
    names = list(cards)

    def label(row: int) -> str:
        return f"card_profiles.{names[row]}"

    columns = _columns(list(cards.values()), _CARD_TEXTS, label)
    for key in _CARD_TEXTS:
        _check_column(columns, key, label, str)
    _check_equal(columns, "id", names, label)
    return columns


def _check_equal(
    columns: Columns, key: str, expected: list[Any], label: Callable[[int], str]
) -> None:
    if list(columns[key]) != expected:
        for row, (value, wanted) in enumerate(zip(columns[key], expected, strict=True)):
            if value != wanted:
                raise refusal(f"{label(row)}.{key}", value, repr(wanted))


def check_head(document: dict[str, Any]) -> None:
    """Raise StateCorruptError for a value outside cards and merchants that is none."""
    _check_keys("", [key for key in document if key != "checksum"], _HEAD)
    for key in ("generator_version", "start_date", "last_generated_date"):
        _check(key, document[key], str)
    for key in ("seed", "merchant_counter", "card_counter", "total_transactions"):
        _check(key, document[key], int)
    month = document["month"]
    _check("month", month, dict)
    _check_keys("month", month, ("key", "first_day", "active_at_start"))
    for key, kind in (("key", str), ("first_day", str), ("active_at_start", int)):
        _check(f"month.{key}", month[key], kind)
    _check("configuration", document["configuration"], list)
    if not document["configuration"]:
        raise StateCorruptError("configuration: the list is empty")
    for number, era in enumerate(document["configuration"]):
        _check(f"configuration[{number}]", era, dict)
        _check_keys(f"configuration[{number}]", era, ("from_date", "values"))
        _check(f"configuration[{number}].from_date", era["from_date"], str)
        _check(f"configuration[{number}].values", era["values"], dict)
    _check_pools(document["name_pools"])


def _check_pools(pools: dict[str, Any]) -> None:
    _check("name_pools", pools, dict)
    _check_keys("name_pools", pools, _POOLS)
    for key in _POOLS:
        _check(f"name_pools.{key}", pools[key], list)
        if not pools[key]:
            raise StateCorruptError(f"name_pools.{key}: the list is empty")
        for number, word in enumerate(pools[key]):
            _check(f"name_pools.{key}[{number}]", word, str)
            if not word:
                raise refusal(f"name_pools.{key}[{number}]", word, "a word")
