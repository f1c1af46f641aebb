"""How merchants come, change and go."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.builders import pools_once, reopened
from tests.large_world import LargeWorld

from payworld import Simulation
from payworld.config.model import SIZES
from payworld.world.state import Change, World

large = pytest.mark.xdist_group("large world")


@pytest.fixture(autouse=True)
def _quick_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    # Names do not matter here, and their words cost more than a small world.
    monkeypatch.setattr("payworld.world.birth.draw_name_pools", lambda _seed: pools_once(42))


def events(world: World) -> Counter[tuple[str, int]]:
    """Return how many versions of each change code took effect in each month (YYYY-MM)."""
    found: Counter[tuple[str, int]] = Counter()
    for batch in world.versions:
        for day, change in zip(batch.effective.tolist(), batch.change.tolist(), strict=True):
            found[date.fromordinal(day).isoformat()[:7], change] += 1
    return found


def lived(start: date, end: date, **keys: Any) -> World:
    simulation = Simulation.create(start, **keys)
    for _ in simulation.days(end):
        pass
    return simulation.world


def test_the_default_world_keeps_its_caps_in_every_month_of_a_year() -> None:
    found = events(lived(date(2024, 1, 1), date(2024, 12, 31)))
    opened = [found[f"2024-{month:02d}", Change.OPENING] for month in range(1, 13)]
    churned = [found[f"2024-{month:02d}", Change.CHURN] for month in range(1, 13)]
    # 8% of 500 are 40, a few months later the cap of 50 binds; 3% of 500 are 15.
    assert 35 <= opened[0] <= 40
    assert set(opened[6:]) == {50}
    assert 13 <= churned[0] <= 15
    assert max(churned) <= 30
    assert churned[-1] > churned[0]


@pytest.mark.parametrize(("start", "days_left"), [("2024-06-16", 14), ("2024-06-29", 1)])
def test_the_month_of_birth_has_its_part_of_growth_and_churn(start: str, days_left: int) -> None:
    opened, churned = [], []
    for seed in range(24):
        found = events(lived(date.fromisoformat(start), date(2024, 6, 30), seed=seed))
        opened.append(found["2024-06", Change.OPENING])
        churned.append(found["2024-06", Change.CHURN])
    # Rounded up or down by chance, never more than the next whole number.
    for counts, monthly in ((opened, 40), (churned, 15)):
        expected = monthly * days_left / 30
        assert set(counts) <= {int(expected), int(expected) + 1}
        assert np.mean(counts) == pytest.approx(expected, abs=0.35)


def test_a_world_born_on_the_last_of_a_month_starts_quietly() -> None:
    found = events(lived(date(2024, 6, 30), date(2024, 6, 30)))
    assert found == {("2024-06", Change.INITIAL): 500}


@pytest.mark.slow
def test_growth_and_churn_do_not_depend_on_where_runs_begin_and_end() -> None:
    whole = events(lived(date(2024, 3, 10), date(2024, 4, 20)))
    simulation = Simulation.create(date(2024, 3, 10))
    while simulation.last_date < date(2024, 4, 20):
        simulation.step()
        simulation = reopened(simulation)
    assert events(simulation.world) == whole


def test_openings_are_spread_over_the_days_of_a_month() -> None:
    world = lived(
        date(2024, 1, 1), date(2024, 2, 29), initial_merchants=10_000,
        max_new_merchants_per_month=10_000,
    )  # fmt: skip
    by_day = Counter(
        day
        for batch in world.versions
        for day, change in zip(batch.effective.tolist(), batch.change.tolist(), strict=True)
        if change == Change.OPENING and date.fromordinal(day).month == 2
    )
    # 800 and more over 29 days: about 29 a day, Poisson.
    assert len(by_day) == 29
    assert max(by_day.values()) < 29 + 5 * 29**0.5


def test_a_world_without_growth_churn_and_changes_stays_as_it_was() -> None:
    world = lived(
        date(2024, 1, 1), date(2024, 3, 31), monthly_growth_rate=0.0, monthly_churn_rate=0.0,
        attribute_change_multiplier=0.0,
    )  # fmt: skip
    assert events(world) == {("2024-01", Change.INITIAL): 500}


def test_a_cap_of_nought_is_a_cap() -> None:
    world = lived(
        date(2024, 1, 1), date(2024, 2, 29), max_new_merchants_per_month=0,
        max_churned_merchants_per_month=0,
    )  # fmt: skip
    found = events(world)
    assert {change for _, change in found} & {Change.OPENING, Change.CHURN} == set()


@large
def test_growth_and_churn_rates_are_those_of_the_configuration(large_world: LargeWorld) -> None:
    found = events(large_world.simulation.world)
    active = 20_000
    for month in range(1, 13):
        key = f"2024-{month:02d}"
        # The world's first day has no openings and closings of its own.
        slack = 0.05 if month == 1 else 0.001
        for change in (Change.OPENING, Change.CHURN):
            assert found[key, change] == pytest.approx(0.03 * active, rel=slack, abs=1)
        active += found[key, Change.OPENING] - found[key, Change.CHURN]
    assert active == int(large_world.simulation.world.merchants.active.sum())


@large
def test_small_merchants_leave_more_often_and_large_ones_less(large_world: LargeWorld) -> None:
    merchants = large_world.simulation.world.merchants
    left = np.bincount(merchants.size[~merchants.active], minlength=3)
    exposed = sum(day.active for day in large_world.days)
    small, medium, large_ = left / exposed
    # 1.5, 1.0 and 0.3; who trades less is dormant a little more often, hence the slack.
    assert small / medium == pytest.approx(1.5, rel=0.15)
    assert large_ / medium == pytest.approx(0.3, rel=0.3)


def test_merchants_without_recent_payments_leave_more_often() -> None:
    sizes = {
        # Alike but for how often they trade: once a month, or every day.
        "small": {"active_days_per_month": 1.0, "churn_multiplier": 1.0},
        "medium": {"active_days_per_month": 31.0, "churn_multiplier": 1.0},
    }
    world = lived(
        date(2024, 1, 1), date(2024, 4, 30), initial_merchants=6_000, merchant_sizes=sizes,
        merchant_size_distribution={"small": 0.5, "medium": 0.5, "large": 0.0},
        max_churned_merchants_per_month=10_000, monthly_churn_rate=0.08, monthly_growth_rate=0.0,
    )  # fmt: skip
    merchants = world.merchants
    stayed = [float(merchants.active[merchants.size == code].mean()) for code in range(2)]
    # Rates of leaving per merchant and day, from who stayed.
    rates = -np.log(stayed)
    # The multiplier of 3 grows over a week: about 2.8 for those who trade once a month, and
    # 1 + 2/7 for those who traded yesterday.
    assert rates[0] / rates[1] == pytest.approx(2.18, rel=0.15)


@large
@pytest.mark.parametrize(
    ("change", "monthly"),
    [("mdr_change", 0.010), ("phone_change", 0.010), ("email_change", 0.015),
     ("address_change", 0.008)],
)  # fmt: skip
def test_each_attribute_changes_at_its_monthly_rate(
    large_world: LargeWorld, change: str, monthly: float
) -> None:
    months = sum(int(day.active.sum()) for day in large_world.days) / 30.5
    expected = monthly * months
    found = (large_world.versions["change_type"] == change).sum()
    assert found == pytest.approx(expected, abs=4 * expected**0.5 + 0.02 * expected)


def test_the_multiplier_makes_changes_livelier_in_proportion() -> None:
    def changes(multiplier: float) -> int:
        world = lived(
            date(2024, 2, 1), date(2024, 2, 29), initial_merchants=5_000,
            attribute_change_multiplier=multiplier, monthly_churn_rate=0.0,
        )  # fmt: skip
        found = events(world)
        return sum(found["2024-02", code] for code in range(Change.MDR, Change.CHURN))

    assert changes(10.0) == pytest.approx(10 * changes(1.0), rel=0.3)


@large
def test_who_moves_house_stays_within_state_and_area_code(large_world: LargeWorld) -> None:
    versions = large_world.versions
    moves = versions.filter(pl.col("change_type") == "address_change")
    before = versions.select("merchant_id", pl.col("version") + 1, "state", "phone", "address")
    both = moves.join(before, on=["merchant_id", "version"], how="left")
    assert both.height > 1_000
    assert (both["state"] == both["state_right"]).all()
    assert (both["phone"] == both["phone_right"]).all()
    assert (both["address"] != both["address_right"]).all()


@large
def test_nobody_changes_or_leaves_on_the_day_of_opening(large_world: LargeWorld) -> None:
    later = large_world.versions.filter(pl.col("version") > 1)
    assert (later["effective_date"] > later["creation_date"]).all()


def test_ids_are_given_in_order_of_opening_and_never_again() -> None:
    simulation = Simulation.create(date(2024, 1, 1), monthly_churn_rate=0.5)
    known = 0
    for day in simulation.days(date(2024, 2, 29)):
        frame = day.merchants().filter(pl.col("version") == 1)
        ids = [int(text[1:]) for text in frame["merchant_id"]]
        assert ids == list(range(known + 1, known + len(ids) + 1))
        known += len(ids)
    assert known == len(simulation.world.merchants) > 500


def test_a_year_without_a_payment_day_for_one_size_is_lived_all_the_same() -> None:
    quiet = {size: {"active_days_per_month": 0.0} for size in SIZES}
    simulation = Simulation.create(date(2024, 1, 1), initial_merchants=30, merchant_sizes=quiet)
    for day in simulation.days(date(2024, 1, 1) + timedelta(60)):
        assert day.payments == 0
        assert day.transactions().height == 0
    assert simulation.world.total_transactions == 0
