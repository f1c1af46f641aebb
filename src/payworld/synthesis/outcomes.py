"""How the card was used and how the payment ended: draws from a few named shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from payworld.randomness import Generator, draw_bits
from payworld.world.arrays import ByteArray

__all__ = ["draw_categories"]


def draw_categories(rng: Generator, edges: NDArray[np.uint64], n: int) -> ByteArray:
    """Draw n category codes, dtype uint8; edges are inner edges on the scale of 32 bits.

    >>> from payworld.randomness import stream
    >>> half = np.array([2**31], dtype=np.uint64)
    >>> sorted(set(draw_categories(stream(7, "doc"), half, 100).tolist()))
    [0, 1]
    """
    bits = draw_bits(rng, n)
    codes = np.zeros(n, np.uint8)
    for edge in edges.tolist():
        # An edge at 2^32 is a share of nothing above it; uint32 cannot hold it.
        if edge < 1 << 32:
            codes += bits >= np.uint32(edge)
    return codes
