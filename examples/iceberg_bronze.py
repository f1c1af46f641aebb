"""Bronze tables in Apache Iceberg: each nightly file is appended exactly once.

    python examples/iceberg_bronze.py --raw-data raw_data --target lake

Run it after every `gen --incremental`, as often as you like. `lake/` then has a SQLite catalog and
the tables bronze.merchants and bronze.transactions. Every file is one snapshot, which carries the
file's name and hash: data and the memory of having loaded it become visible in one commit, so no
kill can come between them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import landing

from payworld import table_schema

try:
    from pyiceberg.catalog import Catalog
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
except ModuleNotFoundError as error:
    raise SystemExit(f"this example needs {error.name}: pip install '.[iceberg]'") from None

# What a snapshot's summary says about the file that it brought.
FILE, HASH, END = "payworld.file", "payworld.hash", "payworld.end"

# PyIceberg would append again on top of what another ingest has committed meanwhile: twice the same
# file. Without retries the later one fails, and its next run sees what is there.
PROPERTIES = {"commit.retry.num-retries": "0"}


def ingest(raw_data: Path, target: Path) -> Iterator[str]:
    """Append what is new, check everything; yield a summary."""
    files = landing.read_manifest(raw_data)
    folder = target.resolve()
    catalog = SqlCatalog(
        "payworld", uri=f"sqlite:///{folder}/catalog.db", warehouse=folder.as_uri()
    )
    catalog.create_namespace_if_not_exists("bronze")
    merchants, transactions = (open_table(catalog, name) for name in ("merchants", "transactions"))
    # All that is new is looked at before any of it is appended.
    new = landing.checked_new_files(files, loaded_files(merchants) | loaded_files(transactions))
    # Merchants first: whoever reads meanwhile never meets a payment without its merchant.
    yield from load(merchants, files, new)
    yield from load(transactions, files, new)
    yield from check_money(transactions, files)
    yield check_last_week(transactions, files)


def load(table: Table, files: list[landing.RawFile], new: list[landing.RawFile]) -> Iterator[str]:
    """Append what a table lacks, and compare its rows with the manifest."""
    name = table.name()[-1]
    files, new = landing.files_of(files, name), landing.files_of(new, name)
    for file in new:
        append(table, file)
    yield f"{name:<13} loaded {len(new)} of {len(files)} files"
    yield check_rows(table, files)


def open_table(catalog: Catalog, name: str) -> Table:
    """Return a bronze table, made from `gen schema NAME --as iceberg` if it is not there."""
    try:
        return catalog.load_table(f"bronze.{name}")
    except NoSuchTableError:
        schema = Schema.model_validate_json(json.dumps(table_schema(name, "iceberg")))
        return catalog.create_table(f"bronze.{name}", schema, properties=PROPERTIES)


def loaded_files(table: Table) -> dict[str, str]:
    """Return the hash of each file that the table has, by name, as its snapshots tell.

    Whoever expires snapshots keeps this in a table of its own first.
    """
    return {
        file: str(of(snapshot, HASH))
        for snapshot in table.snapshots()
        if (file := of(snapshot, FILE))
    }


def of(snapshot: Snapshot, key: str) -> str | None:
    """Return what a snapshot's summary says under a key."""
    return snapshot.summary.additional_properties.get(key) if snapshot.summary else None


def append(table: Table, file: landing.RawFile) -> None:
    """Append one file in one commit, batch by batch: a file may be larger than the memory."""
    note = {FILE: file.name, HASH: file.hash, END: file.end.isoformat()}
    with landing.read_batches(file, table.schema().as_arrow()) as batches:
        try:
            table.append(batches, snapshot_properties=note)
        except CommitFailedException as error:
            raise landing.BusyError(
                f"another ingest is at work on {'.'.join(table.name())}; run this again"
            ) from error


def check_rows(table: Table, files: list[landing.RawFile]) -> str:
    """Compare the rows of each snapshot, and of the table, with the manifest."""
    added = {
        file: int(of(snapshot, "added-records") or 0)
        for snapshot in table.snapshots()
        if (file := of(snapshot, FILE))
    }
    name = table.name()[-1]
    landing.check_equal(f"rows of {name} by file", {file.name: file.rows for file in files}, added)
    rows = sum(file.rows for file in files)
    landing.check_equal(f"rows of {name}", rows, table.scan().count())
    return f"{name:<13} {rows:,} rows: as the manifest says"


def check_money(table: Table, files: list[landing.RawFile]) -> Iterator[str]:
    """Compare the sums of the table with those of the manifest, to the cent."""
    sums = dict.fromkeys(landing.MONEY, Decimal("0.00"))
    for batch in table.scan(selected_fields=landing.MONEY).to_arrow_batch_reader():
        sums = {name: sums[name] + landing.column_sum(batch[name]) for name in sums}
    landing.check_equal("sums of transactions", landing.money_sums(files), sums)
    landing.check_equal(
        "net_profit", sums["mdr_amount"] - sums["transactional_cost_amount"], sums["net_profit"]
    )
    for name, value in sums.items():
        yield f"{name:<26} {value:>16,}: as the manifest says"


def check_last_week(table: Table, files: list[landing.RawFile]) -> str:
    """Count the payments as of a week ago by time travel, and compare with the manifest."""
    files = landing.files_of(files, "transactions")
    week_ago = max(file.end for file in files) - timedelta(days=7)
    past = [
        snapshot for snapshot in table.snapshots() if (of(snapshot, END) or "9") <= str(week_ago)
    ]
    if not past:
        return f"{'time travel':<13} nothing up to {week_ago}"
    then = table.scan(snapshot_id=past[-1].snapshot_id).count()
    expected = sum(file.rows for file in files if file.end <= week_ago)
    landing.check_equal(f"payments up to {week_ago}", expected, then)
    return f"{'time travel':<13} {then:,} payments in the files up to {week_ago}"


if __name__ == "__main__":
    landing.main("Bronze tables in Apache Iceberg, each file once.", ingest)
