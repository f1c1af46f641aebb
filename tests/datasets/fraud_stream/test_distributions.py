"""Popularity, risk, time, amounts and missing values, by statistics."""

import math
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from scipy import stats
from tests.datasets.fraud_stream.builders import configured

from payworld.datasets.fraud_stream.alias import AliasTable, zipf_weights
from payworld.datasets.fraud_stream.api import generate, sample_entities, sample_timestamps
from payworld.datasets.fraud_stream.calendar import make_calendar
from payworld.datasets.fraud_stream.catalogs import make_catalogs
from payworld.datasets.fraud_stream.config import LabelConfig
from payworld.datasets.fraud_stream.plan import make_plan
from payworld.datasets.fraud_stream.temporal import TemporalConfig
from payworld.errors import ConfigError, UsageError
from payworld.randomness import stream


def frame(**changes: object) -> pl.DataFrame:
    return pl.concat(generate(configured(**{"total_rows": 100_000, **changes})))


def implied(table: AliasTable) -> np.ndarray:
    n = len(table.entries)
    own = (table.entries >> np.uint64(32)).astype(np.float64) / 2**32
    alias = (table.entries & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return (np.bincount(alias, 1 - own, n) + own) / n


@pytest.mark.parametrize(
    "weights",
    [
        zipf_weights(1, 1.0),
        zipf_weights(2, 3.0),
        zipf_weights(1_000, 0.0),
        zipf_weights(100_000, 1.0),
        zipf_weights(5_000, 5.0),
        stream(1, "test.weights").random(999) ** 9,
        np.array([0.0, 0.0, 2.0, 0.0, 1.0]),
    ],
    ids=["one", "two", "equal", "many", "steep", "random", "zeros"],
)
def test_alias_tables_hold_their_weights(weights: np.ndarray) -> None:
    assert np.abs(implied(AliasTable.of(weights)) - weights / weights.sum()).max() < 1e-9


@pytest.mark.parametrize("exponent", [0.5, 1.2, 2.0])
def test_popularity_is_zipf(exponent: float) -> None:
    data = frame(
        catalog={
            "merchant_zipf_exponent": exponent,
            "card_zipf_exponent": exponent,
            "customer_zipf_exponent": exponent,
            "num_cards": 4_000,
        },
        feature={"recurring_share": 0.0},
    )
    for column, n in (("merchant_id", 120), ("card_pan_hash", 4_000)):
        counts = data[column].value_counts(sort=True)["count"].to_numpy()[:25]
        slope = np.polyfit(np.log(np.arange(1, 26)), np.log(counts), 1)[0]
        assert abs(slope + exponent) < 0.12, column
        assert abs(counts[0] / 100_000 / zipf_weights(n, exponent)[0] - 1) < 0.05
    customers = data["customer_id"].value_counts(sort=True)["count"].to_numpy()[:5]
    expected = zipf_weights(800, exponent)[:5] * 100_000
    assert np.abs(customers / expected - 1).max() < 0.12


def test_merchants_fit_their_zipf_weights() -> None:
    ids = frame(catalog={"num_merchants": 50})["merchant_id"].value_counts().sort("merchant_id")
    share = zipf_weights(50, 1.2)
    # Recurring payments draw one merchant for several payments: counts vary a little more.
    chi2 = (((ids["count"].to_numpy() - share * 100_000) ** 2) / (share * 100_000)).sum()
    assert chi2 < 50 + 8 * math.sqrt(2 * 50)


def test_risk_is_beta() -> None:
    sizes = {"num_merchants": 5_000, "num_cards": 5_000}
    catalogs = make_catalogs(configured(catalog={**sizes, "card_risk_alpha": 0.5}))
    merchants, cards = catalogs.merchants.risk, catalogs.cards.risk
    assert stats.kstest(merchants, stats.beta(2, 5).cdf).pvalue > 1e-3
    assert stats.kstest(cards, stats.beta(0.5, 5).cdf).pvalue > 1e-3
    # Risk goes with what a merchant sells, not with how popular it is.
    assert abs(np.corrcoef(merchants, np.arange(5_000))[0, 1]) < 0.06


def test_amounts_follow_their_distribution() -> None:
    feature = {"recurring_share": 0.0}
    lognormal = np.log(frame(feature=feature)["amount"].to_numpy())
    assert stats.kstest(lognormal, stats.norm(3.5, 1).cdf).statistic < 0.01
    uniform = frame(feature={**feature, "amount_distribution": "uniform", "uniform_min": 5.0})
    amounts = uniform["amount"].to_numpy()
    assert (amounts.min(), amounts.max()) >= (5, 499)
    assert amounts.max() <= 500
    assert stats.kstest(amounts, stats.uniform(5, 495).cdf).statistic < 0.01
    normal = frame(feature={**feature, "amount_distribution": "normal"})["amount"].to_numpy()
    assert abs(normal.mean() - 60) < 0.5
    assert abs(normal.std() - 25) < 0.5
    assert min(normal.min(), amounts.min()) >= 0.01
    assert np.abs(normal * 100 - np.rint(normal * 100)).max() < 1e-6


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.37, 1.0])
def test_missing_values_have_their_rate(rate: float) -> None:
    data = frame(null_mcc_rate=rate, null_device_rate=rate, null_geo_rate=rate, total_rows=40_000)
    for column in ("mcc_code", "device_id", "latitude", "longitude"):
        share = data[column].null_count() / len(data)
        assert abs(share - rate) < 0.01
        assert rate not in (0.0, 1.0) or share == rate


