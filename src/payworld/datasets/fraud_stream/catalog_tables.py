"""Catalogs as Arrow tables, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.arrow import dictionary, numbers, strings
from payworld.datasets.fraud_stream.catalogs import Cards, Catalogs, Coded, Merchants
from payworld.datasets.fraud_stream.pans import SCHEMES
from payworld.datasets.fraud_stream.texts import fixed_strings, numbered
from payworld.world.arrays import IntArray

__all__ = ["from_tables", "to_tables"]


def to_tables(catalogs: Catalogs) -> dict[str, pa.Table]:
    """Return the catalogs as the Arrow tables customers, merchants and cards."""
    merchants, cards = catalogs.merchants, catalogs.cards
    customers = catalogs.customer_weight

    def ids(prefix: str, numbers: IntArray) -> pa.Array:
        return fixed_strings(numbered(prefix, numbers), 9)

    scheme = dictionary(cards.scheme, strings(SCHEMES)).cast(pa.string())
    return {
        "customers": pa.table(
            {
                "customer_id": ids("C", np.arange(1, len(customers) + 1)),
                "weight": numbers(customers),
            }
        ),
        "merchants": pa.table(
            {
                "merchant_id": ids("M", np.arange(1, len(merchants) + 1)),
                "mcc_code": merchants.mcc.to_arrow(),
                "merchant_country": merchants.country.to_arrow(),
                "currency_code": merchants.currency.to_arrow(),
                "latitude": numbers(merchants.latitude),
                "longitude": numbers(merchants.longitude),
                "local_time_offset": numbers(merchants.offset_minutes),
                "risk": numbers(merchants.risk),
                "weight": numbers(merchants.weight),
            }
        ),
        "cards": pa.table(
            {
                "card_pan_hash": fixed_strings(cards.pan_hash, 64),
                "card_scheme": scheme,
                "card_exp_year": numbers(cards.exp_year),
                "card_exp_month": numbers(cards.exp_month),
                "customer_id": ids("C", cards.customer.astype(np.int64) + 1),
                "risk": numbers(cards.risk),
                "weight": numbers(cards.weight),
            }
        ),
    }


def from_tables(tables: dict[str, pa.Table]) -> Catalogs:
    """Return the catalogs of the Arrow tables that `to_tables` makes."""
    merchants, cards = tables["merchants"], tables["cards"]

    def plain(table: pa.Table, name: str) -> Any:
        return table[name].combine_chunks().to_numpy()

    def texts(table: pa.Table, name: str) -> pa.Array:
        return table[name].combine_chunks()

    def raw(array: pa.Array, width: int) -> NDArray[np.uint8]:
        data = np.frombuffer(array.buffers()[2], np.uint8)
        return data[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)

    digits = raw(texts(cards, "customer_id"), 9)[:, 1:].astype(np.int64) - ord("0")
    scheme = Coded.of_arrow(texts(cards, "card_scheme"))
    return Catalogs(
        plain(tables["customers"], "weight"),
        Merchants(
            mcc=Coded.of_arrow(texts(merchants, "mcc_code")),
            country=Coded.of_arrow(texts(merchants, "merchant_country")),
            currency=Coded.of_arrow(texts(merchants, "currency_code")),
            latitude=plain(merchants, "latitude"),
            longitude=plain(merchants, "longitude"),
            offset_minutes=plain(merchants, "local_time_offset"),
            risk=plain(merchants, "risk"),
            weight=plain(merchants, "weight"),
        ),
        Cards(
            scheme=np.array([SCHEMES.index(v) for v in scheme.values], np.int8)[scheme.codes],
            exp_year=plain(cards, "card_exp_year"),
            exp_month=plain(cards, "card_exp_month"),
            customer=(digits @ 10 ** np.arange(7, -1, -1) - 1).astype(np.int32),
            pan_hash=raw(texts(cards, "card_pan_hash"), 64).view(np.uint32),
            risk=plain(cards, "risk"),
            weight=plain(cards, "weight"),
        ),
    )
