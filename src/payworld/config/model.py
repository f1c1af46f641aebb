"""Every knob: its unit, default, range, and where the default comes from."""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from payworld.config.types import (
    AmountRange,
    Count,
    CountRange,
    Destination,
    Factor,
    Number,
    Rate4,
    RateRange,
    Section,
    Share,
    ShareRange,
    Text,
)
from payworld.randomness import MAX_SEED

__all__ = [
    "BIRTH_KEYS",
    "BRANDS",
    "CARD_TYPES",
    "SIZES",
    "Config",
    "RunSettings",
    "WorldConfig",
]

SIZES = ("small", "medium", "large")
CARD_TYPES = ("debit", "credit", "prepaid")
BRANDS = ("visa", "mastercard", "amex", "discover")

# Keys that only matter at birth; they cannot change in a living world.
BIRTH_KEYS = frozenset({"seed", "initial_merchants", "merchant_names"})


class Shares(Section):
    """Named shares that sum to 1."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = math.fsum(float(value) for _, value in self)
        if abs(total - 1) > 1e-6:
            names = ", ".join(name for name, _ in self)
            raise ValueError(f"the shares ({names}) must sum to 1, not to {total:.6g}")
        return self


class SizeShares(Shares):
    """Share of merchants by size."""

    small: Share = Field(0.70, description="share of merchants, 0 to 1")
    medium: Share = Field(0.25, description="share of merchants, 0 to 1")
    large: Share = Field(0.05, description="share of merchants, 0 to 1")


class SizeRules(Section):
    """How merchants of one size trade."""

    daily_tx_range: CountRange = Field(
        description="payments on a day on which the merchant trades, 1 to 10,000; always inside, "
        "seasons move the mean"
    )
    amount_range: AmountRange = Field(
        description="USD, 0.01 to 1,000,000; skewed to the low end, and merchants differ"
    )
    mdr_rate_range: RateRange = Field(description="share of the amount, 4 decimals")
    active_days_per_month: Annotated[Number, Field(ge=0, le=31)] = Field(
        description="mean days of a 30.44-day month on which the merchant trades, 0 to 31"
    )
    churn_multiplier: Factor = Field(description="weight in the choice of who leaves, 0 to 100")
    terminals_range: tuple[
        Annotated[Count, Field(ge=1, le=99)], Annotated[Count, Field(ge=1, le=99)]
    ] = Field(description="card terminals of a merchant, 1 to 99")
    industries: Annotated[tuple[Text, ...], Field(min_length=1, max_length=1000)] = Field(
        description="lines of business, equally likely"
    )

    @model_validator(mode="after")
    def _terminals_rise(self) -> Self:
        low, high = self.terminals_range
        if low > high:
            raise ValueError(f"terminals_range: the range is upside down: {low} > {high}")
        return self


SMALL = SizeRules(
    daily_tx_range=(2, 20),
    amount_range=(5.0, 100.0),
    mdr_rate_range=(0.030, 0.035),
    active_days_per_month=22,
    churn_multiplier=1.5,
    terminals_range=(1, 2),
    industries=("retail", "restaurant", "cafe", "beauty", "auto_repair", "convenience"),
)
MEDIUM = SizeRules(
    daily_tx_range=(5, 50),
    amount_range=(25.0, 300.0),
    mdr_rate_range=(0.025, 0.029),
    active_days_per_month=26,
    churn_multiplier=1.0,
    terminals_range=(2, 5),
    industries=("retail", "restaurant", "grocery", "pharmacy", "fitness", "clothing"),
)
LARGE = SizeRules(
    daily_tx_range=(20, 100),
    amount_range=(100.0, 1000.0),
    mdr_rate_range=(0.020, 0.025),
    active_days_per_month=28,
    churn_multiplier=0.3,
    terminals_range=(4, 12),
    industries=(
        "electronics",
        "furniture",
        "travel",
        "hotel",
        "home_improvement",
        "department_store",
    ),
)


class Sizes(Section):
    """Rules for each size."""

    small: SizeRules = Field(SMALL, description="corner shops")
    medium: SizeRules = Field(MEDIUM, description="established businesses")
    large: SizeRules = Field(LARGE, description="chains and big tickets")


class Seasonality(Section):
    """Factor on the mean payments of an active day, for each month."""

    january: Factor = Field(1.0, description="factor, 0 to 100")
    february: Factor = Field(1.0, description="factor, 0 to 100")
    march: Factor = Field(1.0, description="factor, 0 to 100")
    april: Factor = Field(1.0, description="factor, 0 to 100")
    may: Factor = Field(1.0, description="factor, 0 to 100")
    june: Factor = Field(1.2, description="factor, 0 to 100")
    july: Factor = Field(1.2, description="factor, 0 to 100")
    august: Factor = Field(1.0, description="factor, 0 to 100")
    september: Factor = Field(1.0, description="factor, 0 to 100")
    october: Factor = Field(1.0, description="factor, 0 to 100")
    november: Factor = Field(1.5, description="factor, 0 to 100")
    december: Factor = Field(1.5, description="factor, 0 to 100")

    @property
    def factors(self) -> tuple[float, ...]:
        """Return the twelve factors, January first."""
        return tuple(float(value) for _, value in self)


class Peak(Section):
    """A bell-shaped rush within the day."""

    hour: Annotated[Number, Field(ge=0, le=24)] = Field(description="centre, hour of the day")
    spread_hours: Annotated[Number, Field(ge=0.1, le=12)] = Field(
        description="standard deviation, hours"
    )
    weight: Factor = Field(description="height, relative to base_weight")


class BusinessHours(Section):
    """When payments happen, in the merchant's local time."""

    opens_at: Annotated[Count, Field(ge=0, le=23)] = Field(
        8, description="first hour of business, 0 to 23"
    )
    closes_at: Annotated[Count, Field(ge=1, le=24)] = Field(
        22, description="hour in which nothing is paid any more, 1 to 24"
    )
    base_weight: Annotated[Number, Field(gt=0, le=100)] = Field(
        0.5, description="level between the peaks"
    )
    peaks: Annotated[tuple[Peak, ...], Field(max_length=24)] = Field(
        (
            Peak(hour=12.5, spread_hours=1.3, weight=1.2),
            Peak(hour=18.0, spread_hours=1.6, weight=1.6),
        ),
        description="rushes of the day: lunch, and the hours after work",
    )

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if self.opens_at >= self.closes_at:
            raise ValueError(
                f"opens_at {self.opens_at} must come before closes_at {self.closes_at}"
            )
        return self


