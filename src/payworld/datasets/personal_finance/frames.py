"""Blocks of users as typed frames: what every format and the public functions start from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from payworld.datasets.personal_finance.config import SUBTYPES, FinanceConfig
from payworld.datasets.personal_finance.draws import child_words, uniforms, uuid_series
from payworld.datasets.personal_finance.history import make_history
from payworld.datasets.personal_finance.names import ACCOUNT_NAMES, FAMILY_NAMES, GIVEN_NAMES
from payworld.datasets.personal_finance.people import (
    CREDIT_CARD,
    Accounts,
    Users,
    make_accounts,
    make_details,
    make_users,
)
from payworld.datasets.personal_finance.recurring import EPOCH
from payworld.datasets.personal_finance.rules import Rules
from payworld.world.arrays import IntArray

__all__ = [
    "BLOCK_USERS",
    "Block",
    "accounts_frame",
    "count_rows",
    "make_blocks",
    "transactions_frame",
    "users_frame",
]

# About 15,000 transactions: they stay in the processor's cache. It changes no byte of the rows,
# but Parquet's row groups follow it.
BLOCK_USERS = 128
_DOMAINS = ("mail.example", "inbox.example", "post.example")


class Block(NamedTuple):
    """The three tables of some users; lives until it is written."""

    users: pl.DataFrame
    accounts: pl.DataFrame
    transactions: pl.DataFrame


def make_blocks(seed: int, num_users: int, rules: Rules) -> Iterator[Block]:
    """Yield the data of users 0 to num_users - 1, block by block."""
    for first in range(0, num_users, BLOCK_USERS):
        yield make_block(seed, first, min(BLOCK_USERS, num_users - first), rules)


def make_block(seed: int, first: int, n: int, rules: Rules) -> Block:
    """Return the data of n users from an ordinal on."""
    users = make_users(seed, first, n, rules)
    accounts = make_accounts(seed, users, rules)
    return Block(
        users_frame(seed, first, users),
        accounts_frame(
            seed, accounts, uuid_series(users.high, users.low).gather(accounts.user), rules.config
        ),
        transactions_frame(seed, accounts, rules),
    )


def count_rows(seed: int, num_users: int, rules: Rules) -> dict[str, int]:
    """Return the rows of each table, without making them."""
    accounts = transactions = 0
    step = BLOCK_USERS * 16
    for first in range(0, num_users, step):
        users = make_users(seed, first, min(step, num_users - first), rules)
        part = make_accounts(seed, users, rules)
        accounts += len(part)
        transactions += int(part.n_transactions.sum())
    return {"users": num_users, "accounts": accounts, "transactions": transactions}


def _times(day: IntArray, second: IntArray) -> pl.Series:
    seconds = (day - EPOCH) * 86_400 + second
    return pl.Series(seconds.astype("M8[s]").astype("M8[us]"))


def users_frame(seed: int, first: int, users: Users) -> pl.DataFrame:
    """Return users as a table; emails are unique by the user's number."""
    n = len(users)
    given = (uniforms(seed, "user.given", users.low) * len(GIVEN_NAMES)).astype(int).tolist()
    family = (uniforms(seed, "user.family", users.low) * len(FAMILY_NAMES)).astype(int).tolist()
    domain = (uniforms(seed, "user.domain", users.low) * len(_DOMAINS)).astype(int).tolist()
    names = [(GIVEN_NAMES[g], FAMILY_NAMES[f]) for g, f in zip(given, family, strict=True)]
    emails = [
        f"{g.lower()}.{f.lower()}{first + row}@{_DOMAINS[d]}"
        for row, ((g, f), d) in enumerate(zip(names, domain, strict=True))
    ]
    return pl.DataFrame(
        {
            "id": uuid_series(users.high, users.low),
            "name": [f"{g} {f}" for g, f in names],
            "email": emails,
            "consent": np.zeros(n, bool),
            "created_at": _times(users.created_day, users.created_second),
        }
    )


def accounts_frame(
    seed: int, accounts: Accounts, user_ids: pl.Series, config: FinanceConfig
) -> pl.DataFrame:
    """Return accounts as a table; the credit columns of other accounts are null."""
    details = make_details(seed, accounts.low, accounts.subtype, config)
    is_card = pl.Series(accounts.subtype == CREDIT_CARD)
    subtypes = pl.Series(SUBTYPES).gather(accounts.subtype)
    names = pl.Series([name for subtype in SUBTYPES for name in ACCOUNT_NAMES[subtype]])
    frame = pl.DataFrame(
        {
            "id": uuid_series(accounts.high, accounts.low),
            "user_id": user_ids,
            "type": pl.Series(["depository", "credit"]).gather(is_card.cast(pl.UInt32)),
            "subtype": subtypes,
            "name": names.gather(accounts.subtype * 4 + details.name),
            "mask": [f"{number:04d}" for number in details.mask.tolist()],
            "balance": details.balance_cents,
            "currency": ["USD"] * len(accounts),
            "limit": details.limit_cents,
            "apr": details.apr,
            "min_payment": details.min_payment_cents,
            "is_overdue": details.is_overdue,
        }
    )
    credit = ("limit", "apr", "min_payment", "is_overdue")
    return frame.with_columns(pl.when(is_card).then(pl.col(name)).alias(name) for name in credit)


def transactions_frame(seed: int, accounts: Accounts, rules: Rules) -> pl.DataFrame:
    """Return the accounts' transactions as a table, ordered by account and time."""
    rows = make_history(seed, accounts, rules)
    high, low = accounts.high[rows.account], accounts.low[rows.account]
    ids = child_words(seed, "transaction", high, low, rows.index)
    return pl.DataFrame(
        {
            "id": uuid_series(*ids),
            "account_id": uuid_series(high, low),
            "date": _times(rows.day, rows.second),
            "amount": rows.amount_cents,
            "category": rules.categories.gather(rows.group),
            "merchant_name": rules.names.gather(rows.name),
            "pending": rows.pending,
        }
    )
