"""The World: everything that must be known to go on tomorrow.

A World is a value. A step returns a new one, which shares with the old what did not change.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payworld.config import WorldConfig
from payworld.world.arrays import ByteArray, Int32Array, IntArray, frozen

__all__ = [
    "CHANGE_TYPES",
    "CardPool",
    "Change",
    "Era",
    "Merchants",
    "Month",
    "NamePools",
    "VersionBatch",
    "World",
    "merchant_id",
    "versions_in",
]


class Change:
    """Codes of change_type, in the order of the schema's vocabulary."""

    INITIAL, OPENING, MDR, PHONE, EMAIL, ADDRESS, CHURN = range(7)


CHANGE_TYPES = (
    "initial",
    "opening",
    "mdr_change",
    "phone_change",
    "email_change",
    "address_change",
    "churn",
)


def merchant_id(ordinal: int) -> str:
    """Return the id of the merchant with a zero-based ordinal.

    >>> merchant_id(0)
    'M000001'
    """
    return f"M{ordinal + 1:06d}"


@dataclass(frozen=True, eq=False)
class NamePools:
    """Words that names and addresses are made of; drawn once, at birth, and kept in the state.

    So a nightly run needs no word generator, and another version of one changes nothing.
    """

    surnames: tuple[str, ...]
    first_names: tuple[str, ...]
    streets: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Merchants:
    """The current version of every merchant that ever was, by ordinal; lives with the World.

    Days are ordinals; 0 stands for never. `mdr_bps` is in basis points; `located` is the day
    from which the present address holds.
    """

    name: list[str]
    industry: list[str]
    address: list[str]
    phone: list[str]
    email: list[str]
    size: ByteArray
    place: Int32Array
    mdr_bps: Int32Array
    version: Int32Array
    located: Int32Array
    opened: Int32Array
    churned: Int32Array
    last_paid: Int32Array

    def __len__(self) -> int:
        return len(self.name)

    @property
    def active(self) -> NDArray[np.bool_]:
        """Return who has not churned, shape (merchants,)."""
        active: NDArray[np.bool_] = self.churned == 0
        return active


@dataclass(frozen=True, eq=False)
class VersionBatch:
    """Versions that took effect together, in order of (effective, merchant); never changes.

    Columns of equal length; `merchant` is the ordinal, `effective` a day, `change` a Change code.
    """

    merchant: Int32Array
    version: Int32Array
    effective: Int32Array
    change: ByteArray
    place: Int32Array
    mdr_bps: Int32Array
    address: list[str]
    phone: list[str]
    email: list[str]

    def __len__(self) -> int:
        return len(self.address)

    @classmethod
    def of(
        cls, merchants: Merchants, ordinals: IntArray, change: ByteArray, day: int
    ) -> VersionBatch:
        """Return the current versions of some merchants (ordinals ascending) as of a day."""
        rows = ordinals.tolist()
        return cls(
            merchant=frozen(ordinals.astype(np.int32)),
            version=frozen(merchants.version[ordinals]),
            effective=frozen(np.full(len(rows), day, np.int32)),
            change=frozen(change),
            place=frozen(merchants.place[ordinals]),
            mdr_bps=frozen(merchants.mdr_bps[ordinals]),
            address=[merchants.address[row] for row in rows],
            phone=[merchants.phone[row] for row in rows],
            email=[merchants.email[row] for row in rows],
        )


def versions_in(world: World, first_day: int, last_day: int) -> VersionBatch | None:
    """Return the versions that took effect from a day to another, in order; None if none did."""
    batches = []
    for batch in reversed(world.versions):
        if batch.effective[-1] < first_day:
            break
        if batch.effective[0] <= last_day:
            batches.append(batch)
    if not batches:
        return None
    joined = _join(batches[::-1])
    inside = np.flatnonzero((joined.effective >= first_day) & (joined.effective <= last_day))
    if len(inside) == len(joined):
        return joined
    rows = slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0)
    columns: list[Any] = [getattr(joined, column.name)[rows] for column in fields(VersionBatch)]
    return VersionBatch(*columns)


def _join(batches: list[VersionBatch]) -> VersionBatch:
    columns: list[Any] = []
    for column in fields(VersionBatch):
        parts = [getattr(batch, column.name) for batch in batches]
        texts = isinstance(parts[0], list)
        columns.append(list(chain.from_iterable(parts)) if texts else np.concatenate(parts))
    return VersionBatch(*columns)


@dataclass(frozen=True, eq=False)
class CardPool:
    """The stored cards, oldest first; lives with the World.

    A card is its ordinal and its row in the BIN table, which fixes bin, brand, type and issuer.
    """

    ordinal: IntArray
    bin_row: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.ordinal)

    def store(self, ordinals: IntArray, bin_rows: NDArray[np.uint16], at_most: int) -> CardPool:
        """Return the pool with new cards at the end and the oldest retired beyond a bound."""
        keep = slice(max(0, len(self) + len(ordinals) - at_most), None)
        return CardPool(
            frozen(np.concatenate([self.ordinal, ordinals])[keep]),
            frozen(np.concatenate([self.bin_row, bin_rows])[keep]),
        )


@dataclass(frozen=True)
class Month:
    """What the current calendar month's growth and churn are reckoned from."""

    key: str
    first_day: int
    active_at_start: int


@dataclass(frozen=True, eq=False)
class Era:
    """A configuration and the first day on which it holds."""

    from_day: int
    config: WorldConfig


@dataclass(frozen=True, eq=False)
class World:
    """The simulated world after `last_day`; the one thing that is kept between runs.

    Lives until it is replaced. `last_day` is the day before `start_day` in a world just born.
    """

    start_day: int
    last_day: int
    eras: tuple[Era, ...]
    pools: NamePools
    merchants: Merchants
    versions: tuple[VersionBatch, ...]
    cards: CardPool
    month: Month | None
    card_counter: int
    total_transactions: int

    @property
    def seed(self) -> int:
        """Return the seed, which is for life."""
        return self.eras[0].config.seed

    @property
    def config(self) -> WorldConfig:
        """Return the configuration in force after the last day."""
        return self.eras[-1].config

    @property
    def start_date(self) -> date:
        """Return the first simulated day."""
        return date.fromordinal(self.start_day)

    @property
    def last_date(self) -> date:
        """Return the last simulated day."""
        return date.fromordinal(self.last_day)

    def with_config(self, config: WorldConfig) -> World:
        """Return the world with another configuration from the next day on."""
        if config == self.config:
            return self
        next_day = self.last_day + 1
        kept = tuple(era for era in self.eras if era.from_day < next_day or era is self.eras[0])
        if kept[0].from_day == next_day:
            return replace(self, eras=(Era(next_day, config),))
        return replace(self, eras=(*kept, Era(next_day, config)))
