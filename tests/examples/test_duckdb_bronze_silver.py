"""examples/duckdb_bronze_silver.py: types, the dimension is the history, money adds up."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.examples.lakes import query
from tests.examples.nights import MONEY, Landing
from tests.examples.runner import ExampleServer

from payworld.schema import TABLES, Column

PLAIN_TYPES = {"integer": "INTEGER", "date": "DATE", "datetime": "TIMESTAMP"}


def expected_type(column: Column) -> str:
    if column.values:
        return f"ENUM({', '.join(repr(value) for value in column.values)})"
    if column.type == "decimal":
        return f"DECIMAL({column.precision},{column.scale})"
    return PLAIN_TYPES.get(column.type, "VARCHAR")


@pytest.mark.slow
def test_after_every_night_silver_is_the_history_and_money_adds_up(
    nights: Callable[[str], list[Landing]],
    examples: Callable[[str], ExampleServer],
    tmp_path: Path,
) -> None:
    for landing in nights("--format csv"):
        ended = examples("duckdb_bronze_silver").run(landing.raw_data, tmp_path)
        assert ended.code == 0, ended.stderr
        check_dimension(landing, tmp_path)
        check_facts(landing, tmp_path)
        expected = landing.money()
        for table in ("bronze.transactions", "silver.fact_payment"):
            sums = ", ".join(f"sum({name})" for name in MONEY)
            [found] = query(tmp_path, f"SELECT {sums} FROM {table}")  # noqa: S608
            assert dict(zip(MONEY, found, strict=True)) == expected
    [(latest,)] = query(tmp_path, "SELECT max(version) FROM bronze.merchants")
    assert latest > 2
    check_types(tmp_path)


def check_dimension(landing: Landing, target: Path) -> None:
    """Compare the dimension with merchants.json: every column of every version, and its days."""
    columns = [*TABLES["merchants"].names, "valid_from", "valid_to", "is_current"]
    rows = query(
        target,
        f"SELECT {', '.join(columns)} "  # noqa: S608
        "FROM silver.dim_merchant ORDER BY merchant_id, version",
    )
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    assert found == landing.history().dimension()


def check_facts(landing: Landing, target: Path) -> None:
    """Compare each payment's version with the one that merchants.json has for its day."""
    history = landing.history()
    facts = query(
        target,
        "SELECT payment_id, merchant_id, payment_timestamp, merchant_version "
        "FROM silver.fact_payment ORDER BY payment_id",
    )
    assert [fact[0] for fact in facts] == sorted(row[0] for row in landing.rows("transactions"))
    assert [fact[3] for fact in facts] == [
        history.version_on(merchant, moment.date()) for _, merchant, moment, _ in facts
    ]


def check_types(target: Path) -> None:
    """Compare the types and the nullability of the bronze tables with the schema."""
    for name, table in TABLES.items():
        described = query(target, f"DESCRIBE bronze.{name}")
        assert [row[:3] for row in described[:-1]] == [
            (column.name, expected_type(column), "YES" if column.nullable else "NO")
            for column in table.columns
        ]
        assert described[-1][:2] == ("source_file", "VARCHAR")
