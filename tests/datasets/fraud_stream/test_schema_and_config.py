from pathlib import Path

import pytest
from tests.datasets.fraud_stream.builders import RUN_DATE, configured

from payworld.datasets.fraud_stream.api import (
    generate,
    load_catalogs,
    load_config,
    write_catalogs,
)
from payworld.datasets.fraud_stream.config import FraudConfig, config_from_text, to_yaml
from payworld.datasets.fraud_stream.schema import own_schema, own_text, schema_from_text
from payworld.errors import ConfigError, ConflictError, StorageError, UsageError


def test_the_printed_configuration_reads_back_equal() -> None:
    config = configured(labels={"burst_share": 0.5}, temporal={"timezone": "Europe/Rome"})
    assert config_from_text(to_yaml(config), "printed", {}) == config
    assert to_yaml(FraudConfig()).count("\n  # ") >= 30


def test_every_key_is_described() -> None:
    def check(model: type) -> None:
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            assert field.description, name
            if hasattr(type(field.default), "model_fields"):
                check(type(field.default))

    check(FraudConfig)


def test_options_go_over_a_part_of_a_section() -> None:
    text = "temporal:\n  timezone: Europe/Rome\n"
    config = config_from_text(text, "x", {"temporal": {"end_date": "2024-01-31"}, "seed": 5})
    assert config.temporal.timezone == "Europe/Rome"
    assert config.temporal.end_date == "2024-01-31"
    assert config.seed == 5
    empty = config_from_text("temporal:\n", "x", {"temporal": {"end_date": "2024-01-31"}})
    assert empty.temporal.end_date == "2024-01-31"


