"""Every knob of the fraud stream: unit, default, range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from payworld.config.document import parse_document, to_commented_yaml, validate
from payworld.config.types import Count, Number, Section, Share, Switch
from payworld.datasets.fraud_stream.temporal import TemporalConfig, Weight
from payworld.errors import ConfigError
from payworld.randomness import MAX_SEED
from payworld.timeline import FIRST_DATE, LAST_DATE

__all__ = [
    "DEVICE_TYPES",
    "PRINTED_BY",
    "CatalogConfig",
    "FeatureConfig",
    "FraudConfig",
    "LabelConfig",
    "config_from_text",
    "to_yaml",
]

DEVICE_TYPES = ("IOS", "ANDROID", "WEB", "POS")
DAYS_BY_DEFAULT = 30
# The command that prints the whole configuration.
PRINTED_BY = "gen fraud --print-config"

_Entities = Annotated[Count, Field(ge=1, le=10_000_000)]
_Exponent = Annotated[Number, Field(ge=0, le=10)]
_Shape = Annotated[Number, Field(gt=0, le=1000)]
_Effect = Annotated[Number, Field(ge=-100, le=100)]
_Amount = Annotated[Number, Field(ge=0.01, le=1e9)]


class CatalogConfig(Section):
    """The entities that payments are drawn from."""

    num_customers: _Entities = Field(50_000, description="customers, 1 to 10,000,000")
    customer_zipf_exponent: _Exponent = Field(
        1.2, description="skew of the customers' popularity, 0 (equal) to 10"
    )
    num_merchants: _Entities = Field(5_000, description="merchants, 1 to 10,000,000")
    merchant_zipf_exponent: _Exponent = Field(
        1.2, description="skew of the merchants' popularity, 0 (equal) to 10"
    )
    merchant_risk_alpha: _Shape = Field(2.0, description="alpha of the merchants' Beta risk")
    merchant_risk_beta: _Shape = Field(5.0, description="beta of the merchants' Beta risk")
    num_cards: _Entities = Field(100_000, description="cards, 1 to 10,000,000")
    card_zipf_exponent: _Exponent = Field(
        1.0, description="skew of the cards' popularity, 0 (equal) to 10"
    )
    card_risk_alpha: _Shape = Field(2.0, description="alpha of the cards' Beta risk")
    card_risk_beta: _Shape = Field(5.0, description="beta of the cards' Beta risk")
    max_size_mb: Annotated[Number, Field(gt=0, le=1e6)] = Field(
        256.0, description="largest size of one catalog file, MB of 1,000,000 bytes"
    )
    parquet_row_group_size: Annotated[Count, Field(ge=1, le=10_000_000)] = Field(
        65_536, description="rows of a catalog file's row group"
    )


def _cents_up(amount: float) -> int:
    """Return an amount in cents, rounded up.

    >>> _cents_up(3.33), _cents_up(3.333), _cents_down(3.999)
    (333, 334, 399)
    """
    return math.ceil(Decimal(repr(amount)) * 100)


def _cents_down(amount: float) -> int:
    return math.floor(Decimal(repr(amount)) * 100)


class FeatureConfig(Section):
    """What payments look like."""

    device_types: dict[str, Weight] = Field(
        {"IOS": 0.2, "ANDROID": 0.2, "WEB": 0.15, "POS": 0.45},
        description="weight of IOS, ANDROID, WEB (online) and POS (in store, ATM); one left out "
        "weighs 0",
    )
    amount_distribution: Literal["lognormal", "normal", "uniform"] = Field(
        "lognormal", description="distribution of amounts: lognormal, normal, uniform"
    )
    lognormal_mean: Annotated[Number, Field(ge=-5, le=15)] = Field(
        3.5, description="mean of the amount's natural logarithm"
    )
    lognormal_sigma: Annotated[Number, Field(ge=0, le=5)] = Field(
        1.0, description="standard deviation of the amount's natural logarithm"
    )
    normal_mean: _Amount = Field(60.0, description="mean amount of the normal distribution")
    normal_std: Annotated[Number, Field(ge=0, le=1e9)] = Field(
        25.0, description="standard deviation of the normal distribution, cut at 0.01"
    )
    uniform_min: _Amount = Field(1.0, description="lowest amount of the uniform distribution")
    uniform_max: _Amount = Field(500.0, description="highest amount of the uniform distribution")
    recurring_share: Annotated[Number, Field(ge=0, le=0.5)] = Field(
        0.04, description="share of payments in recurring series, 0 to 0.5"
    )

    @field_validator("device_types")
    @classmethod
    def _devices(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(DEVICE_TYPES))
        if unknown:
            known = ", ".join(DEVICE_TYPES)
            raise ValueError(f"unknown device type {unknown[0]!r}; expected {known}")
        if not math.fsum(value.values()) > 0:
            raise ValueError("at least one device type must weigh more than 0")
        return {name: value.get(name, 0.0) for name in DEVICE_TYPES}

    @field_validator("uniform_max")
    @classmethod
    def _range_rises(cls, value: float, known: ValidationInfo) -> float:
        least = known.data.get("uniform_min")
        if least is not None and least > value:
            raise ValueError(f"it is below uniform_min {least:g}; swap them")
        if least is not None and _cents_up(least) > _cents_down(value):
            raise ValueError(f"there is no whole cent from uniform_min {least!r} to it; raise it")
        return value

    @property
    def uniform_cents(self) -> tuple[int, int]:
        """Return the lowest and the highest amount of the uniform distribution, whole cents."""
        return _cents_up(self.uniform_min), _cents_down(self.uniform_max)


class LabelConfig(Section):
    """Which payments are fraud: logit = intercept + the sum of weight x feature."""

    amount_weight: _Effect = Field(1.6, description="weight of log(amount + 1)")
    merchant_risk_weight: _Effect = Field(5.0, description="weight of the merchant's risk, 0 to 1")
    card_risk_weight: _Effect = Field(2.0, description="weight of the card's risk, 0 to 1")
    night_weight: _Effect = Field(1.5, description="weight of a payment at night")
    night_start_hour: Annotated[Count, Field(ge=0, le=23)] = Field(
        22, description="hour at which night begins, 0 to 23"
    )
    night_end_hour: Annotated[Count, Field(ge=0, le=23)] = Field(
        6, description="hour at which night ends, 0 to 23"
    )
    burst_factor: Annotated[Count, Field(ge=1, le=100_000)] = Field(
        10, description="most fraud of one burst, payments"
    )
    burst_window_s: Annotated[Count, Field(ge=1, le=31_536_000)] = Field(
        1_800, description="longest burst, seconds"
    )
    burst_share: Share = Field(0.3, description="share of fraud that comes in bursts, 0 to 1")


class FraudConfig(Section):
    """The fraud stream's configuration; lives for a run."""

    total_rows: Annotated[Count, Field(ge=1, le=4_000_000_000)] = Field(
        1_000_000, description="payments, 1 to 4,000,000,000"
    )
    fraud_rate: Share = Field(0.003, description="share of fraud, 0 to 1; the count is exact")
    seed: Annotated[Count, Field(ge=0, le=MAX_SEED)] = Field(
        42, description="equal seeds give equal files"
    )
    realism: Literal["v1", "v2"] = Field(
        "v1", description="v1: catalogs in memory; v2: written to <out_dir>/catalog first"
    )
    num_workers: Annotated[Count, Field(ge=1, le=256)] | None = Field(
        None, description="processes, 1 to 256; null: one for each core"
    )
    batch_size: Annotated[Count, Field(ge=1)] = Field(
        250_000,
        description="rows that each of several workers makes in one go: 1 to 8 row groups of "
        "98,304 rows",
    )
    chunk_size: Annotated[Count, Field(ge=1)] = Field(
        100_000,
        description="rows of a frame of payworld.fraud.generate(); files are made of whole row "
        "groups of 98,304 rows, whatever it says",
    )
    out_dir: Annotated[str, Field(min_length=1)] = Field("outputs", description="output folder")
    s3_upload: Switch = Field(False, description="upload what was written to S3")
    null_mcc_rate: Share = Field(0.05, description="share of payments without mcc_code")
    null_device_rate: Share = Field(0.08, description="share of payments without device_id")
    null_geo_rate: Share = Field(0.01, description="share without latitude and longitude")
    catalog: CatalogConfig = Field(CatalogConfig(), description="customers, merchants, cards")
    temporal: TemporalConfig = Field(TemporalConfig(), description="when payments happen")
    feature: FeatureConfig = Field(FeatureConfig(), description="what payments look like")
    labels: LabelConfig = Field(LabelConfig(), description="which payments are fraud")

    def dated(self, run_date: date) -> FraudConfig:
        """Return the same configuration with both dates filled in from a run date."""
        end = self.temporal.end_date or (run_date - timedelta(days=1)).isoformat()
        start = self.temporal.start_date
        if start is None:
            # The last 30 days, whichever of the two dates was given.
            start = (date.fromisoformat(end) - timedelta(days=DAYS_BY_DEFAULT - 1)).isoformat()
        if start > end:
            raise ConfigError(
                f"temporal.start_date = {start}: it is after the end date {end}; give an earlier "
                "start or a later --end-date"
            )
        if not FIRST_DATE.isoformat() <= start <= end <= LAST_DATE.isoformat():
            raise ConfigError(f"temporal: {start} to {end} is not in {FIRST_DATE} to {LAST_DATE}")
        dates = {"start_date": start, "end_date": end}
        temporal = self.temporal.model_copy(update=dates)
        return self.model_copy(update={"temporal": temporal})


def config_from_text(text: str, source: str, overrides: Mapping[str, Any]) -> FraudConfig:
    """Return the configuration of a YAML text, with overrides (nested) on top of it.

    Raises ConfigError, which names each key, its value and what was expected.
    """
    data = parse_document(text, source)
    for key, value in overrides.items():
        section = data.get(key)
        if isinstance(value, Mapping) and key in ("catalog", "temporal", "feature", "labels"):
            if section is None or isinstance(section, Mapping):
                # What is no section stays, for the validation to name it.
                data[key] = {**(section or {}), **value}
        else:
            data[key] = value
    return validate(FraudConfig, data, source, printed_by=PRINTED_BY)


def to_yaml(config: FraudConfig) -> str:
    """Return the whole configuration as YAML with a comment at each key."""
    return to_commented_yaml(config, "The fraud stream's configuration: gen fraud --config FILE")
