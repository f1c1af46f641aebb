"""Who trades on a day, and how many payments each merchant takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from payworld.randomness import Generator, hash_bits
from payworld.world.arrays import (
    BoolArray,
    ByteArray,
    FloatArray,
    Int32Array,
    IntArray,
    frozen,
)

__all__ = [
    "LEVELS",
    "CountTable",
    "count_table",
    "draw_counts",
    "draw_trading",
    "merchant_levels",
    "trading_chances",
]

# Merchants differ: each has one of 16 levels of volume, and of ticket size, for life.
LEVELS = 16

# Mean days of a month: 365.25 / 12.
MONTH_DAYS = 30.4375

# Mean payments of a day lie at these parts of the size's range; the mean over merchants is at
# 0.23, so that most are small, and at 0.53 at the most, so that a factor of 1.5 still fits.
LOWEST_MEAN, MEAN_SPREAD = 0.08, 0.45

# Shape of the counts around their mean: about that of a gamma distribution with shape 1.8.
COUNT_SHAPE = 0.8


def merchant_levels(seed: int, trait: str, ordinals: IntArray) -> IntArray:
    """Return the level (0 to 15) of a trait that each merchant keeps for life."""
    return (hash_bits(seed, trait, ordinals) >> np.uint64(60)).astype(np.int64)


def trading_chances(active_days_per_month: list[float], weekend: float) -> FloatArray:
    """Return the chance to trade by size and day kind (0 weekday, 1 weekend), shape (3, 2).

    The weekend's chance is `weekend` times a weekday's, and the mean over a week gives the days
    a month. Where a weekday's chance would exceed 1, the rest falls on weekends.

    >>> trading_chances([22.0], 0.7).round(3)
    array([[0.791, 0.553]])
    """
    a_week = 7 * np.minimum(np.array(active_days_per_month) / MONTH_DAYS, 1.0)
    weekday = np.minimum(a_week / (5 + 2 * weekend), 1.0)
    # The difference is taken only where a weekday is full: else rounding noise would enter.
    weekends = np.where(weekday < 1, weekday * weekend, (a_week - 5) / 2)
    return np.stack([weekday, weekends], axis=1)


def draw_trading(
    rng: Generator, active: BoolArray, size: ByteArray, chances: FloatArray, is_weekend: bool
) -> IntArray:
    """Draw which active merchants trade today; ordinals ascending."""
    draws = rng.random(len(active))
    chance: FloatArray = chances[:, int(is_weekend)][size]
    return np.flatnonzero(active & (draws < chance))


@dataclass(frozen=True, eq=False)
class CountTable:
    """Inverse distribution of payments a day, by size and level; lives with the rules.

    `edges` holds the cumulative distributions one after another, row r raised by r, so that one
    search serves all merchants. `start` and `low` are per row: first edge, fewest payments.
    """

    edges: FloatArray
    start: IntArray
    low: IntArray


def _tilted(width: int, means: FloatArray) -> NDArray[np.float64]:
    """Return distributions over 0..width-1 with the given means, shape (len(means), width).

    p(i) is proportional to (i + 1/2)^shape * exp(theta * i), theta solved by bisection.
    """
    steps = np.arange(width, dtype=np.float64)
    base = COUNT_SHAPE * np.log(steps + 0.5)
    low, high = np.full(len(means), -40.0), np.full(len(means), 40.0)
    weights = np.ones((len(means), width))
    for _ in range(50):
        theta = (low + high) / 2
        logs = base + theta[:, None] * steps
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        too_high = weights @ steps > means
        high, low = np.where(too_high, theta, high), np.where(too_high, low, theta)
    return weights


@lru_cache(maxsize=48)
def count_table(ranges: tuple[tuple[int, int], ...], factor: float) -> CountTable:
    """Return the table of payments a day for a season's factor.

    A count always lies in its size's range; the factor multiplies the mean, as far as it fits.
    """
    edges, starts, lows = [], [], []
    at = 0
    for size, (low, high) in enumerate(ranges):
        width = high - low + 1
        parts = LOWEST_MEAN + MEAN_SPREAD * ((np.arange(LEVELS) + 0.5) / LEVELS) ** 2
        means = factor * (low + (high - low) * parts) - low
        means = np.clip(means, 0.0, width - 1.0)
        for level, chances in enumerate(_tilted(width, means)):
            row = size * LEVELS + level
            edges.append(np.minimum(np.cumsum(chances), 1.0) + row)
            edges[-1][-1] = row + 1
            starts.append(at)
            lows.append(low)
            at += width
    return CountTable(*map(frozen, (np.concatenate(edges), np.array(starts), np.array(lows))))


def draw_counts(rng: Generator, table: CountTable, size: ByteArray, level: IntArray) -> Int32Array:
    """Draw the payments of each trading merchant today, shape of size."""
    row = size.astype(np.int64) * LEVELS + level
    found = np.searchsorted(table.edges, row + rng.random(len(row)), side="right")
    counts: IntArray = found - table.start[row] + table.low[row]
    return counts.astype(np.int32)
