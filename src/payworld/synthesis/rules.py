"""The configuration compiled into lookup tables: built once a run, then only indexed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payworld.config import WorldConfig
from payworld.config.model import BRANDS, CARD_TYPES, SIZES
from payworld.randomness import hash_bits
from payworld.synthesis.amounts import amount_table
from payworld.synthesis.times import time_slots
from payworld.synthesis.volumes import CountTable, count_table, trading_chances
from payworld.world.arrays import Int32Array, IntArray
from payworld.world.reference import LOOKUP_BITS, Bins, Reference, lookup_table

__all__ = ["BLOCK", "Rules", "compile_rules"]

# Merchants in a block: a part of the data format, never a worker's share.
BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Rules:
    """A configuration with its tables; lives as long as the configuration is in force."""

    config: WorldConfig
    reference: Reference
    slots: Int32Array
    amounts: Int32Array
    trading: NDArray[np.float64]
    terminals: IntArray
    type_edges: NDArray[np.uint64]
    status_edges: NDArray[np.uint64]
    bin_lookup: NDArray[np.uint16]
    cost_bps: IntArray

    def counts(self, month: int) -> CountTable:
        """Return the table of payments a day in a month (1 to 12), made when first wanted."""
        ranges = tuple(getattr(self.config.merchant_sizes, s).daily_tx_range for s in SIZES)
        return count_table(ranges, self.config.seasonality.factors[month - 1])

    def draw_bin_rows(self, card_ordinals: IntArray) -> NDArray[np.uint16]:
        """Return the BIN row of each card: a pure function of seed and ordinal."""
        bits = hash_bits(self.config.seed, "card", card_ordinals)
        rows: NDArray[np.uint16] = self.bin_lookup[bits >> np.uint64(64 - LOOKUP_BITS)]
        return rows


def _edges(shares: list[float]) -> NDArray[np.uint64]:
    """Return the inner edges of shares on the scale of 32-bit draws, shape (len - 1,)."""
    return np.rint(np.cumsum(shares)[:-1] * 2.0**32).astype(np.uint64)


def _bin_weights(config: WorldConfig, bins: Bins) -> NDArray[np.float64]:
    types = np.array(bins.card_type)
    brands = np.char.lower(np.array(bins.brand))
    weights = np.zeros(len(bins))
    for card_type in CARD_TYPES:
        type_share = getattr(config.card_type_shares, card_type)
        brand_shares = getattr(config.card_brand_shares, card_type)
        for brand in BRANDS:
            group = (types == card_type) & (brands == brand)
            total = bins.weight[group].sum()
            if total:
                share = type_share * getattr(brand_shares, brand)
                weights[group] = share * bins.weight[group] / total
    return weights


def _cost_bps(config: WorldConfig, bins: Bins) -> IntArray:
    rates = config.transactional_cost_rates
    return np.array(
        [
            round(getattr(getattr(rates, card_type), brand.lower()) * 10_000)
            for card_type, brand in zip(bins.card_type, bins.brand, strict=True)
        ],
        dtype=np.int64,
    )


def compile_rules(config: WorldConfig, reference: Reference) -> Rules:
    """Return the tables of a configuration."""
    sizes = [getattr(config.merchant_sizes, size) for size in SIZES]
    return Rules(
        config=config,
        reference=reference,
        slots=time_slots(config.business_hours),
        amounts=amount_table([size.amount_range for size in sizes]),
        trading=trading_chances(
            [size.active_days_per_month for size in sizes], config.weekend_multiplier
        ),
        terminals=np.array([size.terminals_range for size in sizes], dtype=np.int64),
        type_edges=_edges([share for _, share in config.payment_types]),
        status_edges=_edges([share for _, share in config.payment_statuses]),
        bin_lookup=lookup_table(_bin_weights(config, reference.bins)),
        cost_bps=_cost_bps(config, reference.bins),
    )