class PaymentTypes(Shares):
    """Share of payments by type; only card_present has a terminal."""

    card_present: Share = Field(0.68, description="share of payments, at the merchant's place")
    online: Share = Field(0.24, description="share of payments, from the buyer's place")
    in_app: Share = Field(0.06, description="share of payments, from the buyer's place")
    phone_order: Share = Field(0.02, description="share of payments, from the buyer's place")


class PaymentStatuses(Shares):
    """Share of payments by outcome; only approved ones cost and earn."""

    approved: Share = Field(0.94, description="share of payments")
    declined: Share = Field(0.05, description="share of payments, refused by the issuer")
    failed: Share = Field(0.01, description="share of payments, lost on the way")


class CardTypes(Shares):
    """Share of new cards by type (US, by count: Federal Reserve Payments Study, rounded)."""

    debit: Share = Field(0.56, description="share of new cards")
    credit: Share = Field(0.32, description="share of new cards")
    prepaid: Share = Field(0.12, description="share of new cards")


class DualBrand(Shares):
    """Brands of a card type that only two networks issue."""

    visa: Share = Field(0.71, description="share of the type's cards")
    mastercard: Share = Field(0.29, description="share of the type's cards")


class CreditBrands(Shares):
    """Brands of credit cards."""

    visa: Share = Field(0.37, description="share of credit cards")
    mastercard: Share = Field(0.16, description="share of credit cards")
    amex: Share = Field(0.345, description="share of credit cards")
    discover: Share = Field(0.125, description="share of credit cards")


class CardBrands(Section):
    """Share of brands within each type; over all cards about 60/25/11/4."""

    debit: DualBrand = Field(DualBrand(), description="brands of debit cards")
    credit: CreditBrands = Field(CreditBrands(), description="brands of credit cards")
    prepaid: DualBrand = Field(DualBrand(), description="brands of prepaid cards")


class DualRates(Section):
    """Cost rates of a type that only two networks issue."""

    visa: Rate4 = Field(description="share of the amount, 4 decimals")
    mastercard: Rate4 = Field(description="share of the amount, 4 decimals")


class CreditRates(Section):
    """Cost rates of credit cards."""

    visa: Rate4 = Field(0.0155, description="share of the amount, 4 decimals")
    mastercard: Rate4 = Field(0.0160, description="share of the amount, 4 decimals")
    amex: Rate4 = Field(0.0190, description="share of the amount, 4 decimals")
    discover: Rate4 = Field(0.0165, description="share of the amount, 4 decimals")


class CostRates(Section):
    """What a payment costs the aggregator (interchange and network fees, rounded)."""

    debit: DualRates = Field(DualRates(visa=0.0050, mastercard=0.0055), description="debit cards")
    credit: CreditRates = Field(CreditRates(), description="credit cards")
    prepaid: DualRates = Field(
        DualRates(visa=0.0110, mastercard=0.0115), description="prepaid cards"
    )


class ChangeRates(Section):
    """Share of active merchants that change an attribute in a month."""

    mdr: Share = Field(0.010, description="share of active merchants a month")
    phone: Share = Field(0.010, description="share of active merchants a month")
    email: Share = Field(0.015, description="share of active merchants a month")
    address: Share = Field(
        0.008, description="share of active merchants a month; city, state and ZIP move together"
    )


