"""The knobs of who is paid: merchants, their hours, bills."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from payworld.config.types import AmountRange, Factor, Number, Section, Text
from payworld.datasets.personal_finance import catalog

__all__ = [
    "Bills",
    "Hours",
    "Merchant",
    "Shop",
    "ShopHours",
    "Spending",
    "SpendingRules",
    "merchants_of",
]


def _some_hour(weights: tuple[float, ...]) -> tuple[float, ...]:
    if not math.fsum(weights) > 0:
        raise ValueError("at least one hour must have a weight above 0")
    return weights


Hours = Annotated[
    tuple[Factor, ...], Field(min_length=24, max_length=24), AfterValidator(_some_hour)
]


class Merchant(Section):
    """Where money goes, and the prices there."""

    name: Text = Field(description="what the statement shows")
    prices: AmountRange = Field(description="USD, from and to; cut to transactions.expense_range")


class Shop(Merchant):
    """A merchant that sells at hours of its own, or at those of its category."""

    hours: Literal["usual", "morning", "meals", "daytime"] = Field(
        "usual", description="usual: the category's hour_weights; others: see shop_hours"
    )


_Merchants = Annotated[tuple[Merchant, ...], Field(min_length=1, max_length=1000)]
_Shops = Annotated[tuple[Shop, ...], Field(min_length=1, max_length=1000)]


def merchants_of(rows: catalog.Prices) -> tuple[Merchant, ...]:
    """Return merchants with their prices from the catalog's rows."""
    return tuple(Merchant(name=name, prices=(low, high)) for name, low, high in rows)


def _shops(rows: catalog.Shops) -> tuple[Shop, ...]:
    keys = ("name", "low", "high", "hours")
    shops = [dict(zip(keys, row, strict=False)) for row in rows]
    return tuple(
        Shop.model_validate(
            {
                "name": shop["name"],
                "prices": (shop["low"], shop["high"]),
                "hours": shop.get("hours", "usual"),
            }
        )
        for shop in shops
    )


class ShopHours(Section):
    """When merchants sell that keep other hours than their category."""

    morning: Hours = Field(
        catalog.MORNING_HOURS, description="24 relative weights, midnight first, local time"
    )
    meals: Hours = Field(
        catalog.RESTAURANT_HOURS, description="24 relative weights, midnight first, local time"
    )
    daytime: Hours = Field(
        catalog.DAYTIME_HOURS, description="24 relative weights, midnight first, local time"
    )


class Spending(Section):
    """One category of expenses."""

    weekend_factor: Factor = Field(
        description="how much busier a Saturday or Sunday is than another day, 0 to 100"
    )
    hour_weights: Hours = Field(description="24 relative weights, midnight first, local time")
    merchants: _Shops = Field(description="who is paid, equally likely before habits")

    @model_validator(mode="after")
    def _weekends_count(self) -> Self:
        if self.weekend_factor < 0.01:
            raise ValueError("weekend_factor must be at least 0.01")
        return self


def _spending(weekend: float, hours: catalog.Hours, rows: catalog.Shops) -> Spending:
    return Spending(weekend_factor=weekend, hour_weights=hours, merchants=_shops(rows))


class SpendingRules(Section):
    """What people choose to spend, by category."""

    FOOD_AND_DRINK: Spending = Field(
        _spending(1.7, catalog.MEAL_HOURS, catalog.FOOD), description="groceries and eating out"
    )
    GENERAL_MERCHANDISE: Spending = Field(
        _spending(1.3, catalog.BUSINESS_HOURS, catalog.MERCHANDISE), description="shops"
    )
    TRANSPORTATION: Spending = Field(
        _spending(0.7, catalog.TRAVEL_HOURS, catalog.TRANSPORTATION), description="getting around"
    )
    ENTERTAINMENT: Spending = Field(
        _spending(2.2, catalog.OUTING_HOURS, catalog.ENTERTAINMENT), description="going out"
    )
    HEALTHCARE: Spending = Field(
        _spending(0.3, catalog.CARE_HOURS, catalog.HEALTHCARE), description="care and pharmacies"
    )


class Bills(Section):
    """Payments that come back every month with nearly the same amount."""

    variation: Annotated[Number, Field(ge=0, le=0.5)] = Field(
        description="how far a payment may lie from its usual amount, 0 to 0.5 of it"
    )
    hour_weights: Hours = Field(
        catalog.NIGHT_BATCH_HOURS, description="24 relative weights, midnight first, local time"
    )
    merchants: _Merchants = Field(
        description="who is paid; a person's bills follow one another in this list, from an "
        "equally likely start, so companies of one kind stand far apart"
    )
