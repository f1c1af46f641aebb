"""What payments look like: the business rules, counted on a large world.

Tolerances are four standard errors or wider, and stated at each rule.
"""

import numpy as np
import polars as pl
import pytest
from tests.large_world import RENDERED, LargeWorld

from payworld.storage.reference import load_reference

pytestmark = pytest.mark.xdist_group("large world")

SIZES = ("small", "medium", "large")
PAYMENTS = {"small": (2, 20), "medium": (5, 50), "large": (20, 100)}
AMOUNTS = {"small": (5.0, 100.0), "medium": (25.0, 300.0), "large": (100.0, 1000.0)}
ACTIVE_DAYS = {"small": 22, "medium": 26, "large": 28}
ORDINARY = (1, 2, 3, 4, 5, 8, 9, 10)


@pytest.mark.parametrize("size", SIZES)
def test_payments_of_an_active_day_are_always_in_range_and_reach_both_ends(
    large_world: LargeWorld, size: str
) -> None:
    code = SIZES.index(size)
    low, high = PAYMENTS[size]
    assert min(day.fewest[code] for day in large_world.days) == low
    assert max(day.most[code] for day in large_world.days) == high


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("months", "factor"), [((11, 12), 1.5), ((6, 7), 1.2)], ids=["winter", "summer"]
)
def test_the_season_multiplies_the_payments_of_an_active_day(
    large_world: LargeWorld, size: str, months: tuple[int, ...], factor: float
) -> None:
    def mean(chosen: tuple[int, ...]) -> float:
        days = large_world.in_months(chosen)
        code = SIZES.index(size)
        return float(sum(d.payments[code] for d in days) / sum(d.trading[code] for d in days))

    assert mean(months) / mean(ORDINARY) == pytest.approx(factor, rel=0.015)


@pytest.mark.parametrize("size", SIZES)
def test_merchants_trade_on_so_many_days_a_month(large_world: LargeWorld, size: str) -> None:
    code = SIZES.index(size)
    # Whole weeks: 52 of them.
    days = large_world.days[:364]
    share = sum(d.trading[code] for d in days) / sum(d.active[code] for d in days)
    assert share * 365.25 / 12 == pytest.approx(ACTIVE_DAYS[size], abs=0.1)


@pytest.mark.parametrize(("size", "ratio"), [("small", 0.7), ("medium", 0.7), ("large", 0.72)])
def test_merchants_trade_less_at_weekends(large_world: LargeWorld, size: str, ratio: float) -> None:
    code = SIZES.index(size)

    def share(weekend: bool) -> float:
        days = [d for d in large_world.days if (d.date.weekday() >= 5) is weekend]
        return float(sum(d.trading[code] for d in days) / sum(d.active[code] for d in days))

    # Large ones trade on every weekday, so that a little more of 28 days falls on weekends.
    assert share(True) / share(False) == pytest.approx(ratio, abs=0.01)


def test_merchants_differ_in_how_busy_they_are(large_world: LargeWorld) -> None:
    day = large_world.payments.filter(pl.col("size") == "small").group_by(
        "merchant_id", pl.col("payment_timestamp").dt.date()
    ).len()  # fmt: skip
    means = day.group_by("merchant_id").agg(pl.col("len").mean(), days=pl.len())
    often = means.filter(pl.col("days") >= 4)["len"]
    # Chance alone would leave the means of four days within a factor of about two.
    assert often.quantile(0.95) > 3 * often.quantile(0.05)  # type: ignore[operator]


@pytest.mark.parametrize("size", SIZES)
def test_amounts_are_in_range_and_skewed_to_the_low_end(large_world: LargeWorld, size: str) -> None:
    low, high = AMOUNTS[size]
    amounts = large_world.payments.filter(pl.col("size") == size)["payment_amount"].cast(pl.Float64)
    assert low <= amounts.min() < low * 1.1  # type: ignore[operator]
    assert high * 0.9 < amounts.max() <= high  # type: ignore[operator]
    middle = (low + high) / 2
    median, mean = amounts.median(), amounts.mean()
    assert isinstance(median, float)
    assert isinstance(mean, float)
    assert median < mean < 0.8 * middle


def test_merchants_differ_in_their_ticket_sizes(large_world: LargeWorld) -> None:
    tickets = (
        large_world.payments.filter(pl.col("size") == "small")
        .with_columns(pl.col("payment_amount").cast(pl.Float64).log())
        .group_by("merchant_id")
        .agg(pl.col("payment_amount").mean(), pl.col("payment_amount").var().alias("within"),
             pl.len())
        .filter(pl.col("len") >= 20)
    )  # fmt: skip
    chance = (tickets["within"] / tickets["len"]).mean()
    assert tickets["payment_amount"].var() > 5 * chance  # type: ignore[operator]


