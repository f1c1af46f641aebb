"""When payments happen within a day: a curve over the business hours."""

from __future__ import annotations

import numpy as np

from payworld.config.model import BusinessHours
from payworld.randomness import Generator, draw_bits
from payworld.world.arrays import Int32Array, IntArray
from payworld.world.reference import LOOKUP_BITS, lookup_table

__all__ = ["draw_time_order", "time_slots"]

SLOT_SECONDS = 900

_LOW_BITS = np.uint32((1 << LOOKUP_BITS) - 1)


def time_slots(hours: BusinessHours) -> Int32Array:
    """Return a lookup table of 65,536 quarter-hours, as their first second of the day.

    A quarter-hour fills the share that the curve gives it: a base and the peaks' bells.
    """
    starts = np.arange(hours.opens_at * 3600, hours.closes_at * 3600, SLOT_SECONDS)
    middle = (starts + SLOT_SECONDS / 2) / 3600
    curve = np.full(len(starts), float(hours.base_weight))
    for peak in hours.peaks:
        curve += peak.weight * np.exp(-0.5 * ((middle - peak.hour) / peak.spread_hours) ** 2)
    return starts[lookup_table(curve)].astype(np.int32)


def draw_time_order(rng: Generator, slots: Int32Array, n: int) -> tuple[Int32Array, IntArray]:
    """Draw n times and put them in order.

    Returns the seconds of the day, ascending, and which payment (0 to n-1, as counted by
    merchant) each belongs to; both of shape (n,). Equal seconds keep the order of merchants.
    """
    bits = draw_bits(rng, n)
    seconds = slots[bits >> LOOKUP_BITS].astype(np.uint64)
    seconds += ((bits & _LOW_BITS) * np.uint32(SLOT_SECONDS)) >> np.uint32(LOOKUP_BITS)
    # One sort of plain integers is several times faster than an argsort.
    seconds <<= np.uint64(40)
    seconds |= np.arange(n, dtype=np.uint64)
    seconds.sort()
    payment = (seconds & np.uint64((1 << 40) - 1)).astype(np.int64)
    return (seconds >> np.uint64(40)).astype(np.int32), payment
