"""Public functions: users, accounts and transactions as plain dictionaries, and whole files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from operator import index as index_of
from pathlib import Path
from typing import Any, SupportsIndex
from uuid import UUID

import numpy as np
import polars as pl

from payworld.datasets.personal_finance.config import MAX_USERS, SUBTYPES, FinanceConfig
from payworld.datasets.personal_finance.draws import Words, uniforms
from payworld.datasets.personal_finance.frames import (
    Block,
    accounts_frame,
    count_rows,
    make_blocks,
    transactions_frame,
    users_frame,
)
from payworld.datasets.personal_finance.people import (
    Accounts,
    Users,
    make_accounts,
    make_users,
    transaction_counts,
)
from payworld.datasets.personal_finance.rules import Rules, compile_rules
from payworld.errors import UsageError
from payworld.randomness import MAX_SEED
from payworld.storage.finance_files import records, write_tables
from payworld.timeline import iso, parse_date
from payworld.version import __version__

__all__ = [
    "generate_accounts",
    "generate_dataset",
    "generate_transactions",
    "generate_user",
    "write_dataset",
]

Record = dict[str, Any]


def _rules(as_of: date | str, config: FinanceConfig | None) -> Rules:
    if not isinstance(as_of, date | str):
        raise UsageError(f"as_of = {as_of!r}: expected a date, or a text such as 2025-11-03")
    # A datetime is a date too; strftime writes years before 1000 with fewer digits.
    text = date.isoformat(as_of) if isinstance(as_of, date) else as_of
    return compile_rules(_config(config), parse_date(text, "as_of"))


def _config(config: FinanceConfig | None) -> FinanceConfig:
    if config is None:
        return FinanceConfig()
    if not isinstance(config, FinanceConfig):
        raise UsageError(
            f"config: is a {type(config).__name__}; expected a FinanceConfig, as in "
            "FinanceConfig(num_users=100)"
        )
    return config


def _whole(value: SupportsIndex, name: str, high: int, low: int = 0) -> int:
    """Return a whole number, NumPy's too, as Python's; UsageError for anything else."""
    number = None
    if not isinstance(value, bool | np.bool_):
        with suppress(TypeError):
            number = index_of(value)
    if number is None or not low <= number <= high:
        raise UsageError(f"{name} = {value!r}: expected a whole number from {low} to {high:,}")
    return number


def _seed(seed: int | None, config: FinanceConfig | None) -> int:
    return _whole(_config(config).seed if seed is None else seed, "seed", MAX_SEED)


def generate_user(
    index: int = 0,
    *,
    as_of: date | str,
    seed: int | None = None,
    config: FinanceConfig | None = None,
) -> Record:
    """Return the user with a number, from 0: the same one in every data set of the seed."""
    index, seed = _whole(index, "index", MAX_USERS - 1), _seed(seed, config)
    users = make_users(seed, index, 1, _rules(as_of, config))
    return records(users_frame(seed, index, users))[0]


def generate_accounts(
    user: Mapping[str, Any],
    *,
    as_of: date | str,
    seed: int | None = None,
    config: FinanceConfig | None = None,
) -> list[Record]:
    """Return the accounts of a user (its id and created_at count)."""
    seed, rules = _seed(seed, config), _rules(as_of, config)
    high, low = _words(user, "user")
    created = _created(user)
    _history_start(user, rules)
    users = Users(high, low, np.array([created.toordinal()]), np.zeros(1, np.int64))
    accounts = make_accounts(seed, users, rules)
    ids = pl.Series([user["id"]] * len(accounts), dtype=pl.String)
    return records(accounts_frame(seed, accounts, ids, rules.config))


def generate_transactions(
    account: Mapping[str, Any],
    user: Mapping[str, Any] | None = None,
    *,
    as_of: date | str,
    seed: int | None = None,
    config: FinanceConfig | None = None,
) -> list[Record]:
    """Return the transactions of an account, oldest first (its id, user_id and subtype count).

    With its user, nothing is dated before the user existed, as in a data set; without, the
    account has the whole history.
    """
    seed, rules = _seed(seed, config), _rules(as_of, config)
    accounts = _siblings(seed, account, user, rules)
    frame = transactions_frame(seed, accounts, rules)
    return records(frame.filter(account_id=str(UUID(str(account["id"])))))


def _siblings(
    seed: int, account: Mapping[str, Any], user: Mapping[str, Any] | None, rules: Rules
) -> Accounts:
    """Return the accounts of an account's user, which share employer and bills, with itself."""
    high, low = _words(account, "account")
    if account.get("subtype") not in SUBTYPES:
        raise UsageError(
            f"account.subtype = {account.get('subtype')!r}: expected {', '.join(SUBTYPES)}"
        )
    start = rules.first_day if user is None else _history_start(user, rules)
    is_owned = user is None or "user_id" in account
    owner = _words(account, "account", "user_id") if is_owned else _words(user or {}, "user")
    if user is not None and "id" in user and _words(user, "user") != owner:
        raise UsageError(
            f"account.user_id = {account['user_id']!r}: expected the id of the user, {user['id']!r}"
        )
    users = Users(*owner, np.array([start - 1]), np.zeros(1, np.int64))
    accounts = make_accounts(seed, users, rules)
    at = (accounts.high == high) & (accounts.low == low)
    if not at.any():
        # None of the accounts that this user has: it stands alone.
        at = np.ones(1, bool)
        accounts = replace(
            accounts,
            user=np.zeros(1, np.int64),
            owner=owner[1],
            high=high,
            low=low,
            history_start=accounts.history_start[:1],
            n_transactions=transaction_counts(
                uniforms(seed, "account.transactions", low), accounts.history_start[:1], rules
            ),
            subtype=np.zeros(1, np.int64),
        )
    subtype = SUBTYPES.index(account["subtype"])
    return replace(accounts, subtype=np.where(at, subtype, accounts.subtype))


