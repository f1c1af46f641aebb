"""gen files: what is published, and what of it a consumer has not seen yet."""

import hashlib
import json
from datetime import date
from pathlib import Path
from threading import Event, Thread

import pytest
from tests.builders import LIVELY_WORLD, MANIFEST, Folders, period, stats, write_config
from tests.gen_server import GenServer

from payworld.api import PublishedFile, published_files
from payworld.errors import StateMissingError, StorageError, UsageError


def make(server: GenServer, root: Path) -> Folders:
    """Make a world of a month's end and three nights, the last one in Parquet."""
    folders = Folders(root)
    config = write_config(root / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-01-30", "2024-02-01"), *run).code == 0
    for day in ("2024-02-02", "2024-02-03"):
        assert server.run("--incremental", "--date", day, *run).code == 0
    last = ["--incremental", "--date", "2024-02-04", "--format", "parquet"]
    assert server.run(*last, *run).code == 0
    return folders


@pytest.fixture(scope="module")
def folders(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return make(server, tmp_path_factory.mktemp("files"))


def output(folders: Folders) -> list[str]:
    return ["--output-dir", str(folders.output)]


def test_json_tells_what_is_in_the_manifest_and_on_the_disk(
    server: GenServer, folders: Folders
) -> None:
    ended = server.run("files", "--json", *output(folders))
    assert ended.code == 0
    assert ended.stderr.startswith("10 files, ")
    data = ended.data
    manifest = json.loads((folders.output / MANIFEST).read_bytes())
    assert {file["path"] for file in data["files"]} == folders.names()
    by_path = {resource["path"]: resource for resource in manifest["resources"]}
    for file in data["files"]:
        path = folders.output / file["path"]
        assert file["absolute_path"] == str(path)
        assert file["bytes"] == path.stat().st_size
        assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        for key in ("table", "rows", "period", "run"):
            assert file[key] == by_path[file["path"]][key]
    assert data["world"] == manifest["world"]
    assert (data["since"], data["through"], data["lost"]) == (None, "2024-02-04", [])
    ends = [file["period"]["end"] for file in data["files"]]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("since", "days"),
    [
        ("2024-01-29", ["2024-01-31", "2024-02-01", "2024-02-02", "2024-02-03", "2024-02-04"]),
        # In the middle of a file: its later days are new.
        ("2024-01-30", ["2024-01-31", "2024-02-01", "2024-02-02", "2024-02-03", "2024-02-04"]),
        ("2024-01-31", ["2024-02-01", "2024-02-02", "2024-02-03", "2024-02-04"]),
        ("2024-02-03", ["2024-02-04"]),
        ("2024-02-04", []),
        ("2030-01-01", []),
    ],
)
def test_since_names_the_last_day_that_a_consumer_has(
    server: GenServer, folders: Folders, since: str, days: list[str]
) -> None:
    data = server.run("files", "--since", since, "--json", *output(folders)).data
    assert sorted({file["period"]["end"] for file in data["files"]}) == days
    assert len(data["files"]) == 2 * len(days)


def test_a_consumer_that_keeps_through_sees_every_file_once(
    server: GenServer, tmp_path: Path
) -> None:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *folders.options]
    seen: list[str] = []
    bookmark: list[str] = []

    def ingest() -> None:
        nonlocal bookmark
        data = server.run("files", "--json", *bookmark, *output(folders)).data
        seen.extend(file["path"] for file in data["files"])
        bookmark = ["--since", data["through"]]

    assert server.run("--initial", *period("2024-01-30", "2024-02-02"), *run).code == 0
    ingest()
    ingest()
    for day in ("2024-02-03", "2024-03-02"):
        assert server.run("--incremental", "--date", day, *run).code == 0
        ingest()
    assert sorted(seen) == sorted(folders.names())


def test_a_table_can_be_chosen(server: GenServer, folders: Folders) -> None:
    data = server.run("files", "--table", "merchants", "--json", *output(folders)).data
    assert {file["table"] for file in data["files"]} == {"merchants"}
    assert len(data["files"]) == 5


def test_text_shows_the_same_to_people_and_counts_on_stderr(
    server: GenServer, folders: Folders
) -> None:
    data = server.run("files", "--json", *output(folders)).data
    ended = server.run("files", *output(folders))
    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["file", "first", "day", "last", "day", "rows", "bytes"]
    for line, file in zip(lines[1:], data["files"], strict=True):
        assert line.split() == [
            file["path"],
            file["period"]["start"],
            file["period"]["end"],
            f"{file['rows']:,}",
            f"{file['bytes']:,}",
        ]
    rows = sum(file["rows"] for file in data["files"])
    assert f"10 files, {rows:,} rows" in ended.stderr
    assert "through 2024-02-04" in ended.stderr
    nothing = server.run("files", "--since", "2024-02-04", *output(folders))
    assert (nothing.code, nothing.stdout) == (0, "")
    assert "nothing after 2024-02-04" in nothing.stderr


def test_a_narrow_terminal_breaks_names_and_nothing_else(
    server: GenServer, folders: Folders
) -> None:
    ended = server.run("files", *output(folders), environment={"COLUMNS": "70"})
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 70
    text = "".join(line.split("  ")[0] for line in lines[1:])
    assert [name for name in folders.names() if name not in text] == []


