"""Every rule of the data on every row, over seeds, dates and sizes."""

from datetime import date, datetime, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from payworld.datasets.personal_finance import FinanceConfig, catalog
from payworld.datasets.personal_finance.frames import make_blocks
from payworld.datasets.personal_finance.people import CREDIT_CARD, make_accounts, make_users
from payworld.datasets.personal_finance.rules import compile_rules

WORLDS = [
    (0, "2025-11-03", 300),
    (42, "2024-02-29", 300),
    (7, "2023-01-01", 129),
    (2**63 - 1, "2026-06-30", 300),
    (11, "1900-01-01", 60),
    (12, "2199-12-31", 60),
]
WEIGHTS = {
    "FOOD_AND_DRINK": 0.25,
    "GENERAL_MERCHANDISE": 0.20,
    "TRANSPORTATION": 0.15,
    "ENTERTAINMENT": 0.10,
    "UTILITIES": 0.10,
    "HEALTHCARE": 0.05,
    "INCOME": 0.15,
}
NAMES = {
    "FOOD_AND_DRINK": catalog.FOOD,
    "GENERAL_MERCHANDISE": catalog.MERCHANDISE,
    "TRANSPORTATION": catalog.TRANSPORTATION,
    "ENTERTAINMENT": (*catalog.ENTERTAINMENT, *catalog.SUBSCRIPTIONS),
    "UTILITIES": catalog.UTILITIES,
    "HEALTHCARE": catalog.HEALTHCARE,
}
UUID4 = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