def test_payments_fall_in_business_hours_with_a_rush_at_lunch_and_after_work(
    large_world: LargeWorld,
) -> None:
    hours = large_world.payments["payment_timestamp"].dt.hour()
    assert (hours.min(), hours.max()) == (8, 21)
    counts = dict(hours.value_counts().rows())
    assert set(counts) == set(range(8, 22))
    assert counts[12] > 1.5 * counts[9]
    assert counts[18] > 1.5 * counts[15]
    assert counts[18] > 2.5 * counts[21]


def test_seconds_and_minutes_are_as_likely_as_each_other(large_world: LargeWorld) -> None:
    for part in ("minute", "second"):
        values = getattr(large_world.payments["payment_timestamp"].dt, part)()
        counts = values.value_counts()["count"]
        assert counts.len() == 60
        # Chance alone: four standard errors up and down are 6%. The curve of the day adds a little.
        limit = 1.1 if part == "minute" else 1.07
        assert counts.max() < limit * counts.min()


@pytest.fixture(scope="module")
def new_cards(large_world: LargeWorld) -> pl.DataFrame:
    """Each card once."""
    return large_world.payments.unique("card_profile_id")


def test_card_types_are_56_32_and_12_percent(new_cards: pl.DataFrame) -> None:
    shares = dict(new_cards["card_type"].value_counts(normalize=True).rows())
    assert new_cards.height > 500_000
    assert shares == pytest.approx({"debit": 0.56, "credit": 0.32, "prepaid": 0.12}, abs=0.004)


def test_card_brands_are_about_60_25_11_and_4_percent(new_cards: pl.DataFrame) -> None:
    shares = dict(new_cards["card_brand"].value_counts(normalize=True).rows())
    about = {"Visa": 0.60, "Mastercard": 0.25, "Amex": 0.11, "Discover": 0.04}
    assert shares == pytest.approx(about, abs=0.006)


def test_amex_and_discover_issue_credit_cards_alone(new_cards: pl.DataFrame) -> None:
    rare = new_cards.filter(pl.col("card_brand").is_in(["Amex", "Discover"]))
    assert set(rare["card_type"]) == {"credit"}


def test_bins_are_in_their_brands_number_range(new_cards: pl.DataFrame) -> None:
    bins = new_cards.group_by("card_bin").agg(
        pl.col("card_brand", "card_type", "card_issuer").unique()
    )
    assert bins.height > 100
    for number, *lists in bins.rows():
        # One brand, type and issuer each.
        assert [len(values) for values in lists] == [1, 1, 1], number
        assert brand_of(int(number)) == lists[0][0], number


def brand_of(number: int) -> str:
    """Return the network that a six-digit BIN belongs to (ISO/IEC 7812 ranges of the networks)."""
    if number // 100_000 == 4:
        return "Visa"
    if 510_000 <= number <= 559_999 or 222_100 <= number <= 272_099:
        return "Mastercard"
    if number // 10_000 in {34, 37}:
        return "Amex"
    if number // 100 == 6011 or 644_000 <= number <= 659_999:
        return "Discover"
    return "none"


def test_every_issuer_has_many_cards_and_no_one_most(new_cards: pl.DataFrame) -> None:
    shares = new_cards["card_issuer"].value_counts(normalize=True)["proportion"]
    assert shares.len() > 30
    assert shares.max() < 0.25  # type: ignore[operator]


def test_one_percent_of_new_cards_is_stored(large_world: LargeWorld) -> None:
    new = sum(day.new_cards for day in large_world.days)
    stored = sum(day.stored for day in large_world.days)
    error = 4 * (0.01 * 0.99 / new) ** 0.5
    assert stored / new == pytest.approx(0.01, abs=error)


def test_stored_cards_make_5_to_15_percent_of_each_days_payments(large_world: LargeWorld) -> None:
    shares = [day.reused / (day.reused + day.new_cards) for day in large_world.days if day.pool]
    assert len(shares) == 365
    assert min(shares) >= 0.05
    assert max(shares) <= 0.15
    assert np.mean(shares) == pytest.approx(0.10, abs=4 * 0.0289 / 365**0.5)
    # It is drawn for each day, not once.
    assert np.std(shares) == pytest.approx(0.0289, rel=0.15)


def test_the_pool_of_stored_cards_is_bounded(large_world: LargeWorld) -> None:
    sizes = [day.pool for day in large_world.days]
    assert max(sizes) == 50_000
    # In a world of this size it fills within weeks, and stays full.
    assert sizes[60:] == [50_000] * (len(sizes) - 60)


