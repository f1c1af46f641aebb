"""The defaults are those that the documents promise."""

from typing import Any

import pytest

from payworld.config import Config, WorldConfig

PROMISED: dict[str, Any] = {
    "seed": 42,
    "initial_merchants": 500,
    "monthly_growth_rate": 0.08,
    "max_new_merchants_per_month": 50,
    "monthly_churn_rate": 0.03,
    "max_churned_merchants_per_month": 30,
    "merchant_size_distribution": {"small": 0.70, "medium": 0.25, "large": 0.05},
    "card_store_probability": 0.01,
    "card_reuse_range": [0.05, 0.15],
    "output_dir": "raw_data",
    "state_dir": "state",
    "format": "csv",
}

SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "daily_tx_range": (2, 20),
        "amount_range": (5, 100),
        "mdr_rate_range": (0.030, 0.035),
        "active_days_per_month": 22,
        "churn_multiplier": 1.5,
    },
    "medium": {
        "daily_tx_range": (5, 50),
        "amount_range": (25, 300),
        "mdr_rate_range": (0.025, 0.029),
        "active_days_per_month": 26,
        "churn_multiplier": 1.0,
    },
    "large": {
        "daily_tx_range": (20, 100),
        "amount_range": (100, 1000),
        "mdr_rate_range": (0.020, 0.025),
        "active_days_per_month": 28,
        "churn_multiplier": 0.3,
    },
}


@pytest.mark.parametrize("key", PROMISED)
def test_each_default_is_the_promised_one(key: str) -> None:
    assert Config().model_dump(mode="json")[key] == PROMISED[key]


@pytest.mark.parametrize("size", SIZES)
def test_each_size_trades_as_promised(size: str) -> None:
    rules = getattr(WorldConfig().merchant_sizes, size)
    assert {key: getattr(rules, key) for key in SIZES[size]} == SIZES[size]


def test_seasons_business_hours_and_weekends_are_as_promised() -> None:
    config = WorldConfig()
    by_month = dict(zip(range(1, 13), config.seasonality.factors, strict=True))
    special = {6: 1.2, 7: 1.2, 11: 1.5, 12: 1.5}
    assert by_month == {month: special.get(month, 1.0) for month in range(1, 13)}
    assert (config.business_hours.opens_at, config.business_hours.closes_at) == (8, 22)
    assert 0 < config.weekend_multiplier < 1


def test_attributes_change_at_half_to_two_percent_a_month() -> None:
    rates = WorldConfig().attribute_change_rates.model_dump()
    assert set(rates) == {"mdr", "phone", "email", "address"}
    assert all(0.005 <= rate <= 0.02 for rate in rates.values())


def test_card_shares_give_the_published_brands() -> None:
    config = WorldConfig()
    types = config.card_type_shares.model_dump()
    brands: dict[str, float] = {}
    for kind, share in types.items():
        for brand, part in getattr(config.card_brand_shares, kind).model_dump().items():
            brands[brand] = brands.get(brand, 0.0) + share * part
    assert types == {"debit": 0.56, "credit": 0.32, "prepaid": 0.12}
    about = {"visa": 0.60, "mastercard": 0.25, "amex": 0.11, "discover": 0.04}
    assert brands == pytest.approx(about, abs=0.005)


def test_every_key_has_a_description() -> None:
    def missing(model: Any, path: str) -> list[str]:
        found = []
        for name, field in type(model).model_fields.items():
            if not field.description:
                found.append(f"{path}{name}")
            value = getattr(model, name)
            if hasattr(type(value), "model_fields"):
                found += missing(value, f"{path}{name}.")
        return found

    assert missing(Config(), "") == []


def test_equal_configurations_have_equal_fingerprints_and_others_others() -> None:
    assert WorldConfig().fingerprint == WorldConfig(seed=42).fingerprint
    assert WorldConfig().fingerprint != WorldConfig(seed=43).fingerprint
    assert hash(WorldConfig()) == hash(WorldConfig(seed=42))
    assert len(WorldConfig().fingerprint) == 64


def test_a_configuration_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValueError, match="frozen"):
        WorldConfig().seed = 1  # type: ignore[misc]
