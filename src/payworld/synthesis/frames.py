"""Columns as typed frames: what Parquet, the Python API and plain CSV writing start from."""

from __future__ import annotations

import numpy as np
import polars as pl

from payworld.config.model import SIZES
from payworld.schema import MERCHANTS, TRANSACTIONS, frame_schema
from payworld.synthesis.rules import Rules
from payworld.synthesis.texts import decimal_series, text_series, write_number
from payworld.synthesis.transactions import TransactionColumns
from payworld.timeline import Period
from payworld.world.arrays import IntArray
from payworld.world.reference import Places
from payworld.world.state import CHANGE_TYPES, Change, VersionBatch, World, versions_in

__all__ = [
    "card_ids",
    "merchant_ids",
    "merchants_frame",
    "payment_ids",
    "terminal_ids",
    "transactions_frame",
]

# Ordinal of 1970-01-01, day 0 of a date column.
EPOCH = 719_163

_TEN_DIGITS = [("high", "u2"), ("middle", "u4"), ("low", "u4")]


def payment_ids(first: int, n: int) -> pl.Series:
    """Return n payment ids from a number on."""
    rows = np.empty(n, [("prefix", "S3"), *_TEN_DIGITS])
    rows["prefix"] = b"TXN"
    write_number(rows, ("high", "middle", "low"), np.arange(first, first + n))
    return text_series(rows)


def card_ids(cards: IntArray) -> pl.Series:
    """Return the ids of cards by ordinal."""
    rows = np.empty(len(cards), [("prefix", "S4"), *_TEN_DIGITS])
    rows["prefix"] = b"CARD"
    write_number(rows, ("high", "middle", "low"), cards)
    return text_series(rows)


def terminal_ids(terminals: IntArray) -> pl.Series:
    """Return the ids of terminals by number."""
    rows = np.empty(len(terminals), [("prefix", "S1"), ("high", "u4"), ("low", "u4")])
    rows["prefix"] = b"T"
    write_number(rows, ("high", "low"), terminals)
    return text_series(rows)


def merchant_ids(ordinals: IntArray) -> pl.Series:
    """Return the ids of merchants by zero-based ordinal."""
    rows = np.empty(len(ordinals), [("prefix", "S1"), ("high", "u2"), ("low", "u4")])
    rows["prefix"] = b"M"
    write_number(rows, ("high", "low"), ordinals + 1)
    return text_series(rows)


def _vocabulary(column: str, codes: np.ndarray) -> pl.Series:
    values = TRANSACTIONS.column(column).values
    return pl.Series(values, dtype=pl.String).gather(codes)


def transactions_frame(columns: TransactionColumns, rules: Rules) -> pl.DataFrame:
    """Return the payments of a block with exact types, columns as in schema.TRANSACTIONS."""
    bins = rules.reference.bins
    days, rows = np.array(columns.days, dtype=np.int64).T
    seconds = columns.second + np.repeat((days - EPOCH) * 86_400, rows)
    stamps = seconds.astype("datetime64[s]").astype("datetime64[us]")
    places = rules.reference.places
    lat_e6 = np.concatenate([columns.lat_e6, places.lat_e6])[columns.point]
    lng_e6 = np.concatenate([columns.lng_e6, places.lng_e6])[columns.point]

    def of_bin(values: list[str]) -> pl.Series:
        return pl.Series(values, dtype=pl.String).gather(columns.bin_row)

    def money(cents: IntArray) -> pl.Series:
        return decimal_series(cents, 12, 2)

    terminals = terminal_ids(columns.terminals).extend(pl.Series([None], dtype=pl.String))
    series = [
        payment_ids(columns.first_payment, len(columns)),
        pl.Series(stamps),
        decimal_series(lat_e6, 9, 6),
        decimal_series(lng_e6, 9, 6),
        money(columns.amount_cents),
        _vocabulary("payment_type", columns.payment_type),
        terminals.gather(columns.terminal),
        of_bin(bins.card_type),
        of_bin(bins.issuer),
        of_bin(bins.brand),
        card_ids(columns.card),
        of_bin(bins.bin),
        _vocabulary("payment_status", columns.status),
        merchant_ids(columns.merchants).gather(columns.merchant),
        decimal_series(rules.cost_bps, 5, 4).gather(columns.bin_row),
        money(columns.cost_cents),
        money(columns.mdr_cents),
        money(columns.mdr_cents - columns.cost_cents),
    ]
    return pl.DataFrame([s.alias(name) for s, name in zip(series, TRANSACTIONS.names, strict=True)])


def _dates(days: np.ndarray) -> pl.Series:
    """Return day ordinals as dates; 0 becomes null."""
    dates = (days.astype(np.int64) - EPOCH).astype("datetime64[D]")
    return pl.Series(np.where(days == 0, np.datetime64("NaT"), dates))


def _batch_frame(batch: VersionBatch, world: World, places: Places) -> pl.DataFrame:
    merchants, rows = world.merchants, batch.merchant.tolist()
    churned = np.where(batch.change == Change.CHURN, batch.effective, 0)
    columns: dict[str, pl.Series | list[str]] = {
        "merchant_id": merchant_ids(batch.merchant.astype(np.int64)),
        "merchant_name": [merchants.name[row] for row in rows],
        "industry": [merchants.industry[row] for row in rows],
        "address": batch.address,
        "city": pl.Series(places.city).gather(batch.place),
        "state": pl.Series(places.state).gather(batch.place),
        "zip_code": pl.Series(places.zip_code).gather(batch.place),
        "phone": batch.phone,
        "email": batch.email,
        "mdr_rate": decimal_series(batch.mdr_bps, 5, 4),
        "size_category": [SIZES[code] for code in merchants.size[batch.merchant].tolist()],
        "creation_date": _dates(merchants.opened[batch.merchant]),
        "effective_date": _dates(batch.effective),
        "status": ["churned" if day else "active" for day in churned.tolist()],
        "last_transaction_date": _dates(merchants.last_paid[batch.merchant]),
        "version": pl.Series(batch.version),
        "change_type": [CHANGE_TYPES[code] for code in batch.change.tolist()],
        "churn_date": _dates(churned),
    }
    return pl.DataFrame(columns).select(MERCHANTS.names)


def merchants_frame(world: World, period: Period, places: Places) -> pl.DataFrame:
    """Return the versions that took effect in a period, columns as in schema.MERCHANTS.

    `last_transaction_date` is as of the world's last day.
    """
    schema = frame_schema(MERCHANTS)
    batch = versions_in(world, period.start, period.end)
    if batch is None:
        return pl.DataFrame(schema=schema)
    frame = _batch_frame(batch, world, places)
    return frame.select(frame[name].cast(kind) for name, kind in schema.items())
