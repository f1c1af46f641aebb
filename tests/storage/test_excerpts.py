"""The last rows of a file and one merchant's payments, read in little memory."""

import gzip
import tracemalloc
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.builders import SMALL_WORLD

from payworld import Simulation
from payworld.errors import StorageError
from payworld.schema import MERCHANTS, TABLES, TRANSACTIONS, Table, frame_schema
from payworld.storage import excerpts, read
from payworld.storage.csv import csv_header, write_csv_text
from payworld.storage.excerpts import read_merchant, read_tail
from payworld.storage.parquet import write_parquet

KINDS = ("csv", "csv.gz", "csv.zst", "parquet")
NAMES = {name: f"{name}_2024-01-01_2024-01-05" for name in TABLES}
COLUMNS = ["payment_timestamp", "payment_amount", "payment_status"]


def _zstd(path: Path, data: bytes) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(data)


def write(path: Path, frame: pl.DataFrame, table: Table) -> Path:
    """Write a frame in the format that the path's ending names."""
    data = csv_header(table.names) + write_csv_text(frame)
    if path.suffix == ".parquet":
        write_parquet(path, frame)
    elif path.suffix == ".gz":
        # In two members, as a file that is appended to has them.
        half = len(data) // 2
        path.write_bytes(gzip.compress(data[:half]) + gzip.compress(data[half:]))
    elif path.suffix == ".zst":
        _zstd(path, data)
    else:
        path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def payments() -> pl.DataFrame:
    simulation = Simulation.create(date(2024, 1, 1), **SMALL_WORLD)
    return pl.concat([day.transactions() for day in simulation.days(date(2024, 1, 5))])


@pytest.fixture(scope="module")
def merchants() -> pl.DataFrame:
    frame = Simulation.create(date(2024, 1, 1), **SMALL_WORLD).step().merchants()
    name = 'Quote "and, comma" Café'
    return frame.with_columns(merchant_name=pl.lit(name), version=pl.int_range(1, pl.len() + 1))


def as_texts(frame: pl.DataFrame) -> list[dict[str, Any]]:
    dates = [n for n, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    frame = frame.with_columns(pl.col(dates).dt.to_string("%Y-%m-%dT%H:%M:%S"))
    others = [n for n, kind in frame.schema.items() if not kind.is_integer()]
    return frame.with_columns(pl.col(others).cast(pl.String)).to_dicts()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 7, 100_000])
def test_the_last_rows_are_the_same_from_every_format(
    kind: str, rows: int, payments: pl.DataFrame, tmp_path: Path
) -> None:
    path = write(tmp_path / f"{NAMES[TRANSACTIONS.name]}.{kind}", payments, TRANSACTIONS)
    assert read_tail(path, TRANSACTIONS, rows) == as_texts(payments.tail(rows))


@pytest.mark.parametrize("kind", KINDS)
def test_quotes_nulls_and_numbers_come_as_they_are(
    kind: str, merchants: pl.DataFrame, tmp_path: Path
) -> None:
    path = write(tmp_path / f"{NAMES[MERCHANTS.name]}.{kind}", merchants, MERCHANTS)
    found = read_tail(path, MERCHANTS, 3)
    assert found == as_texts(merchants.tail(3))
    assert [row["version"] for row in found] == [38, 39, 40]
    assert found[0]["merchant_name"] == 'Quote "and, comma" Café'
    assert found[0]["churn_date"] is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [64, 1_000, 4_096])
def test_where_blocks_end_does_not_matter(
    kind: str, block: int, payments: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A line is longer than the smallest block; blocks of a kilobyte end anywhere in a line.
    path = write(tmp_path / f"{NAMES[TRANSACTIONS.name]}.{kind}", payments.head(200), TRANSACTIONS)
    monkeypatch.setattr(excerpts, "BLOCK_BYTES", max(block, 300))
    monkeypatch.setattr(excerpts, "BATCH_ROWS", block)
    monkeypatch.setattr(read, "BATCH_BYTES", block)
    for rows in (1, 2, 3, 50, 199, 200, 201):
        expected = as_texts(payments.head(200).tail(rows))
        assert read_tail(path, TRANSACTIONS, rows) == expected, rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_rows_has_no_last_ones(kind: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / f"{NAMES[MERCHANTS.name]}.{kind}",
        pl.DataFrame(schema=frame_schema(MERCHANTS)),
        MERCHANTS,
    )
    assert read_tail(path, MERCHANTS, 5) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [400, 1 << 20])