class WorldConfig(Section):
    """Everything that shapes the data; kept in the state of the world."""

    seed: Annotated[Count, Field(ge=0, le=MAX_SEED)] = Field(
        42, description="whole number, 0 to 2^63-1; equal seeds make equal worlds"
    )
    initial_merchants: Annotated[Count, Field(ge=1, le=900_000)] = Field(
        500, description="merchants on the first day, 1 to 900,000"
    )
    monthly_growth_rate: Share = Field(
        0.08, description="openings a month, as a share of the merchants active at its start"
    )
    max_new_merchants_per_month: Annotated[Count, Field(ge=0, le=100_000)] = Field(
        50, description="openings a month at most, 0 to 100,000"
    )
    monthly_churn_rate: Share = Field(
        0.03, description="closings a month, as a share of the merchants active at its start"
    )
    max_churned_merchants_per_month: Annotated[Count, Field(ge=0, le=100_000)] = Field(
        30, description="closings a month at most, 0 to 100,000"
    )
    dormant_after_days: Annotated[Count, Field(ge=1, le=365)] = Field(
        7, description="days without a payment after which a merchant counts as dormant, 1 to 365"
    )
    dormancy_churn_multiplier: Factor = Field(
        3.0, description="how much likelier a dormant merchant is to leave, 0 to 100"
    )
    merchant_size_distribution: SizeShares = Field(
        SizeShares(), description="share of new merchants by size; sums to 1"
    )
    merchant_sizes: Sizes = Field(Sizes(), description="how merchants of each size trade")
    merchant_names: Annotated[tuple[Text, ...], Field(max_length=100_000)] = Field(
        (), description="names to draw from; empty: names are made up"
    )
    weekend_multiplier: Share = Field(
        0.7,
        description="chance to trade on a Saturday or Sunday, relative to other days, 0 to 1; the "
        "days per month stay as they are",
    )
    seasonality: Seasonality = Field(
        Seasonality(), description="factor on the payments of an active day, by month"
    )
    business_hours: BusinessHours = Field(
        BusinessHours(), description="when payments happen, local time of the merchant"
    )
    payment_types: PaymentTypes = Field(
        PaymentTypes(), description="share of payments by type; sums to 1"
    )
    payment_statuses: PaymentStatuses = Field(
        PaymentStatuses(), description="share of payments by outcome; sums to 1"
    )
    card_type_shares: CardTypes = Field(
        CardTypes(), description="share of new cards by type; sums to 1"
    )
    card_brand_shares: CardBrands = Field(
        CardBrands(), description="share of brands within each card type; each sums to 1"
    )
    transactional_cost_rates: CostRates = Field(
        CostRates(), description="cost of a payment by card type and brand"
    )
    card_store_probability: Share = Field(
        0.01, description="chance that a payment by a new card stores the card"
    )
    card_reuse_range: ShareRange = Field(
        (0.05, 0.15), description="share of a day's payments made by stored cards"
    )
    max_stored_cards: Annotated[Count, Field(ge=0, le=10_000_000)] = Field(
        50_000, description="stored cards kept, 0 to 10,000,000; the oldest retire"
    )
    attribute_change_rates: ChangeRates = Field(
        ChangeRates(), description="how often merchants change, by attribute"
    )
    attribute_change_multiplier: Factor = Field(
        1.0, description="factor on all attribute_change_rates: livelier SCD tests, 0 to 100"
    )

    @model_validator(mode="after")
    def _changes_fit_in_a_day(self) -> Self:
        total = math.fsum(float(rate) for _, rate in self.attribute_change_rates)
        monthly = total * self.attribute_change_multiplier
        if monthly > 28:
            raise ValueError(
                "attribute_change_multiplier times the sum of attribute_change_rates must not "
                f"exceed 28 a month (one change a day), not {monthly:.4g}"
            )
        return self

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the values in canonical JSON, as 64 hexadecimal digits."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.fingerprint)


class RunSettings(Section):
    """Where and how fast a run works; no part of the world."""

    output_dir: Annotated[str, Field(min_length=1)] = Field(
        "raw_data", description="folder for the data files"
    )
    state_dir: Annotated[str, Field(min_length=1)] = Field(
        "state", description="folder for merchants.json"
    )
    format: Literal["csv", "parquet"] = Field("csv", description="csv or parquet")
    compression: Literal["none", "gzip", "zstd"] = Field(
        "none", description="of CSV files: none, gzip or zstd (Parquet has zstd inside)"
    )
    layout: Literal["flat", "hive"] = Field(
        "flat", description="flat: files side by side; hive: in folders year=2024/month=01"
    )
    workers: Annotated[Count, Field(ge=0, le=256)] = Field(
        0, description="processes that render, 0 to 256; 0: one for each core"
    )
    publish: Destination = Field(
        "",
        description="where a run's files are uploaded to, s3://bucket/prefix; empty: nowhere",
    )

    @model_validator(mode="after")
    def _compression_is_of_csv(self) -> Self:
        if self.format == "parquet" and self.compression != "none":
            raise ValueError(
                f"compression = {self.compression!r} goes with format csv, not parquet, which is "
                "compressed inside: leave it out, or --compression none"
            )
        return self


class Config(RunSettings, WorldConfig):
    """The whole configuration document."""

    @property
    def world(self) -> WorldConfig:
        """Return the part that is kept in the state."""
        return WorldConfig.model_validate(
            {name: getattr(self, name) for name in WorldConfig.model_fields}
        )

    def __hash__(self) -> int:
        return hash(self.model_dump_json())
