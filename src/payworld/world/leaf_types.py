"""Are the values of a merchants.json of the types that it is written with? One pass a column."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from payworld.timeline import parse_date

__all__ = ["check_cards", "check_head", "check_versions"]

_VERSION_TEXTS = (
    "merchant_id", "merchant_name", "industry", "address", "city", "state", "zip_code", "phone",
    "email", "mdr_rate", "size_category", "creation_date", "effective_date", "status",
    "change_type",
)  # fmt: skip
_VERSION_TEXTS_OR_NULL = ("last_transaction_date", "churn_date")
_VERSION_DATES = ("creation_date", "effective_date", *_VERSION_TEXTS_OR_NULL)
_CARD_TEXTS = ("id", "bin", "type", "issuer", "brand")
_NONE = type(None)
_WORDS: dict[type, str] = {
    str: "text", int: "a whole number", dict: "an object", list: "a list", _NONE: "null",
}  # fmt: skip


def _check(name: str, value: Any, *kinds: type) -> None:
    # Not isinstance: true is not a number here.
    if type(value) not in kinds:
        expected = " or ".join(_WORDS[kind] for kind in kinds)
        raise TypeError(f"{name} = {value!r}: expected {expected}")
    if type(value) is int and value < 0:
        raise ValueError(f"{name} = {value}: expected a whole number from 0")


def _check_column(
    rows: list[dict[str, Any]], key: str, name: Callable[[int], str], *kinds: type
) -> None:
    """Raise TypeError for the first row whose value is of another type."""
    values = list(map(itemgetter(key), rows))
    if set(map(type, values)) <= {*kinds}:
        return
    for row, value in enumerate(values):
        _check(f"{name(row)}.{key}", value, *kinds)


def check_versions(lives: dict[str, list[dict[str, Any]]]) -> None:
    """Raise TypeError, ValueError or UsageError for a version with a value that is none."""
    _check("merchants", lives, dict)
    for name, life in lives.items():
        _check(f"merchants.{name}", life, list)
        if not life:
            raise ValueError(f"merchants.{name}: it has no version")
    owners = [name for name, life in lives.items() for _ in life]
    rows = [version for life in lives.values() for version in life]

    def label(row: int) -> str:
        return f"merchants.{owners[row]}"

    if set(map(type, rows)) > {dict}:
        for row, version in enumerate(rows):
            _check(label(row), version, dict)
    for key in _VERSION_TEXTS:
        _check_column(rows, key, label, str)
    for key in _VERSION_TEXTS_OR_NULL:
        _check_column(rows, key, label, str, _NONE)
    for key in _VERSION_DATES:
        for text in set(map(itemgetter(key), rows)) - {None}:
            parse_date(text, f"merchants: {key}")
    _check_column(rows, "version", label, int)
    _check_equal(map(itemgetter("merchant_id"), rows), owners, label, "merchant_id")
    numbers = (number for life in lives.values() for number in range(1, len(life) + 1))
    _check_equal(map(itemgetter("version"), rows), numbers, label, "version")


def check_cards(cards: dict[str, dict[str, Any]]) -> None:
    """Raise TypeError or ValueError for a stored card with a value that is none."""
    _check("card_profiles", cards, dict)
    names, rows = list(cards), list(cards.values())

    def label(row: int) -> str:
        return f"card_profiles.{names[row]}"

    for row, card in enumerate(rows):
        if type(card) is not dict:
            _check(label(row), card, dict)
    for key in _CARD_TEXTS:
        _check_column(rows, key, label, str)
    _check_equal(map(itemgetter("id"), rows), names, label, "id")


def _check_equal(
    found: Iterable[Any], expected: Iterable[Any], label: Callable[[int], str], key: str
) -> None:
    for row, (value, wanted) in enumerate(zip(found, expected, strict=True)):
        if value != wanted:
            raise ValueError(f"{label(row)}.{key} = {value!r}: expected {wanted!r}")


def check_head(document: dict[str, Any]) -> None:
    """Raise TypeError or ValueError for a value outside cards and merchants that is none."""
    for key in ("generator_version", "start_date", "last_generated_date"):
        _check(key, document[key], str)
    for key in ("seed", "merchant_counter", "card_counter", "total_transactions"):
        _check(key, document[key], int)
    month = document["month"]
    _check("month", month, dict)
    for key, kind in (("key", str), ("first_day", str), ("active_at_start", int)):
        _check(f"month.{key}", month[key], kind)
    _check("configuration", document["configuration"], list)
    for number, era in enumerate(document["configuration"]):
        _check(f"configuration[{number}]", era, dict)
        _check(f"configuration[{number}].from_date", era["from_date"], str)
        _check(f"configuration[{number}].values", era["values"], dict)
    _check("name_pools", document["name_pools"], dict)
    for key in ("surnames", "first_names", "streets"):
        words = document["name_pools"][key]
        _check(f"name_pools.{key}", words, list)
        for number, word in enumerate(words):
            _check(f"name_pools.{key}[{number}]", word, str)
