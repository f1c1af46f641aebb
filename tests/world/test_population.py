"""Who the merchants are: sizes, places, rates, contacts. Tolerances are four standard errors."""

import csv
from importlib import resources
from pathlib import Path
from zoneinfo import available_timezones

import polars as pl
import pytest
from tests.large_world import START, LargeWorld

pytestmark = pytest.mark.xdist_group("large world")


@pytest.fixture(scope="module")
def places() -> pl.DataFrame:
    """The packaged table of places, read without payworld's code."""
    path = resources.files("payworld.storage") / "data" / "us_places.csv"
    text = path.read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    frame = pl.DataFrame(rows)
    return frame.with_columns(
        pl.col("population").cast(pl.Int64),
        pl.col("latitude").cast(pl.Float64),
        pl.col("longitude").cast(pl.Float64),
    )


@pytest.fixture(scope="module")
def newcomers(large_world: LargeWorld) -> pl.DataFrame:
    """Everybody as they were on their first day."""
    return large_world.versions.filter(pl.col("version") == 1)


def test_sizes_are_shared_70_25_5(newcomers: pl.DataFrame) -> None:
    assert newcomers.height > 20_000
    for size, share, tolerance in (("small", 0.7, 0.013), ("medium", 0.25, 0.013),
                                   ("large", 0.05, 0.007)):  # fmt: skip
        found = (newcomers["size_category"] == size).mean()
        assert found == pytest.approx(share, abs=tolerance), size


@pytest.mark.parametrize(
    ("size", "low", "high"),
    [("small", 0.030, 0.035), ("medium", 0.025, 0.029), ("large", 0.020, 0.025)],
)
def test_mdr_rates_fill_the_range_of_their_size(
    large_world: LargeWorld, size: str, low: float, high: float
) -> None:
    versions = large_world.versions.filter(pl.col("size_category") == size)
    rates = versions["mdr_rate"].cast(pl.Float64)
    assert (rates.min(), rates.max()) == (low, high)
    middle = (low + high) / 2
    assert rates.mean() == pytest.approx(middle, abs=0.05 * (high - low))


def test_city_state_zip_and_area_code_of_every_version_belong_together(
    large_world: LargeWorld, places: pl.DataFrame
) -> None:
    joined = large_world.versions.join(places, on="zip_code", how="left")
    assert joined["city"].eq_missing(joined["city_right"]).all()
    assert joined["state"].eq_missing(joined["state_right"]).all()
    assert joined["phone"].str.slice(0, 3).eq_missing(joined["area_code"]).all()


def test_merchants_are_spread_as_people_are(newcomers: pl.DataFrame, places: pl.DataFrame) -> None:
    people = places.group_by("state").agg(
        share=pl.col("population").sum() / places["population"].sum()
    )
    found = newcomers.group_by("state").agg(found=pl.len() / newcomers.height)
    both = people.join(found, on="state", how="left").fill_null(0.0)
    assert both.height == 51
    # Four standard errors of a share of 20,000 merchants, and a lookup table's rounding.
    error = 4 * (both["share"] * (1 - both["share"]) / newcomers.height).sqrt() + 0.0005
    assert ((both["share"] - both["found"]).abs() <= error).all()
    assert newcomers["city"].n_unique() > 2_500


def test_the_table_of_places_is_whole_and_consistent(places: pl.DataFrame) -> None:
    assert places.height > 3_000
    assert places["zip_code"].is_unique().all()
    assert places["zip_code"].str.contains(r"^\d{5}$").all()
    assert places["area_code"].str.contains(r"^[2-9]\d\d$").all()
    assert places["population"].min() > 0  # type: ignore[operator]
    # No area code crosses a state's border.
    assert places.group_by("area_code").agg(pl.col("state").n_unique())["state"].max() == 1
    assert set(places["time_zone"]) <= available_timezones()
    assert places["latitude"].is_between(18.9, 71.5).all()
    assert places["longitude"].is_between(-179.2, -66.9).all()


@pytest.mark.parametrize(
    ("city", "state", "zip_prefix", "area_codes", "zone", "latitude", "longitude"),
    [
        ("New York", "NY", "100", {"212", "646", "332", "917"}, "America/New_York", 40.75, -73.98),
        ("Chicago", "IL", "606", {"312", "773", "872"}, "America/Chicago", 41.85, -87.65),
        ("Denver", "CO", "802", {"303", "720", "983"}, "America/Denver", 39.74, -104.98),
        ("Los Angeles", "CA", "900", {"213", "323", "310", "424", "738"},
         "America/Los_Angeles", 34.05, -118.24),
        ("Phoenix", "AZ", "850", {"602", "480", "623"}, "America/Phoenix", 33.45, -112.07),
        ("Honolulu", "HI", "968", {"808"}, "Pacific/Honolulu", 21.31, -157.86),
    ],
)  # fmt: skip
def test_what_everybody_knows_of_a_city_is_in_the_table(
    places: pl.DataFrame,
    city: str,
    state: str,
    zip_prefix: str,
    area_codes: set[str],
    zone: str,
    latitude: float,
    longitude: float,
) -> None:
    rows = places.filter((pl.col("city") == city) & (pl.col("state") == state))
    assert rows.height
    assert rows["zip_code"].str.starts_with(zip_prefix).all()
    assert set(rows["area_code"]) <= area_codes
    assert set(rows["time_zone"]) == {zone}
    assert ((rows["latitude"] - latitude).abs() < 0.5).all()
    assert ((rows["longitude"] - longitude).abs() < 0.5).all()


def test_the_origin_and_licence_of_the_places_travel_with_them() -> None:
    readme = resources.files("payworld.storage") / "data" / "README.md"
    text = readme.read_text(encoding="utf-8")
    assert "CC BY 4.0" in text
    assert "GeoNames" in text
    assert (Path(__file__).resolve().parents[2] / "tools/make_places.py").is_file()


def test_nothing_reaches_a_real_person(large_world: LargeWorld) -> None:
    versions = large_world.versions
    assert versions["email"].str.contains(r"^[a-z]+@m\d{6}\.example$").all()
    assert versions["phone"].str.contains(r"^\d{3}-555-01\d\d$").all()


def test_each_merchant_has_its_own_mail_domain(newcomers: pl.DataFrame) -> None:
    domains = newcomers["email"].str.extract(r"@(m\d{6})\.example")
    assert domains.eq_missing(newcomers["merchant_id"].str.to_lowercase()).all()


def test_industries_fit_the_size(large_world: LargeWorld) -> None:
    rules = large_world.simulation.world.config.merchant_sizes
    for size in ("small", "medium", "large"):
        rows = large_world.versions.filter(pl.col("size_category") == size)
        expected = set(getattr(rules, size).industries)
        assert set(rows["industry"]) == expected
        counts = rows["industry"].value_counts()["count"]
        assert counts.max() < 1.3 * counts.min()  # type: ignore[operator]


def test_names_differ_and_are_made_of_plain_words(newcomers: pl.DataFrame) -> None:
    assert newcomers["merchant_name"].n_unique() > 0.5 * newcomers.height
    assert newcomers["merchant_name"].str.contains(r"^[A-Z][\w .,'&-]+$").all()
    assert newcomers["address"].str.contains(r"^[1-9]\d{0,3} [A-Z][\w .'-]+$").all()


def test_the_first_day_is_the_birth_of_all_initial_merchants(large_world: LargeWorld) -> None:
    first = large_world.versions.filter(pl.col("effective_date") == START)
    assert first.height == 20_000
    assert set(first["change_type"]) == {"initial"}
