"""Blocks of payments as bytes, made where the block is rendered.

The CSV text is what a plain write of the typed frame gives, byte for byte (a test compares
them), at about two thirds of its cost: neighbouring columns that depend on one code are joined in
a short table and gathered as one text, and fixed-width ids and times are written side by side, so
that Polars' writer formats eleven columns instead of eighteen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from payworld.schema import TRANSACTIONS
from payworld.storage.csv import csv_fields, write_joined_fields
from payworld.storage.parquet import arrow_stream
from payworld.synthesis.frames import transactions_frame
from payworld.synthesis.rules import Rules
from payworld.synthesis.texts import clock_texts, decimal_series, text_series, write_number
from payworld.synthesis.transactions import TransactionColumns
from payworld.timeline import iso

__all__ = ["ArrowEncoder", "CsvEncoder", "Encoder"]

_PRESENT = "card_present,"

_STAMPED_ID = np.dtype(
    [("prefix", "S3"), ("high", "u2"), ("middle", "u4"), ("low", "u4"), ("date", "S12"),
     ("clock", "u8")]
)  # fmt: skip
_CARD_AND_BIN = np.dtype(
    [("prefix", "S4"), ("high", "u2"), ("middle", "u4"), ("low", "u4"), ("comma", "S1"),
     ("bin_4", "u4"), ("bin_2", "u2")]
)  # fmt: skip
_TERMINAL = np.dtype([("prefix", f"S{len(_PRESENT) + 1}"), ("high", "u4"), ("low", "u4")])


class Encoder(Protocol):
    """Turns columns into bytes that can be appended one after another; lives for a run."""

    def encode(self, columns: TransactionColumns) -> memoryview:
        """Return the bytes of a block."""


@dataclass(eq=False)
class CsvEncoder(Encoder):
    """CSV text of blocks; its tables live as long as the rules."""

    rules: Rules

    @cached_property
    def _place_texts(self) -> pl.Series:
        places = self.rules.reference.places
        return _coordinates(places.lat_e6, places.lng_e6)

    @cached_property
    def _bin_texts(self) -> pl.Series:
        bins = self.rules.reference.bins
        return csv_fields(zip(bins.card_type, bins.issuer, bins.brand, strict=True))

    @cached_property
    def _bin_digits(self) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        digits = np.array([code.encode() for code in self.rules.reference.bins.bin], "S6")
        parts = digits.view([("bin_4", "u4"), ("bin_2", "u2")])
        return parts["bin_4"].copy(), parts["bin_2"].copy()

    @cached_property
    def _rate_texts(self) -> pl.Series:
        return decimal_series(self.rules.cost_bps, 5, 4).cast(pl.String)

    @cached_property
    def _type_texts(self) -> pl.Series:
        return pl.Series([f"{name}," for name in TRANSACTIONS.column("payment_type").values])

    def encode(self, columns: TransactionColumns) -> memoryview:
        """Return a block as CSV lines."""
        net = columns.mdr_cents - columns.cost_cents
        points = pl.concat([_coordinates(columns.lat_e6, columns.lng_e6), self._place_texts])
        pieces = [
            _stamped_ids(columns),
            points.gather(columns.point),
            decimal_series(columns.amount_cents, 12, 2),
            self._types_and_terminals(columns),
            self._bin_texts.gather(columns.bin_row),
            self._cards_and_bins(columns),
            _status_and_merchant(columns),
            self._rate_texts.gather(columns.bin_row),
            decimal_series(columns.cost_cents, 12, 2),
            decimal_series(columns.mdr_cents, 12, 2),
            decimal_series(net, 12, 2),
        ]
        return write_joined_fields(pieces)

    def _types_and_terminals(self, columns: TransactionColumns) -> pl.Series:
        """Return "payment_type,terminal_id": a terminal is card-present, the rest have none."""
        n = len(columns.terminals)
        rows = np.empty(n, _TERMINAL)
        rows["prefix"] = f"{_PRESENT}T".encode()
        write_number(rows, ("high", "low"), columns.terminals)
        texts = pl.concat([text_series(rows), self._type_texts])
        elsewhere = columns.payment_type + np.int64(n)
        return texts.gather(np.where(columns.terminal >= 0, columns.terminal, elsewhere))

    def _cards_and_bins(self, columns: TransactionColumns) -> pl.Series:
        rows = np.empty(len(columns), _CARD_AND_BIN)
        rows["prefix"], rows["comma"] = b"CARD", b","
        write_number(rows, ("high", "middle", "low"), columns.card)
        first_four, last_two = self._bin_digits
        rows["bin_4"] = first_four[columns.bin_row]
        rows["bin_2"] = last_two[columns.bin_row]
        return text_series(rows)


def _coordinates(lat_e6: NDArray[np.int32], lng_e6: NDArray[np.int32]) -> pl.Series:
    pair = pl.DataFrame(
        [decimal_series(lat_e6, 9, 6), decimal_series(lng_e6, 9, 6)], ["lat", "lng"]
    )
    return pair.select(pl.concat_str(pl.all().cast(pl.String), separator=","))["lat"]


def _stamped_ids(columns: TransactionColumns) -> pl.Series:
    n = len(columns)
    rows = np.empty(n, _STAMPED_ID)
    rows["prefix"] = b"TXN"
    at = 0
    for day, count in columns.days:
        rows["date"][at : at + count] = f",{iso(day)}T".encode()
        at += count
    first = columns.first_payment
    write_number(rows, ("high", "middle", "low"), np.arange(first, first + n))
    rows["clock"] = clock_texts()[columns.second]
    return text_series(rows)


def _status_and_merchant(columns: TransactionColumns) -> pl.Series:
    """Return "status,merchant_id" by gather from all pairs of the block."""
    statuses = TRANSACTIONS.column("payment_status").values
    n = len(columns.merchants)
    tables = []
    for status in statuses:
        prefix = f"{status},M".encode()
        rows = np.empty(n, [("prefix", f"S{len(prefix)}"), ("high", "u2"), ("low", "u4")])
        rows["prefix"] = prefix
        write_number(rows, ("high", "low"), columns.merchants + 1)
        tables.append(text_series(rows))
    return pl.concat(tables).gather(columns.status * np.int64(n) + columns.merchant)


@dataclass(eq=False)
class ArrowEncoder(Encoder):
    """Arrow IPC streams of blocks with exact types: the spool of Parquet files."""

    rules: Rules

    def encode(self, columns: TransactionColumns) -> memoryview:
        """Return a block as an Arrow IPC stream of its own."""
        return arrow_stream(transactions_frame(columns, self.rules))
