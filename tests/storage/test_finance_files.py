"""The four formats hold the same records; files appear whole, and never over other data."""

import csv
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from payworld.datasets.personal_finance import generate_dataset, write_dataset
from payworld.errors import ConflictError, LockedError, StorageError
from payworld.storage import finance_files
from payworld.storage.database.readers import open_source

AS_OF = "2025-11-03"
TABLES = ("users", "accounts", "transactions")
FORMATS = ("json", "jsonl", "csv", "parquet")


def write(path: Path, file_format: str = "json", num_users: int = 150, seed: int = 4) -> bool:
    counts, is_new = write_dataset(path, num_users, as_of=AS_OF, file_format=file_format, seed=seed)
    assert counts["users"] == num_users
    return is_new


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["id"]))


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return generate_dataset(150, as_of=AS_OF, seed=4)


def test_json_is_the_data_set_indented(tmp_path: Path, data: dict[str, Any]) -> None:
    assert write(tmp_path / "users.json")
    text = (tmp_path / "users.json").read_text()
    assert text == json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def test_json_of_many_chunks_is_indented_throughout(tmp_path: Path) -> None:
    write(tmp_path / "users.json", num_users=400)
    text = (tmp_path / "users.json").read_text()
    assert len(json.loads(text)["transactions"]) > 40_000
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def test_json_lines_name_the_table_of_each_record(tmp_path: Path, data: dict[str, Any]) -> None:
    write(tmp_path / "users.jsonl", "jsonl")
    lines = [json.loads(line) for line in (tmp_path / "users.jsonl").read_text().splitlines()]
    assert lines[0] == {"table": "meta", **data["meta"]}
    for table in TABLES:
        rows = [row for row in lines if row["table"] == table]
        rows = [{key: row[key] for key in row if key != "table"} for row in rows]
        assert by_id(rows) == by_id(data[table])


def test_csv_has_a_file_for_each_table(tmp_path: Path, data: dict[str, Any]) -> None:
    write(tmp_path / "out", "csv")
    assert json.loads((tmp_path / "out/meta.json").read_text()) == data["meta"]
    for table in TABLES:
        with (tmp_path / f"out/{table}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        wanted = [{name: text(row.get(name)) for name in rows[0]} for row in by_id(data[table])]
        assert by_id(rows) == wanted


def text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_parquet_has_a_typed_file_for_each_table(tmp_path: Path, data: dict[str, Any]) -> None:
    write(tmp_path / "out", "parquet")
    rows = pl.read_parquet(tmp_path / "out/transactions.parquet")
    assert rows.schema["date"] == pl.Datetime("us")
    assert rows.schema["amount"] == pl.Int64
    assert rows.schema["pending"] == pl.Boolean
    shown = rows.with_columns(pl.col("date").dt.to_string("%Y-%m-%dT%H:%M:%S"))
    assert by_id(shown.to_dicts()) == by_id(data["transactions"])
    accounts = pl.read_parquet(tmp_path / "out/accounts.parquet").to_dicts()
    plain = [{k: v for k, v in row.items() if v is not None} for row in accounts]
    assert by_id(plain) == by_id(data["accounts"])


@pytest.mark.parametrize("file_format", FORMATS)
def test_equal_bytes_are_left_alone_and_others_never_replaced(
    tmp_path: Path, file_format: str
) -> None:
    out = tmp_path / "out"
    assert write(out, file_format)
    before = contents(tmp_path)
    assert not write(out, file_format)
    with pytest.raises(ConflictError, match="--force"):
        write(out, file_format, seed=5)
    assert contents(tmp_path) == before
    _, is_new = write_dataset(out, 150, as_of=AS_OF, file_format=file_format, seed=5, replace=True)
    assert is_new
    assert contents(tmp_path).keys() == before.keys()
    assert contents(tmp_path) != before


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path, file_format: str) -> None:
    def stop(_users: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "out", 300, as_of=AS_OF, file_format=file_format, progress=stop)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_what_a_killed_run_left_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".users.json.partial").write_text("half of")
    assert write(tmp_path / "users.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["users.json"]


def test_two_runs_do_not_write_the_same_file_at_once(tmp_path: Path) -> None:
    with (tmp_path / ".users.json.partial").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match=r"users\.json"):
            write(tmp_path / "users.json")
    assert write(tmp_path / "users.json")


def test_a_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("precious")
    (tmp_path / "users.json").symlink_to("other.json")
    with pytest.raises(StorageError, match="symbolic link"):
        write_dataset(tmp_path / "users.json", 5, as_of=AS_OF, replace=True)
    assert (tmp_path / "other.json").read_text() == "precious"


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "users.json").mkdir()
    with pytest.raises(StorageError, match=r"users\.json.*folder"):
        write(tmp_path / "users.json")


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageError, match="data"):
        write(tmp_path / "data" / "users.json")


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, file_format: str) -> None:
    script = (
        "import resource, signal, sys; from pathlib import Path;"
        "from payworld.datasets.personal_finance import write_dataset;"
        "from payworld.errors import StorageError;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: write_dataset(Path(sys.argv[1]), 100, as_of='2025-11-03', file_format=sys.argv[2])\n"
        "except StorageError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out"), file_format],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert "size limit" in run.stdout
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("last", ["users.csv", "transactions.csv", "meta.json"])
def test_a_kill_between_the_files_of_a_folder_leaves_none_that_loads(
    tmp_path: Path, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rewrite(folder: str) -> None:
        # Equal users and accounts, and as many transactions: only meta.json tells them apart.
        write_dataset(
            tmp_path / folder, 3, as_of="2025-11-02", seed=1, file_format="csv", replace=True
        )

    def killed(work: Path, final: Path) -> None:
        if final.name == last:
            raise KeyboardInterrupt
        work.replace(final)

    write_dataset(tmp_path / "out", 3, as_of="2025-11-03", seed=1, file_format="csv")
    monkeypatch.setattr(finance_files, "replace_file", killed)
    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        rewrite("out")
    monkeypatch.undo()
    with pytest.raises(StorageError, match="not whole"):
        list(open_source(tmp_path / "out").items())
    rewrite("out")
    rewrite("undisturbed")
    for path in (tmp_path / "undisturbed").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def peak_megabytes(file_format: str, num_users: int, out: Path) -> float:
    script = (
        "import resource, sys; from pathlib import Path;"
        "from payworld.datasets.personal_finance import write_dataset;"
        "write_dataset(Path(sys.argv[1]), int(sys.argv[3]), as_of='2025-11-03',"
        "file_format=sys.argv[2]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", script, str(out), file_format, str(num_users)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_the_number_of_users(tmp_path: Path, file_format: str) -> None:
    few = peak_megabytes(file_format, 2_000, tmp_path / "few")
    many = peak_megabytes(file_format, 8_000, tmp_path / "many")
    assert many < 1.15 * few