@cache
def tables(
    seed: int, as_of: str, num_users: int
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    rules = compile_rules(FinanceConfig(), date.fromisoformat(as_of).toordinal())
    users, accounts, transactions = (
        pl.concat(parts) for parts in zip(*make_blocks(seed, num_users, rules), strict=True)
    )
    return users, accounts, transactions


worlds = pytest.mark.parametrize("world", WORLDS, ids=lambda world: f"{world[0]}-{world[1]}")
World = tuple[int, str, int]


def midnight(world: World) -> datetime:
    return datetime.fromisoformat(world[1])


@worlds
def test_users_are_as_promised(world: World) -> None:
    users, _, _ = tables(*world)
    assert len(users) == world[2]
    assert users["id"].str.contains(UUID4).all()
    assert users["id"].is_unique().all()
    assert users["email"].is_unique().all()
    assert users["email"].str.contains(r"^[a-z]+\.[a-z]+[0-9]+@[a-z]+\.example$").all()
    assert not users["consent"].any()
    age = midnight(world) - users["created_at"]
    assert age.is_between(timedelta(days=59), timedelta(days=729)).all()


@worlds
def test_accounts_are_as_promised(world: World) -> None:
    users, accounts, _ = tables(*world)
    assert accounts["id"].str.contains(UUID4).all()
    assert accounts["id"].is_unique().all()
    per_user = users.join(accounts, left_on="id", right_on="user_id", how="left").group_by("id")
    assert set(per_user.len()["len"]) == {1, 2, 3}
    assert set(accounts["user_id"]) == set(users["id"])
    kinds = set(accounts.select("type", "subtype").unique().rows())
    assert kinds == {
        ("depository", "checking"),
        ("depository", "savings"),
        ("credit", "credit_card"),
    }
    assert accounts["mask"].str.contains(r"^[0-9]{4}$").all()
    assert set(accounts["currency"]) == {"USD"}
    assert (accounts["name"].str.len_chars() > 0).all()


@worlds
def test_cards_have_limits_rates_and_payments_and_other_accounts_have_none(world: World) -> None:
    _, accounts, _ = tables(*world)
    credit = ["limit", "apr", "min_payment", "is_overdue"]
    cards = accounts.filter(subtype="credit_card")
    others = accounts.filter(pl.col("subtype") != "credit_card")
    assert others.select(pl.col(credit).is_null().all()).row(0) == (True,) * 4
    assert cards.select(pl.col(credit).is_not_null().all()).row(0) == (True,) * 4
    assert cards["limit"].is_between(100_000, 2_500_000).all()
    assert cards["balance"].is_between(0, cards["limit"]).all()
    assert cards["apr"].is_between(12.99, 29.99).all()
    assert (cards["apr"] * 100 - (cards["apr"] * 100).round()).abs().max() < 1e-9  # type: ignore[operator]
    assert (cards["min_payment"] - cards["balance"] * 0.02).abs().max() <= 0.5  # type: ignore[operator]
    assert (cards.filter("is_overdue")["balance"] > 0).all()
    assert (others["balance"] > 0).all()


@worlds
def test_transactions_are_as_promised(world: World) -> None:
    _, accounts, rows = tables(*world)
    assert rows["id"].str.contains(UUID4).all()
    assert rows["id"].is_unique().all()
    counts = rows.group_by("account_id").len()
    assert set(counts["account_id"]) == set(accounts["id"])
    assert counts["len"].is_between(20, 100).all()
    is_income = rows["category"] == "INCOME"
    assert rows.filter(is_income)["amount"].is_between(-600_000, -200_000).all()
    assert rows.filter(~is_income)["amount"].is_between(500, 25_000).all()
    assert (rows["date"] < midnight(world)).all()
    assert (rows["date"] >= midnight(world) - timedelta(days=180)).all()
    pending = rows.filter("pending")["date"]
    assert (pending >= midnight(world) - timedelta(days=7)).all()
    in_order = rows.with_columns(before=pl.col("date").shift(1).over("account_id"))
    assert (in_order["before"].drop_nulls() <= in_order.drop_nulls()["date"]).all()


@worlds
def test_nothing_is_dated_before_its_user_existed(world: World) -> None:
    users, accounts, rows = tables(*world)
    owner = accounts.select(account_id="id", user_id="user_id").join(
        users.select(user_id="id", created_at="created_at"), on="user_id"
    )
    joined = rows.join(owner, on="account_id")
    assert len(joined) == len(rows)
    assert (joined["date"] > joined["created_at"]).all()


@worlds
def test_merchants_fit_their_category_and_its_prices(world: World) -> None:
    _, _, rows = tables(*world)
    for category, merchants in NAMES.items():
        of_category = rows.filter(category=category)
        assert set(of_category["merchant_name"]) <= {name for name, *_ in merchants}
        for name, low, high, *_ in merchants:
            amounts = of_category.filter(merchant_name=name)["amount"]
            assert amounts.is_between(round(low * 100), round(high * 100)).all(), name
    employers = set(rows.filter(category="INCOME")["merchant_name"])
    assert employers <= set(catalog.EMPLOYERS)


@worlds
def test_the_newest_of_each_account_are_pending(world: World) -> None:
    _, _, rows = tables(*world)
    numbered = rows.with_columns(
        rank=pl.int_range(pl.len()).reverse().over("account_id"),
        n=pl.col("pending").sum().over("account_id"),
        size=pl.len().over("account_id"),
    )
    assert (numbered["pending"] == (numbered["rank"] < numbered["n"])).all()
    assert (numbered["n"] - numbered["size"] * 0.05).abs().max() < 1  # type: ignore[operator]


@worlds
def test_pay_comes_in_a_rhythm_on_working_days_to_deposit_accounts(world: World) -> None:
    _, accounts, rows = tables(*world)
    income = rows.filter(category="INCOME")
    assert (income["date"].dt.weekday() <= 5).all()
    kinds = accounts.select(account_id="id", type="type")
    assert set(income.join(kinds, on="account_id")["type"]) == {"depository"}
    gaps = (
        income.with_columns(day=pl.col("date").dt.date())
        .group_by("account_id", "merchant_name", maintain_order=True)
        .agg(gap=pl.col("day").diff().drop_nulls().dt.total_days(), amount="amount")
    )
    rhythms = ({7}, {14}, set(range(11, 19)), set(range(26, 34)))
    for gap, amounts in gaps.select("gap", "amount").iter_rows():
        assert any(set(gap) <= rhythm for rhythm in rhythms), gap
        assert max(amounts) - min(amounts) <= 0.05 * -min(amounts)


@worlds
def test_utilities_recur_monthly_with_nearly_the_same_amount(world: World) -> None:
    _, _, rows = tables(*world)
    bills = rows.filter(category="UTILITIES").group_by("account_id", "merchant_name")
    for days, amounts in (
        bills.agg(pl.col("date").dt.date(), "amount").select("date", "amount").iter_rows()
    ):
        gaps = {(b - a).days for a, b in pairwise(days)}
        assert gaps <= {28, 29, 30, 31}
        assert max(amounts) <= 1.09 * min(amounts)


@worlds
def test_subscriptions_recur_monthly_with_the_same_amount(world: World) -> None:
    _, _, rows = tables(*world)
    names = [name for name, _, _ in catalog.SUBSCRIPTIONS]
    of_subscriptions = rows.filter(pl.col("merchant_name").is_in(names))
    assert len(of_subscriptions) > 0
    grouped = of_subscriptions.group_by("account_id", "merchant_name")
    for days, amounts in (
        grouped.agg(pl.col("date").dt.date(), "amount").select("date", "amount").iter_rows()
    ):
        gaps = {(b - a).days for a, b in pairwise(days)}
        assert gaps <= {28, 29, 30, 31}
        assert len(set(amounts)) == 1


def test_categories_subtypes_and_pending_have_their_shares() -> None:
    _, accounts, rows = tables(5, "2025-11-03", 4000)
    for category, weight in WEIGHTS.items():
        share = (rows["category"] == category).mean()
        # Income varies with the share of deposit accounts: about 0.001 at this size.
        assert share == pytest.approx(weight, abs=0.005), category
    assert rows["pending"].mean() == pytest.approx(0.05, abs=0.001)
    for subtype, weight in {"checking": 0.5, "savings": 0.2, "credit_card": 0.3}.items():
        assert (accounts["subtype"] == subtype).mean() == pytest.approx(weight, abs=0.015)


@pytest.mark.parametrize("seed", range(12))
def test_small_data_sets_have_the_shares_too(seed: int) -> None:
    _, _, rows = tables(seed, "2025-11-03", 50)
    for category, weight in WEIGHTS.items():
        assert (rows["category"] == category).mean() == pytest.approx(weight, abs=0.03), category
    assert rows["pending"].mean() == pytest.approx(0.05, abs=0.005)


def test_the_mix_of_accounts_varies_less_than_independent_draws() -> None:
    rules = compile_rules(FinanceConfig(), date(2025, 11, 3).toordinal())
    incomes, cards = [], []
    for seed in range(100):
        users = make_users(seed, 0, 50, rules)
        accounts = make_accounts(seed, users, rules)
        n, is_card = accounts.n_transactions, accounts.subtype == CREDIT_CARD
        incomes.append(0.15 / 0.7 * n[~is_card].sum() / n.sum())
        cards.append(is_card.mean())
    # Independent draws have 0.0105 and 0.046.
    assert np.std(incomes) < 0.006
    assert np.std(cards) < 0.02
    assert 0.25 < min(cards) < max(cards) < 0.36
    assert np.mean(cards) == pytest.approx(0.3, abs=0.005)


def test_people_eat_out_at_weekends_and_in_the_evening() -> None:
    _, _, rows = tables(5, "2025-11-03", 4000)
    posted = rows.filter(~pl.col("pending"))
    food = posted.filter(category="FOOD_AND_DRINK")["date"]
    travel = posted.filter(category="TRANSPORTATION")["date"]
    assert (food.dt.weekday() >= 6).mean() > 0.36 > 2 / 7 > (travel.dt.weekday() >= 6).mean()  # type: ignore[operator]
    at_table = ("Harbor Light Grill", "Two Rivers Pizza", "Taqueria La Paloma", "Old Mill Tavern")
    dinners = posted.filter(pl.col("merchant_name").is_in(at_table))["date"].dt.hour()
    assert dinners.is_between(17, 21).mean() > 0.5  # type: ignore[operator]
    evening = food.dt.hour().is_between(17, 21).mean()
    care = posted.filter(category="HEALTHCARE")["date"].dt.hour().is_between(17, 21).mean()
    assert evening > 0.4 > 0.2 > care  # type: ignore[operator]


def test_a_persons_accounts_differ_in_kind() -> None:
    _, accounts, _ = tables(5, "2025-11-03", 4000)
    kinds = accounts.group_by("user_id").agg(n=pl.len(), kinds=pl.col("subtype").n_unique())
    assert (kinds.filter(n=2)["kinds"] == 2).all()
    assert (kinds.filter(n=3)["kinds"] >= 2).all()


@pytest.mark.parametrize(
    ("names", "first", "last", "share"),
    [
        (("Morning Bird Coffee", "Daily Grind Espresso", "Corner Oven Bakery"), 5, 11, 0.7),
        (("Two Rivers Pizza", "The Copper Ladle", "Bamboo Garden"), 11, 21, 0.9),
        (("Green Basket Market", "Sunny Acre Foods", "Family Table Grocery"), 7, 20, 0.95),
        (("City Science Museum",), 7, 20, 0.95),
    ],
)
def test_hours_fit_the_merchant(
    names: tuple[str, ...], first: int, last: int, share: float
) -> None:
    _, _, rows = tables(5, "2025-11-03", 4000)
    hours = rows.filter(pl.col("merchant_name").is_in(names))["date"].dt.hour()
    assert hours.is_between(first, last).mean() > share  # type: ignore[operator]


def owned(world: World) -> pl.DataFrame:
    """Return the transactions with their users."""
    _, accounts, rows = tables(*world)
    return rows.join(accounts.select(account_id="id", user_id="user_id"), on="account_id")


@worlds
def test_a_person_has_one_employer_and_one_rhythm_on_all_accounts(world: World) -> None:
    income = owned(world).filter(category="INCOME").with_columns(pl.col("date").dt.date())
    assert income.group_by("user_id").agg(pl.col("merchant_name").n_unique())[
        "merchant_name"
    ].unique().to_list() == [1]
    fullest = income.group_by("user_id", "account_id").agg(pl.col("date"), n=pl.len())
    fullest = fullest.sort("n", descending=True)
    paid: dict[str, set[date]] = {}
    for user, days in fullest.select("user_id", "date").iter_rows():
        # A part of the pay goes there, on the newest of the same days.
        whole = paid.setdefault(user, set(days))
        assert set(days) == set(sorted(whole)[-len(set(days)) :])
    assert max(fullest.group_by("user_id").len()["len"]) > 1


def test_pay_fills_the_history_in_the_rhythms_that_are_usual() -> None:
    users, _, _ = tables(5, "2025-11-03", 4000)
    rows = owned((5, "2025-11-03", 4000)).filter(category="INCOME")
    old = users.filter(pl.col("created_at") < datetime(2025, 5, 1))["id"]
    rows = rows.filter(pl.col("user_id").is_in(old.implode()))
    age = (datetime(2025, 11, 3) - pl.col("date")).dt.total_days()
    paid = rows.group_by("user_id").agg(
        first=age.max(), last=age.min(), gap=pl.col("date").dt.date().unique().sort().diff().max()
    )
    assert paid.select((pl.col("last") <= 33).all()).item()
    # Only whose few transactions hold no more than some months' pay begins later.
    assert (paid["first"] < 140).mean() < 0.06  # type: ignore[operator]
    days = paid["gap"].dt.total_days()
    shares = [days.is_between(*gaps).mean() for gaps in ((0, 7), (8, 14), (15, 19), (20, 40))]
    # As in the configuration, up to what the number of transactions asks for.
    assert shares == pytest.approx([0.27, 0.43, 0.19, 0.11], abs=0.18)


KINDS = len(catalog.UTILITIES) // 2


@worlds
def test_nobody_pays_for_the_same_utility_or_subscription_twice(world: World) -> None:
    rows = owned(world)
    names = [name for name, *_ in catalog.UTILITIES]
    kinds = {name: number % KINDS for number, name in enumerate(names)}
    subscriptions = {name: number for number, (name, *_) in enumerate(catalog.SUBSCRIPTIONS)}
    for kind_of in (kinds, subscriptions):
        bills = rows.filter(pl.col("merchant_name").is_in(list(kind_of)))
        series = bills.select("user_id", "account_id", "merchant_name").unique()
        kind = series["merchant_name"].replace_strict(kind_of)
        assert (
            not series.with_columns(kind).select("user_id", "merchant_name").is_duplicated().any()
        )


def test_history_fills_its_days_evenly_and_the_newest_week_hardly_more() -> None:
    _, _, rows = tables(5, "2025-11-03", 4000)
    age = (datetime(2025, 11, 3) - rows["date"]).dt.total_days()
    spent = age.filter(rows["category"] == "GENERAL_MERCHANDISE")
    weeks, all_weeks = (np.bincount(days.to_numpy() // 7)[:17] for days in (spent, age))
    assert weeks[1:].max() < 1.3 * weeks[1:].min()
    # The newest 5% are pending, and a week is 4% of the history.
    assert weeks[0] < 1.4 * weeks[1:5].mean()
    assert all_weeks[0] < 1.25 * all_weeks[1:5].mean()
