"""A merchant's life: its versions with what changed, and its payments by month."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from payworld.errors import StateMissingError, UsageError
from payworld.reports.files import PublishedFile, list_files
from payworld.schema import TRANSACTIONS
from payworld.storage.excerpts import read_merchant
from payworld.storage.manifest import check_same_world
from payworld.storage.reference import load_reference
from payworld.synthesis.frames import merchants_frame
from payworld.timeline import Period
from payworld.world.state import World, merchant_id

__all__ = ["History", "Month", "read_history"]

# What a change can move; the rest is the same in all versions, or tells of the version itself.
_CHANGING = ("address", "city", "state", "zip_code", "phone", "email", "mdr_rate", "status")
_COLUMNS = ["payment_timestamp", "payment_amount", "payment_status", "mdr_amount", "net_profit"]
_ID = re.compile(r"[Mm]?([0-9]{1,9})", re.ASCII)
# Names told where what was asked for is no merchant.
_NEAR = 5


@dataclass
class Month:
    """What a merchant took in a month; money in USD, exact. Volume counts approved payments."""

    month: str
    payments: int = 0
    approved: int = 0
    volume: Decimal = Decimal("0.00")
    mdr: Decimal = Decimal("0.00")
    net_profit: Decimal = Decimal("0.00")

    def add(self, other: Month) -> None:
        """Add the payments of another month, or of another part of this one."""
        self.payments += other.payments
        self.approved += other.approved
        self.volume += other.volume
        self.mdr += other.mdr
        self.net_profit += other.net_profit


@dataclass
class History:
    """A merchant's life as state and files tell it; lives until it is printed.

    `versions` are as in merchants.json; each has its `changes`: column to old and new value.
    `lost` are files that would have been read and are not whole, `manifest` is False where
    there is none, so that no payment is known.
    """

    versions: list[dict[str, Any]]
    months: list[Month] = field(default_factory=list)
    files_read: int = 0
    lost: list[PublishedFile] = field(default_factory=list)
    manifest: bool = True

    @property
    def total(self) -> Month:
        """Return the sum of all months."""
        total = Month("total")
        for month in self.months:
            total.add(month)
        return total


def find_merchant(world: World, asked: str) -> int:
    """Return the ordinal of the merchant that is asked for; UsageError with near matches if none.

    `M000123`, `m123` and `123` are the same merchant.
    """
    count = len(world.merchants)
    match = _ID.fullmatch(asked.strip())
    if match and 1 <= int(match[1]) <= count:
        return int(match[1]) - 1
    near = _near_numbers(int(match[1]), count) if match else _near_names(world, asked.strip())
    told = [f"{merchant_id(row)} ({world.merchants.name[row]})" for row in near]
    hint = f"; did you mean {', '.join(told)}?" if told else ""
    raise UsageError(
        f"MERCHANT = {asked!r}: this world has no such merchant; expected {merchant_id(0)} to "
        f"{merchant_id(count - 1)}{hint}"
    )


def _near_numbers(number: int, count: int) -> list[int]:
    """Return the ordinals of merchants whose number is one digit away.

    >>> _near_numbers(5123, 600)
    [511, 512, 522, 122]
    """
    digits = str(number)
    fewer = [digits[:at] + digits[at + 1 :] for at in range(len(digits) - 1, -1, -1)]
    swapped = [
        digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :]
        for at in range(len(digits) - 1)
    ]
    near = [int(text) for text in dict.fromkeys([*fewer, *swapped]) if text]
    return [found - 1 for found in near if 1 <= found <= count][:_NEAR]


def _near_names(world: World, asked: str) -> list[int]:
    """Return the ordinals of merchants whose names hold, or are like, a text."""
    names = [name.casefold() for name in world.merchants.name]
    wanted = asked.casefold()
    holding = [row for row, name in enumerate(names) if wanted and wanted in name]
    if holding:
        return holding[:_NEAR]
    like = difflib.get_close_matches(wanted, dict.fromkeys(names), n=_NEAR, cutoff=0.7)
    return [names.index(name) for name in like]


def _versions(world: World, ordinal: int) -> list[dict[str, Any]]:
    """Return the merchant's versions as texts, each with what it changed."""
    lived = Period(world.start_day, world.last_day)
    frame = merchants_frame(world, lived, load_reference().places)
    rows = frame.filter(pl.col("merchant_id") == merchant_id(ordinal)).to_dicts()
    versions: list[dict[str, Any]] = []
    for row in rows:
        version = {
            name: value if value is None or isinstance(value, int) else str(value)
            for name, value in row.items()
        }
        before = versions[-1] if versions else version
        changes = {
            name: {"old": before[name], "new": version[name]}
            for name in _CHANGING
            if before[name] != version[name]
        }
        versions.append({**version, "changes": changes})
    return versions


def _by_month(frame: pl.DataFrame) -> list[Month]:
    approved = pl.col("payment_status") == "approved"
    money = {"volume": "payment_amount", "mdr": "mdr_amount", "net_profit": "net_profit"}
    found = frame.group_by(
        pl.col("payment_timestamp").dt.strftime("%Y-%m").alias("month"), maintain_order=True
    ).agg(
        pl.len().alias("payments"),
        approved.sum().alias("approved"),
        *(pl.col(column).filter(approved).sum().alias(name) for name, column in money.items()),
    )
    return [Month(**row) for row in found.to_dicts()]


def read_history(world: World, output_dir: Path, asked: str) -> History:
    """Return a merchant's life: versions from the world, payments from its files.

    Reads only files of days on which it could trade, in memory that does not grow with them.
    Raises UsageError for a merchant that the world has not, ConflictError if the files belong to
    another world, StorageError for a file that cannot be read.
    """
    ordinal = find_merchant(world, asked)
    history = History(_versions(world, ordinal))
    try:
        listing = list_files(output_dir, table="transactions")
    except StateMissingError:
        history.manifest = False
        return history
    check_same_world(output_dir, world)
    # 0, before all days, for one who has never been paid.
    first, last = int(world.merchants.opened[ordinal]), int(world.merchants.last_paid[ordinal])

    def is_in(file: PublishedFile) -> bool:
        return file.end.toordinal() >= first and file.start.toordinal() <= last and file.rows > 0

    months: dict[str, Month] = {}
    for file in filter(is_in, listing.files):
        history.files_read += 1
        for frame in read_merchant(file.path, TRANSACTIONS, merchant_id(ordinal), _COLUMNS):
            for month in _by_month(frame):
                months.setdefault(month.month, Month(month.month)).add(month)
    history.months = [months[name] for name in sorted(months)]
    history.lost = [*filter(is_in, listing.lost)]
    return history