@pytest.mark.parametrize(
    "weights",
    [
        {"IOS": 0.2, "ANDROID": 0.2, "WEB": 0.15, "POS": 0.45},
        {"POS": 1.0},
        {"WEB": 3},
        {"IOS": 1, "POS": 1},
        {"POS": 0.02, "IOS": 0.98},
    ],
)
def test_device_types_have_their_weights(weights: dict[str, float]) -> None:
    data = frame(feature={"device_types": weights}, total_rows=60_000)
    counts = dict(data["device_type"].value_counts().iter_rows())
    assert set(counts) == set(weights)
    for name, weight in weights.items():
        assert abs(counts[name] / len(data) - weight / sum(weights.values())) < 0.01


def test_hours_and_weekdays_follow_their_weights() -> None:
    temporal = {
        "start_date": "2024-01-01",
        "end_date": "2024-01-28",
        "weekday_weights": {"0": 1, "2": 2, "5": 5},
        "time_components": [
            {"mean_hour": 6, "std_hours": 0.5, "weight": 1},
            {"mean_hour": 18, "std_hours": 1.0, "weight": 3},
        ],
    }
    times = frame(temporal=temporal)["event_time"]
    days = dict(times.dt.weekday().value_counts().iter_rows())
    assert set(days) == {1, 3, 6}
    assert abs(days[6] / len(times) - 5 / 8) < 0.01
    hours = times.dt.hour().to_numpy() + times.dt.minute().to_numpy() / 60
    early, late = hours[hours < 12], hours[hours >= 12]
    assert abs(len(late) / len(hours) - 0.75) < 0.01
    for part, mean, std in ((early, 6, 0.5), (late, 18, 1)):
        assert abs(part.mean() + 0.5 / 60 - mean) < 0.02
        assert abs(part.std() - std) < 0.02


def test_a_peak_wraps_around_midnight_and_a_flat_one_has_edges() -> None:
    peak = [{"mean_hour": 0, "std_hours": 1, "weight": 1}]
    days = ("2024-01-01", "2024-01-10")
    hours = sample_timestamps(20_000, *days, time_components=peak).dt.hour().to_numpy()
    assert abs(np.mean(hours >= 12) - 0.5) < 0.02
    assert not ((hours > 6) & (hours < 18)).any()
    flat = sample_timestamps(
        20_000, *days, time_components=peak, distribution_type="uniform"
    ).dt.hour()
    assert set(flat.to_list()) == {22, 23, 0, 1}


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Asia/Kolkata"])
def test_days_and_hours_are_meant_in_the_time_zone(zone: str) -> None:
    peak = [{"mean_hour": 2.5, "std_hours": 1, "weight": 1}]
    times = sample_timestamps(
        60_000, "2024-03-01", "2024-11-30", time_components=peak, timezone=zone
    )
    local = times.dt.convert_time_zone(zone)
    assert times.is_sorted()
    assert str(times.dtype) == "Datetime(time_unit='ns', time_zone='UTC')"
    assert local.dt.date().min() == date(2024, 3, 1)
    assert local.dt.date().max() == date(2024, 11, 30)
    hours = local.dt.hour().to_numpy() + local.dt.minute().to_numpy() / 60
    middle = hours[(hours < 12)]
    assert abs(middle.mean() + 0.5 / 60 - 2.5) < 0.05
    # Each day has its share, also those on which clocks change.
    counts = local.dt.date().value_counts()["count"].to_numpy()
    assert abs(counts.mean() - 60_000 / 275) < 1
    assert counts.min() > 60_000 / 275 * 0.65


def test_the_night_is_where_the_calendar_says() -> None:
    temporal = TemporalConfig(start_date="2024-02-20", end_date="2024-04-10", timezone="US/Eastern")
    calendar = make_calendar(temporal, LabelConfig())
    points = np.sort(stream(3, "test.night").random(5_000))
    instants, night = calendar.instants(points)
    zone = ZoneInfo("US/Eastern")
    hours = [datetime.fromtimestamp(t / 1e9, zone).hour for t in instants.tolist()]
    assert night.tolist() == [hour >= 22 or hour < 6 for hour in hours]
    before = calendar.night_before(np.array([0.0, 0.5, 1.0]))
    assert abs(before[2] - night.mean()) < 0.02
    assert before[0] == 0


