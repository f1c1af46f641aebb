"""The checks at the end of each example can fail: one cent or one row too many is seen."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from tests.examples.lakes import delta_table, iceberg_table
from tests.examples.nights import Landing
from tests.examples.runner import ExampleServer

Nights = Callable[[str], list[Landing]]
Examples = Callable[[str], ExampleServer]
CENT = Decimal("0.01")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def in_duckdb(statement: str) -> Callable[[Path], None]:
    def change(target: Path) -> None:
        with duckdb.connect(target / "payworld.duckdb") as connection:
            connection.execute(statement)

    return change


def a_cent_in_iceberg(target: Path) -> None:
    table = iceberg_table(target, "transactions")
    rows = table.scan().to_arrow()
    profits = rows["net_profit"].to_pylist()
    changed = pa.array([profits[0] + CENT, *profits[1:]], rows["net_profit"].type)
    at = rows.schema.get_field_index("net_profit")
    table.overwrite(rows.set_column(at, rows.schema.field(at), changed))


def a_row_in_iceberg(target: Path) -> None:
    table = iceberg_table(target, "transactions")
    table.append(table.scan(limit=1).to_arrow())


def a_cent_in_delta(target: Path) -> None:
    delta_table(target, "bronze/transactions").update(
        updates={"net_profit": "net_profit + 0.01"}, predicate="payment_id = 'TXN0000000001'"
    )


def a_row_in_delta(target: Path) -> None:
    delta_table(target, "bronze/transactions").delete("payment_id = 'TXN0000000001'")


def a_version_in_delta(target: Path) -> None:
    delta_table(target, "silver/dim_merchant").update(
        updates={"mdr_rate": "mdr_rate + 0.0001"}, predicate="merchant_id = 'M000001'"
    )


ONE = "WHERE payment_id = 'TXN0000000001'"
CHANGES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "DuckDB: a row less": (
        "duckdb_bronze_silver",
        in_duckdb(f"DELETE FROM bronze.transactions {ONE}"),  # noqa: S608
        "rows of bronze.transactions by file",
    ),
    "DuckDB: a payment without its version": (
        "duckdb_bronze_silver",
        in_duckdb(f"DELETE FROM silver.fact_payment {ONE}"),  # noqa: S608
        "rows of silver.fact_payment",
    ),
    "DuckDB: a cent of profit": (
        "duckdb_bronze_silver",
        in_duckdb(f"UPDATE silver.fact_payment SET net_profit = net_profit + 0.01 {ONE}"),  # noqa: S608
        "payments with a wrong cent",
    ),
    "DuckDB: the wrong version": (
        "duckdb_bronze_silver",
        in_duckdb(
            f"UPDATE silver.fact_payment SET mdr_rate = mdr_rate + 0.005 {ONE} "  # noqa: S608
            "OR payment_id IN (SELECT payment_id FROM silver.fact_payment "
            "WHERE payment_status = 'approved' LIMIT 1)"
        ),
        "payments with a wrong cent",
    ),
    "DuckDB: a dollar": (
        "duckdb_bronze_silver",
        in_duckdb(f"UPDATE bronze.transactions SET payment_amount = payment_amount + 1 {ONE}"),  # noqa: S608
        "sums of bronze.transactions by file: expected {'transactions_2024-01-01_",
    ),
    "DuckDB: a dollar that another file lacks": (
        "duckdb_bronze_silver",
        in_duckdb(
            "UPDATE bronze.transactions SET payment_amount = payment_amount + "
            "CASE payment_id WHEN 'TXN0000000001' THEN 1 ELSE -1 END WHERE payment_id IN "
            "('TXN0000000001', (SELECT max(payment_id) FROM bronze.transactions))"
        ),
        "sums of bronze.transactions by file",
    ),
    "Iceberg: a row more": ("iceberg_bronze", a_row_in_iceberg, "rows of transactions"),
    "Iceberg: a cent": ("iceberg_bronze", a_cent_in_iceberg, "sums of transactions"),
    "Delta: a row less": ("delta_bronze", a_row_in_delta, "rows"),
    "Delta: a cent": ("delta_bronze", a_cent_in_delta, "sums of transactions"),
    "Delta: a wrong rate": ("delta_bronze", a_version_in_delta, "differs from the versions"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_cent_or_row_is_told_of_by_the_next_run(
    nights: Nights, examples: Examples, tmp_path: Path, change: str
) -> None:
    name, alter, expected = CHANGES[change]
    landing = nights("--format csv")[0]
    assert examples(name).run(landing.raw_data, tmp_path).code == 0
    alter(tmp_path)
    ended = examples(name).run(landing.raw_data, tmp_path)
    assert ended.code == 1, ended.stderr or ended.stdout
    assert expected in ended.stderr
