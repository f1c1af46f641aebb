"""The merchant versions of a world, to be looked up by merchant and day."""

from __future__ import annotations

import numpy as np

from payworld.synthesis.places import merchant_coordinates
from payworld.world.arrays import IntArray
from payworld.world.reference import Places
from payworld.world.state import Change, World

__all__ = ["VersionsInForce"]

# Merchant and day in one number, for one search in the sorted versions.
DAY_SPAN = 1 << 22


class VersionsInForce:
    """Every version's MDR and place, by merchant and first day; lives for a verification.

    `mdr_bps`, `lat_e6` and `lng_e6` are columns to be indexed with what `rows_at` returns.
    """

    def __init__(self, world: World, places: Places) -> None:
        def column(name: str) -> IntArray:
            parts = [getattr(batch, name) for batch in world.versions]
            return np.concatenate(parts).astype(np.int64)

        owner, effective = column("merchant"), column("effective")
        order = np.argsort(owner * DAY_SPAN + effective, kind="stable")
        owner, effective = owner[order], effective[order]
        self._keys = owner * DAY_SPAN + effective
        self.mdr_bps = column("mdr_bps")[order]
        is_first = np.diff(owner, prepend=-1) != 0
        moved = is_first | (column("change")[order] == Change.ADDRESS)
        # The last day of a move so far; keys ascend, so a merchant's first version begins anew.
        located = np.maximum.accumulate(np.where(moved, self._keys, 0)) - owner * DAY_SPAN
        place = column("place")[order]
        self.lat_e6, self.lng_e6 = merchant_coordinates(
            world.seed, owner, located.astype(np.int32), place.astype(np.int32), places
        )

    def rows_at(self, merchants: IntArray, days: IntArray) -> IntArray:
        """Return the rows of the versions in force of merchants (ordinals) on days."""
        at = np.searchsorted(self._keys, merchants * DAY_SPAN + days, side="right") - 1
        return np.maximum(at, 0)
