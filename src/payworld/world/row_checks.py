"""Do the texts of a version or a card agree with each other and with the reference tables?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from payworld.config import WorldConfig
from payworld.config.model import SIZES
from payworld.world.leaf_types import Columns, refusal
from payworld.world.reference import Bins, Places
from payworld.world.state import CHANGE_TYPES

__all__ = ["check_card_rows", "check_version_rows"]

# The same in all versions of a merchant.
_STEADY = ("merchant_name", "industry", "size_category", "creation_date", "last_transaction_date")
# What a version changes, and by which change_type alone.
_CHANGED_BY = {
    "mdr_rate": "mdr_change",
    "phone": "phone_change",
    "email": "email_change",
    "address": "address_change",
    "zip_code": "address_change",
}
_CARD = re.compile(r"CARD[0-9]{10}", re.ASCII)
_RATE = re.compile(r"0\.[0-9]{4}|1\.0000", re.ASCII)
_FICTION = "-555-01"


def check_version_rows(versions: Columns, places: Places, configs: Iterable[WorldConfig]) -> None:
    """Raise StateCorruptError for the first version with a text that it cannot have."""
    rows = places.index_of_zip
    industries = {
        (size, industry)
        for config in configs
        for size in SIZES
        for industry in getattr(config.merchant_sizes, size).industries
    }
    check = _Distinct(versions)
    check("change_type", (), lambda text: text in CHANGE_TYPES, f"one of {CHANGE_TYPES}")
    check("size_category", (), lambda text: text in SIZES, f"one of {SIZES}")
    check("zip_code", (), lambda text: text in rows, "a ZIP code of the place table")
    check("mdr_rate", (), _RATE.fullmatch, "four decimals from 0 to 1")
    zip_code = ("zip_code",)
    check("city", zip_code, lambda city, at: places.city[rows[at]] == city, "its zip_code's")
    check("state", zip_code, lambda state, at: places.state[rows[at]] == state, "its zip_code's")
    check(
        "industry", ("size_category",), lambda text, size: (size, text) in industries,
        "one that a configuration has for its size_category",
    )  # fmt: skip
    check(
        "status", ("change_type",),
        lambda text, change: text == ("churned" if change == "churn" else "active"),
        "churned in a version with change_type churn, active in others",
    )  # fmt: skip
    _check_churn_dates(versions)
    _check_contacts(versions, places)
    _check_changes(versions)


def _refuse(versions: Columns, row: int, key: str, expected: str) -> None:
    raise refusal(f"merchants.{versions['merchant_id'][row]}.{key}", versions[key][row], expected)


class _Distinct:
    """Checks a key that depends on others alone, once for rows that have these in common."""

    def __init__(self, versions: Columns) -> None:
        self.versions = versions

    def __call__(
        self, key: str, by: tuple[str, ...], is_right: Callable[..., object], expected: str
    ) -> None:
        columns = [self.versions[name] for name in (key, *by)]
        wrong = {found for found in set(zip(*columns, strict=True)) if not is_right(*found)}
        if wrong:
            row = next(at for at, found in enumerate(zip(*columns, strict=True)) if found in wrong)
            _refuse(self.versions, row, key, expected)


def _check_churn_dates(versions: Columns) -> None:
    columns = versions["change_type"], versions["effective_date"], versions["churn_date"]
    for row, (change, day, churned) in enumerate(zip(*columns, strict=True)):
        if churned != (day if change == "churn" else None):
            expected = "the effective_date in a version with change_type churn, null in others"
            _refuse(versions, row, "churn_date", expected)


def _check_contacts(versions: Columns, places: Places) -> None:
    """Check that nothing reaches a real person: phone numbers and mailboxes for fiction."""
    starts = {
        zip_code: code + _FICTION
        for zip_code, code in zip(places.zip_code, places.area_code, strict=True)
    }
    for row, (phone, zip_code) in enumerate(
        zip(versions["phone"], versions["zip_code"], strict=True)
    ):
        if phone[:-2] != starts[zip_code] or not (phone[-2:].isdigit() and phone.isascii()):
            _refuse(versions, row, "phone", f"{starts[zip_code]} and two digits")
    for row, (email, name) in enumerate(
        zip(versions["email"], versions["merchant_id"], strict=True)
    ):
        if email.partition("@")[2] != f"{name.lower()}.example":
            _refuse(versions, row, "email", f"a mailbox at {name.lower()}.example")


def _check_changes(versions: Columns) -> None:
    """Check that a version differs from the one before in what its change_type says alone."""
    later = [row for row, number in enumerate(versions["version"]) if number > 1]
    for key in _STEADY:
        values = versions[key]
        for row in later:
            if values[row] != values[row - 1]:
                _refuse(versions, row, key, f"{values[row - 1]!r} as in its other versions")
    changes = versions["change_type"]
    for key, change in _CHANGED_BY.items():
        values = versions[key]
        for row in later:
            if values[row] != values[row - 1] and changes[row] != change:
                _refuse(versions, row, key, f"{values[row - 1]!r}: only {change} changes it")


def check_card_rows(cards: Columns, bins: Bins) -> None:
    """Raise StateCorruptError for the first stored card that is not what its BIN says."""
    for name in cards["id"]:
        if not _CARD.fullmatch(name):
            raise refusal("card_profiles", name, "ids of CARD and ten digits")
    known = set(zip(bins.bin, bins.card_type, bins.issuer, bins.brand, strict=True))
    columns = cards["bin"], cards["type"], cards["issuer"], cards["brand"]
    if not set(zip(*columns, strict=True)) <= known:
        for name, found in zip(cards["id"], zip(*columns, strict=True), strict=True):
            if found not in known:
                expected = "a BIN of the table with its type, issuer and brand"
                raise refusal(f"card_profiles.{name}.bin", found, expected)
