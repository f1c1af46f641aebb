"""What the examples leave behind, read back by their engines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table
from tests.examples.nights import Landing

from payworld.schema import TABLES

Rows = list[tuple[Any, ...]]


def query(target: Path, sql: str) -> Rows:
    """Return the result of a query on the DuckDB lake."""
    with duckdb.connect(target / "payworld.duckdb", read_only=True) as connection:
        return connection.execute(sql).fetchall()


def iceberg_table(target: Path, name: str) -> Table:
    """Return a bronze table of the Iceberg lake."""
    catalog = SqlCatalog("payworld", uri=f"sqlite:///{target.resolve()}/catalog.db")
    try:
        return catalog.load_table(f"bronze.{name}")
    finally:
        # Else the connection is closed by the garbage collector, which warns.
        catalog.engine.dispose()


def delta_table(target: Path, name: str) -> DeltaTable:
    """Return a table of the Delta lake: bronze/merchants, silver/dim_merchant, ..."""
    return DeltaTable(target / name)


def _duckdb_rows(target: Path, table: str) -> Rows:
    return query(target, f"SELECT {', '.join(TABLES[table].names)} FROM bronze.{table}")  # noqa: S608


def _iceberg_rows(target: Path, table: str) -> Rows:
    return arrow_rows(iceberg_table(target, table).scan().to_arrow())


def _delta_rows(target: Path, table: str) -> Rows:
    return arrow_rows(delta_table(target, f"bronze/{table}").to_pyarrow_table())


def arrow_rows(table: pa.Table) -> Rows:
    """Return the rows of an Arrow table."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


BRONZE_ROWS: dict[str, Callable[[Path, str], Rows]] = {
    "duckdb_bronze_silver": _duckdb_rows,
    "iceberg_bronze": _iceberg_rows,
    "delta_bronze": _delta_rows,
}
EXAMPLES = list(BRONZE_ROWS)


def check_bronze(example: str, landing: Landing, target: Path) -> None:
    """Compare the bronze tables with the published files, value by value."""
    for table in TABLES:
        found = sorted(BRONZE_ROWS[example](target, table), key=repr)
        # Not in the assertion: its account of a difference would take minutes.
        same = found == sorted(landing.rows(table), key=repr)
        assert same, f"{table}: {len(found)} rows, published: {len(landing.rows(table))}"
