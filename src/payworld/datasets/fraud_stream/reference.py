"""Where merchants are, what they do, and what browsers buyers use: tables of the package."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.config import DEVICE_TYPES
from payworld.storage.package_tables import read_package_table
from payworld.storage.reference import load_reference
from payworld.world.arrays import FloatArray

__all__ = ["ATM_CATEGORY", "Categories", "Sites", "load_categories", "load_sites", "user_agents"]

PACKAGE = "payworld.datasets.fraud_stream"

# Automated cash disbursements: the category of those who run cash machines.
ATM_CATEGORY = "6011"

_US_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class Sites:
    """Places of merchants; columns of equal length; lives as long as the program."""

    country: list[str]
    currency: list[str]
    latitude: FloatArray
    longitude: FloatArray
    offset_minutes: NDArray[np.int16]
    weight: FloatArray


@dataclass(frozen=True, eq=False)
class Categories:
    """Merchant category codes of ISO 18245; lives as long as the program."""

    code: list[str]
    weight: FloatArray
    risk_tilt: FloatArray


def _standard_minutes(zone: str) -> int:
    """Return a zone's standard time in minutes from UTC: merchants keep theirs all year."""
    # Northern winter: no zone of the United States is on summer time.
    offset = datetime(2024, 1, 1, 12, tzinfo=ZoneInfo(zone)).utcoffset()
    return int(offset.total_seconds() // 60) if offset is not None else 0


@lru_cache(maxsize=1)
def load_sites() -> Sites:
    """Return the places of the United States and cities of other countries, by weight."""
    places = load_reference().places
    cities = read_package_table(PACKAGE, "merchant_cities.csv")
    home = len(places)
    offsets = {zone: _standard_minutes(zone) for zone in set(places.time_zone)}
    people = places.population.astype(np.float64)
    abroad = np.array(cities["weight"], np.float64)
    weight = [people / people.sum() * _US_SHARE, abroad / abroad.sum() * (1 - _US_SHARE)]
    return Sites(
        country=["US"] * home + cities["country"],
        currency=["USD"] * home + cities["currency"],
        latitude=np.concatenate([places.lat_e6 / 1e6, np.array(cities["latitude"], np.float64)]),
        longitude=np.concatenate([places.lng_e6 / 1e6, np.array(cities["longitude"], np.float64)]),
        offset_minutes=np.array(
            [offsets[zone] for zone in places.time_zone]
            + [int(minutes) for minutes in cities["offset_minutes"]],
            np.int16,
        ),
        weight=np.concatenate(weight),
    )


@lru_cache(maxsize=1)
def load_categories() -> Categories:
    """Return the merchant categories, cash machines left out: those have merchants of their own."""
    table = read_package_table(PACKAGE, "merchant_categories.csv")
    rows = [row for row, code in enumerate(table["mcc_code"]) if code != ATM_CATEGORY]
    return Categories(
        code=[table["mcc_code"][row] for row in rows],
        weight=np.array([float(table["weight"][row]) for row in rows]),
        risk_tilt=np.array([float(table["risk_tilt"][row]) for row in rows]),
    )


@lru_cache(maxsize=1)
def user_agents() -> tuple[list[str], list[tuple[int, int]]]:
    """Return the user agents, and the first row and count of each device type but POS."""
    table = read_package_table(PACKAGE, "user_agents.csv")
    types = table["device_type"]
    spans = [(types.index(name), types.count(name)) for name in DEVICE_TYPES[:3]]
    return table["user_agent"], spans
