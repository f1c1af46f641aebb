"""DuckDB makes the tables of gen schema and takes payworld's files; dbt's tests hold on them."""

import re
from typing import Any

import duckdb
import pytest
import yaml
from tests.written_tables import NAMES, PRODUCTS, Written, table_of, typed_rows

from payworld.reports.tables import find_tables
from payworld.storage.schemas import schema_text


def test_duckdb_takes_the_csv_into_the_table(name: str, written: dict[str, Written]) -> None:
    table = table_of(name)
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(schema_text(find_tables(name), "duckdb"))
        load = f"COPY \"{table.name}\" FROM '{written[name].csv}' (HEADER)"
        database.execute(load)
        rows = database.execute(f'SELECT count(*) FROM "{table.name}"').fetchall()  # noqa: S608
        assert rows == [(written[name].rows,)]
        # As text: DuckDB's Python client needs another package for instants.
        columns = ", ".join(
            f'"{c.name}"::VARCHAR' if c.type == "instant" else f'"{c.name}"' for c in table.columns
        )
        found = database.execute(f'SELECT {columns} FROM "{table.name}"').fetchall()  # noqa: S608
        expected = [
            tuple(
                value.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0") if column.type == "instant"
                else value
                for column, value in zip(table.columns, row.values(), strict=True)
            )
            for row in typed_rows(written[name].parquet)
        ]  # fmt: skip
        instants = [at for at, c in enumerate(table.columns) if c.type == "instant"]
        for row in range(0, len(found), 40):
            for at, value in enumerate(found[row]):
                want = expected[row][at]
                assert str(value).startswith(want) if at in instants else value == want
        with pytest.raises(duckdb.ConstraintException):
            database.execute(load)


def test_duckdb_s_types_are_exact() -> None:
    with duckdb.connect() as database:
        database.execute(schema_text(find_tables("transactions"), "duckdb"))
        found = {row[0]: row[1] for row in database.execute("DESCRIBE transactions").fetchall()}
        comment = database.execute(
            "SELECT comment FROM duckdb_columns() WHERE column_name = 'payment_lat'"
        ).fetchall()
    assert found["payment_amount"] == "DECIMAL(12,2)"
    assert found["payment_timestamp"] == "TIMESTAMP"
    assert found["payment_status"] == "ENUM('approved', 'declined', 'failed')"
    assert found["card_bin"] == "VARCHAR"
    assert comment == [(table_of("transactions").column("payment_lat").description,)]


def test_duckdb_keeps_the_foreign_keys_that_are_unique(written: dict[str, Written]) -> None:
    with duckdb.connect() as database:
        database.execute(schema_text(find_tables("finance"), "duckdb"))
        with pytest.raises(duckdb.ConstraintException, match="foreign key"):
            database.execute(f"COPY accounts FROM '{written['accounts'].csv}' (HEADER)")
        for name in ("users", "accounts", "finance.transactions"):
            table = table_of(name).name
            database.execute(f"COPY {table} FROM '{written[name].csv}' (HEADER)")


@pytest.mark.parametrize("product", PRODUCTS)
def test_duckdb_makes_all_tables_of_a_product(product: str) -> None:
    with duckdb.connect() as database:
        database.execute(schema_text(find_tables(product), "duckdb"))
        made = {row[0] for row in database.execute("SHOW TABLES").fetchall()}
    assert made == {table.name for table in find_tables(product).tables}


def failing_rows(database: duckdb.DuckDBPyConnection, table: str, column: str, test: Any) -> int:
    """Return how many rows fail a data test, by the query that dbt runs for it."""
    field = f'"{column}"'
    if test == "not_null":
        where = f"{field} IS NULL"
    elif test == "unique":
        where = f"{field} IN (SELECT {field} FROM {table} GROUP BY 1 HAVING count(*) > 1)"  # noqa: S608
    elif "accepted_values" in test:
        values = ", ".join(f"'{value}'" for value in test["accepted_values"]["arguments"]["values"])
        where = f"{field} NOT IN ({values})"
    else:
        target = test["relationships"]["arguments"]
        (other,) = re.findall(r"source\('\w+', '(\w+)'\)", target["to"])
        where = f"{field} NOT IN (SELECT {target['field']} FROM {other})"  # noqa: S608
    ((count,),) = database.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchall()  # noqa: S608
    return int(count)


@pytest.mark.parametrize("product", PRODUCTS)
def test_dbt_s_sources_describe_tables_whose_tests_pass(
    product: str, written: dict[str, Written]
) -> None:
    document = yaml.safe_load(schema_text(find_tables(product), "dbt-sources"))
    assert (document["version"], len(document["sources"])) == (2, 1)
    (source,) = document["sources"]
    assert source["name"] == ("payworld" if product == "world" else f"payworld_{product}")
    names = {table_of(name).name: name for name in NAMES if find_tables(name).name == product}
    assert [table["name"] for table in source["tables"]] == list(names)
    run: set[str] = set()
    with duckdb.connect() as database:
        for table in source["tables"]:
            # dbt's types, so that they too are tried.
            columns = ", ".join(f'"{c["name"]}" {c["data_type"]}' for c in table["columns"])
            database.execute(f"CREATE TABLE {table['name']} ({columns})")
            csv = written[names[table["name"]]].csv
            database.execute(f"COPY {table['name']} FROM '{csv}' (HEADER)")
        for table in source["tables"]:
            assert [c["name"] for c in table["columns"]] == table_of(names[table["name"]]).names
            for column in table["columns"]:
                assert column["description"]
                for test in column.get("data_tests", []):
                    failing = failing_rows(database, table["name"], column["name"], test)
                    assert failing == 0, (table["name"], column["name"], test)
                    run.add(test if isinstance(test, str) else next(iter(test)))
    assert {"not_null", "unique", "accepted_values"} <= run
    assert ("relationships" in run) == (product != "fraud")
