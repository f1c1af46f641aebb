"""The registry of shapes that a day's peaks can have."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from payworld.world.arrays import FloatArray

__all__ = ["DISTRIBUTIONS", "PeakCdf"]

PeakCdf = Callable[[FloatArray, float, float], FloatArray]


def _gaussian(hours: FloatArray, mean_hour: float, std_hours: float) -> FloatArray:
    """Return the share of a wrapped Gaussian that lies in [0, hour), shape of hours."""
    total = np.zeros(len(hours))
    root = math.sqrt(2) * std_hours
    # Days far enough away hold nothing: nine standard deviations are below 1e-18.
    reach = math.ceil(9 * std_hours / 24) + 1
    for day in range(-reach, reach + 1):
        shift = 24 * day - mean_hour
        at_midnight = math.erf(shift / root)
        total += [(math.erf((hour + shift) / root) - at_midnight) / 2 for hour in hours]
    return total


def _uniform(hours: FloatArray, mean_hour: float, std_hours: float) -> FloatArray:
    """Return the share of a wrapped flat peak that lies in [0, hour), shape of hours."""
    half = min(math.sqrt(3) * std_hours, 12.0)
    total = np.zeros(len(hours))
    for day in (-1, 0, 1):
        low, high = mean_hour - half + 24 * day, mean_hour + half + 24 * day
        total += np.clip(hours, low, high) - min(max(0.0, low), high)
    return total / (2 * half)


DISTRIBUTIONS: dict[str, PeakCdf] = {"gaussian": _gaussian, "uniform": _uniform}