def _words(record: Mapping[str, Any], name: str, field: str = "id") -> tuple[Words, Words]:
    try:
        number = UUID(str(record[field])).int
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{name}: expected a record with a UUID as its {field}") from error
    return np.array([number >> 64], np.uint64), np.array([number & (1 << 64) - 1], np.uint64)


def _created(user: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(str(user["created_at"]))
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError("user.created_at: expected an ISO 8601 date and time") from error


def _history_start(user: Mapping[str, Any], rules: Rules) -> int:
    """Return the first day (ordinal) of a user's history; UsageError if it has too few."""
    start = max(rules.first_day, _created(user).toordinal() + 1)
    if rules.as_of - start < 31:
        raise UsageError(
            f"user.created_at = {user['created_at']!r}: expected at least 32 days before as_of "
            f"{iso(rules.as_of)}"
        )
    return start


def _meta(seed: int, num_users: int, rules: Rules) -> Record:
    return {
        "generator": "payworld",
        "version": __version__,
        "seed": seed,
        "as_of": iso(rules.as_of),
        "counts": count_rows(seed, num_users, rules),
        "config": rules.config.fingerprint,
    }


def generate_dataset(
    num_users: int | None = None,
    *,
    as_of: date | str,
    seed: int | None = None,
    config: FinanceConfig | None = None,
) -> Record:
    """Return meta, users, accounts and transactions, as the JSON file holds them.

    Without a number of users it is that of the configuration, 50 unless it says otherwise.
    """
    num_users = _config(config).num_users if num_users is None else num_users
    num_users = _whole(num_users, "num_users", MAX_USERS, low=1)
    seed, rules = _seed(seed, config), _rules(as_of, config)
    users, accounts, transactions = (
        pl.concat(parts) for parts in zip(*make_blocks(seed, num_users, rules), strict=True)
    )
    return {
        "meta": _meta(seed, num_users, rules),
        "users": records(users),
        "accounts": records(accounts),
        "transactions": records(transactions.sort("date", maintain_order=True)),
    }


def write_dataset(
    output: Path,
    num_users: int,
    *,
    as_of: date | str,
    file_format: str = "json",
    seed: int | None = None,
    config: FinanceConfig | None = None,
    replace: bool = False,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[str, int], bool]:
    """Write a data set; return the rows of each table, and whether anything was new.

    `progress` is called with the users of each block, as they are written.
    """
    num_users = _whole(num_users, "num_users", MAX_USERS, low=1)
    seed, rules = _seed(seed, config), _rules(as_of, config)
    meta = _meta(seed, num_users, rules)

    def blocks() -> Iterator[Block]:
        for block in make_blocks(seed, num_users, rules):
            yield block
            if progress is not None:
                progress(len(block.users))

    return meta["counts"], write_tables(output, file_format, meta, blocks(), replace)
