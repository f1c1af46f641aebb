"""Every knob turns, every wrong value is refused, and what is printed reads back."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl
import pytest
from pydantic import BaseModel

from payworld.config import parse_document, to_commented_yaml, validate
from payworld.datasets.personal_finance import FinanceConfig, generate_dataset
from payworld.datasets.personal_finance.frames import make_blocks
from payworld.datasets.personal_finance.rules import compile_rules
from payworld.errors import ConfigError

AS_OF = date(2025, 11, 3).toordinal()


def leaves(model: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


# What half of the default, or another bound, would not change in a few users.
OTHERS: dict[str, Any] = {
    "merchants": [{"name": "Another Place", "prices": [6.0, 9.0]}],
    "employers": ["Another Employer"],
    "overdue_share": 0.9,
    **dict.fromkeys(("weekly", "biweekly", "semi_monthly", "monthly"), 100.0),
}


def turned(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a document that sets another value at a path."""
    name = path[-1]
    if name in OTHERS and path[1:2] != ("reach",):
        new: Any = OTHERS[name]
    elif name == "hour_weights" or path[0] == "shop_hours":
        new = [1.0, *[0.0] * 23] if value[0] == 0 else [0.0] * 23 + [1.0]
    elif path[0] == "category_weights" or path[1:2] == ("subtype_shares",):
        return shifted(path)
    elif isinstance(value, tuple):
        low, high = value
        new = [low, low + (high - low) / 2 if isinstance(low, float) else low + (high - low) // 2]
        if name == "expense_range":
            new = [low, 60.0]
    elif isinstance(value, int):
        new = value + 3
    else:
        new = value / 2 if value else 0.4
    document: Any = new
    for key in reversed(path):
        document = {key: document}
    return dict(document)


def shifted(path: tuple[str, ...]) -> dict[str, Any]:
    """Return a document that moves a tenth from one share to its neighbour."""
    section: Any = FinanceConfig()
    for key in path[:-1]:
        section = getattr(section, key)
    shares = section.model_dump()
    other = next(name for name in shares if name != path[-1] and shares[name] > 0.1)
    shares[other] -= 0.1
    shares[path[-1]] += 0.1
    document: Any = {name: round(share, 6) for name, share in shares.items()}
    for key in reversed(path[:-1]):
        document = {key: document}
    return dict(document)


KNOBS = list(leaves(FinanceConfig()))


@pytest.mark.parametrize(("path", "value"), KNOBS, ids=[".".join(path) for path, _ in KNOBS])
def test_every_knob_turns(path: tuple[str, ...], value: Any) -> None:
    config = validate(FinanceConfig, turned(path, value), "the test")
    # Few are paid monthly.
    users = 400 if path[1:2] == ("reach",) else 40
    base = generate_dataset(users, as_of="2025-11-03", seed=1)
    num_users = config.num_users - 10 if path == ("num_users",) else users
    seed = config.seed if path == ("seed",) else 1
    data = generate_dataset(num_users, as_of="2025-11-03", seed=seed, config=config)
    tables = ("users", "accounts", "transactions")
    assert any(data[table] != base[table] for table in tables)


def test_the_printed_configuration_reads_back_and_changes_nothing() -> None:
    text = to_commented_yaml(FinanceConfig(), "finance")
    assert validate(FinanceConfig, parse_document(text, "test"), "test") == FinanceConfig()


def test_every_knob_is_described() -> None:
    def descriptions(model: type[BaseModel]) -> Iterator[str | None]:
        for field in model.model_fields.values():
            yield field.description
            if isinstance(field.default, BaseModel):
                yield from descriptions(type(field.default))

    assert all(descriptions(FinanceConfig))


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("num_user: 5", "did you mean 'num_users'"),
        ("num_users: 0", "num_users = 0"),
        ("num_users: '5'", "num_users"),
        ("seed: -1", "seed = -1"),
        ("category_weights: {INCOME: 0.5}", "must sum to 1"),
        ("category_weights: {INCOME: .nan}", "category_weights.INCOME"),
        ("transactions: {per_account: [100, 20]}", "upside down"),
        ("transactions: {history_days: 10}", "transactions.history_days"),
        ("accounts: {apr_range: [0, 200]}", "accounts.apr_range"),
        ("accounts: {apr_range: [12.994, 12.996]}", "at most 2 decimals"),
        ("income: {rhythms: {weekly: 0, biweekly: 0, semi_monthly: 0, monthly: 0}}", "rhythm"),
        ("utilities: {merchants: []}", "utilities.merchants"),
        ("spending: {HEALTHCARE: {hour_weights: [1, 2]}}", "hour_weights"),
        ("users: {created_days_ago: [10, 20]}", "users.created_days_ago"),
        ("seed: 1\nseed: 2", "duplicate"),
        (
            "spending: {HEALTHCARE: {merchants: [{name: A, prices: [6, 7], hours: noon}]}}",
            "spending.HEALTHCARE.merchants.0.hours",
        ),
    ],
)
def test_a_wrong_value_is_named(document: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        validate(FinanceConfig, parse_document(document, "file"), "file")


EXTREMES: list[dict[str, Any]] = [
    {"transactions": {"per_account": [1, 1]}},
    {"transactions": {"per_account": [5000, 5000], "history_days": 35}},
    {"transactions": {"history_days": 3650}, "users": {"created_days_ago": [35, 3650]}},
    {"users": {"created_days_ago": [35, 35]}, "transactions": {"per_account": [100, 100]}},
    {"accounts": {"per_user": [20, 20]}},
    {"accounts": {"subtype_shares": {"checking": 0, "savings": 0, "credit_card": 1}}},
    {"income": {"rhythms": {"weekly": 0, "biweekly": 0, "semi_monthly": 0}}},
    {"transactions": {"expense_range": [19.99, 19.99]}},
    {"accounts": {"credit_limit": [1010.5, 1050.25], "utilisation": [1.0, 1.0]}},
    {"transactions": {"per_account": [1, 5], "subscription_share": 1.0}},
    {"transactions": {"pending_share": 0.5, "pending_days": 14}},
    {"transactions": {"pending_share": 0.0}},
    {
        "category_weights": {
            **dict.fromkeys(("FOOD_AND_DRINK", "GENERAL_MERCHANDISE", "TRANSPORTATION"), 0.0),
            **dict.fromkeys(("ENTERTAINMENT", "HEALTHCARE"), 0.0),
            "INCOME": 0.5,
            "UTILITIES": 0.5,
        }
    },
    {
        "category_weights": {
            **dict.fromkeys(("FOOD_AND_DRINK", "GENERAL_MERCHANDISE", "TRANSPORTATION"), 0.0),
            **dict.fromkeys(("ENTERTAINMENT", "HEALTHCARE", "UTILITIES"), 0.0),
            "INCOME": 1.0,
        }
    },
]


@pytest.mark.parametrize("document", EXTREMES, ids=str)
def test_the_laws_hold_for_extreme_configurations(document: dict[str, Any]) -> None:
    config = validate(FinanceConfig, document, "the test")
    blocks = make_blocks(3, 60, compile_rules(config, AS_OF))
    users, accounts, rows = (pl.concat(parts) for parts in zip(*blocks, strict=True))
    rules = config.transactions
    age = pl.lit(date(2025, 11, 3)).cast(pl.Datetime) - pl.col("date")
    assert rows.select(
        (age > pl.duration(days=0)).all() & (age <= pl.duration(days=rules.history_days)).all()
    ).item()
    created = dict(users.select("id", "created_at").iter_rows())
    owners = dict(accounts.select("id", "user_id").iter_rows())
    first = rows.group_by("account_id").agg(pl.col("date").min(), n=pl.len())
    for account, oldest, n in first.iter_rows():
        assert oldest > created[owners[account]]
        assert rules.per_account[0] <= n <= rules.per_account[1]
    limits = accounts["limit"].drop_nulls()
    bounds = config.accounts.credit_limit
    assert limits.is_between(round(bounds[0] * 100), round(bounds[1] * 100)).all()
    assert accounts.filter(pl.col("balance") > pl.col("limit")).is_empty()
    pending = rows.filter("pending")
    assert pending.select((age <= pl.duration(days=rules.pending_days)).all()).item()
    assert abs(len(pending) - rules.pending_share * len(rows)) <= len(accounts)
    is_income = rows["category"] == "INCOME"
    low, high = rules.expense_range
    expenses = rows.filter(~is_income)["amount"]
    assert expenses.is_between(round(low * 100), round(high * 100)).all()
    assert rows.filter(is_income)["amount"].is_between(-600_000, -200_000).all()
    for category, weight in config.category_weights:
        # Few rows stray further: four standard errors.
        tolerance = 0.03 + 4 * (weight * (1 - weight) / len(rows)) ** 0.5
        assert (rows["category"] == category).mean() == pytest.approx(weight, abs=tolerance)
