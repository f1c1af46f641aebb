"""Every knob of `gen finance`: its unit, default and range."""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from payworld.config.model import Shares
from payworld.config.types import AmountRange, Count, Factor, Number, Section, Share, Text
from payworld.datasets.personal_finance import catalog
from payworld.datasets.personal_finance.payees import (
    Bills,
    Hours,
    ShopHours,
    SpendingRules,
    merchants_of,
)
from payworld.randomness import MAX_SEED
from payworld.storage.finance_files import CATEGORIES

__all__ = ["CATEGORIES", "MAX_USERS", "RHYTHMS", "SUBTYPES", "FinanceConfig"]

SUBTYPES = ("checking", "savings", "credit_card")
RHYTHMS = ("weekly", "biweekly", "semi_monthly", "monthly")
MAX_USERS = 10_000_000
# Room for a month's bills and pay even for the newest user.
MIN_DAYS = 35


def _rising_whole(bounds: tuple[int, int]) -> tuple[int, int]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the range is upside down: {bounds[0]} > {bounds[1]}")
    return bounds


def _rising_numbers(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the range is upside down: {bounds[0]} > {bounds[1]}")
    return bounds


def _two_decimals(value: float) -> float:
    if abs(value * 100 - round(value * 100)) > 1e-6:
        raise ValueError("at most 2 decimals")
    return value


_Days = Annotated[Count, Field(ge=MIN_DAYS, le=3650)]
_Skew = Annotated[Number, Field(ge=0.1, le=10)]
_SKEW = "0.1 to 10; 1: all equally likely; the more, the lower"
_Percent = Annotated[Number, Field(ge=0, le=100), AfterValidator(_two_decimals)]


class CategoryWeights(Shares):
    """Share of transactions by category, over all accounts."""

    FOOD_AND_DRINK: Share = Field(0.25, description="share of transactions")
    GENERAL_MERCHANDISE: Share = Field(0.20, description="share of transactions")
    TRANSPORTATION: Share = Field(0.15, description="share of transactions")
    ENTERTAINMENT: Share = Field(0.10, description="share of transactions")
    UTILITIES: Share = Field(0.10, description="share of transactions; monthly bills")
    HEALTHCARE: Share = Field(0.05, description="share of transactions")
    INCOME: Share = Field(0.15, description="share of transactions; pay, to deposit accounts")


class SubtypeShares(Shares):
    """Share of accounts by subtype."""

    checking: Share = Field(0.50, description="share of accounts")
    savings: Share = Field(0.20, description="share of accounts")
    credit_card: Share = Field(0.30, description="share of accounts")


class Rhythms(Section):
    """How often people are paid, tilted for each by how many transactions there are."""

    weekly: Factor = Field(0.27, description="weight, 0 to 100")
    biweekly: Factor = Field(0.43, description="weight, 0 to 100")
    semi_monthly: Factor = Field(0.19, description="weight, 0 to 100; the 15th and month's end")
    monthly: Factor = Field(0.11, description="weight, 0 to 100")

    @model_validator(mode="after")
    def _some_rhythm(self) -> Self:
        if not math.fsum(float(weight) for _, weight in self) > 0:
            raise ValueError("at least one rhythm must have a weight above 0")
        return self


class PayReach(Section):
    """How far up the range of amounts pay reaches: the more often, the smaller it is."""

    weekly: Share = Field(0.5, description="share of income.amount_range, 0 to 1")
    biweekly: Share = Field(0.8, description="share of income.amount_range, 0 to 1")
    semi_monthly: Share = Field(0.9, description="share of income.amount_range, 0 to 1")
    monthly: Share = Field(1.0, description="share of income.amount_range, 0 to 1")


class Income(Section):
    """Pay: amounts are negative in the data, money in."""

    amount_range: AmountRange = Field((2000.0, 6000.0), description="USD a payment")
    variation: Annotated[Number, Field(ge=0, le=0.5)] = Field(
        0.02, description="how far a payment may lie from its usual amount, 0 to 0.5 of it"
    )
    rhythms: Rhythms = Field(
        Rhythms(),
        description="how often people are paid (weights: US establishments, BLS 2023); who has "
        "more transactions is paid more often",
    )
    reach: PayReach = Field(
        PayReach(), description="how far up amount_range the pay of each rhythm goes"
    )
    thursday_share: Share = Field(
        0.2, description="share of weekly and biweekly pay on Thursdays; the rest is on Fridays"
    )
    hour_weights: Hours = Field(
        catalog.PAY_HOURS, description="24 relative weights, midnight first, local time"
    )
    employers: Annotated[tuple[Text, ...], Field(min_length=1, max_length=1000)] = Field(
        catalog.EMPLOYERS, description="who pays, equally likely"
    )


class Users(Section):
    """When people became users."""

    created_days_ago: Annotated[tuple[_Days, _Days], AfterValidator(_rising_whole)] = Field(
        (60, 729), description=f"days before as-of, {MIN_DAYS} to 3,650, equally likely"
    )


class Accounts(Section):
    """How many accounts, of what kind, with what on them."""

    per_user: Annotated[
        tuple[Annotated[Count, Field(ge=1, le=20)], Annotated[Count, Field(ge=1, le=20)]],
        AfterValidator(_rising_whole),
    ] = Field((1, 3), description="accounts of a user, 1 to 20, equally likely")
    subtype_shares: SubtypeShares = Field(
        SubtypeShares(), description="share of accounts by subtype; sums to 1"
    )
    checking_balance: AmountRange = Field((50.0, 15_000.0), description="USD, skewed low")
    savings_balance: AmountRange = Field((100.0, 60_000.0), description="USD, skewed low")
    credit_limit: AmountRange = Field((1_000.0, 25_000.0), description="USD, in steps of 100")
    limit_skew: _Skew = Field(1.5, description=_SKEW)
    utilisation: Annotated[tuple[Share, Share], AfterValidator(_rising_numbers)] = Field(
        (0.0, 0.95), description="a card's balance as a share of its limit"
    )
    utilisation_skew: _Skew = Field(1.7, description=_SKEW)
    apr_range: Annotated[tuple[_Percent, _Percent], AfterValidator(_rising_numbers)] = Field(
        (12.99, 29.99), description="percent a year, 2 decimals"
    )
    min_payment_share: Share = Field(0.02, description="share of a card's balance")
    overdue_share: Share = Field(0.05, description="share of cards with a balance")


class Transactions(Section):
    """How many transactions, and which of them are pending."""

    per_account: Annotated[
        tuple[Annotated[Count, Field(ge=1, le=5000)], Annotated[Count, Field(ge=1, le=5000)]],
        AfterValidator(_rising_whole),
    ] = Field(
        (20, 100),
        description="transactions of an account in the whole history, 1 to 5,000; a shorter "
        "history lowers the upper bound in proportion",
    )
    history_days: _Days = Field(
        180, description=f"days before as-of in which transactions lie, {MIN_DAYS} to 3,650"
    )
    pending_share: Annotated[Number, Field(ge=0, le=0.5)] = Field(
        0.05,
        description="share of transactions, the newest of each account, 0 to 0.5; fewer where "
        "pending_days hold fewer",
    )
    pending_days: Annotated[Count, Field(ge=1, le=14)] = Field(
        7, description="days before as-of in which pending transactions lie, 1 to 14"
    )
    expense_range: AmountRange = Field(
        (5.0, 250.0), description="USD; every expense lies inside, prices are cut to it"
    )
    subscription_share: Share = Field(
        0.5, description="share of ENTERTAINMENT that is monthly subscriptions"
    )
    habit_skew: _Skew = Field(
        2.0, description="0.1 to 10; 1: all merchants alike; the more, the fewer a person goes to"
    )


class FinanceConfig(Section):
    """Everything that shapes a personal-finance data set; lives for a run."""

    seed: Annotated[Count, Field(ge=0, le=MAX_SEED)] = Field(
        42, description="whole number, 0 to 2^63-1; equal seeds make equal data"
    )
    num_users: Annotated[Count, Field(ge=1, le=MAX_USERS)] = Field(
        50, description="users, 1 to 10,000,000"
    )
    users: Users = Field(Users(), description="the users")
    accounts: Accounts = Field(Accounts(), description="their accounts")
    transactions: Transactions = Field(Transactions(), description="what happens on them")
    category_weights: CategoryWeights = Field(
        CategoryWeights(), description="share of transactions by category; sums to 1"
    )
    income: Income = Field(Income(), description="pay, in a rhythm")
    utilities: Bills = Field(
        Bills(variation=0.04, merchants=merchants_of(catalog.UTILITIES)),
        description="monthly bills",
    )
    subscriptions: Bills = Field(
        Bills(variation=0.0, merchants=merchants_of(catalog.SUBSCRIPTIONS)),
        description="monthly entertainment",
    )
    spending: SpendingRules = Field(SpendingRules(), description="everything else")
    shop_hours: ShopHours = Field(
        ShopHours(), description="hours of merchants that differ from their category's"
    )

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of what shapes the data, without seed and number of users."""
        text = self.model_dump_json(exclude={"seed", "num_users"})
        return hashlib.sha256(text.encode()).hexdigest()

    def __hash__(self) -> int:
        return hash((self.seed, self.num_users, self.fingerprint))
