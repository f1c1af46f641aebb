"""Users and accounts as arrays: pure functions of (seed, id)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from payworld.datasets.personal_finance.config import SUBTYPES, FinanceConfig
from payworld.datasets.personal_finance.draws import (
    Words,
    child_words,
    spread_points,
    uniforms,
    user_ordinals,
    user_words,
    whole_numbers,
)
from payworld.datasets.personal_finance.rules import Rules
from payworld.world.arrays import BoolArray, FloatArray, IntArray

__all__ = [
    "CREDIT_CARD",
    "Accounts",
    "Details",
    "Users",
    "make_accounts",
    "make_details",
    "make_users",
    "transaction_counts",
]

CREDIT_CARD = SUBTYPES.index("credit_card")


@dataclass(frozen=True, eq=False)
class Users:
    """Users as columns; lives for a block."""

    high: Words
    low: Words
    created_day: IntArray
    """Ordinals."""
    created_second: IntArray

    def __len__(self) -> int:
        return len(self.high)


@dataclass(frozen=True, eq=False)
class Accounts:
    """Accounts as columns, a user's side by side; lives for a block."""

    user: IntArray
    """Row of the user."""
    owner: Words
    """Low words of the users' ids."""
    high: Words
    low: Words
    subtype: IntArray
    """Index into SUBTYPES."""
    history_start: IntArray
    """Ordinal of the first day on which a transaction can lie."""
    n_transactions: IntArray

    def __len__(self) -> int:
        return len(self.high)

    def by_person(self) -> tuple[IntArray, IntArray]:
        """Return the row of each user's first account, and the number of each account's user."""
        is_first = np.diff(self.user, prepend=-1) != 0
        return np.flatnonzero(is_first), np.cumsum(is_first) - 1


def make_users(seed: int, first: int, n: int, rules: Rules) -> Users:
    """Return n users from an ordinal on; names and emails follow from the ids."""
    high, low = user_words(seed, np.arange(first, first + n))
    youngest, oldest = rules.config.users.created_days_ago
    age = whole_numbers(uniforms(seed, "user.age", low), youngest, oldest)
    second = whole_numbers(uniforms(seed, "user.second", low), 0, 86_399)
    return Users(high, low, rules.as_of - age, second)


def make_accounts(seed: int, users: Users, rules: Rules) -> Accounts:
    """Return the accounts of the users, each with its number of transactions."""
    config = rules.config
    # Over any few users in a row the mix is nearly that of many.
    ordinals = user_ordinals(seed, users.low)
    number, kind, size = spread_points(seed, "user.accounts", ordinals, users.low)
    n = whole_numbers(number, *config.accounts.per_user)
    user = np.repeat(np.arange(len(users)), n)
    slot = np.arange(len(user)) - np.repeat(np.cumsum(n) - n, n)
    high, low = child_words(seed, "account", users.high[user], users.low[user], slot)
    # One point in each n-th of [0, 1): a user's accounts differ in kind, and over all users
    # each point is uniform, so the kinds have their shares.
    point = (slot + kind[user]) / n[user]
    start = np.maximum(rules.first_day, users.created_day[user] + 1)
    return Accounts(
        user=user,
        owner=users.low[user],
        high=high,
        low=low,
        subtype=_subtypes(point, config),
        history_start=start,
        n_transactions=transaction_counts((size[user] + slot / n[user]) % 1.0, start, rules),
    )


def _subtypes(point: FloatArray, config: FinanceConfig) -> IntArray:
    shares = config.accounts.subtype_shares
    bounds = np.cumsum([shares.checking, shares.savings])
    return np.searchsorted(bounds, point, side="right")


def transaction_counts(share: FloatArray, start: IntArray, rules: Rules) -> IntArray:
    """Return how many transactions each account has, by its share of what its days allow."""
    fewest, most = rules.config.transactions.per_account
    lived = (rules.as_of - start + 1) / rules.config.transactions.history_days
    upper = np.maximum(fewest, np.rint(most * lived).astype(np.int64))
    return whole_numbers(share, fewest, upper)


@dataclass(frozen=True, eq=False)
class Details:
    """What an account shows besides its id; the credit columns count for cards alone."""

    name: IntArray
    mask: IntArray
    balance_cents: IntArray
    limit_cents: IntArray
    apr: FloatArray
    min_payment_cents: IntArray
    is_overdue: BoolArray


def make_details(seed: int, low: Words, subtype: IntArray, config: FinanceConfig) -> Details:
    """Return the details of accounts by id (low word) and subtype."""
    rules = config.accounts
    is_card = subtype == CREDIT_CARD
    lowest, highest = (round(bound * 100) for bound in rules.credit_limit)
    share = uniforms(seed, "account.limit", low) ** rules.limit_skew
    steps = whole_numbers(share, -(-lowest // 10_000), max(highest // 10_000, -(-lowest // 10_000)))
    # A range without a multiple of 100 dollars has its upper end alone.
    limit = np.minimum(steps * 10_000, highest)
    least, most = rules.utilisation
    share = uniforms(seed, "account.utilisation", low) ** rules.utilisation_skew
    used = least + (most - least) * share
    ranges = np.array([rules.checking_balance, rules.savings_balance, (1.0, 1.0)])[subtype] * 100
    share = uniforms(seed, "account.balance", low)
    held = ranges[:, 0] * (ranges[:, 1] / ranges[:, 0]) ** share
    balance = np.where(is_card, np.floor(limit * used), np.rint(held)).astype(np.int64)
    apr_low, apr_high = (round(bound * 100) for bound in rules.apr_range)
    overdue = uniforms(seed, "account.overdue", low) < rules.overdue_share
    return Details(
        name=whole_numbers(uniforms(seed, "account.name", low), 0, 3),
        mask=whole_numbers(uniforms(seed, "account.mask", low), 0, 9999),
        balance_cents=balance,
        limit_cents=limit,
        apr=whole_numbers(uniforms(seed, "account.apr", low), apr_low, apr_high) / 100,
        min_payment_cents=np.rint(balance * rules.min_payment_share).astype(np.int64),
        is_overdue=is_card & overdue & (balance > 0),
    )
