"""The laws of reconciliation, checked on batches of payments as they stand in the files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from payworld.synthesis.rules import Rules
from payworld.timeline import Period
from payworld.world.arrays import BoolArray, IntArray
from payworld.world.reference import Reference
from payworld.world.state import World

__all__ = ["PaymentLaws"]

EPOCH = date(1970, 1, 1).toordinal()
# Merchant and day in one number, for one search in the sorted versions.
DAY_SPAN = 1 << 22


def _numbers(series: pl.Series, prefix: str) -> IntArray:
    """Return the numbers behind a prefix; -1 where the text has another form."""
    digits = series.str.strip_prefix(prefix).cast(pl.Int64, strict=False).fill_null(-1)
    return np.where(series.str.starts_with(prefix).fill_null(False), digits, -1)


def _units(series: pl.Series, scale: int) -> IntArray:
    """Return decimals as whole units of 10^-scale."""
    return (series.cast(pl.Decimal(38, scale)).to_physical()).cast(pl.Int64).to_numpy()


def _half_up(cents: IntArray, bps: IntArray, approved: BoolArray) -> IntArray:
    return np.where(approved, (cents * bps + 5_000) // 10_000, 0)


class PaymentLaws:
    """Checks batches in file order; keeps only running numbers. Lives for a verification."""

    def __init__(self, world: World, eras: list[tuple[int, Rules]], reference: Reference) -> None:
        self._merchants = world.merchants
        self._reference = reference
        self._eras = eras
        owner = np.concatenate([batch.merchant for batch in world.versions]).astype(np.int64)
        effective = np.concatenate([batch.effective for batch in world.versions])
        mdr = np.concatenate([batch.mdr_bps for batch in world.versions])
        keys = owner * DAY_SPAN + effective
        order = np.argsort(keys, kind="stable")
        self._version_keys, self._version_mdr = keys[order], mdr[order].astype(np.int64)
        self._next_payment = 1
        self._last_card = 0
        self._known = True
        self._last_day = 0
        self._next_file_day = world.start_day
        self._adrift = False
        # From which card number on each era's BINs were drawn.
        self._era_first_card = [1] + [0] * (len(eras) - 1)

    def begin_file(self, period: Period) -> None:
        """Take up the numbering anew where the days before a file are told of elsewhere."""
        self._adrift = period.start != self._next_file_day
        self._known = self._known and not self._adrift
        self._next_file_day = period.end + 1

    def skip(self, rows: int) -> None:
        """Step over a file that cannot be read: cards are taken up again from what follows."""
        if rows:
            self._next_payment += rows
            self._known = False

    def check(self, batch: pl.DataFrame, period: Period, at_most: int) -> Iterator[tuple[int, str]]:
        """Yield (row in the batch, what is wrong), a number at most for each law."""
        for wrong, what in self._checks(batch, period):
            for row in np.flatnonzero(wrong)[:at_most].tolist():
                yield row, f"{batch['payment_id'][row]}: {what}"

    def _checks(self, batch: pl.DataFrame, period: Period) -> Iterator[tuple[BoolArray, str]]:
        days = (
            batch["payment_timestamp"].dt.date().to_physical().cast(pl.Int64).fill_null(-EPOCH)
        ).to_numpy() + EPOCH
        yield from self._order(batch, days, period)
        yield from self._merchants_and_money(batch, days)
        yield from self._cards(batch, days)

    def _order(
        self, batch: pl.DataFrame, days: IntArray, period: Period
    ) -> Iterator[tuple[BoolArray, str]]:
        numbers = _numbers(batch["payment_id"], "TXN")
        if self._adrift and len(numbers):
            self._next_payment, self._adrift = int(numbers[0]), False
        expected = self._next_payment + np.arange(len(batch))
        yield numbers != expected, "payment_id does not follow the payment before it"
        self._next_payment += len(batch)
        yield (days < period.start) | (days > period.end), "the day is not in the file's period"
        before = np.concatenate([[max(self._last_day, period.start)], days[:-1]])
        yield days < before, "the day is before the payment above it"
        self._last_day = int(days[-1]) if len(days) else self._last_day

    def _merchants_and_money(
        self, batch: pl.DataFrame, days: IntArray
    ) -> Iterator[tuple[BoolArray, str]]:
        merchants = self._merchants
        ordinal = _numbers(batch["merchant_id"], "M") - 1
        exists = (ordinal >= 0) & (ordinal < len(merchants))
        yield ~exists, "merchant_id: there is no such merchant"
        row = np.where(exists, ordinal, 0)
        gone = merchants.churned[row]
        active = (merchants.opened[row] <= days) & ((gone == 0) | (days < gone))
        yield exists & ~active, "merchant_id: the merchant is not active that day"
        at = np.searchsorted(self._version_keys, row * DAY_SPAN + days, side="right") - 1
        mdr_bps = self._version_mdr[np.maximum(at, 0)]
        amount = _units(batch["payment_amount"], 2)
        approved = (batch["payment_status"] == "approved").fill_null(False).to_numpy()
        cost_bps = _units(batch["transactional_cost_rate"], 4)
        cost, mdr = (_units(batch[n], 2) for n in ("transactional_cost_amount", "mdr_amount"))
        yield amount <= 0, "payment_amount is not above 0"
        yield (
            exists & active & (mdr != _half_up(amount, mdr_bps, approved)),
            "mdr_amount is not the amount times the MDR in force",
        )
        yield (
            cost != _half_up(amount, cost_bps, approved),
            "transactional_cost_amount is not the amount times the cost rate",
        )
        yield (
            _units(batch["net_profit"], 2) != mdr - cost,
            "net_profit is not mdr_amount - transactional_cost_amount",
        )
        present = (batch["payment_type"] == "card_present").fill_null(False).to_numpy()
        terminal = _numbers(batch["terminal_id"].fill_null(""), "T")
        yield present & (terminal // 100 != ordinal + 1), "terminal_id is not the merchant's"
        yield ~present & batch["terminal_id"].is_not_null().to_numpy(), "terminal_id without one"

    def _cards(self, batch: pl.DataFrame, days: IntArray) -> Iterator[tuple[BoolArray, str]]:
        bins = self._reference.bins
        rows = batch["card_bin"].replace_strict(
            list(bins.index_of_bin), range(len(bins)), default=-1, return_dtype=pl.Int64
        )
        bin_row = rows.fill_null(-1).to_numpy()
        yield bin_row < 0, "card_bin is not a known BIN"
        known = bin_row >= 0
        for column, values in (
            ("card_type", bins.card_type),
            ("card_issuer", bins.issuer),
            ("card_brand", bins.brand),
        ):
            expected = pl.Series(values).gather(np.maximum(bin_row, 0))
            wrong = batch[column].ne_missing(expected).to_numpy()
            yield known & wrong, f"{column} is not the BIN's"
        rate = _units(batch["transactional_cost_rate"], 4)
        for number, (first_day, rules) in enumerate(self._eras):
            last = self._eras[number + 1][0] if number + 1 < len(self._eras) else 1 << 30
            inside = (days >= first_day) & (days < last) & known
            wrong = rate != rules.cost_bps[np.maximum(bin_row, 0)]
            yield inside & wrong, "transactional_cost_rate is not the BIN's"
        yield from self._card_numbers(batch, days, bin_row)

    def _card_numbers(
        self, batch: pl.DataFrame, days: IntArray, bin_row: IntArray
    ) -> Iterator[tuple[BoolArray, str]]:
        cards = _numbers(batch["card_profile_id"], "CARD")
        if not self._known and len(cards):
            # After a gap in the files the highest number so far is a card that came before.
            self._last_card = max(self._last_card, int(cards.max()) - len(cards))
        highest = np.maximum.accumulate(np.concatenate([[self._last_card], cards]))
        is_new = cards > highest[:-1]
        if self._known:
            jump = is_new & (cards != highest[:-1] + 1)
            yield (
                jump | (cards < 1),
                "card_profile_id is neither the next new card nor a stored one",
            )
        for number, (first_day, _) in enumerate(self._eras):
            later = np.flatnonzero(days >= first_day)
            if number and not self._era_first_card[number] and len(later):
                self._era_first_card[number] = int(highest[later[0]]) + 1
        self._last_card = int(highest[-1])
        self._known = True
        expected = np.full(len(cards), -1)
        for number, (_, rules) in enumerate(self._eras):
            first = self._era_first_card[number]
            if first:
                drawn = rules.draw_bin_rows(cards).astype(np.int64)
                expected = np.where(cards >= first, drawn, expected)
        yield (bin_row != expected) & (cards > 0), "card_bin is not the card's for ever"
