"""examples/spark_bronze.py, night by night."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import StructType
from tests.builders import MANIFEST
from tests.faults.driver import FaultServer
from tests.jobs.nights import CHANGES, FEBRUARY, MONEY, Night, Nights, alter, regenerate

from examples import spark_bronze

ROOT = Path(__file__).resolve().parents[3]
TABLES = ("merchants", "transactions")

# What PySpark warns of is its own.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    session = spark_bronze.local_session()
    yield session
    session.stop()


def load(spark: SparkSession, night: Night, bronze: Path) -> int:
    """Return how many files were loaded."""
    return sum(spark_bronze.load(spark, t, night.folders.output, bronze) for t in TABLES)


def check(spark: SparkSession, night: Night, bronze: Path) -> None:
    """Compare the bronze tables with the manifest and what another reader finds in the files."""
    for table in TABLES:
        frame = spark_bronze.read_bronze(spark, table, bronze)
        found = dict(frame.groupBy("source_file").count().collect())
        assert found == {Path(path).name: rows for path, rows in night.rows(table).items()}
    payments = spark_bronze.read_bronze(spark, "transactions", bronze)
    assert tuple(payments.agg(*[f.sum(name) for name in MONEY]).first()) == night.money()
    assert payments.select("payment_id").distinct().count() == payments.count()


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_each_night_is_loaded_once(
    spark: SparkSession, faults: FaultServer, tmp_path: Path, file_format: str
) -> None:
    bronze = tmp_path / "bronze"
    for night in Nights(faults, tmp_path / "world", "--format", file_format):
        assert (load(spark, night, bronze) > 0) == bool(night.days), night.name
        check(spark, night, bronze)
    nulls = spark_bronze.read_bronze(spark, "transactions", bronze).where("terminal_id is null")
    assert nulls.where("payment_type = 'card_present'").count() == 0
    assert nulls.count() > 0


def test_compressions_formats_and_layouts_may_differ_from_night_to_night(
    spark: SparkSession, faults: FaultServer, tmp_path: Path
) -> None:
    nights = Nights(faults, tmp_path / "world")
    night = nights.begin()
    for day, options in enumerate(CHANGES, start=1):
        night = nights.to(date(2024, 3, day), options=options)
    load(spark, night, tmp_path / "bronze")
    check(spark, night, tmp_path / "bronze")


def test_spark_does_not_see_work_in_progress(
    spark: SparkSession, faults: FaultServer, tmp_path: Path
) -> None:
    nights = Nights(faults, tmp_path / "world")
    nights.begin()
    night = nights.killed(date(2024, 3, 1), "write", ".transactions_")
    (partial,) = night.folders.output.glob(".transactions_*.partial")
    assert partial.stat().st_size > 0
    reader = spark.read.schema(spark_bronze.SCHEMAS["transactions"]).option("header", True)
    # The pattern fits the partial file's name too.
    listed = reader.csv(str(night.folders.output), pathGlobFilter="*transactions_*")
    assert listed.count() == sum(night.rows("transactions").values())


@pytest.fixture
def begun(faults: FaultServer, tmp_path: Path) -> Night:
    """A landing zone with two months."""
    return Nights(faults, tmp_path / "world").begin()


def test_a_load_that_was_killed_is_made_good(
    spark: SparkSession, begun: Night, tmp_path: Path
) -> None:
    bronze = tmp_path / "bronze"
    load(spark, begun, bronze)
    # As a kill leaves it: one file not there, one half there, staged rows of a third.
    whole, half = sorted((bronze / "transactions").glob("source_file=*"))
    shutil.rmtree(whole)
    frame = spark.read.parquet(str(half)).limit(1000)
    frame.write.parquet(str(tmp_path / "half"))
    shutil.copytree(tmp_path / "half", bronze / "transactions" / ".spark-staging-1" / half.name)
    shutil.rmtree(half)
    (tmp_path / "half").rename(half)
    assert load(spark, begun, bronze) == 2
    check(spark, begun, bronze)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b",approved,", b",approved,too much,", "FAILFAST"),
        (b"T12:", b"T32:", "FAILFAST"),
        (b"payment_amount", b"payment_sum", "header"),
    ],
)
def test_a_file_that_does_not_fit_the_schema_ends_the_load(
    spark: SparkSession, begun: Night, tmp_path: Path, old: bytes, new: bytes, told: str
) -> None:
    path = begun.folders.output / FEBRUARY
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    publish(path)
    with pytest.raises(Exception, match=told):
        spark_bronze.load(spark, "transactions", begun.folders.output, tmp_path / "bronze")
    assert spark_bronze.read_bronze(spark, "transactions", tmp_path / "bronze").count() == 0


def publish(path: Path) -> None:
    """Have the manifest list a file with the bytes that it has now."""
    manifest = path.with_name(MANIFEST)
    document = json.loads(manifest.read_bytes())
    for resource in document["resources"]:
        if resource["path"] == path.name:
            resource["hash"] = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    manifest.write_text(json.dumps(document), encoding="utf-8")


def test_an_altered_file_is_named_and_not_loaded_until_it_is_made_again(
    spark: SparkSession, faults: FaultServer, begun: Night, tmp_path: Path
) -> None:
    bronze = tmp_path / "bronze"
    alter(begun.folders.output / FEBRUARY)
    for _ in range(2):
        with pytest.raises(SystemExit, match=f"{FEBRUARY} is not the file .*\n.*gen regenerate"):
            load(spark, begun, bronze)
    assert spark_bronze.read_bronze(spark, "transactions", bronze).count() == 0
    regenerate(faults, begun.folders)
    assert load(spark, begun, bronze) == 2
    check(spark, begun, bronze)


def test_a_file_whose_sums_are_not_the_manifest_s_is_named_each_night_and_heals(
    spark: SparkSession, faults: FaultServer, begun: Night, tmp_path: Path
) -> None:
    bronze, path = tmp_path / "bronze", begun.folders.output / FEBRUARY
    manifest = path.with_name(MANIFEST)
    listed = manifest.read_bytes()
    alter(path)
    publish(path)
    # With its hash, it is loaded; rows are equal, and money is not, on every night.
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            load(spark, begun, bronze)
        first, *differing = str(ended.value.code).splitlines()
        assert first.startswith("transactions: bronze is not as the manifest says: rows, payment_")
        assert [line.partition(":")[0] for line in differing] == [FEBRUARY]
    manifest.write_bytes(listed)
    regenerate(faults, begun.folders)
    assert load(spark, begun, bronze) == 1
    check(spark, begun, bronze)
    assert load(spark, begun, bronze) == 0


def test_a_cent_that_bronze_has_otherwise_is_seen_and_loaded_again(
    spark: SparkSession, begun: Night, tmp_path: Path
) -> None:
    bronze = tmp_path / "bronze"
    load(spark, begun, bronze)
    partition = bronze / "transactions" / f"source_file={FEBRUARY}"
    cent = f.expr("cast(net_profit + if(payment_id = first_id, 0.01, 0) as decimal(12, 2))")
    frame = spark.read.parquet(str(partition))
    first_id = f.lit(frame.agg(f.min("payment_id")).first()[0])
    frame = frame.withColumn("first_id", first_id).withColumn("net_profit", cent).drop("first_id")
    frame.write.parquet(str(tmp_path / "altered"))
    shutil.rmtree(partition)
    (tmp_path / "altered").rename(partition)
    assert load(spark, begun, bronze) == 1
    check(spark, begun, bronze)


def test_a_loaded_file_may_be_moved_away_and_a_new_one_that_is_gone_is_named(
    spark: SparkSession, begun: Night, tmp_path: Path
) -> None:
    bronze, path = tmp_path / "bronze", begun.folders.output / FEBRUARY
    archived = path.rename(tmp_path / FEBRUARY)
    with pytest.raises(SystemExit, match=f"{FEBRUARY} is gone\n"):
        load(spark, begun, bronze)
    archived.rename(path)
    load(spark, begun, bronze)
    path.unlink()
    assert load(spark, begun, bronze) == 0


@pytest.mark.parametrize("table", TABLES)
def test_the_schemas_are_what_gen_schema_prints(table: str) -> None:
    printed = subprocess.run(
        ["gen", "schema", table, "--as", "spark-ddl"], capture_output=True, text=True, check=True
    ).stdout
    with_comments = StructType.fromDDL(printed)
    assert all(field.metadata["comment"] for field in with_comments)
    for field in with_comments:
        field.metadata = {}
    assert StructType.fromDDL(spark_bronze.SCHEMAS[table]) == with_comments


def test_the_program_loads_and_tells_what_differs(begun: Night, tmp_path: Path) -> None:
    bronze = tmp_path / "bronze"
    program = ROOT / "examples" / "spark_bronze.py"
    command = [sys.executable, str(program), str(begun.folders.output), str(bronze)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = {table: sum(begun.rows(table).values()) for table in TABLES}
    assert ended.stdout.splitlines() == [
        f"{table}: 2 files loaded; {rows[table]} rows, as the manifest says" for table in TABLES
    ]
    foreign = bronze / "merchants" / "source_file=merchants_of_another_world.csv"
    shutil.copytree(next((bronze / "merchants").glob("source_file=*")), foreign)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "merchants_of_another_world.csv: expected none, found" in ended.stderr
