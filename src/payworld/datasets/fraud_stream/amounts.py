"""How much is paid: the configured distribution, rounded to cents."""

from __future__ import annotations

import numpy as np

from payworld.datasets.fraud_stream.config import FeatureConfig
from payworld.randomness import Generator
from payworld.world.arrays import FloatArray

__all__ = ["amounts_of", "draw_amounts", "rounded"]


def rounded(amounts: FloatArray, feature: FeatureConfig) -> FloatArray:
    """Return amounts in whole cents, at least 0.01 each, and in the range of uniform ones."""
    cents = np.maximum(np.rint(amounts * 100), 1)
    if feature.amount_distribution == "uniform":
        # Rounding may not leave the range.
        cents = np.clip(cents, *feature.uniform_cents)
    return cents / 100


def draw_amounts(rng: Generator, n: int, feature: FeatureConfig) -> FloatArray:
    """Draw n amounts in the currency's units, in whole cents, shape (n,)."""
    if feature.amount_distribution == "uniform":
        return amounts_of(rng.random(n), np.empty(0), feature)
    return amounts_of(np.empty(0), rng.standard_normal(n), feature)


def amounts_of(uniform: FloatArray, normal: FloatArray, feature: FeatureConfig) -> FloatArray:
    """Return the amounts of standard draws: uniform ones for uniform, else normal ones."""
    if feature.amount_distribution == "uniform":
        low, high = feature.uniform_min, feature.uniform_max
        return rounded(low + (high - low) * uniform, feature)
    if feature.amount_distribution == "normal":
        return rounded(feature.normal_mean + feature.normal_std * normal, feature)
    return rounded(np.exp(feature.lognormal_mean + feature.lognormal_sigma * normal), feature)
