"""examples/dbt: `dbt build` and `dbt source freshness`, night by night."""
# ruff: noqa: S608  # queries are put together of this file's own constants

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.cli.main import dbtRunner
from tests.faults.driver import FaultServer
from tests.jobs.nights import (
    CHANGES,
    FEBRUARY,
    FIRST_NIGHT,
    MONEY,
    Night,
    Nights,
    alter,
    regenerate,
)

from payworld.reports.tables import find_tables

ROOT = Path(__file__).resolve().parents[3]
PROJECT = ROOT / "examples" / "dbt"

# What dbt and its libraries warn Python of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


class Warehouse:
    """The example's project with a warehouse of its own; lives for a test."""

    def __init__(self, root: Path, landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = root / "warehouse.duckdb"
        for name, value in {
            "PAYWORLD_OUTPUT_DIR": landing,
            "PAYWORLD_WAREHOUSE": self.path,
            "DBT_PROJECT_DIR": PROJECT,
            "DBT_PROFILES_DIR": PROJECT,
            "DBT_TARGET_PATH": root / "target",
            "DBT_LOG_PATH": root / "logs",
        }.items():
            monkeypatch.setenv(name, str(value))

    def dbt(self, *arguments: str) -> dict[str, str]:
        """Return the status of each node that dbt ran."""
        ended = dbtRunner().invoke(["--quiet", *arguments])
        # The tests that failed are an outcome; that dbt could not run is not.
        assert ended.exception is None
        return {result.node.name: str(result.status) for result in ended.result.results}

    def wrong(self, *arguments: str) -> dict[str, str]:
        """Return what did not end well in a build."""
        statuses = self.dbt("build", *arguments)
        assert {"merchants_snapshot", "fct_payments", "money_adds_up"} <= statuses.keys()
        return {k: v for k, v in statuses.items() if v not in ("success", "pass")}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(query).fetchall()

    def contents(self) -> Sequence[Any]:
        """Return the rows of every table, but the time at which they were loaded or seen."""
        return [
            self.rows(f"select * exclude ({but}) from {table} order by all")
            for table, but in {
                "payworld.merchants": "_loaded_at",
                "payworld.transactions": "_loaded_at",
                "dim_merchants": "merchant_name",
                "fct_payments": "_loaded_at",
                "merchants_snapshot": "dbt_updated_at",
            }.items()
        ]


def check(warehouse: Warehouse, night: Night) -> None:
    """Compare the warehouse with the manifest, the files and the state."""
    for table in ("merchants", "transactions"):
        loaded = warehouse.rows(f"select _file, count(*) from payworld.{table} group by 1")
        assert dict(loaded) == night.rows(table)
    payments = sum(night.rows("transactions").values())
    assert warehouse.rows("select count(*) from fct_payments") == [(payments,)]
    sums = ", ".join(f"sum({name})" for name in MONEY)
    assert warehouse.rows(f"select {sums} from fct_payments") == [night.money()]
    history = night.history()
    versions = warehouse.rows(
        "select merchant_id, version, valid_from, valid_to from dim_merchants"
    )
    assert sorted(versions, key=str) == sorted(history, key=str)
    # A snapshot does not know what was over before it first looked.
    in_view = [row for row in history if row[3] is None or row[3] > FIRST_NIGHT]
    seen = warehouse.rows("""
        select merchant_id, version, dbt_valid_from::date, dbt_valid_to::date
        from merchants_snapshot
    """)
    assert sorted(seen, key=str) == sorted(in_view, key=str)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_each_night_is_loaded_once_and_the_snapshot_is_the_history(
    faults: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    nights = Nights(faults, tmp_path / "world", "--format", file_format)
    warehouse = Warehouse(tmp_path, nights.folders.output, monkeypatch)
    for night in nights:
        before = None if night.days else warehouse.contents()
        # A snapshot wants a look for each day.
        for day in night.days[:-1]:
            assert warehouse.wrong("--vars", f"as_of: {day}") == {}
        assert warehouse.wrong() == {}
        check(warehouse, night)
        assert before is None or warehouse.contents() == before, night.name
    closed = warehouse.rows("select 1 from merchants_snapshot where dbt_valid_to is not null")
    assert len(closed) > 5


def test_compressions_formats_and_layouts_may_differ_from_night_to_night(
    nights: Nights, warehouse: Warehouse
) -> None:
    changes = [*CHANGES, ["--format", "csv", "--compression", "zstd"]]
    made = [nights.to(date(2024, 3, day), options=new) for day, new in enumerate(changes, 1)]
    night = made[-1]
    assert warehouse.wrong() == {}
    for table in ("merchants", "transactions"):
        loaded = warehouse.rows(f"select _file, count(*) from payworld.{table} group by 1")
        assert dict(loaded) == night.rows(table)


@pytest.fixture
def nights(faults: FaultServer, tmp_path: Path) -> Nights:
    """A world of two months."""
    nights = Nights(faults, tmp_path / "world")
    nights.begin()
    return nights


@pytest.fixture
def warehouse(nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A warehouse beside it, with nothing loaded yet."""
    return Warehouse(tmp_path, nights.folders.output, monkeypatch)


def test_the_commands_of_the_documents_run_in_the_projects_folder(warehouse: Warehouse) -> None:
    for command in (["dbt", "source", "freshness"], ["dbt", "--warn-error", "build"]):
        ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout
    assert warehouse.rows("select count(*) > 20000 from fct_payments") == [(True,)]


@pytest.mark.parametrize(("hours", "status"), [(1, "pass"), (30, "warn"), (60, "error")])
def test_freshness_tells_when_nights_stay_away(
    nights: Nights, warehouse: Warehouse, hours: int, status: str
) -> None:
    for path in nights.folders.output.iterdir():
        stat = path.stat()
        os.utime(path, (stat.st_atime, stat.st_mtime - hours * 3600))
    assert warehouse.dbt("source", "freshness")["files"] == status


def test_a_night_left_out_of_the_snapshot_is_told_of(nights: Nights, warehouse: Warehouse) -> None:
    assert warehouse.wrong() == {}
    nights.to(date(2024, 3, 20))
    assert warehouse.wrong() == {"snapshot_is_the_history": "fail"}


@pytest.mark.parametrize(
    ("change", "test"),
    [
        ("delete from payworld.transactions where payment_id like '%7'", "files_are_loaded_once"),
        (
            "insert into payworld.transactions from payworld.transactions",
            "source_unique_payworld_transactions_payment_id",
        ),
        ("update payworld.merchants set mdr_rate = 0.5", "payments_are_charged_by_their_version"),
    ],
)
def test_a_warehouse_that_lost_its_way_is_told_of(
    warehouse: Warehouse, change: str, test: str
) -> None:
    assert warehouse.wrong() == {}
    warehouse.rows(change)
    assert warehouse.wrong().get(test) == "fail"


def test_an_amount_that_only_the_manifest_knows_is_told_of_and_mended_by_loading_again(
    warehouse: Warehouse,
) -> None:
    assert warehouse.wrong() == {}
    # As many rows, and nothing was charged for it.
    warehouse.rows(f"""
        update payworld.transactions set payment_amount = payment_amount + 1
        where payment_id = (
            select max(payment_id) from payworld.transactions
            where payment_status = 'declined' and _file = '{FEBRUARY}'
        )
    """)
    assert warehouse.wrong() == {"money_adds_up": "fail"}
    warehouse.rows(f"delete from payworld.transactions where _file = '{FEBRUARY}'")
    assert warehouse.wrong() == {}


def test_new_files_that_are_gone_or_altered_are_named_and_nothing_is_loaded(
    faults: FaultServer, nights: Nights, warehouse: Warehouse
) -> None:
    january = "transactions_2024-01-01_2024-01-31.csv"
    gone = (nights.folders.output / january).rename(nights.folders.root / january)
    alter(nights.folders.output / FEBRUARY)
    ended = subprocess.run(
        ["dbt", "build"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert (
        f"nothing is loaded; see gen regenerate: {january} is gone; "
        f"{FEBRUARY} is not the file that was published"
    ) in " ".join(ended.stdout.split())
    for table in ("merchants", "transactions"):
        assert warehouse.rows(f"select count(*) from payworld.{table}") == [(0,)]
    gone.rename(nights.folders.output / january)
    regenerate(faults, nights.folders)
    assert warehouse.wrong() == {}


def test_a_loaded_file_may_be_moved_away_and_is_not_read_again(
    nights: Nights, warehouse: Warehouse
) -> None:
    assert warehouse.wrong() == {}
    (nights.folders.output / "transactions_2024-01-01_2024-01-31.csv").unlink()
    # Bytes that nobody looks at.
    alter(nights.folders.output / FEBRUARY)
    nights.to(date(2024, 3, 1))
    assert warehouse.wrong() == {}


def test_the_projects_sources_are_what_gen_schema_prints() -> None:
    assert (PROJECT / "models" / "payworld.yml").read_text(encoding="utf-8") == sources("world")


def sources(product: str) -> str:
    """Return what gen prints."""
    return subprocess.run(
        ["gen", "schema", product, "--as", "dbt-sources"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("product", ["world", "fraud", "finance"])
def test_the_sources_of_every_product_are_parsed_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, product: str
) -> None:
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    shutil.copy2(PROJECT / "profiles.yml", project)
    (project / "dbt_project.yml").write_text(
        "{name: alone, profile: payworld_bronze, flags: {send_anonymous_usage_stats: false}}",
        encoding="utf-8",
    )
    (project / "models" / "sources.yml").write_text(sources(product), encoding="utf-8")
    monkeypatch.setenv("DBT_PROJECT_DIR", str(project))
    monkeypatch.setenv("DBT_PROFILES_DIR", str(project))
    ended = dbtRunner().invoke(["--quiet", "--warn-error", "parse"])
    assert ended.success, ended.exception
    found = {source.name for source in ended.result.sources.values()}
    assert found == {table.name for table in find_tables(product).tables}
