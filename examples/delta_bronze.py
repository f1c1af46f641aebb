"""Bronze tables in Delta Lake, each nightly file once, and merchants merged as SCD type 2.

    python examples/delta_bronze.py --raw-data raw_data --target lake

Run it after every `gen --incremental`, as often as you like. `lake/` then has the Delta tables
bronze/merchants, bronze/transactions and silver/dim_merchant. Every file is one commit with an
application transaction of the file's name: data and the memory of having loaded it become visible
at once, so no kill can come between them, and of two ingests at the same time one fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import landing
import polars as pl
import pyarrow as pa

from payworld import table_schema

try:
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
    from deltalake.exceptions import CommitFailedError
    from deltalake.schema import Field, PrimitiveType, Schema
except ModuleNotFoundError as error:
    raise SystemExit(f"this example needs {error.name}: pip install '.[delta]'") from None

# Where Delta's names for types differ from Iceberg's.
DELTA_TYPES = {"int": "integer", "timestamp": "timestamp_ntz"}

VALIDITY = [
    Field("valid_from", PrimitiveType("date"), nullable=False),
    Field("valid_to", PrimitiveType("date")),
    Field("is_current", PrimitiveType("boolean"), nullable=False),
]


def ingest(raw_data: Path, target: Path) -> Iterator[str]:
    """Append what is new, merge the dimension, check everything; yield a summary."""
    files = landing.read_manifest(raw_data)
    versions, payments = (landing.files_of(files, name) for name in ("merchants", "transactions"))
    merchants, transactions = (open_bronze(target, name) for name in ("merchants", "transactions"))
    # All that is new is looked at before any of it is appended.
    loaded = loaded_files(merchants, versions) | loaded_files(transactions, payments)
    new = landing.checked_new_files(files, loaded)
    # Merchants first: whoever reads meanwhile never meets a payment without its merchant.
    yield from load(merchants, versions, new)
    yield merge_dimension(open_dimension(target, merchants), merchants)
    yield from load(transactions, payments, new)
    yield from check_money(transactions, payments)
    yield check_last_week(transactions, payments)


def load(
    table: DeltaTable, files: list[landing.RawFile], new: list[landing.RawFile]
) -> Iterator[str]:
    """Append what a table lacks, and compare its rows with the manifest."""
    new = landing.files_of(new, files[0].table)
    for file in new:
        append(table, file)
    yield f"{files[0].table:<13} loaded {len(new)} of {len(files)} files"
    yield check_rows(table, files)


def open_bronze(target: Path, name: str) -> DeltaTable:
    """Return a bronze table; if it is not there, made as `gen schema NAME --as iceberg` has it."""
    path = target / "bronze" / name
    if DeltaTable.is_deltatable(str(path)):
        return DeltaTable(path)
    fields = [
        Field(
            field["name"],
            PrimitiveType(DELTA_TYPES.get(field["type"], field["type"].replace(" ", ""))),
            nullable=not field["required"],
            metadata={"comment": field["doc"]},
        )
        for field in table_schema(name, "iceberg")["fields"]
    ]
    return DeltaTable.create(path, Schema(fields))


def open_dimension(target: Path, merchants: DeltaTable) -> DeltaTable:
    """Return the dimension, made if it is not there: the columns of bronze and the validity."""
    fields = [field for field in merchants.schema().fields if field.name != "last_transaction_date"]
    path = target / "silver" / "dim_merchant"
    return DeltaTable.create(path, Schema([*fields, *VALIDITY]), mode="ignore")


def number(file: landing.RawFile) -> int:
    """Return the head of a file's hash as a number: what a transaction can remember of it."""
    return int(file.hash.removeprefix("sha256:")[:15], 16)


def loaded_files(table: DeltaTable, files: list[landing.RawFile]) -> dict[str, str]:
    """Return the hash of each file that the table has, by name, as its transactions tell.

    They are kept in the checkpoints, also when the log of long ago is cleaned up.
    """
    known = {file.name: table.transaction_version(file.name) for file in files}
    loaded = {
        file.name: file.hash if known[file.name] == number(file) else f"hash {known[file.name]:x}"
        for file in files
        if known[file.name] is not None
    }
    rows = sum(file.rows for file in files if file.name in loaded)
    if table.count() != rows:
        raise landing.IngestError(
            f"{table.table_uri} has {table.count()} rows, and its files by the manifest {rows}: "
            "this is another world; load it into another --target"
        )
    return loaded


