"""gen preview: the newest rows of a table, as wide as fits."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
from tests.builders import LIVELY_WORLD, Folders, period, stats, write_config
from tests.gen_server import GenServer

from payworld.api import table_schema
from payworld.schema import MERCHANTS, TABLES, TRANSACTIONS


def make(server: GenServer, root: Path) -> Folders:
    """Make a world of some days in CSV and a night in Parquet, whose merchants file is short."""
    folders = Folders(root)
    config = write_config(root / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-01-30", "2024-02-02"), *run).code == 0
    night = ["--incremental", "--date", "2024-02-03", "--format", "parquet"]
    assert server.run(*night, *run).code == 0
    return folders


@pytest.fixture(scope="module")
def folders(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return make(server, tmp_path_factory.mktemp("preview"))


def output(folders: Folders) -> list[str]:
    return ["--output-dir", str(folders.output)]


def all_rows(folders: Folders, table: str) -> list[dict[str, Any]]:
    """Return every row of a table in order, as texts; integers are numbers."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folders.output.glob(f"{table}_*")):
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                rows += [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
        else:
            times = pl.col(pl.Datetime).dt.to_string("%Y-%m-%dT%H:%M:%S")
            frame = pl.read_parquet(path).with_columns(times)
            rows += frame.with_columns(pl.all().cast(pl.String)).to_dicts()
    for row in rows:
        for column in TABLES[table].columns:
            if column.type == "integer":
                row[column.name] = int(row[column.name])
    return rows


@pytest.mark.parametrize("table", ["merchants", "transactions"])
@pytest.mark.parametrize("rows", [1, 10, 60, 10_000])
def test_json_holds_the_last_rows_of_the_newest_files(
    server: GenServer, folders: Folders, table: str, rows: int
) -> None:
    ended = server.run("preview", table, "-n", str(rows), "--json", *output(folders))
    assert (ended.code, ended.stderr) == (0, "")
    expected = all_rows(folders, table)
    assert ended.data["rows"] == expected[-rows:]
    assert ended.data["total_rows"] == len(expected)
    assert ended.data["table"] == table
    read = 3 if rows == 10_000 else len(ended.data["files"])
    assert ended.data["files"] == sorted(folders.names() & set(ended.data["files"]))[-read:]


@pytest.mark.parametrize("table", ["merchants", "transactions"])
def test_json_rows_are_valid_by_the_json_schema(
    server: GenServer, folders: Folders, table: str
) -> None:
    validator = jsonschema.Draft202012Validator(table_schema(table))
    found = server.run("preview", table, "-n", "50", "--json", *output(folders)).data["rows"]
    for row in found:
        validator.validate(row)


def test_ten_rows_by_default_the_newest_last(folders: Folders) -> None:
    # Without the width that the test server sets.
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "payworld", "preview", "transactions", *output(folders)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    expected = all_rows(folders, "transactions")
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "payment_id", *(row["payment_id"] for row in expected[-10:])
    ]  # fmt: skip
    # Piped without a width: every column, and no line is cut.
    assert lines[0].split() == TRANSACTIONS.names
    assert f"the newest 10 of {len(expected):,} rows\n" == ended.stderr


@pytest.mark.parametrize("width", [40, 80, 100, 150])
def test_the_important_columns_are_shown_where_the_width_does_not_do_for_all(
    server: GenServer, folders: Folders, width: int
) -> None:
    ended = server.run(
        "preview", "merchants", *output(folders), environment={"COLUMNS": str(width)}
    )
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= width
    shown = lines[0].split()
    assert shown[:2] == ["merchant_id", "merchant_name"]
    assert shown == [name for name in MERCHANTS.names if name in shown]
    assert f"{len(shown)} of 18 columns; --all-columns shows the others" in ended.stderr
    if width >= 100:
        assert {"effective_date", "change_type"} <= set(shown)


def test_all_columns_stand_one_below_the_other_where_they_do_not_fit(
    server: GenServer, folders: Folders
) -> None:
    ended = server.run(
        "preview", "merchants", "-n", "3", "--all-columns", *output(folders),
        environment={"COLUMNS": "80"},
    )  # fmt: skip
    records = ended.stdout.rstrip("\n").split("\n\n")
    for record, row in zip(records, all_rows(folders, "merchants")[-3:], strict=True):
        told = dict(line.partition("  ")[::2] for line in record.splitlines())
        assert {name: value.strip() for name, value in told.items()} == {
            name: "" if value is None else str(value) for name, value in row.items()
        }
    assert ended.stderr.startswith("the newest 3 of")
    assert "--all-columns" not in ended.stderr