def test_entities_are_drawn_by_weight_from_any_frame() -> None:
    catalog = pl.DataFrame({"name": ["a", "b", "c"], "weight": [1, 0, 3], "other": [0, 1, 0]})
    drawn = sample_entities(catalog, 10_000)
    assert set(drawn["name"]) == {"a", "c"}
    assert abs((drawn["name"] == "c").mean() - 0.75) < 0.02
    assert set(sample_entities(catalog, 10, weight="other")["name"]) == {"b"}
    assert (
        sample_entities(catalog.to_arrow(), 10_000)["name"].to_pylist() == drawn["name"].to_list()
    )
    assert sample_entities(catalog, 0).height == 0
    assert not sample_entities(catalog, 100, seed=1).equals(sample_entities(catalog, 100))


def test_bad_samples_are_refused() -> None:
    catalog = pl.DataFrame({"weight": [1.0, -1.0], "none": [0.0, 0.0]})
    with pytest.raises(UsageError, match="0 or more"):
        sample_entities(catalog, 5)
    with pytest.raises(UsageError, match="above 0"):
        sample_entities(catalog, 5, weight="none")
    with pytest.raises(UsageError, match="no such column"):
        sample_entities(catalog, 5, weight="wieght")
    with pytest.raises(UsageError, match="n = -1"):
        sample_timestamps(-1, "2024-01-01", "2024-01-02")
    with pytest.raises(ConfigError, match="end = '2024-01-02': start 2024-01-03 is after it"):
        sample_timestamps(5, "2024-01-03", "2024-01-02")


def test_days_may_be_texts_dates_or_instants() -> None:
    texts = sample_timestamps(50, "2024-01-01", "2024-01-02")
    assert texts.equals(sample_timestamps(50, date(2024, 1, 1), date(2024, 1, 2)))
    midnight = datetime(2024, 1, 1, tzinfo=UTC)
    assert texts.equals(sample_timestamps(50, midnight, midnight + timedelta(days=2)))


def test_an_instant_is_a_limit_of_its_own() -> None:
    zone = ZoneInfo("Europe/Paris")
    start, end = datetime(2024, 3, 30, 22, 15, tzinfo=zone), datetime(2024, 3, 31, 9, tzinfo=UTC)
    times = sample_timestamps(5_000, start, end, timezone="Europe/Paris")
    assert start <= times[0] < start + timedelta(minutes=10)
    assert end > times[-1] > end - timedelta(minutes=10)
    naive = sample_timestamps(500, datetime(2024, 1, 1, 5), datetime(2024, 1, 1, 6))
    assert set(naive.dt.hour()) == {5}
    with pytest.raises(UsageError, match="activity between"):
        sample_timestamps(5, start, start)


def test_days_that_all_weigh_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="weighs 0"):
        sample_timestamps(5, "2024-01-01", "2024-01-02", weekday_weights={5: 1})


def test_a_million_cards_are_no_problem() -> None:
    weights = zipf_weights(1_000_000, 1.0)
    picked = AliasTable.of(weights).pick(
        np.asarray(stream(5, "test.cards").bit_generator.random_raw(200_000), np.uint64)
    )
    assert abs(np.mean(picked == 0) / weights[0] - 1) < 0.05
    assert picked.max() > 990_000


@pytest.mark.parametrize(
    ("zone", "start", "end", "left_out"),
    [
        ("Pacific/Apia", "2011-12-28", "2012-01-01", "2011-12-30"),
        ("Pacific/Kwajalein", "1993-08-20", "1993-08-22", "1993-08-21"),
    ],
)
def test_a_day_that_a_country_left_out_has_no_payments(
    zone: str, start: str, end: str, left_out: str
) -> None:
    times = sample_timestamps(20_000, start, end, timezone=zone)
    days = {value.isoformat() for value in times.dt.convert_time_zone(zone).dt.date()}
    assert times.is_sorted()
    assert {start, end} <= days
    assert left_out not in days
    with pytest.raises(ConfigError, match="is no day in"):
        sample_timestamps(5, left_out, left_out, timezone=zone)


@pytest.mark.parametrize(
    ("rows", "start", "share", "events"),
    [
        (500, "2023-01-01", 0.04, 20),
        (500, "2024-04-30", 0.04, 20),
        (500, "2023-01-01", 0.5, 250),
        (50, "2023-01-01", 0.04, 2),
        (25, "2023-01-01", 0.04, 0),
        (3_000, "2000-01-01", 0.04, 120),
        (20_000, "2024-04-06", 0.04, 800),
    ],
)
def test_as_many_payments_are_in_series_as_the_share_asks(
    rows: int, start: str, share: float, events: int
) -> None:
    temporal = {"start_date": start, "end_date": "2024-05-05"}
    config = configured(total_rows=rows, feature={"recurring_share": share}, temporal=temporal)
    series = make_plan(config, make_catalogs(config)).series
    assert series.events == events
    recurring = pl.concat(generate(config))["is_recurring"].sum()
    # The first payment of a series repeats none.
    assert recurring == events - series.count
    assert not events or recurring >= events / 2