def test_a_merchant_s_payments_are_all_of_its_rows_with_exact_types(
    kind: str, block: int, payments: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / f"{NAMES[TRANSACTIONS.name]}.{kind}", payments, TRANSACTIONS)
    monkeypatch.setattr(read, "BATCH_BYTES", block)
    monkeypatch.setattr(excerpts, "BATCH_ROWS", block)
    for merchant in ("M000001", "M000040"):
        found = pl.concat(list(read_merchant(path, TRANSACTIONS, merchant, COLUMNS)))
        expected = payments.filter(pl.col("merchant_id") == merchant).select(COLUMNS)
        assert len(expected) > 0
        assert found.equals(expected)
        assert found.schema == expected.schema
    assert list(read_merchant(path, TRANSACTIONS, "M009999", COLUMNS)) == []


def test_a_merchant_is_told_from_a_text_that_reads_like_it(
    payments: pl.DataFrame, tmp_path: Path
) -> None:
    other = payments.head(50).with_columns(card_issuer=pl.lit("M000001"))
    path = write(tmp_path / f"{NAMES[TRANSACTIONS.name]}.csv", other, TRANSACTIONS)
    found = list(read_merchant(path, TRANSACTIONS, "M000001", COLUMNS))
    expected = other.filter(pl.col("merchant_id") == "M000001")
    assert sum(map(len, found)) == len(expected) < 50


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def other_header(path: Path) -> None:
    path.write_bytes(b"x" + path.read_bytes())


def no_lines(path: Path) -> None:
    path.write_bytes(b"\0" * (3 << 20))


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage")


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("csv", cut), ("csv", other_header), ("csv", no_lines), ("csv", garbage),
        ("csv.gz", cut), ("csv.gz", garbage), ("csv.zst", garbage),
        ("parquet", cut), ("parquet", garbage),
    ],
)  # fmt: skip
def test_a_spoiled_file_is_named_with_the_reason(
    kind: str, spoil: Callable[[Path], None], payments: pl.DataFrame, tmp_path: Path
) -> None:
    path = write(tmp_path / f"{NAMES[TRANSACTIONS.name]}.{kind}", payments, TRANSACTIONS)
    spoil(path)
    with pytest.raises(StorageError, match=path.name):
        read_tail(path, TRANSACTIONS, 5)
    if spoil is not cut or kind != "csv":
        with pytest.raises(StorageError, match=path.name):
            list(read_merchant(path, TRANSACTIONS, "M000001", COLUMNS))


def test_a_missing_file_and_a_parquet_file_of_other_columns_are_named(
    payments: pl.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match="no such file"):
        read_tail(tmp_path / f"{NAMES[TRANSACTIONS.name]}.csv", TRANSACTIONS, 5)
    pq.write_table(pa.table({"x": [1]}), tmp_path / f"{NAMES[TRANSACTIONS.name]}.parquet")
    with pytest.raises(StorageError, match="has no column"):
        read_tail(tmp_path / f"{NAMES[TRANSACTIONS.name]}.parquet", TRANSACTIONS, 5)
    with pytest.raises(StorageError, match="has no column"):
        list(
            read_merchant(
                tmp_path / f"{NAMES[TRANSACTIONS.name]}.parquet", TRANSACTIONS, "M000001", COLUMNS
            )
        )
    assert payments["payment_amount"].dtype == pl.Decimal(12, 2)
    assert isinstance(payments["payment_amount"][0], Decimal)


def test_a_tail_does_not_read_the_file_and_a_merchant_does_not_hold_it(
    payments: pl.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / f"{NAMES[TRANSACTIONS.name]}.csv"
    rows = write_csv_text(payments)
    copies = (48 << 20) // len(rows)
    with path.open("wb") as file:
        file.write(csv_header(TRANSACTIONS.names))
        for _ in range(copies):
            file.write(rows)
    tracemalloc.start()
    try:
        assert read_tail(path, TRANSACTIONS, 10) == as_texts(payments.tail(10))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.reset_peak()
        found = sum(map(len, read_merchant(path, TRANSACTIONS, "M000001", COLUMNS)))
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    assert found == copies * payments["merchant_id"].eq("M000001").sum()
