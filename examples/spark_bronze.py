"""Bronze tables in Parquet from payworld's raw files, with PySpark.

    python examples/spark_bronze.py raw_data bronze

Run it after each night. It loads the files that are new, each exactly once, and ends with exit code
1 if rows or sums differ. A second run finds nothing to do; a run that was killed is made good by
the next. For Spark 4, which wants Java 17: pip install 'payworld[spark]' brings PySpark.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import DecimalType

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

# By file: its rows, and the sum of each decimal column.
Totals = dict[str, tuple[int | Decimal, ...]]


def listed_files(landing: Path, table: str) -> dict[str, tuple[str, int]]:
    """Return path and rows of a table's files by name, but for those without rows.

    By the manifest, for it lists whole files alone. Work in progress has a name that begins with a
    dot, which Spark skips when it lists a folder.
    """
    manifest = json.loads((landing / "datapackage.json").read_bytes())
    return {
        Path(file["path"]).name: (str(landing / file["path"]), file["rows"])
        for file in manifest["resources"]
        if file["table"] == table and file["rows"]
    }


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


def totals(frame: DataFrame) -> Totals:
    """Return what two copies of the same files must agree on."""
    decimals = [field.name for field in frame.schema if isinstance(field.dataType, DecimalType)]
    sums = [f.sum(name) for name in decimals]
    rows = frame.groupBy("source_file").agg(f.count(f.lit(1)), *sums).collect()
    return {name: tuple(values) for name, *values in rows}


def read_bronze(spark: SparkSession, table: str, bronze: Path) -> DataFrame:
    """Return a bronze table: the raw columns and source_file."""
    (bronze / table).mkdir(parents=True, exist_ok=True)
    schema = f"{SCHEMAS[table]}, source_file STRING"
    return spark.read.schema(schema).parquet(str(bronze / table))


def load(spark: SparkSession, table: str, landing: Path, bronze: Path) -> int:
    """Load the files of a table that are new, and return how many they were.

    SystemExit tells what differs from the manifest or the raw files.
    """
    listed = listed_files(landing, table)
    rows = {name: total[0] for name, total in totals(read_bronze(spark, table, bronze)).items()}
    new = [name for name, (_, expected) in listed.items() if rows.get(name) != expected]
    raw: Totals = {}
    if new:
        frame = read_raw(spark, table, [listed[name][0] for name in new])
        raw = totals(frame)
        # Dynamic: what is written replaces the partitions of these files and no others. So what a
        # killed run has left of a file goes, and no row is there twice.
        writer = frame.write.partitionBy("source_file").mode("overwrite")
        writer.option("partitionOverwriteMode", "dynamic").parquet(str(bronze / table))
    back = totals(read_bronze(spark, table, bronze))
    expected = {name: rows for name, (_, rows) in listed.items()}
    check(f"{table}: rows by file", expected, {name: total[0] for name, total in back.items()})
    check(f"{table}: sums of new files", raw, {name: back[name] for name in raw})
    return len(new)


def check(what: str, expected: dict[str, Any], found: dict[str, Any]) -> None:
    """End the program, with exit code 1 and what differs, if two copies are not equal."""
    differing = [
        f"{name}: expected {expected.get(name)}, found {found.get(name)}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    if differing:
        sys.exit("\n".join([f"{what} differ", *differing]))


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
    """Load what is new in a landing zone, and compare it."""
    spark = local_session()
    for table in SCHEMAS:
        new = load(spark, table, landing, bronze)
        rows = read_bronze(spark, table, bronze).count()
        print(f"{table}: {new} files loaded; {rows} rows, as in the manifest")
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
