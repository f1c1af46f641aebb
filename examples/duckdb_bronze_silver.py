"""Bronze and silver tables in DuckDB: each file once, merchants as SCD type 2, payments joined.

    python examples/duckdb_bronze_silver.py --raw-data raw_data --target lake

Run it after every `gen --incremental`, as often as you like. `lake/payworld.duckdb` then has

    bronze.merchants, bronze.transactions   the rows of the files, typed, with their source_file
    bronze.files                            what was loaded, by name and hash
    silver.dim_merchant                     one row a version: valid_from, valid_to, is_current
    silver.fact_payment                     one row a payment, with the version then in force

A night is one transaction: load, transform, check, commit. Whatever goes wrong in between, a kill
too, leaves the tables as they were; the next run loads what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import landing

from payworld import table_schema

try:
    import duckdb
except ModuleNotFoundError:
    raise SystemExit("this example needs DuckDB: pip install duckdb") from None

FILES = """
CREATE TABLE bronze.files (
    path VARCHAR PRIMARY KEY,
    hash VARCHAR NOT NULL,
    loaded_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
"""

# valid_to is the first day on which the version no longer holds, so that periods meet without a
# gap; NULL means until further notice. The dimension is small and made anew from all versions:
# it cannot drift away from bronze. last_transaction_date is no attribute of a version (each file
# has it as of its own end): the latest payment tells it better.
DIMENSION = """
CREATE OR REPLACE TABLE silver.dim_merchant AS
WITH last_payment AS (
    SELECT merchant_id, max(payment_timestamp)::DATE AS last_transaction_date
    FROM bronze.transactions
    GROUP BY merchant_id
)
SELECT
    merchants.* EXCLUDE (last_transaction_date, source_file),
    last_payment.last_transaction_date,
    effective_date AS valid_from,
    lead(effective_date) OVER life AS valid_to,
    valid_to IS NULL AS is_current
FROM bronze.merchants
LEFT JOIN last_payment USING (merchant_id)
WINDOW life AS (PARTITION BY merchants.merchant_id ORDER BY version)
"""

# payment_timestamp is the merchant's local time, and a version is in force by the merchant's day.
PAYMENTS = """
SELECT transactions.*, dim_merchant.version AS merchant_version, dim_merchant.mdr_rate
FROM bronze.transactions
JOIN silver.dim_merchant
    ON dim_merchant.merchant_id = transactions.merchant_id
    AND transactions.payment_timestamp::DATE >= valid_from
    AND (valid_to IS NULL OR transactions.payment_timestamp::DATE < valid_to)
"""

# The right version shows in the money: its rate gives the amount that was charged.
WRONG_TO_THE_CENT = """
SELECT count(*) FROM silver.fact_payment
WHERE net_profit <> mdr_amount - transactional_cost_amount
    OR mdr_amount <> CASE payment_status
        WHEN 'approved' THEN round(payment_amount * mdr_rate, 2) ELSE 0 END
"""


def ingest(raw_data: Path, target: Path) -> Iterator[str]:
    """Load what is new, check everything, commit; yield a summary."""
    files = landing.read_manifest(raw_data)
    try:
        connection = duckdb.connect(target / "payworld.duckdb")
    except duckdb.IOException as error:
        # DuckDB lets one process write at a time.
        raise landing.BusyError(str(error)) from error
    with connection:
        connection.execute("BEGIN")
        make_tables(connection)
        loaded = dict(connection.execute("SELECT path, hash FROM bronze.files").fetchall())
        new = landing.checked_new_files(files, loaded)
        for file in new:
            load(connection, file)
        transform(connection, [file.name for file in new])
        lines = check(connection, files)
        # All or nothing: without this line nothing of the night is there.
        connection.execute("COMMIT")
    yield f"loaded     {len(new)} of {len(files)} files"
    yield from lines


def make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables, with the types and constraints of `gen schema world --as duckdb`."""
    if count(connection, "SELECT count(*) FROM duckdb_schemas() WHERE schema_name = 'bronze'"):
        return
    connection.execute("CREATE SCHEMA bronze; CREATE SCHEMA silver; USE bronze")
    connection.execute(table_schema("world", "duckdb"))
    for table in ("merchants", "transactions"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN source_file VARCHAR")
    connection.execute(FILES)


def load(connection: duckdb.DuckDBPyConnection, file: landing.RawFile) -> None:
    """Load one file into its bronze table; nothing is guessed from the data."""
    described = connection.execute(f"DESCRIBE bronze.{file.table}").fetchall()
    types = {name: kind for name, kind, *_ in described if name != "source_file"}
    # A CSV is read by position: its columns have to be those of the table, in order.
    landing.check_equal(f"columns of {file.name}", tuple(types), file.columns)
    names = ", ".join(types)
    # With the types given, a value that does not fit is an error and not a text column.
    reader = "read_csv(?, header = true, auto_detect = false, columns = ?)"
    connection.execute(
        f"INSERT INTO bronze.{file.table} BY NAME "
        f"SELECT {names}, ? AS source_file FROM {reader if file.is_csv else 'read_parquet(?)'}",
        [file.name, str(file.path), *([types] if file.is_csv else [])],
    )
    connection.execute(
        "INSERT INTO bronze.files (path, hash) VALUES (?, ?)", [file.name, file.hash]
    )


def transform(connection: duckdb.DuckDBPyConnection, new: list[str]) -> None:
    """Make the dimension anew, and add the new files' payments to the facts."""
    connection.execute(DIMENSION)
    known = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'fact_payment'"
    # No empty table at first: what is inserted into one that CREATE TABLE AS made in the same
    # transaction is lost (DuckDB 2.0.0); the sums below told.
    verb = "INSERT INTO" if count(connection, known) else "CREATE TABLE"
    connection.execute(
        f"{verb} silver.fact_payment {'' if verb == 'INSERT INTO' else 'AS'} {PAYMENTS} "
        "WHERE transactions.source_file IN (SELECT unnest(?))",
        [new],
    )


def check(connection: duckdb.DuckDBPyConnection, files: list[landing.RawFile]) -> list[str]:
    """Compare the tables with the manifest, file by file; return a summary."""
    for table in ("merchants", "transactions"):
        found = connection.execute(
            f"SELECT source_file, count(*) FROM bronze.{table} GROUP BY source_file"
        ).fetchall()
        landing.check_equal(
            f"rows of bronze.{table} by file", landing.rows_by_file(files, table), dict(found)
        )
    payments = count(connection, "SELECT count(*) FROM bronze.transactions")
    # Less: a payment found no version; more: it found two.
    facts = count(connection, "SELECT count(*) FROM silver.fact_payment")
    landing.check_equal("rows of silver.fact_payment", payments, facts)
    landing.check_equal("payments with a wrong cent", 0, count(connection, WRONG_TO_THE_CENT))
    expected = landing.sums_by_file(files)
    for table in ("bronze.transactions", "silver.fact_payment"):
        landing.check_equal(f"sums of {table} by file", expected, sums(connection, table))
    versions, merchants, current = row(
        connection,
        "SELECT count(*), count(DISTINCT merchant_id), count(*) FILTER (is_current) "
        "FROM silver.dim_merchant",
    )
    landing.check_equal("merchants with one current version", merchants, current)
    return [
        f"bronze     {payments:,} payments, {versions:,} versions: as the manifest says",
        f"dimension  {merchants:,} merchants, each with one current version",
        f"facts      {facts:,} payments, each with the version in force that day",
        *(
            f"{name:<26} {value:>16,}: as the manifest says"
            for name, value in landing.money_sums(files).items()
        ),
    ]


def row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the one row of a query's result."""
    [found] = connection.execute(query).fetchall()
    return found


def count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the one number of a query's result."""
    return int(row(connection, query)[0])


def sums(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, dict[str, Decimal]]:
    """Return the sum of each money column of a table, by file."""
    columns = ", ".join(f"sum({name})" for name in landing.MONEY)
    query = f"SELECT source_file, {columns} FROM {table} GROUP BY source_file"
    return {
        file: dict(zip(landing.MONEY, found, strict=True))
        for file, *found in connection.execute(query).fetchall()
    }


if __name__ == "__main__":
    landing.main("Bronze and silver tables in DuckDB.", ingest)
