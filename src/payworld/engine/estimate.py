"""How many rows a period will have, before it is made."""

from __future__ import annotations

import calendar
from datetime import date

import numpy as np

from payworld.config.model import SIZES
from payworld.storage.style import FileStyle
from payworld.synthesis.rules import Rules
from payworld.synthesis.volumes import LEVELS, LOWEST_MEAN, MEAN_SPREAD
from payworld.timeline import Period, month_chunks, weekday
from payworld.world.arrays import FloatArray
from payworld.world.state import World

__all__ = ["expected_bytes", "expected_first_rows", "expected_rows"]

# Bytes of a payment as measured in the default world; Parquet is spooled for a month first.
_PAYMENT_BYTES = {"csv": 165, "gzip": 40, "zstd": 37, "parquet": 25}
_SPOOLED_BYTES = 290


def _mean_counts(rules: Rules, month: int) -> FloatArray:
    """Return the mean payments of an active day by size, shape (3,)."""
    ranges = [getattr(rules.config.merchant_sizes, size).daily_tx_range for size in SIZES]
    low, high = np.array(ranges, dtype=np.float64).T
    part = float(np.mean(LOWEST_MEAN + MEAN_SPREAD * ((np.arange(LEVELS) + 0.5) / LEVELS) ** 2))
    factor = rules.config.seasonality.factors[month - 1]
    means: FloatArray = np.clip(factor * (low + (high - low) * part), low, high)
    return means


def expected_rows(world: World, rules: Rules, period: Period) -> int:
    """Return about how many payments a period will have, growth and churn included."""
    merchants = world.merchants
    by_size = np.bincount(merchants.size[merchants.active], minlength=3).astype(np.float64)
    return _rows_of(by_size, rules, period)


def expected_bytes(world: World, rules: Rules, period: Period, style: FileStyle) -> int:
    """Return about how many bytes the payments of a period will take while they are made."""
    rows = expected_rows(world, rules, period)
    kind = style.format if style.compression == "none" else style.compression
    spooled = rows * min(31, period.days) // period.days if kind == "parquet" else 0
    return rows * _PAYMENT_BYTES[kind] + spooled * _SPOOLED_BYTES


def expected_first_rows(rules: Rules, period: Period) -> int:
    """Return about how many payments a world will have that is born at a period's start."""
    return _rows_of(rules.config.initial_merchants * _size_mix(rules), rules, period)


def _size_mix(rules: Rules) -> FloatArray:
    shares = rules.config.merchant_size_distribution
    return np.array([shares.small, shares.medium, shares.large])


def _rows_of(by_size: FloatArray, rules: Rules, period: Period) -> int:
    config, mix = rules.config, _size_mix(rules)
    total = 0.0
    for chunk in month_chunks(period):
        first = date.fromordinal(chunk.start)
        part = chunk.days / calendar.monthrange(first.year, first.month)[1]
        active = by_size.sum()
        opened = min(config.monthly_growth_rate * active, config.max_new_merchants_per_month)
        closed = min(config.monthly_churn_rate * active, config.max_churned_merchants_per_month)
        change = (opened * mix - closed * by_size / max(active, 1)) * part
        weekends = sum(weekday(day) >= 5 for day in range(chunk.start, chunk.end + 1))
        trading = rules.trading @ np.array([chunk.days - weekends, weekends])
        total += float(((by_size + change / 2) * trading * _mean_counts(rules, first.month)).sum())
        by_size = np.maximum(by_size + change, 0)
    return round(total)
