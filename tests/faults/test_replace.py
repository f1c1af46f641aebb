"""A replaced world stands until the new one's first commit is decided."""

from __future__ import annotations

import resource
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from payworld import Simulation, generate
from payworld.errors import PayworldError

REPLACE = ["--initial", "--replace", "--start-date", "2024-01-01", "--end-date", "2024-01-31"]


def gen(folder: Path, *arguments: str, file_bytes: int | None = None) -> tuple[int, str]:
    def limit() -> None:
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    ended = subprocess.run(
        ["gen", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit if file_bytes is not None else None,
    )
    return ended.returncode, ended.stderr


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def world(tmp_path: Path) -> Path:
    folder = tmp_path / "world"
    folder.mkdir()
    (folder / "small.yaml").write_text("initial_merchants: 20\n")
    days = ["--start-date", "2024-01-01", "--end-date", "2024-01-05"]
    assert gen(folder, "--initial", *days, "-f", "-q", "--config", "small.yaml")[0] == 0
    return folder


def test_a_replacement_that_fails_leaves_the_old_world_as_it_was(world: Path) -> None:
    before = content(world)
    run = [*REPLACE, "-f", "-q", "--seed", "9", "--config", "small.yaml"]
    code, message = gen(world, *run, file_bytes=20_000)
    assert (code, "size limit" in message) == (1, True)
    assert content(world) == before
    assert gen(world, "verify")[0] == 0
    assert gen(world, *run)[0] == 0
    assert gen(world, "verify")[0] == 0
    old = {Path(name).name: data for name, data in before.items() if name != "small.yaml"}
    aside = {Path(name).name: data for name, data in content(world).items() if "_replaced" in name}
    assert aside == old


def test_no_later_run_finishes_a_replacement_that_failed(world: Path, tmp_path: Path) -> None:
    (world / "raw_data" / "_replaced").symlink_to(tmp_path)
    code, message = gen(world, *REPLACE, "-f", "-q", "--seed", "9", "--config", "small.yaml")
    assert (code, "symbolic link" in message) == (1, True)
    (world / "raw_data" / "_replaced").unlink()
    copy = tmp_path / "copy"
    shutil.copytree(world, copy)
    before = content(world)
    assert gen(copy, "--incremental", "--date", "2024-01-06", "-f", "-q")[0] == 0
    assert content(world) == before
    assert gen(world, "--incremental", "--date", "2024-01-06", "-f", "-q")[0] == 0
    assert content(world) == content(copy)
    assert gen(world, "verify")[0] == 0


def test_files_that_a_replacement_cannot_take_along_stop_it_first(world: Path) -> None:
    (world / "raw_data" / "datapackage.json").unlink()
    before = content(world)
    code, message = gen(world, *REPLACE, "-f", "-q", "--seed", "9")
    assert (code, "already tells of days" in message) == (1, True)
    assert content(world) == before


def test_a_lost_data_folder_is_told_of(world: Path) -> None:
    shutil.rmtree(world / "raw_data")
    code, message = gen(world, "--incremental", "--date", "2024-01-06", "-f", "-q")
    assert (code, "manifest in this folder is missing" in message) == (0, True)
    days = ["--start-date", "2024-01-01", "--end-date", "2024-01-05"]
    code, message = gen(world, "regenerate", *days)
    assert (code, "lists none of those days" in message) == (1, True)
    code, _ = gen(world, "verify")
    assert code == 1


def test_a_file_that_the_manifest_does_not_list_is_a_breach(world: Path) -> None:
    raw = world / "raw_data"
    name = "transactions_2024-01-02_2024-01-05.csv"
    shutil.copy(raw / "transactions_2024-01-01_2024-01-05.csv", raw / name)
    ended = subprocess.run(
        ["gen", "verify"], cwd=world, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout.splitlines() == [
        f"{name}: it is not in the manifest, but readers of the folder would take it"
    ]


@pytest.mark.parametrize(
    ("start", "end", "more"),
    [
        (date(2199, 12, 30), date(2200, 1, 7), {}),
        (date(2024, 1, 3), date(2024, 1, 2), {}),
        (None, date(2024, 1, 2), {}),
        ("2024-01-01", date(2024, 1, 2), {}),
        (date(2024, 1, 1), date(2024, 1, 2), {"file_format": "xml"}),
        (date(2024, 1, 1), date(2024, 1, 2), {"workers": -3}),
        (date(2024, 1, 1), date(2024, 1, 2), {"config": {"sed": 1}}),
    ],
)
def test_wrong_arguments_of_a_program_write_nothing(
    tmp_path: Path, start: date | None, end: date, more: dict[str, object]
) -> None:
    folders = {"state_dir": tmp_path / "state", "output_dir": tmp_path / "raw_data"}
    with pytest.raises(PayworldError):
        generate(start, end_date=end, **folders, **more)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_simulation_begins_on_a_date_alone() -> None:
    with pytest.raises(PayworldError, match="expected a date between"):
        Simulation.create("2024-01-01")  # type: ignore[arg-type]
