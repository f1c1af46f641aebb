"""The configuration compiled to tables, once a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from payworld.datasets.personal_finance.config import CATEGORIES, FinanceConfig
from payworld.datasets.personal_finance.payees import Bills, Merchant, Shop, Spending
from payworld.timeline import weekday
from payworld.world.arrays import FloatArray, IntArray

__all__ = [
    "FIRST_SPENDING",
    "GROUPS",
    "INCOME",
    "SUBSCRIPTIONS",
    "UTILITIES",
    "Rules",
    "compile_rules",
]

# What moves alike: pay, the two kinds of monthly bills, then what people choose to spend.
GROUPS = (
    "INCOME",
    "UTILITIES",
    "SUBSCRIPTIONS",
    "FOOD_AND_DRINK",
    "GENERAL_MERCHANDISE",
    "TRANSPORTATION",
    "ENTERTAINMENT",
    "HEALTHCARE",
)
INCOME, UTILITIES, SUBSCRIPTIONS, FIRST_SPENDING = 0, 1, 2, 3

# A deposit account with less than a tenth of expenses would not be believable.
MAX_INCOME_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class Rules:
    """Tables by group (order of GROUPS) and by name; lives for a run."""

    config: FinanceConfig
    as_of: int
    first_day: int
    """Ordinal of the first day on which a transaction can lie."""
    shares: FloatArray
    """Cumulative share of an account's transactions, shape (2, groups): deposit, credit."""
    categories: pl.Series
    """Category by group."""
    names: pl.Series
    """Every employer and merchant, group after group."""
    first_name: IntArray
    name_count: IntArray
    low_cents: FloatArray
    high_cents: FloatArray
    """Prices by name, inside the range of expenses."""
    hours: FloatArray
    """Cumulative share of a day by hour, by name, shape (names, 25)."""
    days: FloatArray
    """Cumulative weight of the history's days, shape (groups that people choose, days + 1)."""


def compile_rules(config: FinanceConfig, as_of: int) -> Rules:
    """Return the tables of a configuration for data as of a day (ordinal)."""
    first_day = as_of - config.transactions.history_days + 1
    employers = config.income.employers
    pools = [_merchants(config, group) for group in GROUPS[1:]]
    low, high = zip(*(m.prices for pool in pools for m in pool), strict=True)
    expense_low, expense_high = config.transactions.expense_range
    blank = [0.0] * len(employers)
    counts = np.array([len(employers), *map(len, pools)])
    return Rules(
        config=config,
        as_of=as_of,
        first_day=first_day,
        shares=_cumulative_shares(config),
        categories=pl.Series(
            ["ENTERTAINMENT" if group == "SUBSCRIPTIONS" else group for group in GROUPS]
        ),
        names=pl.Series([*employers, *(m.name for pool in pools for m in pool)]),
        first_name=np.concatenate([[0], np.cumsum(counts)[:-1]]),
        name_count=counts,
        low_cents=_cents(blank + np.clip(low, expense_low, expense_high).tolist()),
        high_cents=_cents(blank + np.clip(high, expense_low, expense_high).tolist()),
        hours=np.stack([_cumulative(weights) for weights in _hours(config)]),
        days=np.stack(
            [
                _day_weights(first_day, as_of, _spending(config, group).weekend_factor)
                for group in GROUPS[FIRST_SPENDING:]
            ]
        ),
    )


def _cents(dollars: list[float]) -> FloatArray:
    return np.asarray(np.rint(np.array(dollars) * 100))


def _bills(config: FinanceConfig, group: str) -> Bills | None:
    """Return the rules of a group of monthly bills, None for another group."""
    return {"UTILITIES": config.utilities, "SUBSCRIPTIONS": config.subscriptions}.get(group)


def _spending(config: FinanceConfig, group: str) -> Spending:
    spending: Spending = getattr(config.spending, group)
    return spending


def _hours(config: FinanceConfig) -> list[tuple[float, ...]]:
    """Return the weights of the hours of every name."""
    hours = [config.income.hour_weights] * len(config.income.employers)
    for group in GROUPS[1:]:
        usual = (_bills(config, group) or _spending(config, group)).hour_weights
        for merchant in _merchants(config, group):
            kind = merchant.hours if isinstance(merchant, Shop) else "usual"
            hours.append(usual if kind == "usual" else getattr(config.shop_hours, kind))
    return hours


def _merchants(config: FinanceConfig, group: str) -> tuple[Merchant, ...]:
    return (_bills(config, group) or _spending(config, group)).merchants


def _cumulative(weights: tuple[float, ...]) -> FloatArray:
    table = np.concatenate([[0.0], np.cumsum(weights)])
    return np.asarray(table / table[-1])


def _day_weights(first: int, as_of: int, weekend_factor: float) -> FloatArray:
    is_weekend = np.array([weekday(day) >= 5 for day in range(first, as_of)])
    return np.concatenate([[0.0], np.cumsum(np.where(is_weekend, weekend_factor, 1.0))])


def _cumulative_shares(config: FinanceConfig) -> FloatArray:
    """Return the groups' cumulative shares in deposit and in credit accounts.

    Pay goes to deposit accounts alone, in such a share that it has its weight over all
    accounts; the other categories fill what is left of each account, in proportion.
    """
    weights = np.array([getattr(config.category_weights, name) for name in CATEGORIES])
    by_name = dict(zip(CATEGORIES, weights / weights.sum(), strict=True))
    subscribed = by_name["ENTERTAINMENT"] * config.transactions.subscription_share
    by_name["SUBSCRIPTIONS"] = subscribed
    by_name["ENTERTAINMENT"] -= subscribed
    groups = np.array([by_name[group] for group in GROUPS])
    income = groups[INCOME]
    deposits = 1.0 - config.accounts.subtype_shares.credit_card
    shares = np.stack([groups, groups])
    if income < MAX_INCOME_SHARE * deposits:
        shares[:, INCOME] = income / deposits, 0.0
        shares[:, 1:] *= (1.0 - shares[:, :1]) / (1.0 - income)
    cumulative = np.cumsum(shares, axis=1)
    cumulative[:, -1] = 1.0
    return np.asarray(cumulative)
