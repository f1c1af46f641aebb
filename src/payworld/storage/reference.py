"""Reads the reference tables that ship with the package."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from payworld.storage.package_tables import read_package_table
from payworld.world.arrays import frozen
from payworld.world.reference import Bins, Places, Reference

__all__ = ["load_reference"]


def _millionths(degrees: list[str]) -> NDArray[np.int32]:
    return frozen(np.rint(np.array(degrees, dtype=np.float64) * 1e6).astype(np.int32))


@lru_cache(maxsize=1)
def load_reference() -> Reference:
    """Return the places and BINs of this version; read once a process."""
    places = read_package_table("payworld.storage", "us_places.csv")
    bins = read_package_table("payworld.storage", "card_bins.csv")
    return Reference(
        Places(
            zip_code=places["zip_code"],
            city=places["city"],
            state=places["state"],
            area_code=places["area_code"],
            time_zone=places["time_zone"],
            lat_e6=_millionths(places["latitude"]),
            lng_e6=_millionths(places["longitude"]),
            population=frozen(np.array(places["population"], dtype=np.int64)),
        ),
        Bins(
            bin=bins["bin"],
            brand=bins["brand"],
            card_type=bins["card_type"],
            issuer=bins["issuer"],
            weight=frozen(np.array(bins["weight"], dtype=np.int64)),
        ),
    )