def test_statuses_and_payment_types_have_their_shares(large_world: LargeWorld) -> None:
    payments = large_world.payments
    types = dict(payments["payment_type"].value_counts(normalize=True).rows())
    assert types == pytest.approx(
        {"card_present": 0.68, "online": 0.24, "in_app": 0.06, "phone_order": 0.02}, abs=0.003
    )
    statuses = dict(payments["payment_status"].value_counts(normalize=True).rows())
    assert statuses == pytest.approx({"approved": 0.94, "declined": 0.05, "failed": 0.01},
                                     abs=0.002)  # fmt: skip


def test_a_payment_that_is_not_approved_costs_and_earns_nothing(large_world: LargeWorld) -> None:
    others = large_world.payments.filter(pl.col("payment_status") != "approved")
    for column in ("transactional_cost_amount", "mdr_amount", "net_profit"):
        assert others[column].cast(pl.Float64).abs().sum() == 0.0


def test_costs_follow_card_type_and_brand(large_world: LargeWorld) -> None:
    rates = large_world.payments.group_by("card_type", "card_brand").agg(
        pl.col("transactional_cost_rate").unique()
    )
    found = {(kind, brand): [float(r) for r in values] for kind, brand, values in rates.rows()}
    assert found == {
        ("debit", "Visa"): [0.0050],
        ("debit", "Mastercard"): [0.0055],
        ("credit", "Visa"): [0.0155],
        ("credit", "Mastercard"): [0.0160],
        ("credit", "Amex"): [0.0190],
        ("credit", "Discover"): [0.0165],
        ("prepaid", "Visa"): [0.0110],
        ("prepaid", "Mastercard"): [0.0115],
    }


def test_card_present_payments_happen_at_the_merchants_place(large_world: LargeWorld) -> None:
    """Within 0.015 degrees of its ZIP code's centre, at one point a day."""
    places = load_reference().places
    centre = pl.DataFrame(
        {
            "zip_code": places.zip_code,
            "lat": places.lat_e6 / 1e6,
            "lng": places.lng_e6 / 1e6,
        }
    )
    versions = large_world.versions.select("merchant_id", "effective_date", "zip_code").sort(
        "effective_date"
    )
    payments = (
        large_world.payments.filter(pl.col("payment_type") == "card_present")
        .with_columns(pl.col("payment_lat", "payment_lng").cast(pl.Float64),
                      day=pl.col("payment_timestamp").dt.date())
        .sort("day")
        .join_asof(versions, left_on="day", right_on="effective_date", by="merchant_id",
                   check_sortedness=False)
        .join(centre, on="zip_code", how="left")
    )  # fmt: skip
    assert ((payments["payment_lat"] - payments["lat"]).abs() <= 0.0150001).all()
    assert ((payments["payment_lng"] - payments["lng"]).abs() <= 0.0150001).all()
    points = payments.group_by("merchant_id", "day").agg(
        pl.struct("payment_lat", "payment_lng").n_unique().alias("points")
    )
    assert points["points"].max() == 1


def test_other_payments_come_from_buyers_all_over_the_country(large_world: LargeWorld) -> None:
    payments = large_world.payments
    others = payments.filter(pl.col("payment_type") != "card_present")
    assert others["terminal_id"].null_count() == others.height
    places = load_reference().places
    known = set(zip(places.lat_e6.tolist(), places.lng_e6.tolist(), strict=True))
    found = {
        (round(float(lat) * 1e6), round(float(lng) * 1e6))
        for lat, lng in others.select("payment_lat", "payment_lng").unique().rows()
    }
    assert found <= known
    assert len(found) > 0.9 * len(known)


@pytest.mark.parametrize(("size", "low", "high"), [("small", 1, 2), ("medium", 2, 5),
                                                   ("large", 4, 12)])  # fmt: skip
def test_merchants_have_as_many_terminals_as_their_size_allows(
    large_world: LargeWorld, size: str, low: int, high: int
) -> None:
    present = large_world.payments.filter(
        (pl.col("size") == size) & (pl.col("payment_type") == "card_present")
    )
    terminals = present.with_columns(
        owner=pl.col("terminal_id").str.slice(1, 6).cast(pl.Int64),
        number=pl.col("terminal_id").str.slice(7, 2).cast(pl.Int64),
    )
    assert (terminals["owner"] == terminals["merchant_id"].str.slice(1).cast(pl.Int64)).all()
    assert (terminals["number"].min(), terminals["number"].max()) == (1, high)
    # Whoever is busy enough uses all there are: the fewest is the range's low end.
    busy = terminals.group_by("merchant_id").agg(pl.len(), pl.col("number").max())
    assert busy.filter(pl.col("len") >= 60)["number"].min() == low


def test_days_of_every_season_were_looked_at(large_world: LargeWorld) -> None:
    assert {day.date for day in large_world.rendered} == RENDERED
    assert large_world.payments.height == sum(day.payments for day in large_world.rendered)
