"""Bronze tables in Parquet from payworld's raw files, with PySpark.

    python examples/spark_bronze.py raw_data bronze

Run it after each night. It loads the files that are new, each exactly once, and compares rows and
sums of money of every file in bronze with the manifest. A file that differs, because a run was
killed or something else went wrong, is loaded again; if that does not help, or the raw file is not
the one that was published, the program names it and ends with exit code 1. A second run finds
nothing to do. For Spark 4, which wants Java 17: pip install 'payworld[spark]' brings PySpark.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

# `gen schema merchants --as spark-ddl` prints the same, with a comment for each column.
SCHEMAS = {
    "merchants": """
        merchant_id STRING NOT NULL, merchant_name STRING NOT NULL, industry STRING NOT NULL,
        address STRING NOT NULL, city STRING NOT NULL, state STRING NOT NULL,
        zip_code STRING NOT NULL, phone STRING NOT NULL, email STRING NOT NULL,
        mdr_rate DECIMAL(5, 4) NOT NULL, size_category STRING NOT NULL,
        creation_date DATE NOT NULL, effective_date DATE NOT NULL, status STRING NOT NULL,
        last_transaction_date DATE, version INT NOT NULL, change_type STRING NOT NULL,
        churn_date DATE
    """,
    "transactions": """
        payment_id STRING NOT NULL, payment_timestamp TIMESTAMP_NTZ NOT NULL,
        payment_lat DECIMAL(9, 6) NOT NULL, payment_lng DECIMAL(9, 6) NOT NULL,
        payment_amount DECIMAL(12, 2) NOT NULL, payment_type STRING NOT NULL, terminal_id STRING,
        card_type STRING NOT NULL, card_issuer STRING NOT NULL, card_brand STRING NOT NULL,
        card_profile_id STRING NOT NULL, card_bin STRING NOT NULL,
        payment_status STRING NOT NULL, merchant_id STRING NOT NULL,
        transactional_cost_rate DECIMAL(5, 4) NOT NULL,
        transactional_cost_amount DECIMAL(12, 2) NOT NULL, mdr_amount DECIMAL(12, 2) NOT NULL,
        net_profit DECIMAL(12, 2) NOT NULL
    """,
}

# The columns whose sums the manifest has, by table.
MONEY: dict[str, tuple[str, ...]] = {
    "merchants": (),
    "transactions": ("payment_amount", "transactional_cost_amount", "mdr_amount", "net_profit"),
}

# What a file has to come to: its rows, and the sum of each of these columns.
Totals = tuple[int | Decimal, ...]


class RawFile(NamedTuple):
    """A file of the landing zone, as the manifest describes it."""

    path: Path
    hash: str
    totals: Totals


def listed_files(landing: Path, table: str) -> dict[str, RawFile]:
    """Return a table's files by name, but for those without rows.

    By the manifest, for it lists whole files alone. Work in progress has a name that begins with a
    dot, which Spark skips when it lists a folder.
    """
    manifest = json.loads((landing / "datapackage.json").read_bytes())
    return {
        Path(file["path"]).name: RawFile(
            landing / file["path"],
            file["hash"],
            (file["rows"], *(Decimal(file["sums"][name]) for name in MONEY[table])),
        )
        for file in manifest["resources"]
        if file["table"] == table and file["rows"]
    }


def check_bytes(files: Iterable[RawFile]) -> None:
    """End the program, with exit code 1 and their names, if files are not the published ones."""
    bad = []
    for path, published, _ in files:
        if not path.is_file():
            bad.append(f"{path} is gone")
        else:
            with path.open("rb") as file:
                if published != f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}":
                    bad.append(f"{path} is not the file that was published")
    if bad:
        sys.exit("\n".join([*bad, "nothing is loaded of this table; see gen regenerate"]))


def read_raw(spark: SparkSession, table: str, paths: list[str]) -> DataFrame:
    """Return the rows of raw files, CSV or Parquet, with the name of the file they came from."""
    reader = spark.read.schema(SCHEMAS[table])
    parquet = [path for path in paths if path.endswith(".parquet")]
    csv = [path for path in paths if path not in parquet]
    # FAILFAST: a row that does not fit ends the load; by default it would become nulls.
    # enforceSchema: false has the header compared with the schema. RFC 4180 escapes " by ".
    options = {"header": "true", "enforceSchema": "false", "mode": "FAILFAST", "escape": '"'}
    frames = [reader.options(**options).csv(csv)] if csv else []
    frames += [reader.parquet(*parquet)] if parquet else []
    named = [frame.withColumn("source_file", f.col("_metadata.file_name")) for frame in frames]
    return named[0].unionByName(named[-1]) if len(named) == 2 else named[0]


def totals(frame: DataFrame, table: str) -> dict[str, Totals]:
    """Return what each file in a bronze table comes to."""
    sums = [f.sum(name) for name in MONEY[table]]
    rows = frame.groupBy("source_file").agg(f.count(f.lit(1)), *sums).collect()
    return {name: tuple(values) for name, *values in rows}


def read_bronze(spark: SparkSession, table: str, bronze: Path) -> DataFrame:
    """Return a bronze table: the raw columns and source_file."""
    (bronze / table).mkdir(parents=True, exist_ok=True)
    schema = f"{SCHEMAS[table]}, source_file STRING"
    return spark.read.schema(schema).parquet(str(bronze / table))


def load(spark: SparkSession, table: str, landing: Path, bronze: Path) -> int:
    """Load the files of a table that bronze lacks or has otherwise, and return how many they were.

    SystemExit tells what differs from the manifest.
    """
    listed = listed_files(landing, table)
    found = totals(read_bronze(spark, table, bronze), table)
    new = [file for name, file in listed.items() if found.get(name) != file.totals]
    if new:
        check_bytes(new)
        # Dynamic: what is written replaces the partitions of these files and no others. So what a
        # killed run has left of a file goes, and no row is there twice.
        frame = read_raw(spark, table, [str(file.path) for file in new])
        writer = frame.write.partitionBy("source_file").mode("overwrite")
        writer.option("partitionOverwriteMode", "dynamic").parquet(str(bronze / table))
        found = totals(read_bronze(spark, table, bronze), table)
    check(table, {name: file.totals for name, file in listed.items()}, found)
    return len(new)


def check(table: str, expected: dict[str, Totals], found: dict[str, Totals]) -> None:
    """End the program, with exit code 1 and what differs, unless bronze is as the manifest says."""
    differing = [
        f"{name}: expected {told(expected.get(name))}, found {told(found.get(name))}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    if differing:
        columns = ", ".join(["rows", *MONEY[table]])
        sys.exit("\n".join([f"{table}: bronze is not as the manifest says: {columns}", *differing]))


def told(totals: Totals | None) -> str:
    """Return totals as a message shows them."""
    return ", ".join(map(str, totals)) if totals else "none"


def local_session() -> SparkSession:
    """Return a Spark on this machine, which no other can reach."""
    builder = SparkSession.builder.master("local[*]").appName("payworld bronze")
    options = {
        "spark.driver.host": "localhost",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    return builder.config(map=options).getOrCreate()


def main(landing: Path, bronze: Path) -> None:
    """Load what is new in a landing zone, and compare all of bronze with the manifest."""
    spark = local_session()
    for table in SCHEMAS:
        new = load(spark, table, landing, bronze)
        rows = read_bronze(spark, table, bronze).count()
        print(f"{table}: {new} files loaded; {rows} rows, as the manifest says")
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
