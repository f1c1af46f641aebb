"""What belongs together agrees, on every row."""

import csv
import hashlib
import ipaddress
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.datasets.fraud_stream.builders import configured, frame_of, written

from payworld.datasets.fraud_stream.config import FraudConfig
from payworld.datasets.fraud_stream.pans import SCHEMES, card_numbers, hash_numbers
from payworld.datasets.fraud_stream.schema import own_schema

ROWS = 120_000


@pytest.fixture(scope="module")
def config() -> FraudConfig:
    return configured(total_rows=ROWS, fraud_rate=0.01)


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    out = tmp_path_factory.mktemp("fraud")
    return frame_of(written(out, total_rows=ROWS, fraud_rate=0.01).path)


def distinct(frame: pl.DataFrame, key: str, columns: list[str]) -> int:
    """Return the most distinct values that any column has for one value of the key."""
    counts = frame.drop_nulls(key).group_by(key).agg(pl.col(columns).drop_nulls().n_unique())
    return max(int(value) for value in counts.drop(key).max().row(0))


def test_columns_order_and_types_are_the_schemas(frame: pl.DataFrame) -> None:
    kinds = {
        "string": pl.String, "int8": pl.Int8, "int16": pl.Int16, "float64": pl.Float64,
        "bool": pl.Boolean, "timestamp[ns, UTC]": pl.Datetime("ns", "UTC"),
    }  # fmt: skip
    fields = own_schema().fields
    assert len(fields) == 24
    assert list(frame.schema.items()) == [(f.name, kinds[str(f.dtype)]) for f in fields]


def test_nulls_and_enums_are_as_the_schema_says(frame: pl.DataFrame) -> None:
    for field in own_schema().fields:
        if not field.nullable:
            assert frame[field.name].null_count() == 0, field.name
        if field.enum:
            assert set(frame[field.name].drop_nulls()) == set(field.enum), field.name


def test_examples_are_values_of_their_type() -> None:
    for field in own_schema().fields:
        kind = {"string": str, "int8": int, "int16": int, "float64": float, "bool": bool}
        assert isinstance(field.example, kind.get(str(field.dtype), str)), field.name
        assert field.description
        assert field.enum is None or field.example in field.enum


def test_events_ascend_within_the_dates(frame: pl.DataFrame, config: FraudConfig) -> None:
    times = frame["event_time"]
    assert times.is_sorted()
    days = times.dt.date()
    assert str(days.min()) >= str(config.temporal.start_date)
    assert str(days.max()) <= str(config.temporal.end_date)
    assert (times.dt.nanosecond() % 1000 != 0).any()


def test_ids_are_unique_uuids_of_version_4(frame: pl.DataFrame) -> None:
    pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
    assert frame["transaction_id"].n_unique() == ROWS
    assert frame["transaction_id"].str.contains(pattern).all()


def test_previous_payments_are_the_cards_last_ones(frame: pl.DataFrame) -> None:
    last = pl.col("transaction_id").shift(1).over("card_pan_hash")
    expected = frame.select(last).to_series()
    assert frame["previous_txn_id"].eq_missing(expected).all()


def test_a_card_keeps_what_is_its_own(frame: pl.DataFrame) -> None:
    own = ["card_scheme", "card_exp_year", "card_exp_month", "customer_id"]
    assert distinct(frame, "card_pan_hash", own) == 1
    assert frame["card_pan_hash"].str.contains("^[0-9a-f]{64}$").all()


def test_cards_expire_after_their_payments(frame: pl.DataFrame) -> None:
    assert frame["card_exp_month"].is_between(1, 12).all()
    paid = frame["event_time"].dt.year().cast(pl.Int32) * 12 + frame["event_time"].dt.month()
    assert (frame["card_exp_year"].cast(pl.Int32) * 12 + frame["card_exp_month"] > paid).all()
    assert frame["card_exp_year"].is_between(2024, 2024 + 6).all()


def test_a_merchant_keeps_what_is_its_own(frame: pl.DataFrame) -> None:
    own = ["mcc_code", "merchant_country", "currency_code", "latitude", "longitude",
           "local_time_offset"]  # fmt: skip
    assert distinct(frame, "merchant_id", own) == 1
    assert distinct(frame, "merchant_country", ["currency_code"]) == 1
    assert frame["local_time_offset"].is_between(-720, 840).all()
    assert frame["latitude"].drop_nulls().is_between(-90, 90).all()
    assert frame["longitude"].drop_nulls().is_between(-180, 180).all()
    assert frame["latitude"].is_null().equals(frame["longitude"].is_null())
    # A place's offset is about its longitude's.
    away = frame["local_time_offset"] / 4 - frame["longitude"]
    assert (away.drop_nulls().abs() < 45).all()


