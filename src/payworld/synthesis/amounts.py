"""Ticket sizes, and the money that a payment costs and earns."""

from __future__ import annotations

import numpy as np

from payworld.randomness import Generator, draw_bits
from payworld.synthesis.volumes import LEVELS
from payworld.world.arrays import BoolArray, FloatArray, Int32Array, IntArray

__all__ = ["KNOTS", "amount_table", "draw_amounts", "fee_cents"]

# Knots of each quantile function; amounts between two are interpolated in whole cents.
KNOTS = 1025

_STEP_BITS = 22  # 32 bits of a draw less the 10 that pick one of 1,024 steps
_STEP_MASK = np.uint32((1 << _STEP_BITS) - 1)

# On the scale log(amount / low) / log(high / low), a merchant's tickets are bell-shaped around
# its own centre: a log-normal cut to the range, which leaves the mean well below the middle.
LOWEST_CENTRE, HIGHEST_CENTRE, SPREAD = 0.22, 0.58, 0.18


def amount_table(ranges: list[tuple[float, float]]) -> Int32Array:
    """Return quantiles of the amount in cents, shape (sizes * LEVELS * KNOTS,).

    Row size * LEVELS + level holds the KNOTS quantiles of a merchant of that size and level.
    """
    grid = np.linspace(0.0, 1.0, 2001)
    centres = np.linspace(LOWEST_CENTRE, HIGHEST_CENTRE, LEVELS)
    probabilities = np.linspace(0.0, 1.0, KNOTS)
    quantiles: list[FloatArray] = []
    for centre in centres:
        density = np.exp(-0.5 * ((grid - centre) / SPREAD) ** 2)
        steps = (density[1:] + density[:-1]) / 2
        cumulative = np.concatenate([[0.0], np.cumsum(steps)])
        quantiles.append(np.interp(probabilities, cumulative / cumulative[-1], grid))
    positions = np.array(quantiles)
    rows = [low * 100 * (high / low) ** positions for low, high in ranges]
    return np.rint(np.concatenate(rows)).astype(np.int32).ravel()


def draw_amounts(rng: Generator, table: Int32Array, row: IntArray) -> IntArray:
    """Draw one amount per payment, in cents, shape of row (size * LEVELS + level).

    >>> table = amount_table([(5.0, 100.0)])
    >>> from payworld.randomness import stream
    >>> amounts = draw_amounts(stream(7, "doc"), table, np.zeros(1000, np.int64))
    >>> bool(amounts.min() >= 500 and amounts.max() <= 10_000)
    True
    """
    bits = draw_bits(rng, len(row))
    knot = row * KNOTS
    knot += bits >> np.uint32(_STEP_BITS)
    low = table[knot].astype(np.int64)
    rise = table[1:][knot] - low
    rise *= (bits & _STEP_MASK).astype(np.int64)
    rise >>= _STEP_BITS
    return low + rise


def fee_cents(amount_cents: IntArray, rate_bps: IntArray, approved: BoolArray) -> IntArray:
    """Return amount times rate in cents, rounded half up; 0 where not approved.

    >>> fee_cents(np.array([4550]), np.array([320]), np.array([True]))
    array([146])
    """
    fees = amount_cents * rate_bps
    fees += 5_000
    fees //= 10_000
    fees *= approved
    return fees
