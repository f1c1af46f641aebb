"""DuckDB, pandas, Polars, PyArrow and csv read the files as equal values, CSV and Parquet."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal
from tests.builders import LIVELY_WORLD, Folders, period, write_config
from tests.gen_server import GenServer

from payworld.schema import TABLES, frame_schema

# Names that a careless writer or reader would change.
NAMES = [
    "Käse & Söhne, GmbH",
    'The "Best" Store',
    "O'Brien, Smith",
    "Тест",
    "店",
    "semi;colon",
    "a|b",
]


@pytest.fixture(scope="module")
def folders(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Folders]:
    """One world twice: as CSV and as Parquet."""
    written = {}
    for file_format in ("csv", "parquet"):
        found = Folders(tmp_path_factory.mktemp(file_format))
        config = write_config(found.root / "world.yaml", LIVELY_WORLD | {"merchant_names": NAMES})
        ended = server.run(
            "--initial", *period("2024-01-30", "2024-02-05"), "-f", "-q", "--config", config,
            "--format", file_format, *found.options,
        )  # fmt: skip
        assert ended.code == 0, ended.stderr
        written[file_format] = found
    return written


def path_of(folders: Folders, table: str) -> Path:
    return next(folders.output.glob(f"{table}_2024-01-30_*"))


@pytest.fixture(params=list(TABLES))
def table(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def expected(folders: dict[str, Folders], table: str) -> pl.DataFrame:
    """The Parquet file's values."""
    frame = pl.read_parquet(path_of(folders["parquet"], table))
    assert frame.height >= 40
    return frame


def test_parquet_carries_the_exact_types_of_the_schema(expected: pl.DataFrame, table: str) -> None:
    assert expected.schema == frame_schema(TABLES[table])


def test_csv_holds_the_values_of_parquet_to_the_last_digit(
    folders: dict[str, Folders], expected: pl.DataFrame, table: str
) -> None:
    found = pl.read_csv(path_of(folders["csv"], table), schema=frame_schema(TABLES[table]))
    assert_frame_equal(found, expected)


def test_pythons_own_csv_reader_gives_the_texts_of_the_values(
    folders: dict[str, Folders], expected: pl.DataFrame, table: str
) -> None:
    with path_of(folders["csv"], table).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file, strict=True))
    assert header == TABLES[table].names
    assert rows == [[_text(value) for value in row] for row in expected.iter_rows()]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "hour"):
        return str(value.isoformat())
    return str(value)


def test_duckdb_reads_both_formats_equal(
    folders: dict[str, Folders], expected: pl.DataFrame, table: str
) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        parquet = connection.execute(
            f"SELECT * FROM read_parquet('{path_of(folders['parquet'], table)}')"  # noqa: S608
        ).fetchall()
        kinds = {
            row[0]: row[1]
            for row in connection.execute(
                f"DESCRIBE SELECT * FROM read_parquet('{path_of(folders['parquet'], table)}')"  # noqa: S608
            ).fetchall()
        }
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in kinds.items())
        text = connection.execute(
            f"SELECT * FROM read_csv('{path_of(folders['csv'], table)}', header = true, "  # noqa: S608
            f"columns = {{{columns}}}, auto_detect = false)"
        ).fetchall()
    assert parquet == expected.rows()
    assert text == parquet


def test_pandas_reads_both_formats_equal(
    folders: dict[str, Folders], expected: pl.DataFrame, table: str
) -> None:
    text = pd.read_csv(path_of(folders["csv"], table), dtype=str, keep_default_na=True)
    parquet = pd.read_parquet(path_of(folders["parquet"], table))
    assert list(text.columns) == list(parquet.columns) == expected.columns
    for name in expected.columns:
        values = [None if pd.isna(value) else value for value in text[name].tolist()]
        assert values == [_text(value) or None for value in expected[name]], name
        column = [None if pd.isna(value) else value for value in parquet[name].tolist()]
        assert column == expected[name].to_list(), name


def test_pyarrow_reads_both_formats_equal(
    folders: dict[str, Folders], expected: pl.DataFrame, table: str
) -> None:
    parquet = pq.read_table(path_of(folders["parquet"], table))
    text = pyarrow.csv.read_csv(
        path_of(folders["csv"], table),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=parquet.schema, strings_can_be_null=True
        ),
    )
    assert text.equals(parquet.cast(text.schema))
    assert parquet.to_pylist() == expected.to_dicts()


def test_parquet_has_plain_strings_and_no_pandas_or_polars_metadata(
    folders: dict[str, Folders], table: str
) -> None:
    path = path_of(folders["parquet"], table)
    schema = pq.read_schema(path)
    assert {str(field.type) for field in schema if "string" in str(field.type)} == {"string"}
    assert not schema.metadata
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_csv_is_rfc_4180_with_lf_and_quotes_only_where_needed(
    folders: dict[str, Folders], table: str
) -> None:
    data = path_of(folders["csv"], table).read_bytes()
    assert b"\r" not in data
    assert data.endswith(b"\n")
    assert not data.startswith(b"\xef\xbb\xbf")
    for line in data.decode("utf-8").splitlines():
        for field in next(csv.reader([line])):
            quoted = '"' + field.replace('"', '""') + '"'
            needed = any(mark in field for mark in ',"\n')
            assert (quoted in line) >= needed
            assert needed or f'"{field}"' not in line or not field


def test_supplied_names_come_through_every_format(folders: dict[str, Folders]) -> None:
    for found in folders.values():
        path = next(found.output.glob("merchants_2024-01-30_*"))
        frame = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
        assert set(frame["merchant_name"]) <= set(NAMES)
        assert frame["merchant_name"].n_unique() > 5


def test_money_adds_up_in_decimals_whoever_reads(folders: dict[str, Folders]) -> None:
    path = path_of(folders["parquet"], "transactions")
    frame = pl.read_parquet(path)
    profit = sum(frame["net_profit"], Decimal(0))
    assert profit == sum(frame["mdr_amount"], Decimal(0)) - sum(
        frame["transactional_cost_amount"], Decimal(0)
    )
    query = f"SELECT sum(net_profit) FROM read_parquet('{path}')"  # noqa: S608
    with duckdb.connect() as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    assert row[0] == profit
