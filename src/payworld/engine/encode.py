"""Blocks of payments as bytes, made where the block is rendered.

The CSV text is what a plain write of the typed frame gives, byte for byte (a test compares
them), at about a third of its cost: neighbouring columns that depend on one code are joined in a
short table and gathered as one text, fixed-width ids and times are written side by side, and what
is left, eleven fragments a row, Polars concatenates. Each fragment but the first begins with its
comma.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from payworld.engine.tasks import Bytes
from payworld.schema import TRANSACTIONS
from payworld.storage.compress import compress
from payworld.storage.csv import csv_fields
from payworld.storage.parquet import arrow_stream
from payworld.storage.style import Compression
from payworld.synthesis.frames import transactions_frame
from payworld.synthesis.rules import Rules
from payworld.synthesis.texts import (
    TextTable,
    clock_texts,
    concatenated,
    decimal_series,
    digit_groups,
    text_series,
    write_number,
)
from payworld.synthesis.transactions import TransactionColumns
from payworld.timeline import iso
from payworld.world.arrays import IntArray

__all__ = ["ArrowEncoder", "CompressedEncoder", "CsvEncoder", "Encoder"]

_STAMPED_ID = np.dtype(
    [("prefix", "S3"), ("high", "u2"), ("middle", "u4"), ("low", "u4"), ("date", "S12"),
     ("clock", "u8")]
)  # fmt: skip
_CARD_AND_BIN = np.dtype(
    [("prefix", "S5"), ("high", "u2"), ("middle", "u4"), ("low", "u4"), ("comma", "S1"),
     ("bin_4", "u4"), ("bin_2", "u2")]
)  # fmt: skip
_PRESENT = ",card_present,T"
_TERMINAL = np.dtype([("prefix", f"S{len(_PRESENT)}"), ("high", "u4"), ("low", "u4")])
# Right-aligned, so that a merchant's number follows each at once.
_STATUS_TEXTS = [f",{name},M" for name in TRANSACTIONS.column("payment_status").values]
_STATUS_WIDTH = max(map(len, _STATUS_TEXTS))
_STATUSES = np.array([text.rjust(_STATUS_WIDTH).encode() for text in _STATUS_TEXTS])
_STATUS_PADDING = np.array([_STATUS_WIDTH - len(text) for text in _STATUS_TEXTS])
_STATUS_AND_MERCHANT = np.dtype([("status", _STATUSES.dtype), ("high", "u2"), ("low", "u4")])
# The amounts, in cents, whose texts are made once: the largest of the default world and its
# largest loss. Others are formatted one by one.
_LEAST_CENTS, _MOST_CENTS = -10_000, 100_000


class Encoder(Protocol):
    """Turns columns into bytes that can be appended one after another; lives for a run.

    Where it takes one block at a time, blocks that are joined would give other bytes.
    """

    takes_one_block: ClassVar[bool] = False

    def prepare(self) -> None:
        """Make the tables that the first block would wait for."""

    def encode(self, columns: TransactionColumns) -> list[Bytes]:
        """Return the bytes of a block, in pieces."""


@dataclass(eq=False)
class CsvEncoder(Encoder):
    """CSV text of blocks; its tables live as long as the rules."""

    rules: Rules

    @cached_property
    def _places(self) -> TextTable:
        places = self.rules.reference.places
        return TextTable.of(_coordinates(places.lat_e6, places.lng_e6))

    @cached_property
    def _bins(self) -> TextTable:
        bins = self.rules.reference.bins
        fields = csv_fields(zip(bins.card_type, bins.issuer, bins.brand, strict=True))
        return TextTable.of("," + pl.Series(fields, dtype=pl.String))

    @cached_property
    def _bin_digits(self) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        digits = np.array([code.encode() for code in self.rules.reference.bins.bin], "S6")
        parts = digits.view([("bin_4", "u4"), ("bin_2", "u2")])
        return parts["bin_4"].copy(), parts["bin_2"].copy()

    @cached_property
    def _rates(self) -> TextTable:
        return TextTable.of("," + decimal_series(self.rules.cost_bps, 5, 4).cast(pl.String))

    @cached_property
    def _types(self) -> TextTable:
        names = TRANSACTIONS.column("payment_type").values
        return TextTable.of(pl.Series([f",{name}," for name in names]))

    @cached_property
    def _amounts(self) -> TextTable:
        return TextTable.of(_amounts(np.arange(_LEAST_CENTS, _MOST_CENTS + 1)))

    def prepare(self) -> None:
        """Make the tables that the first block would wait for."""
        clock_texts(), digit_groups()
        _ = self._places, self._bins, self._bin_digits, self._rates, self._types, self._amounts

    def encode(self, columns: TransactionColumns) -> list[Bytes]:
        """Return a block as CSV lines, in pieces."""
        own = TextTable.of(_coordinates(columns.lat_e6, columns.lng_e6))
        pieces = [
            _stamped_ids(columns),
            own.followed_by(self._places).take(columns.point),
            self._money(columns.amount_cents),
            self._types_and_terminals(columns),
            self._bins.take(columns.bin_row),
            self._cards_and_bins(columns),
            self._statuses_and_merchants(columns),
            self._rates.take(columns.bin_row),
            self._money(columns.cost_cents),
            self._money(columns.mdr_cents),
            self._money(columns.mdr_cents - columns.cost_cents),
        ]
        return [*concatenated(pieces, end="\n")]

    def _money(self, cents: IntArray) -> pl.Series:
        if len(cents) and (cents.min() < _LEAST_CENTS or cents.max() > _MOST_CENTS):
            return _amounts(cents)
        return self._amounts.take(cents - _LEAST_CENTS)

    def _types_and_terminals(self, columns: TransactionColumns) -> pl.Series:
        """Return "payment_type,terminal_id": a terminal is card-present, the rest have none."""
        n = len(columns.terminals)
        rows = np.empty(n, _TERMINAL)
        rows["prefix"] = _PRESENT.encode()
        write_number(rows, ("high", "low"), columns.terminals)
        elsewhere = columns.payment_type + np.int64(n)
        texts = TextTable.of_rows(rows).followed_by(self._types)
        return texts.take(np.where(columns.terminal >= 0, columns.terminal, elsewhere))

    def _statuses_and_merchants(self, columns: TransactionColumns) -> pl.Series:
        """Return "payment_status,merchant_id"; each status has a row of merchants in the table."""
        n = len(columns.merchants)
        rows = np.empty((len(_STATUSES), n), _STATUS_AND_MERCHANT)
        rows["status"] = _STATUSES[:, None]
        write_number(rows, ("high", "low"), columns.merchants + 1)
        table = TextTable.of_rows(rows.ravel(), np.repeat(_STATUS_PADDING, n))
        return table.take(columns.status * np.int64(n) + columns.merchant)

    def _cards_and_bins(self, columns: TransactionColumns) -> pl.Series:
        rows = np.empty(len(columns), _CARD_AND_BIN)
        rows["prefix"], rows["comma"] = b",CARD", b","
        write_number(rows, ("high", "middle", "low"), columns.card)
        first_four, last_two = self._bin_digits
        rows["bin_4"] = first_four[columns.bin_row]
        rows["bin_2"] = last_two[columns.bin_row]
        return text_series(rows)


def _amounts(cents: IntArray) -> pl.Series:
    return "," + decimal_series(cents, 12, 2).cast(pl.String)


def _coordinates(lat_e6: NDArray[np.int32], lng_e6: NDArray[np.int32]) -> pl.Series:
    pair = pl.DataFrame(
        [decimal_series(lat_e6, 9, 6), decimal_series(lng_e6, 9, 6)], ["lat", "lng"]
    )
    comma = pl.lit(",")
    lat, lng = pl.col("lat").cast(pl.String), pl.col("lng").cast(pl.String)
    return pair.select(pl.concat_str(comma, lat, comma, lng)).to_series()


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


@dataclass(eq=False)
class CompressedEncoder(CsvEncoder):
    """Compressed CSV text, a piece for each block: what one piece holds is a part of the format."""

    compression: Compression = "none"
    takes_one_block: ClassVar[bool] = True

    def encode(self, columns: TransactionColumns) -> list[Bytes]:
        """Return a block as a piece of a compressed file."""
        return [compress(b"".join(super().encode(columns)), self.compression)]


@dataclass(eq=False)
class ArrowEncoder(Encoder):
    """Arrow IPC streams of blocks with exact types: the spool of Parquet files."""

    rules: Rules

    def prepare(self) -> None:
        """Do nothing: the frames are made of what the reference holds."""

    def encode(self, columns: TransactionColumns) -> list[Bytes]:
        """Return a block as an Arrow IPC stream of its own."""
        return [arrow_stream(transactions_frame(columns, self.rules))]
