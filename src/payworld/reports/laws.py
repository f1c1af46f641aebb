"""The laws of reconciliation, checked on batches of payments as they stand in the files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from payworld.reports.card_laws import CardLaws
from payworld.reports.columns import is_value, numbers, seconds_and_days, units
from payworld.reports.versions import VersionsInForce
from payworld.schema import TRANSACTIONS
from payworld.synthesis.rules import BLOCK, Rules
from payworld.timeline import Period
from payworld.world.arrays import BoolArray, Int32Array, IntArray
from payworld.world.reference import Reference
from payworld.world.state import World

__all__ = ["PaymentLaws"]

Checks = Iterator[tuple[BoolArray, str]]

DAY_SECONDS = 86_400


def _half_up(cents: IntArray, bps: IntArray, approved: BoolArray) -> IntArray:
    return np.where(approved, (cents * bps + 5_000) // 10_000, 0)


def _place_keys(lat_e6: IntArray | Int32Array, lng_e6: IntArray | Int32Array) -> IntArray:
    return lat_e6.astype(np.int64) * (1 << 32) + lng_e6


class PaymentLaws:
    """Checks batches in file order; keeps only running numbers. Lives for a verification.

    `last_paid` has each merchant's latest payment so far, as a day (0: none).
    """

    def __init__(self, world: World, eras: list[tuple[int, Rules]], reference: Reference) -> None:
        self._merchants = world.merchants
        self._versions = VersionsInForce(world, reference.places)
        self._cards = CardLaws(eras, reference.bins)
        self._eras = eras
        places = reference.places
        self._places = pl.Series(_place_keys(places.lat_e6, places.lng_e6)).unique()
        self.last_paid = np.zeros(len(world.merchants), np.int64)
        self._has_all = True
        # The numbers of the last two payments.
        self._last_two = np.array([-1, 0])
        self._file_first = 1
        # Day, block and second of the last payment, in one number each.
        self._last_day = self._last_block = self._last_second = 0
        self._next_file_day = world.start_day
        self._adrift = False

    def begin_file(self, period: Period) -> None:
        """Take up the numbering anew where the days before a file are told of elsewhere."""
        self._adrift = period.start != self._next_file_day
        if self._adrift:
            self.lose()
        self._file_first = int(self._last_two[-1]) + 1
        self._next_file_day = period.end + 1

    def end_file(self, rows: int) -> None:
        """Go on as if the file that was begun had held so many payments, not those that it has."""
        if rows:
            last = self._file_first + rows - 1
            self._last_two = np.array([last - 1, last])
            self.lose()

    def lose(self) -> None:
        """Go on after rows that could not be read."""
        self._cards.lose()
        self._has_all = False

    def knows_through(self, day: int) -> bool:
        """Return whether every payment of the world through a day, and none later, was read."""
        return self._has_all and self._next_file_day == day + 1

    def check(self, batch: pl.DataFrame, period: Period, at_most: int) -> Iterator[tuple[int, str]]:
        """Yield (row in the batch, what is wrong), a number at most for each law."""
        for wrong, what in self._checks(batch, period):
            for row in np.flatnonzero(wrong)[:at_most].tolist():
                yield row, f"{batch['payment_id'][row]}: {what}"

    def _checks(self, batch: pl.DataFrame, period: Period) -> Checks:
        if not len(batch):
            return
        seconds, days = seconds_and_days(batch["payment_timestamp"])
        ordinal = numbers(batch["merchant_id"], "M") - 1
        yield from self._numbering(batch, days, period)
        yield from self._order(seconds, days, ordinal)
        yield from self._hours(seconds, days)
        for column in ("payment_type", "payment_status"):
            words = TRANSACTIONS.column(column).values
            known = batch[column].is_in(words).fill_null(value=False).to_numpy()
            yield ~known, f"{column} is none of {', '.join(words)}"
        merchants = self._merchants
        exists = (ordinal >= 0) & (ordinal < len(merchants))
        yield ~exists, "merchant_id: there is no such merchant"
        row = np.where(exists, ordinal, 0)
        gone = merchants.churned[row]
        active = exists & (merchants.opened[row] <= days) & ((gone == 0) | (days < gone))
        yield exists & ~active, "merchant_id: the merchant is not active that day"
        self.last_paid[row[exists]] = days[exists]
        version = self._versions.rows_at(row, days)
        yield from self._money(batch, active, version)
        yield from self._places_and_terminals(batch, active, version, ordinal)
        yield from self._cards.checks(batch, days)

    def _numbering(self, batch: pl.DataFrame, days: IntArray, period: Period) -> Checks:
        found = numbers(batch["payment_id"], "TXN")
        if self._adrift:
            self._file_first, self._adrift = int(found[0]), False
            self._last_two = found[0] - np.array([2, 1])
        all_numbers = np.concatenate([self._last_two, found])
        follows = found == all_numbers[1:-1] + 1
        # One that stands after a wrong number, but in its place, is no breach of its own.
        follows |= found == all_numbers[:-2] + 2
        yield ~follows, "payment_id does not follow the payment before it"
        self._last_two = all_numbers[-2:]
        yield (days < period.start) | (days > period.end), "the day is not in the file's period"

    def _order(self, seconds: IntArray, days: IntArray, ordinal: IntArray) -> Checks:
        block = days * (1 << 24) + ordinal // BLOCK
        instant = days * DAY_SECONDS + seconds
        before = np.concatenate([[self._last_day], days[:-1]])
        block_before = np.concatenate([[self._last_block], block[:-1]])
        instant_before = np.concatenate([[self._last_second], instant[:-1]])
        yield days < before, "the day is before the payment above it"
        same_day = days == before
        yield (
            same_day & (block < block_before),
            f"the payment above it is of a later block of {BLOCK:,} merchants",
        )
        yield (
            (block == block_before) & (instant < instant_before),
            "the time is before the payment above it",
        )
        self._last_day, self._last_block = int(days[-1]), int(block[-1])
        self._last_second = int(instant[-1])

    def _hours(self, seconds: IntArray, days: IntArray) -> Checks:
        for number, (first_day, rules) in enumerate(self._eras):
            hours = rules.config.business_hours
            closed = (seconds < hours.opens_at * 3600) | (seconds >= hours.closes_at * 3600)
            if len(self._eras) > 1:
                last = self._eras[number + 1][0] if number + 1 < len(self._eras) else 1 << 30
                closed &= (days >= first_day) & (days < last)
            yield (
                closed,
                f"the time is not in business hours, {hours.opens_at:02d}:00 to "
                f"{hours.closes_at:02d}:00",
            )

    def _money(self, batch: pl.DataFrame, active: BoolArray, version: IntArray) -> Checks:
        amount = units(batch["payment_amount"], 2)
        approved = is_value(batch["payment_status"], "approved")
        cost_bps = units(batch["transactional_cost_rate"], 4)
        cost, mdr = (units(batch[n], 2) for n in ("transactional_cost_amount", "mdr_amount"))
        yield amount <= 0, "payment_amount is not above 0"
        yield (
            active & (mdr != _half_up(amount, self._versions.mdr_bps[version], approved)),
            "mdr_amount is not the amount times the MDR in force",
        )
        yield (
            cost != _half_up(amount, cost_bps, approved),
            "transactional_cost_amount is not the amount times the cost rate",
        )
        yield (
            units(batch["net_profit"], 2) != mdr - cost,
            "net_profit is not mdr_amount - transactional_cost_amount",
        )

    def _places_and_terminals(
        self, batch: pl.DataFrame, active: BoolArray, version: IntArray, ordinal: IntArray
    ) -> Checks:
        present = is_value(batch["payment_type"], "card_present")
        terminal = numbers(batch["terminal_id"].fill_null(""), "T")
        yield present & (terminal // 100 != ordinal + 1), "terminal_id is not the merchant's"
        yield ~present & batch["terminal_id"].is_not_null().to_numpy(), "terminal_id without one"
        lat, lng = (units(batch[name], 6) for name in ("payment_lat", "payment_lng"))
        at_home = (lat == self._versions.lat_e6[version]) & (lng == self._versions.lng_e6[version])
        yield (
            active & present & ~at_home,
            "payment_lat and payment_lng are not the merchant's place",
        )
        known = pl.Series(_place_keys(lat, lng)).is_in(self._places.implode()).to_numpy()
        yield ~present & ~known, "payment_lat and payment_lng are not a buyer's place"