def append(table: DeltaTable, file: landing.RawFile) -> None:
    """Append one file in one commit, batch by batch: a file may be larger than the memory."""
    properties = CommitProperties(
        custom_metadata={"file": file.name, "hash": file.hash, "end": str(file.end)},
        app_transactions=[Transaction(file.name, number(file))],
    )
    schema = pa.schema(table.schema().to_arrow())
    with alone(table), landing.read_batches(file, schema) as batches:
        write_deltalake(table, batches, mode="append", commit_properties=properties)


@contextmanager
def alone(table: DeltaTable) -> Iterator[None]:
    """Tell of another ingest that has committed meanwhile; Delta itself refuses to do it twice."""
    try:
        yield
    except CommitFailedError as error:
        raise landing.BusyError(
            f"another ingest is at work on {table.table_uri}; run this again ({error})"
        ) from error


def check_rows(table: DeltaTable, files: list[landing.RawFile]) -> str:
    """Compare the rows of each commit, and of the table, with the manifest."""
    added = {
        commit["file"]: commit["operationMetrics"]["num_added_rows"]
        for commit in table.history()
        if "file" in commit
    }
    # The log keeps commits for a month by default, and the table its rows for ever.
    known = {file.name: file.rows for file in files if file.name in added}
    landing.check_equal(f"rows by file in {table.table_uri}", known, added)
    rows = sum(file.rows for file in files)
    landing.check_equal(f"rows of {table.table_uri}", rows, table.count())
    return f"{files[0].table:<13} {rows:,} rows: as the manifest says"


def merge_dimension(dimension: DeltaTable, merchants: DeltaTable) -> str:
    """Bring the SCD type 2 dimension up to date with the versions in bronze.

    It needs no memory of its own: what it lacks is seen by comparing, so a kill before the merge
    is made good by the next run.
    """
    expected = with_validity(pl.DataFrame(merchants.to_pyarrow_table()))
    keys = ["merchant_id", "version", "is_current"]
    known = pl.DataFrame(dimension.to_pyarrow_table(columns=keys))
    # New versions, and those that they bring to an end.
    changed = expected.join(known, on=keys, how="anti")
    if changed.height:
        with alone(dimension):
            dimension.merge(
                changed.to_arrow(),
                "target.merchant_id = source.merchant_id AND target.version = source.version",
                source_alias="source",
                target_alias="target",
            ).when_matched_update(
                {"valid_to": "source.valid_to", "is_current": "source.is_current"}
            ).when_not_matched_insert_all().execute()
    found = pl.DataFrame(dimension.to_pyarrow_table()).sort("merchant_id", "version")
    if not found.equals(expected):
        raise landing.IngestError(f"{dimension.table_uri} differs from the versions in bronze")
    current = found["is_current"].sum()
    return f"{'dimension':<13} {found.height:,} versions of {current:,} merchants: as in bronze"


def with_validity(versions: pl.DataFrame) -> pl.DataFrame:
    """Return merchant versions with valid_from, valid_to and is_current, in order.

    valid_to is the first day on which the version no longer holds; null: until further notice.
    last_transaction_date goes: it belongs to a file and its end, not to a version.
    """
    next_version = pl.col("effective_date").shift(-1).over("merchant_id")
    return (
        versions.drop("last_transaction_date")
        .sort("merchant_id", "version")
        .with_columns(valid_from="effective_date", valid_to=next_version)
        .with_columns(is_current=pl.col("valid_to").is_null())
    )


def check_money(table: DeltaTable, files: list[landing.RawFile]) -> Iterator[str]:
    """Compare the sums of the table with those of the manifest, to the cent."""
    loaded = table.to_pyarrow_table(columns=list(landing.MONEY))
    sums = {name: landing.column_sum(loaded[name]) for name in landing.MONEY}
    landing.check_equal("sums of transactions", landing.money_sums(files), sums)
    landing.check_equal(
        "net_profit", sums["mdr_amount"] - sums["transactional_cost_amount"], sums["net_profit"]
    )
    for name, value in sums.items():
        yield f"{name:<26} {value:>16,}: as the manifest says"


def check_last_week(table: DeltaTable, files: list[landing.RawFile]) -> str:
    """Count the payments as of a week ago by time travel, and compare with the manifest."""
    week_ago = max(file.end for file in files) - timedelta(days=7)
    past = [
        commit["version"] for commit in table.history() if commit.get("end", "9") <= str(week_ago)
    ]
    if not past:
        return f"{'time travel':<13} nothing up to {week_ago}"
    then = DeltaTable(table.table_uri, version=max(past)).count()
    expected = sum(file.rows for file in files if file.end <= week_ago)
    landing.check_equal(f"payments up to {week_ago}", expected, then)
    return f"{'time travel':<13} {then:,} payments in the files up to {week_ago}"


if __name__ == "__main__":
    landing.main("Bronze tables in Delta Lake, each file once; merchants merged.", ingest)
