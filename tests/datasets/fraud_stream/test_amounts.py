"""Amounts are whole cents, whatever the distribution and its range."""

import math

import numpy as np
import polars as pl
import pytest
from tests.datasets.fraud_stream.builders import configured

from payworld.datasets.fraud_stream.api import generate
from payworld.errors import ConfigError


def amounts_of(**feature: object) -> np.ndarray:
    config = configured(feature={"recurring_share": 0.2, **feature}, total_rows=20_000)
    amounts = pl.concat(generate(config))["amount"].to_numpy()
    assert (amounts == np.rint(amounts * 100) / 100).all()
    assert amounts.min() >= 0.01
    return amounts


@pytest.mark.parametrize(
    ("least", "most"), [(3.333, 3.999), (0.01, 0.014), (19.991, 20.009), (3.33, 3.34)]
)
def test_uniform_amounts_are_the_whole_cents_of_their_range(least: float, most: float) -> None:
    amounts = amounts_of(amount_distribution="uniform", uniform_min=least, uniform_max=most)
    assert least <= amounts.min() <= amounts.max() <= most
    wanted = range(math.ceil(round(least * 100, 6)), math.floor(round(most * 100, 6)) + 1)
    assert set(np.rint(amounts * 100).astype(int).tolist()) == set(wanted)


@pytest.mark.parametrize("kind", ["lognormal", "normal", "uniform"])
def test_amounts_of_each_distribution_are_whole_cents(kind: str) -> None:
    amounts = amounts_of(amount_distribution=kind, lognormal_mean=-4.0, normal_mean=0.011)
    assert len(np.unique(amounts)) > 3


def test_a_uniform_range_without_a_whole_cent_is_refused() -> None:
    feature = {"amount_distribution": "uniform", "uniform_min": 3.331, "uniform_max": 3.339}
    with pytest.raises(ConfigError, match=r"uniform_max = 3\.339: there is no whole cent from"):
        configured(feature=feature)
