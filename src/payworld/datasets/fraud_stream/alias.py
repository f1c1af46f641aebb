"""Skewed draws in O(1): Zipf weights and Walker's alias tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payworld.world.arrays import FloatArray, Int32Array

__all__ = ["AliasTable", "zipf_weights"]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def zipf_weights(n: int, exponent: float) -> FloatArray:
    """Return the shares of ranks 1 to n, proportional to rank^-exponent, shape (n,).

    >>> zipf_weights(2, 1.0).round(3).tolist()
    [0.667, 0.333]
    """
    weights: FloatArray = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    weights /= weights.sum()
    return weights


@dataclass(frozen=True, eq=False)
class AliasTable:
    """Draws indices from weights with 64 random bits each; lives as long as its catalog.

    `entries` holds, for each index, its threshold (high half) and its alias (low half).
    """

    entries: NDArray[np.uint64]

    @classmethod
    def of(cls, weights: NDArray[np.float64]) -> AliasTable:
        """Return the table of non-negative weights, built without a loop.

        Light entries (below the mean) are filled up by heavy ones in order. Prefix sums of what
        the light lack and the heavy have to spare tell who fills whom (Hubschle-Schneider and
        Sanders, "Parallel Weighted Random Sampling", 2019).
        """
        scaled = weights / weights.sum() * len(weights)
        # Rounding may put all of them just below the mean.
        scaled[np.argmax(scaled)] = max(float(scaled.max()), 1.0)
        light = np.flatnonzero(scaled < 1)
        heavy = np.flatnonzero(scaled >= 1)
        lacking = np.concatenate([[0.0], np.cumsum(1 - scaled[light])])
        spare = np.cumsum(scaled[heavy] - 1)
        share, alias = scaled.copy(), np.arange(len(weights))
        giver = np.minimum(np.searchsorted(spare, lacking[:-1], side="right"), len(heavy) - 1)
        alias[light] = heavy[giver]
        # A heavy entry keeps what its last taker left of it; the next heavy one fills the rest.
        taken = lacking[np.searchsorted(lacking[:-1], spare[:-1], side="left")]
        share[heavy[:-1]] = np.clip(1 + spare[:-1] - taken, 0, 1)
        alias[heavy[:-1]] = heavy[1:]
        share[heavy[-1:]] = 1
        threshold = np.minimum(np.rint(share * 2.0**32), 2.0**32 - 1).astype(np.uint64)
        alias[share >= 1] = np.flatnonzero(share >= 1)
        return cls(threshold << _HALF | alias.astype(np.uint64))

    def pick(self, bits: NDArray[np.uint64]) -> Int32Array:
        """Return an index for each 64 random bits, dtype int32."""
        index = ((bits >> _HALF) * np.uint64(len(self.entries)) >> _HALF).astype(np.int64)
        entry = self.entries[index]
        alias = (entry & _LOW).astype(np.int32)
        own = (bits & _LOW) < (entry >> _HALF)
        return np.where(own, index.astype(np.int32), alias)