def test_categories_are_of_the_standard(frame: pl.DataFrame) -> None:
    data = resources.files("payworld.datasets.fraud_stream") / "data/merchant_categories.csv"
    lines = data.read_text(encoding="utf-8").splitlines()
    known = {row["mcc_code"] for row in csv.DictReader(lines)}
    assert len(known) == 280
    assert set(frame["mcc_code"].drop_nulls()) <= known


def test_channel_entry_mode_device_and_address_agree(frame: pl.DataFrame) -> None:
    online = frame["channel"] == "ONLINE"
    assert ((frame["pos_entry_mode"] == "ECOM") == online).all()
    assert (frame["device_type"].is_in(["WEB", "IOS", "ANDROID"]) == online).all()
    assert ((frame["device_type"] == "POS") == ~online).all()
    assert frame["ip_address"].is_not_null().equals(online)
    assert frame["user_agent"].is_not_null().equals(online)
    atm = frame.filter(pl.col("channel") == "ATM")
    assert set(atm["mcc_code"].drop_nulls()) == {"6011"}
    assert set(atm["pos_entry_mode"]) <= {"CHIP", "MAGSTRIPE"}
    assert frame.filter(pl.col("mcc_code") == "6011")["channel"].unique().to_list() == ["ATM"]


def test_a_device_keeps_its_type_and_browser(frame: pl.DataFrame) -> None:
    assert distinct(frame, "device_id", ["device_type", "user_agent"]) == 1
    online = frame.filter(pl.col("channel") == "ONLINE")
    assert distinct(online, "device_id", ["customer_id"]) == 1
    assert distinct(frame.filter(pl.col("channel") != "ONLINE"), "device_id", ["merchant_id"]) == 1
    words = {"IOS": "iPhone|iPad", "ANDROID": "Android", "WEB": "Windows NT|Macintosh|X11"}
    for kind, word in words.items():
        agents = online.filter(pl.col("device_type") == kind)["user_agent"]
        assert agents.str.contains(word).all(), kind


def test_addresses_are_public(frame: pl.DataFrame) -> None:
    addresses = frame["ip_address"].drop_nulls().unique()
    assert len(addresses) > 2_000
    assert all(ipaddress.IPv4Address(address).is_global for address in addresses)


def test_recurring_payments_recur_at_the_merchant_for_nearly_the_amount(
    frame: pl.DataFrame,
) -> None:
    pair = ["card_pan_hash", "merchant_id"]
    recurring = frame.filter("is_recurring")
    assert abs(len(recurring) / ROWS / 0.04 * 30 / 23 - 1) < 0.1
    assert set(recurring["channel"]) == {"ONLINE"}
    groups = recurring.group_by(pair).agg(
        pl.len(), (pl.col("amount").max() - pl.col("amount").min()).alias("spread"),
        pl.col("amount").max(),
    )  # fmt: skip
    assert (groups["len"] >= 2).all()
    assert (groups["spread"] <= 0.011 * groups["amount"] + 0.011).all()
    # Each has one before it, at the same merchant, by the same card, for nearly as much.
    others = frame.select(*pair, "amount", "event_time")
    before = recurring.join(others, on=pair, suffix="_before").filter(
        (pl.col("event_time_before") < pl.col("event_time"))
        & ((pl.col("amount_before") / pl.col("amount") - 1).abs() < 0.03)
    )
    assert before["transaction_id"].n_unique() == len(recurring)


def test_recurring_payments_come_weekly(frame: pl.DataFrame) -> None:
    gaps = (
        frame.filter("is_recurring")
        .select(pl.col("event_time").diff().over("card_pan_hash", "merchant_id"))
        .to_series()
        .drop_nulls()
        .dt.total_hours()
    )
    assert abs(float(np.median(gaps.to_numpy())) / 168 - 1) < 0.05


def test_card_numbers_are_distinct_luhn_valid_and_of_their_scheme() -> None:
    for scheme, first in zip(range(len(SCHEMES)), "4536", strict=True):
        numbers = card_numbers(7, np.arange(5_000), scheme)
        texts = ["".join(map(str, row)) for row in numbers.tolist()]
        assert len(set(texts)) == 5_000
        assert {text[0] for text in texts} == {first}
        assert all(luhn(text) for text in texts)
        hashes = hash_numbers(numbers[:50])
        for text, row in zip(texts[:50], hashes, strict=True):
            assert row.tobytes().decode() == hashlib.sha256(text.encode()).hexdigest()


def luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def test_no_card_number_is_written(tmp_path: Path) -> None:
    result = written(tmp_path, "csv", total_rows=2_000, realism="v2")
    numbers = ["".join(map(str, row)) for row in card_numbers(42, np.arange(1_500), 0).tolist()]
    text = result.path.read_text()
    assert not any(number in text for number in numbers)
