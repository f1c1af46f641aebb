"""gen status: what world is this."""

import csv
from pathlib import Path

import pytest
from tests.builders import LIVELY_WORLD, Folders, period, stats, write_config
from tests.gen_server import GenServer


@pytest.fixture
def folders(server: GenServer, tmp_path: Path) -> Folders:
    found = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *found.options]
    assert server.run("--initial", *period("2024-01-20", "2024-02-03"), *run).code == 0
    assert server.run("--incremental", "--date", "2024-02-05", *run).code == 0
    return found


def rows_of(folders: Folders, table: str) -> list[dict[str, str]]:
    rows = []
    for path in sorted(folders.output.glob(f"{table}_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    return rows


def test_json_agrees_with_what_is_in_the_files(server: GenServer, folders: Folders) -> None:
    ended = server.run("status", "--json", *folders.options)
    assert (ended.code, ended.stderr) == (0, "")
    data = ended.data
    versions, payments = rows_of(folders, "merchants"), rows_of(folders, "transactions")
    churned = [row for row in versions if row["status"] == "churned"]
    assert (data["start_date"], data["last_generated_date"]) == ("2024-01-20", "2024-02-05")
    assert (data["days"], data["seed"]) == (17, 42)
    assert data["total_transactions"] == len(payments)
    assert data["versions"]["total"] == len(versions)
    for kind, count in data["versions"]["by_change_type"].items():
        assert count == sum(row["change_type"] == kind for row in versions), kind
    ids = {row["merchant_id"] for row in versions}
    assert data["merchants"]["total"] == len(ids)
    assert data["merchants"]["churned"] == len(churned)
    assert data["merchants"]["active"] == len(ids) - len(churned)
    assert sum(data["merchants"]["active_by_size"].values()) == data["merchants"]["active"]
    assert data["cards"]["issued"] == len({row["card_profile_id"] for row in payments})
    assert data["files"]["count"] == 6
    assert data["files"]["rows"] == {"merchants": len(versions), "transactions": len(payments)}
    assert data["files"]["missing"] == []
    assert data["unfinished_run"] is None


def test_text_tells_the_same_to_people(server: GenServer, folders: Folders) -> None:
    data = server.run("status", "--json", *folders.options).data
    ended = server.run("status", *folders.options)
    assert (ended.code, ended.stderr) == (0, "")
    for part in (
        "2024-01-20 to 2024-02-05 (17 days)",
        f"{data['total_transactions']:,}",
        f"{data['merchants']['active']:,} active",
        f"{data['cards']['stored']:,} stored",
        "6 in",
    ):
        assert part in ended.stdout, part


def test_status_changes_nothing(server: GenServer, folders: Folders) -> None:
    before = stats(folders.root)
    server.run("status", *folders.options)
    assert stats(folders.root) == before


def test_a_lost_file_is_named(server: GenServer, folders: Folders) -> None:
    (folders.output / "merchants_2024-02-01_2024-02-03.csv").unlink()
    ended = server.run("status", *folders.options)
    assert "missing" in ended.stdout
    assert "merchants_2024-02-01_2024-02-03.csv" in ended.stdout


def test_lost_files_beyond_the_first_are_counted(server: GenServer, folders: Folders) -> None:
    names = sorted(folders.names())
    assert len(names) == 6
    for count, told in ((5, ""), (6, " and 1 more; --json lists them all")):
        for name in names[:count]:
            (folders.output / name).unlink(missing_ok=True)
        text = server.run("status", *folders.options).stdout
        (line,) = (line for line in text.splitlines() if line.startswith("missing"))
        lost = server.run("status", "--json", *folders.options).data["files"]["missing"]
        assert sorted(lost) == names[:count]
        assert line == f"missing     {', '.join(lost[:5])}{told}"


def test_a_run_cut_short_is_told_of(server: GenServer, tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-01-20", "2024-01-21"), *run).code == 0
    killed = server.run(
        "--incremental", "--date", "2024-02-05", *run,
        patches={"payworld.engine.work.CHECKPOINT_SECONDS": 0.0}, kill_operation=25,
    )  # fmt: skip
    assert killed.code == -9
    ended = server.run("status", *folders.options)
    assert ended.code == 0
    assert "unfinished" in ended.stdout
    assert "2024-02-05" in ended.stdout


def test_without_a_world_it_ends_with_3_and_shows_how_to_make_one(
    server: GenServer, tmp_path: Path
) -> None:
    ended = server.run("status", *Folders(tmp_path).options)
    assert ended.code == 3
    assert "gen --initial" in ended.stderr
    assert list(tmp_path.iterdir()) == []