def test_dates_left_open_are_the_thirty_days_before_the_run_date() -> None:
    temporal = FraudConfig().dated(RUN_DATE).temporal
    assert (temporal.start_date, temporal.end_date) == ("2024-04-06", "2024-05-05")
    ended = config_from_text("temporal: {end_date: 2024-02-29}", "x", {}).dated(RUN_DATE)
    assert ended.temporal.start_date == "2024-01-31"
    late = config_from_text("temporal: {start_date: 2024-06-01}", "x", {})
    with pytest.raises(ConfigError, match="after the end date"):
        late.dated(RUN_DATE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fraud_rat: 0.1", "did you mean 'fraud_rate'"),
        ("catalog: {num_card: 5}", "did you mean 'num_cards'"),
        ("total_rows: 0", "greater than or equal to 1"),
        ("total_rows: 1.5", "total_rows"),
        ("fraud_rate: 1.01", "less than or equal to 1"),
        ("fraud_rate: .nan", "fraud_rate"),
        ("seed: -1", "seed"),
        ("realism: v3", "realism"),
        ("num_workers: 0", "num_workers"),
        ("temporal: {timezone: Mars}", "IANA"),
        ("temporal: {start_date: '2024-02-30'}", "no such day"),
        ("temporal: {start_date: 2024-02-03, end_date: 2024-02-01}", "swap them"),
        ("temporal: {weekday_weights: {7: 1}}", "unknown weekday '7'"),
        ("temporal: {weekday_weights: {0: 0}}", "at least one weekday"),
        ("temporal: {weekday_weights: {0: -1}}", "greater than or equal to 0"),
        ("temporal: {weekday_weights: 5}", "mapping of weekdays"),
        ("temporal: {weekday_weights: [1, 1]}", "a list of seven"),
        ("temporal: {time_components: []}", "a list of 1 to 100 peaks"),
        ("temporal: {time_components: [{mean_hour: 25, std_hours: 1, weight: 1}]}", "less than 24"),
        ("temporal: {time_components: [{mean_hour: 5, std_hours: 1, weight: 0}]}", "more than 0"),
        ("temporal: {distribution_type: cauchy}", "gaussian"),
        ("feature: {device_types: {FAX: 1}}", "unknown device type 'FAX'"),
        ("feature: {device_types: {}}", "more than 0"),
        ("feature: {amount_distribution: pareto}", "lognormal"),
        (
            "feature: {uniform_min: 9.0, uniform_max: 5.0}",
            "5.0: it is below uniform_min 9",
        ),
        ("labels: {burst_factor: 0}", "burst_factor"),
        ("labels: 7", "labels = 7: expected a section: keys with values"),
        ("catalog: 5", "catalog = 5: expected a section: keys with values"),
        ("feature: {device_types: 5}", "device_types = 5: expected a section: keys with values"),
        ("out_dir: ''", "out_dir = '': expected text of at least 1 character"),
        ("s3_upload: 'yes'", "s3_upload = 'yes': expected true or false"),
        ("s3_upload: 1", "s3_upload = 1: expected true or false"),
        ("s3_upload: 'off'", "s3_upload = 'off': expected true or false"),
        ("[1, 2]", "expected keys with values"),
        ("a: b: c", "expected plain YAML"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_text(text, "fraud.yaml", {})
    assert said in str(caught.value)
    assert "fraud.yaml" in str(caught.value)
    assert "`gen config`" not in str(caught.value).replace("as `gen config` prints them", "")


def test_one_wrong_peak_is_told_once() -> None:
    text = "temporal: {time_components: [{mean_hour: 25, std_hours: 1, weight: 1}]}"
    with pytest.raises(ConfigError) as caught:
        config_from_text(text, "fraud.yaml", {})
    assert str(caught.value).count("temporal.") == 1


def test_a_configuration_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "fraud.yaml"
    path.write_text("seed: 9\n")
    assert load_config(path).seed == 9
    assert load_config(str(path)) == load_config(path)
    assert load_config() == FraudConfig()
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yaml")


def test_generating_without_dates_asks_for_them() -> None:
    with pytest.raises(UsageError, match="run_date"):
        next(generate(FraudConfig()))
    ended = config_from_text("{temporal: {end_date: 2024-01-30}, total_rows: 5}", "x", {})
    assert next(generate(ended))["event_time"].dt.date().min().isoformat() >= "2024-01-01"  # type: ignore[union-attr]


SHORT = """
version: "2"
fields:
  - {name: label_fraud, alias: is_fraud}
  - {name: amount}
  - {name: previous_txn_id}
"""


def test_a_schema_reorders_renames_and_drops() -> None:
    schema = schema_from_text(SHORT, "short.yaml")
    assert schema.columns == ("is_fraud", "amount", "previous_txn_id")
    frame = next(generate(configured(total_rows=5_000), schema))
    whole = next(generate(configured(total_rows=5_000)))
    assert frame.columns == ["is_fraud", "amount", "previous_txn_id"]
    assert frame.rename({"is_fraud": "label_fraud"}).equals(whole.select(
        "label_fraud", "amount", "previous_txn_id"
    ))  # fmt: skip
    assert schema_from_text(own_text(), "own") == own_schema()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{version: '1', fields: [{name: amout}]}", "did you mean 'amount'"),
        ("{version: '1', fields: [{name: colour}]}", "transaction_id, event_time"),
        ("{version: '1', fields: [{name: amount, alias: x}, {name: channel, alias: x}]}", "two"),
        ("{version: '1', fields: [{name: amount}, {name: amount}]}", "two fields"),
        ("{version: '1', fields: [{name: amount, dtype: int64}]}", "expected 'float64'"),
        ("{version: '1', fields: [{name: amount, nullable: true}]}", "expected False"),
        ("{version: '1', fields: [{name: channel, enum: [A]}]}", "ONLINE"),
        ("{version: '1', fields: []}", "a list of fields, one at least"),
        ("{version: true, fields: [{name: amount}]}", "version = True"),
        ("{version: '1', fields: [{name: amount, alias: ''}]}", "printable characters"),
        ("{version: '1', fields: [{name: amount, alias: ' a'}]}", "printable characters"),
        ('{version: "1", fields: [{name: amount, alias: "a\\nb"}]}', "printable characters"),
        ("{version: '1', fields: [{name: amount, aliass: x}]}", "did you mean 'alias'"),
        ("{version: '1', fields: [{nam: amount}]}", "fields.0.nam: unknown key"),
        ("{fields: [{name: amount}]}", "version"),
        ("{version: '1', primary_key: no, fields: [{name: amount}]}", "primary_key"),
        ("{version: '1', primary_key: channel, fields: [{name: amount}]}", "no such field"),
    ],
)
def test_a_wrong_schema_is_explained(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        schema_from_text(text, "schema.yaml")
    assert said in str(caught.value)


def test_catalogs_are_written_loaded_and_bounded(tmp_path: Path) -> None:
    config = configured(catalog={"parquet_row_group_size": 500})
    paths = write_catalogs(tmp_path, config)
    assert [path.name for path in paths] == [
        "customers.parquet", "merchants.parquet", "cards.parquet",
    ]  # fmt: skip
    catalogs = load_catalogs(tmp_path)
    assert catalogs.cards.height == 1_500
    assert catalogs.customers.height == 800
    assert abs(float(catalogs.merchants["weight"].to_numpy().sum()) - 1) < 1e-9
    assert set(catalogs.cards["customer_id"]) <= set(catalogs.customers["customer_id"])
    import pyarrow.parquet as pq

    meta = pq.read_metadata(tmp_path / "cards.parquet")
    assert meta.num_row_groups == 3
    assert meta.row_group(0).column(0).compression == "SNAPPY"
    with pytest.raises(ConflictError):
        write_catalogs(tmp_path, configured(seed=1))


def test_a_catalog_that_is_too_large_says_what_to_change(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write_catalogs(tmp_path, configured(catalog={"max_size_mb": 0.1}))
    assert "cards" in str(caught.value)
    assert "max_size_mb" in str(caught.value)
    assert "num_cards" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_broken_catalogs_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"customers\.parquet"):
        load_catalogs(tmp_path)
    write_catalogs(tmp_path, configured())
    (tmp_path / "cards.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(StorageError, match=r"cards\.parquet"):
        load_catalogs(tmp_path)
    (tmp_path / "cards.parquet").write_bytes((tmp_path / "customers.parquet").read_bytes())
    with pytest.raises(StorageError, match="card_pan_hash"):
        load_catalogs(tmp_path)