def test_lost_and_cut_files_are_named_and_the_bookmark_stays_before_them(
    server: GenServer, tmp_path: Path
) -> None:
    folders = make(server, tmp_path)
    (folders.output / "merchants_2024-02-03_2024-02-03.csv").unlink()
    path = folders.output / "transactions_2024-02-04_2024-02-04.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    ended = server.run("files", "--since", "2024-02-01", "--json", *output(folders))
    assert ended.code == 1
    assert ended.data["lost"] == [
        "merchants_2024-02-03_2024-02-03.csv", "transactions_2024-02-04_2024-02-04.parquet",
    ]  # fmt: skip
    assert ended.data["through"] == "2024-02-02"
    assert len(ended.data["files"]) == 4
    again = ["regenerate", *period("2024-02-03", "2024-02-04"), *output(folders)]
    assert f"lost: {path.name} is missing or not as long as the manifest says\n" in ended.stderr
    assert ended.stderr.endswith(f"with the same bytes: gen {' '.join(again)}\n")
    one = {"payworld.cli.files.SHOWN": 1}
    many = server.run("files", "--since", "2024-02-01", *output(folders), patches=one)
    assert [line for line in many.stderr.splitlines() if line.startswith("lost: ")] == [
        "lost: merchants_2024-02-03_2024-02-03.csv is missing or not as long as the manifest says",
        "lost: 1 more; --json lists them all",
    ]
    # What was ingested and moved away is nobody's concern.
    assert server.run("files", "--since", "2024-02-04", *output(folders)).code == 0
    still = server.run("files", "--since", "2024-02-03", "--json", *output(folders))
    assert (still.code, still.data["through"]) == (1, "2024-02-03")
    assert server.run(*again, "--state-dir", folders.state).code == 0
    assert server.run("files", *output(folders)).code == 0


def test_during_a_run_and_after_a_kill_only_whole_files_are_listed(
    server: GenServer, tmp_path: Path
) -> None:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-01-30", "2024-02-01"), *run).code == 0
    before = server.run("files", "--json", *output(folders)).data
    for operation in (5, 12, 18, 24):
        killed = server.run("--incremental", "--date", "2024-02-02", *run, kill_operation=operation)
        assert killed.code in {0, -9}
        data = server.run("files", "--json", *output(folders)).data
        assert data["lost"] == []
        for file in data["files"]:
            content = Path(file["absolute_path"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert data["files"][: len(before["files"])] == before["files"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_reader_beside_the_runs_sees_whole_files_alone(server: GenServer, tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    run = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-01-30", "2024-02-01"), *run).code == 0
    ended = Event()
    # As first seen: under its final name, and as the manifest tells of it.
    by_name: dict[str, str] = {}
    by_manifest: dict[str, tuple[str, str]] = {}
    looks = 0

    def look() -> None:
        nonlocal looks
        last_look = False
        while not last_look:
            last_look = ended.is_set()
            for path in folders.output.glob("[mt]*"):
                if path.name not in by_name:
                    by_name[path.name] = sha256(path)
            for file in published_files(folders.output):
                if file.name not in by_manifest:
                    by_manifest[file.name] = sha256(file.path), file.sha256
            looks += 1

    reader = Thread(target=look)
    reader.start()
    try:
        for day in ("2024-02-03", "2024-03-05", "2024-03-06"):
            assert server.run("--incremental", "--date", day, *run).code == 0
    finally:
        ended.set()
        reader.join()
    assert looks > 3
    assert set(by_manifest) == folders.names()
    for name, (found, told) in by_manifest.items():
        assert found == told == sha256(folders.output / name)
        assert by_name[name] == found


def test_it_changes_nothing_and_needs_no_state(
    server: GenServer, folders: Folders, tmp_path: Path
) -> None:
    before = stats(folders.root)
    ended = server.run("files", *output(folders), "--json", cwd=tmp_path)
    assert ended.code == 0
    assert stats(folders.root) == before
    assert list(tmp_path.iterdir()) == []


def test_without_a_world_it_ends_with_3_and_says_how_to_make_one(
    server: GenServer, tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        ended = server.run("files", "--output-dir", folder, "--json")
        assert (ended.code, ended.stdout) == (3, "")
        assert "gen --initial" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "yesterday"], "--since = 'yesterday': expected a date as YYYY-MM-DD"),
        (["--since", "2024-02-30"], "no such day"),
        (["--table", "cards"], "--table = 'cards': expected one of merchants, transactions"),
    ],
)
def test_wrong_options_are_named(
    server: GenServer, folders: Folders, arguments: list[str], told: str
) -> None:
    ended = server.run("files", *arguments, *output(folders))
    assert (ended.code, ended.stdout) == (2, "")
    assert told in ended.stderr


def test_a_manifest_that_is_none_is_told_of(server: GenServer, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("[]", encoding="utf-8")
    ended = server.run("files", "--output-dir", tmp_path)
    assert ended.code == 1
    assert "is not a data package" in ended.stderr


def test_programs_get_the_same_files(folders: Folders, tmp_path: Path) -> None:
    found = published_files(folders.output, since=date(2024, 2, 3), table="transactions")
    path = folders.output / "transactions_2024-02-04_2024-02-04.parquet"
    content = path.read_bytes()
    assert found == [
        PublishedFile(
            table="transactions",
            name=path.name,
            path=path,
            rows=found[0].rows,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            start=date(2024, 2, 4),
            end=date(2024, 2, 4),
            run="incremental 2024-02-04..2024-02-04",
        )
    ]
    assert len(published_files(str(folders.output))) == 10
    with pytest.raises(StateMissingError, match="no run has published"):
        published_files(tmp_path)
    with pytest.raises(UsageError, match="since"):
        published_files(folders.output, since="2024-02-03")  # type: ignore[arg-type]


def test_programs_are_told_of_lost_files(server: GenServer, tmp_path: Path) -> None:
    folders = make(server, tmp_path)
    (folders.output / "merchants_2024-02-03_2024-02-03.csv").unlink()
    with pytest.raises(StorageError, match=r"merchants_2024-02-03_2024-02-03\.csv: missing"):
        published_files(folders.output)
    assert len(published_files(folders.output, since=date(2024, 2, 3))) == 2
