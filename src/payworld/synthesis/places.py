"""Where payments happen: at the merchant's place, or at the buyer's."""

from __future__ import annotations

import numpy as np

from payworld.randomness import Generator, hash_bits
from payworld.world.arrays import Int32Array, IntArray
from payworld.world.reference import LOOKUP_BITS, Places

__all__ = ["draw_buyer_places", "merchant_coordinates"]

# A merchant stands up to 0.015 degrees (about a mile) from its ZIP code's centre.
JITTER_E6 = 15_000


def merchant_coordinates(
    seed: int, ordinals: IntArray, located: Int32Array, place: Int32Array, places: Places
) -> tuple[Int32Array, Int32Array]:
    """Return latitude and longitude of merchants, in millionths of a degree, shape of ordinals.

    A pure function of the merchant and the day on which its present address took effect.
    """
    key = ordinals * (1 << 22) + located
    bits = hash_bits(seed, "merchant_place", key)
    span = np.uint64(2 * JITTER_E6 + 1)
    north = ((bits >> np.uint64(32)) % span).astype(np.int32) - JITTER_E6
    east = ((bits & np.uint64(0xFFFFFFFF)) % span).astype(np.int32) - JITTER_E6
    return places.lat_e6[place] + north, places.lng_e6[place] + east


def draw_buyer_places(rng: Generator, places: Places, n: int) -> IntArray:
    """Draw the place of n buyers, as people live: rows of the place table, shape (n,)."""
    bits = rng.integers(0, 1 << LOOKUP_BITS, size=n, dtype=np.uint16)
    return places.by_population[bits].astype(np.int64)
