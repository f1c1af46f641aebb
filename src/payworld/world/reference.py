"""Reference tables that the world is made of: US places and card BINs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from payworld.world.arrays import Int32Array, IntArray

__all__ = ["Bins", "Places", "Reference", "lookup_table"]

# Entries of a weighted lookup table: 16 bits of a draw index it, and it stays in cache.
LOOKUP_BITS = 16


def lookup_table(weights: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return a table of 65,536 indices in which index i fills a share of weights[i].

    Indexing it with 16 uniform bits draws from the weights in O(1). Cumulative rounding keeps
    every share within one entry of its weight. Up to 65,536 weights.

    >>> table = lookup_table(np.array([1.0, 3.0]))
    >>> int((table == 0).sum())
    16384
    """
    edges = np.cumsum(weights) / weights.sum() * (1 << LOOKUP_BITS)
    counts = np.diff(np.rint(edges).astype(np.int64), prepend=0)
    return np.repeat(np.arange(len(weights), dtype=np.uint16), counts)


@dataclass(frozen=True, eq=False)
class Places:
    """US places, one for each ZIP code; columns of equal length; lives as long as the program.

    Latitude and longitude are in millionths of a degree (WGS 84).
    """

    zip_code: list[str]
    city: list[str]
    state: list[str]
    area_code: list[str]
    time_zone: list[str]
    lat_e6: Int32Array
    lng_e6: Int32Array
    population: IntArray

    def __len__(self) -> int:
        return len(self.zip_code)

    @cached_property
    def by_population(self) -> NDArray[np.uint16]:
        """Return a lookup table that draws places as people live."""
        return lookup_table(self.population.astype(np.float64))

    @cached_property
    def index_of_zip(self) -> dict[str, int]:
        """Return the row of each ZIP code."""
        return {code: row for row, code in enumerate(self.zip_code)}

    @cached_property
    def neighbours(self) -> dict[tuple[str, str], IntArray]:
        """Return the rows of each (state, area code), ascending: where a local move may go."""
        rows: dict[tuple[str, str], list[int]] = {}
        for row, key in enumerate(zip(self.state, self.area_code, strict=True)):
            rows.setdefault(key, []).append(row)
        return {key: np.array(value, dtype=np.int64) for key, value in rows.items()}


@dataclass(frozen=True, eq=False)
class Bins:
    """Card BINs; columns of equal length; lives as long as the program.

    A BIN has one brand, type and issuer. `weight` is relative within (type, brand).
    """

    bin: list[str]
    brand: list[str]
    card_type: list[str]
    issuer: list[str]
    weight: IntArray

    def __len__(self) -> int:
        return len(self.bin)

    @cached_property
    def index_of_bin(self) -> dict[str, int]:
        """Return the row of each BIN."""
        return {code: row for row, code in enumerate(self.bin)}


@dataclass(frozen=True, eq=False)
class Reference:
    """All reference tables; lives as long as the program."""

    places: Places
    bins: Bins
