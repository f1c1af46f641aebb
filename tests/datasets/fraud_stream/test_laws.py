import hashlib
import os
import re
import signal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.datasets.fraud_stream.builders import configured, frame_of, gen_fraud, written

from payworld.datasets.fraud_stream.api import generate
from payworld.datasets.fraud_stream.config import FraudConfig
from payworld.datasets.fraud_stream.encode import GroupEncoder
from payworld.datasets.fraud_stream.plan import GROUP_ROWS
from payworld.datasets.fraud_stream.workers import GroupSource
from payworld.errors import ConflictError, WorkerError

SMALL_YAML = """
total_rows: 230_000
fraud_rate: 0.01
catalog: {num_customers: 800, num_merchants: 120, num_cards: 1500}
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def only_file(out: Path, pattern: str = "payments*") -> Path:
    (path,) = (p for p in out.rglob(pattern) if p.is_file())
    return path


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_workers_batches_and_chunks_change_no_byte(tmp_path: Path, file_format: str) -> None:
    (tmp_path / "fraud.yaml").write_text(SMALL_YAML)
    splits = [
        ("--num-workers", "1"),
        ("--num-workers", "2", "--batch-size", "1", "--realism", "v2"),
        ("--num-workers", "3", "--batch-size", "200000", "--chunk-size", "777"),
    ]
    digests = set()
    for number, split in enumerate(splits):
        result = gen_fraud(
            "--config", "fraud.yaml", "--run-date", "2024-05-06", "--out", str(number),
            "--format", file_format, "--explain-labels", *split, cwd=tmp_path,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        out = tmp_path / str(number)
        digests.add((digest(only_file(out)), digest(only_file(out, "labels_*"))))
    assert len(digests) == 1


@pytest.mark.slow
def test_the_run_date_is_in_the_name_alone(tmp_path: Path) -> None:
    dates = ["--start-date", "2024-01-01", "--end-date", "2024-01-31", "--rows", "500"]
    for run_date in ("2024-05-06", "2025-11-30"):
        assert gen_fraud(*dates, "--run-date", run_date, cwd=tmp_path).returncode == 0
    first = tmp_path / "outputs/payments/year=2024/month=05/payments_500_2024-05-06.parquet"
    second = tmp_path / "outputs/payments/year=2025/month=11/payments_500_2025-11-30.parquet"
    assert digest(first) == digest(second)


def test_realism_v2_writes_the_same_stream_from_files(tmp_path: Path) -> None:
    memory = written(tmp_path / "v1")
    files = written(tmp_path / "v2", realism="v2")
    assert digest(memory.path) == digest(files.path)
    names = [path.relative_to(tmp_path / "v2").as_posix() for path in files.catalogs]
    assert names == [f"catalog/{name}.parquet" for name in ("customers", "merchants", "cards")]


@pytest.mark.parametrize("chunk_size", [1_000, 16_384, 50_000, 1_000_000])
def test_generate_yields_the_rows_of_the_file_in_chunks(tmp_path: Path, chunk_size: int) -> None:
    rows = GROUP_ROWS + 5_000
    path = written(tmp_path, total_rows=rows).path
    frames = list(generate(configured(total_rows=rows, chunk_size=chunk_size)))
    assert {len(frame) for frame in frames[:-1]} <= {chunk_size}
    assert 0 < len(frames[-1]) <= chunk_size
    assert_frame_equal(pl.concat(frames), frame_of(path))


def test_csv_has_fixed_decimals(tmp_path: Path) -> None:
    lines = written(tmp_path, "csv", total_rows=3_000).path.read_text().splitlines()
    names, *rows = [line.split(",") for line in lines]
    # A browser's name may hold a comma, and stands before the place.
    amount = names.index("amount")
    place = names.index("latitude") - len(names)
    assert all(re.fullmatch(r"[0-9]+\.[0-9]{2}", row[amount]) for row in rows)
    assert any(row[amount].endswith("0") for row in rows)
    for row in rows:
        assert re.fullmatch(r"(-?[0-9]+\.[0-9]{6})?", row[place]), row
        assert re.fullmatch(r"(-?[0-9]+\.[0-9]{6})?", row[place + 1]), row


def test_csv_holds_what_parquet_holds(tmp_path: Path) -> None:
    parquet = frame_of(written(tmp_path, total_rows=3_000).path)
    path = written(tmp_path, "csv", total_rows=3_000).path
    assert path.read_bytes().count(b"\r") == 0
    text = pl.read_csv(path, schema_overrides={"mcc_code": pl.String, "device_id": pl.String})
    typed = text.with_columns(
        pl.col("event_time").str.to_datetime(time_unit="ns", time_zone="UTC")
    ).cast(parquet.schema)
    assert_frame_equal(typed, parquet)


KNOBS: dict[str, Any] = {
    "total_rows": 9_999,
    "fraud_rate": 0.02,
    "seed": 43,
    "null_mcc_rate": 0.5,
    "null_device_rate": 0.5,
    "null_geo_rate": 0.5,
    "catalog": {
        "num_customers": 700,
        "customer_zipf_exponent": 0.3,
        "num_merchants": 100,
        "merchant_zipf_exponent": 0.3,
        "merchant_risk_alpha": 4.0,
        "merchant_risk_beta": 1.0,
        "num_cards": 900,
        "card_zipf_exponent": 0.2,
        "card_risk_alpha": 4.0,
        "card_risk_beta": 1.0,
    },
    "temporal": {
        "start_date": "2024-01-01",
        "end_date": "2024-04-20",
        "weekday_weights": {"0": 1},
        "time_components": [{"mean_hour": 3, "std_hours": 1, "weight": 1}],
        "distribution_type": "uniform",
        "timezone": "Asia/Tokyo",
    },
    "feature": {
        "device_types": {"WEB": 1},
        "amount_distribution": "uniform",
        "lognormal_mean": 2.0,
        "lognormal_sigma": 0.2,
        "recurring_share": 0.2,
    },
    "labels": {
        "amount_weight": -3.0,
        "merchant_risk_weight": 30.0,
        "card_risk_weight": 30.0,
        "night_weight": 9.0,
        "night_start_hour": 1,
        "night_end_hour": 20,
        "burst_factor": 2,
        "burst_window_s": 20_000,
        "burst_share": 0.9,
    },
}
IDLE = {
    # Where nothing is written they change nothing: where, how fast, and what is done with it.
    "realism", "num_workers", "batch_size", "chunk_size", "out_dir", "s3_upload",
    "catalog.max_size_mb", "catalog.parquet_row_group_size",
}  # fmt: skip
BY_DISTRIBUTION = {"normal_mean": "normal", "normal_std": "normal"} | {
    "uniform_min": "uniform", "uniform_max": "uniform"
}  # fmt: skip


def knobs() -> list[tuple[str, dict[str, Any]]]:
    flat: list[tuple[str, dict[str, Any]]] = []
    for key, value in KNOBS.items():
        if key in ("catalog", "temporal", "feature", "labels"):
            flat += [(f"{key}.{name}", {key: {name: given}}) for name, given in value.items()]
        else:
            flat.append((key, {key: value}))
    return flat


def content(**changes: Any) -> pl.DataFrame:
    rows = {"total_rows": 10_000, "fraud_rate": 0.01}
    return pl.concat(generate(configured(**{**rows, **changes})))


@pytest.fixture(scope="module")
def base() -> pl.DataFrame:
    return content()


@pytest.mark.parametrize(("name", "changes"), knobs(), ids=[name for name, _ in knobs()])
def test_every_knob_turns(base: pl.DataFrame, name: str, changes: dict[str, Any]) -> None:
    assert not content(**changes).equals(base), name


@pytest.mark.parametrize("name", BY_DISTRIBUTION)
def test_every_knob_of_the_other_distributions_turns(name: str) -> None:
    kind = BY_DISTRIBUTION[name]
    plain = content(feature={"amount_distribution": kind})
    assert not content(feature={"amount_distribution": kind, name: 2.0}).equals(plain)


def test_the_list_of_knobs_is_complete() -> None:
    known = {name for name, _ in knobs()} | IDLE | {f"feature.{name}" for name in BY_DISTRIBUTION}
    every = set()
    for key, field in FraudConfig.model_fields.items():
        section = getattr(field.default, "model_fields_set", None)
        if section is None:
            every.add(key)
        else:
            every |= {f"{key}.{name}" for name in type(field.default).model_fields}
    assert known == every


def test_done_is_done_and_nothing_is_overwritten(tmp_path: Path) -> None:
    first = written(tmp_path, total_rows=500)
    before = digest(first.path)
    assert digest(written(tmp_path, total_rows=500).path) == before
    with pytest.raises(ConflictError, match="other bytes"):
        written(tmp_path, total_rows=500, seed=1)
    assert digest(first.path) == before
    assert [p.name for p in first.path.parent.iterdir()] == [first.path.name]


class _Dies(GroupEncoder):
    """An encoder whose process is killed from outside, or which fails."""

    def encode(self, number: int) -> Any:
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("a fault of the encoder")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("group", "said"), [(1, "by signal 9"), (0, "a fault of the encoder")])
def test_a_dead_worker_is_a_clear_error(group: int, said: str) -> None:
    source = GroupSource(_Dies(None, None, "parquet", False), range(2), 2, 1, [])  # type: ignore[arg-type]
    with source, pytest.raises(WorkerError, match=said):
        source._receive(source._workers[group])