def test_figures_stand_right_and_texts_left(server: GenServer, folders: Folders) -> None:
    lines = server.run("preview", "transactions", *output(folders)).stdout.splitlines()
    at = lines[0].index("payment_amount") + len("payment_amount")
    assert all(line[at - 3] == "." and line[at : at + 2] == "  " for line in lines[1:])
    at = lines[0].index("payment_type")
    assert all(line[at - 1] == " " and line[at] != " " for line in lines)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_the_rows_are_the_same_whatever_the_files_are_like(
    server: GenServer, folders: Folders, tmp_path: Path, compression: str
) -> None:
    other = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    run = ["--initial", *period("2024-01-30", "2024-02-03"), "-f", "-q", "--config", config]
    style = ["--layout", "hive", "--compression", compression]
    assert server.run(*run, *style, *other.options).code == 0
    show = ["preview", "transactions", "-n", "10000", "--json"]
    expected = server.run(*show, *output(folders)).data
    found = server.run(*show, *output(other)).data
    assert found["rows"] == expected["rows"]
    assert found["total_rows"] == expected["total_rows"]
    assert [name.rpartition("/")[0] for name in found["files"]] == [
        "transactions/year=2024/month=01", "transactions/year=2024/month=02",
    ]  # fmt: skip


def test_lost_newest_files_are_told_of_and_older_rows_shown(
    server: GenServer, tmp_path: Path
) -> None:
    folders = make(server, tmp_path)
    (folders.output / "transactions_2024-02-03_2024-02-03.parquet").unlink()
    ended = server.run("preview", "transactions", "--json", *output(folders))
    assert ended.code == 1
    assert ended.data["lost"] == ["transactions_2024-02-03_2024-02-03.parquet"]
    assert ended.data["files"] == ["transactions_2024-02-01_2024-02-02.csv"]
    assert "transactions_2024-02-03_2024-02-03.parquet is missing" in ended.stderr
    regenerate = ["regenerate", *period("2024-02-03", "2024-02-03"), *output(folders)]
    assert ended.stderr.endswith(f"with the same bytes: gen {' '.join(regenerate)}\n")
    shown = server.run("preview", "transactions", *output(folders))
    assert (shown.code, len(shown.stdout.splitlines())) == (1, 11)
    rows = len(all_rows(folders, "transactions"))
    assert f"the newest 10 of {rows:,} rows in the files that are left" in shown.stderr
    for path in folders.output.glob("transactions_*"):
        path.unlink()
    empty = server.run("preview", "transactions", *output(folders))
    assert (empty.code, empty.stdout) == (1, "")
    assert empty.stderr.startswith("no rows: no file of transactions that has any is left\n")
    assert empty.stderr.count("lost: ") == 3
    again = ["regenerate", *period("2024-01-30", "2024-02-03")]
    assert f"gen {' '.join(again)} --output-dir" in empty.stderr
    assert server.run(*again, *folders.options).code == 0
    assert server.run("preview", "transactions", *output(folders)).code == 0


def test_a_changed_file_is_named_without_a_traceback(server: GenServer, tmp_path: Path) -> None:
    folders = make(server, tmp_path)
    for path in folders.output.glob("transactions_*"):
        path.write_bytes(b"x" * path.stat().st_size)
    ended = server.run("preview", "transactions", *output(folders))
    assert (ended.code, ended.stdout) == (1, "")
    assert "cannot be read as transactions" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_control_characters_of_a_changed_file_do_not_reach_the_terminal(
    server: GenServer, tmp_path: Path
) -> None:
    folders = make(server, tmp_path)
    lost = folders.output / "merchants_2024-02-03_2024-02-03.parquet"
    lost.unlink()
    path = folders.output / "merchants_2024-02-01_2024-02-02.csv"
    head, _, last = path.read_bytes().rstrip(b"\n").rpartition(b"\n")
    fields = last.split(b",")
    fields[1] = b"\x1b[2J".ljust(len(fields[1]), b"x")[: len(fields[1])]
    path.write_bytes(head + b"\n" + b",".join(fields) + b"\n")
    ended = server.run("preview", "merchants", *output(folders))
    assert (ended.code, f"lost: {lost.name}" in ended.stderr) == (1, True)
    assert "\x1b" not in ended.stdout
    assert "\ufffd[2J" in ended.stdout
    as_json = server.run("preview", "merchants", "--json", *output(folders))
    assert as_json.data["rows"][-1]["merchant_name"].startswith("\x1b[2J")


def test_it_changes_nothing(server: GenServer, folders: Folders) -> None:
    before = stats(folders.root)
    assert server.run("preview", "merchants", *output(folders)).code == 0
    assert stats(folders.root) == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["users"], 2, "TABLE = 'users': expected one of merchants, transactions"),
        (["merchants", "-n", "0"], 2, "--rows = 0: expected a whole number from 1 to 10,000"),
        (["merchants", "-n", "10001"], 2, "--rows = 10001"),
        (["merchants", "-n", "many"], 2, "--rows"),
        ([], 2, "Missing argument"),
        (["merchants", "--output-dir", "nowhere"], 3, "gen --initial"),
    ],
)
def test_what_cannot_be_shown_is_said_in_words(
    server: GenServer, folders: Folders, arguments: list[str], code: int, told: str
) -> None:
    named = [] if "--output-dir" in arguments else output(folders)
    ended = server.run("preview", *arguments, *named)
    assert (ended.code, ended.stdout) == (code, "")
    assert told in ended.stderr
