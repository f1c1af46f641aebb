"""A full disk: a clear error, nothing changed, nothing left; with space again the run goes on."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.builders import Folders
from tests.faults.driver import Ended, Fault, FaultServer
from tests.faults.test_kill import CASES, REGENERATE, lost_and_changed
from tests.faults.worlds import (
    INITIAL,
    LATER,
    OFTEN,
    Case,
    begin,
    check_message,
    contents,
    left_behind,
    make_config,
)

FULL = "no space left on the device; free some space and run the same command again"


def decision(ended: Ended) -> int:
    """Return the number of the operation from which on the run's commit is decided."""
    for number, (name, path, *_) in enumerate(ended.operations, start=1):
        if name == "rename" and not path.endswith(".journal.next"):
            return number
    return len(ended.operations)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["initial", "incremental parquet with checkpoints", "incremental without hard links"]
)
def test_without_space_from_any_operation_on_a_run_changes_nothing_and_goes_on_later(
    faults: FaultServer, tmp_path: Path, name: str
) -> None:
    make_world, make_case = CASES[name]
    case = make_case(faults, make_world(faults, tmp_path / "template"))
    undisturbed, expected = case.undisturbed(tmp_path / "undisturbed")
    before = contents(case.template)
    decided = decision(undisturbed)
    failures, tried = [], 0
    for at, (operation, path, *_) in enumerate(undisturbed.operations, start=1):
        if operation not in ("write", "create", "fsync", "mkdir") or Path(path).is_dir():
            continue
        tried += 1
        folders = case.copy(tmp_path / "full")
        # Half of what is written still finds space.
        ended = case.run(folders, Fault(at, "torn", error=errno.ENOSPC, for_good=True))
        words = [Path(path).name, FULL]
        if operation in ("write", "fsync"):
            words.append("bytes are needed")
        where = f"{operation} {path}"
        if wrong := check_message(ended, 1, *words):
            failures.append(f"{where}: {wrong}")
        if at < decided and contents(folders) != before:
            failures.append(f"{where}: {set(contents(folders)) ^ set(before)} differ")
        if wrong := case.check_resumed(folders, expected):
            failures.append(f"{where}: {wrong}")
    assert failures == [], f"{len(failures)} of {tried}"
    assert tried > 10


@pytest.mark.slow
def test_a_fsync_that_fails_is_an_error_and_the_next_run_goes_on(
    faults: FaultServer, tmp_path: Path
) -> None:
    case = Case(faults, begin(faults, tmp_path / "template"), LATER)
    undisturbed, expected = case.undisturbed(tmp_path / "undisturbed")
    failures = []
    for at, (operation, path, *_) in enumerate(undisturbed.operations, start=1):
        if operation != "fsync":
            continue
        folders = case.copy(tmp_path / "failing")
        ended = case.run(folders, Fault(at, error=errno.EIO))
        if wrong := check_message(ended, 1, Path(path).name, os.strerror(errno.EIO)):
            failures.append(f"{path}: {wrong}")
        if wrong := case.check_resumed(folders, expected):
            failures.append(f"{path}: {wrong}")
    assert failures == []


@pytest.mark.slow
def test_a_disk_that_fills_up_after_a_part_was_committed_leaves_a_run_that_goes_on(
    faults: FaultServer, tmp_path: Path
) -> None:
    (tmp_path / "template").mkdir()
    make_config(tmp_path / "template")
    case = Case(faults, Folders(tmp_path / "template"), INITIAL, patches=OFTEN, previous=False)
    undisturbed, expected = case.undisturbed(tmp_path / "undisturbed")
    failures = []
    for at, (operation, path, *_) in enumerate(undisturbed.operations, start=1):
        if at < decision(undisturbed) or operation not in ("write", "create"):
            continue
        folders = case.copy(tmp_path / "full")
        ended = case.run(folders, Fault(at, "torn", error=errno.ENOSPC, for_good=True))
        if wrong := check_message(ended, 1, Path(path).name, FULL):
            failures.append(f"{path}: {wrong}")
        left = {Path(name).name for name in left_behind(folders)}
        if left - {".journal"}:
            failures.append(f"{path}: left {left}")
        if wrong := case.check_resumed(folders, expected):
            failures.append(f"{path}: {wrong}")
    assert failures == []


@contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[Callable[[int], None]]:
    """Mount a file system of some size; yields what gives it another."""
    path.mkdir(exist_ok=True)

    def mount(*options: str) -> None:
        subprocess.run(["mount", *options, str(path)], check=True, capture_output=True)

    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs")
    try:
        yield lambda size: mount("-o", f"remount,size={size}k")
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def can_mount(path: Path) -> bool:
    try:
        with small_disk(path, 64):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def on_small_disks(
    faults: FaultServer, tmp_path: Path, file_format: str
) -> Iterator[tuple[str, Ended]]:
    """Run on disks of every size that is too small, then on the same with space; yield errors."""
    template = tmp_path / "template"
    template.mkdir()
    make_config(template)
    case = Case(faults, Folders(template), INITIAL, file_format)
    _, expected = case.undisturbed(tmp_path / "undisturbed")
    for kilobytes in range(8, 400, 8):
        with small_disk(tmp_path / "disk", kilobytes) as resize:
            folders = Folders(tmp_path / "disk")
            make_config(folders.root)
            ended = case.run(folders)
            if ended.code == 0:
                return
            # What the days that are left need, not only the write that failed.
            rest = ["; the days from 2024-01-30 on need about "]
            words = [] if ".holder.json" in ended.stderr else rest
            wrong = check_message(ended, 1, FULL, str(folders.root), *words)
            if left_behind(folders) or contents(folders):
                wrong += f" left: {contents(folders)}"
            resize(4096)
            yield wrong + case.check_resumed(folders, expected), ended
    raise AssertionError("no disk was large enough")


@pytest.mark.slow
def test_a_limit_that_workers_cannot_share_memory_under_leaves_the_work_to_one(
    faults: FaultServer, tmp_path: Path
) -> None:
    """It is far above the files of the run, and below the memory that two processes would share."""
    patches: dict[str, float] = {"payworld.engine.run.WORKER_ROWS": 0}
    folders = Folders(tmp_path)
    make_config(tmp_path)
    command = (*INITIAL, "--workers", "2")
    ended = Case(faults, folders, command, patches=patches).run(folders, file_bytes=2_000_000)
    assert ended.code == 0, ended.stderr
    assert left_behind(folders) == []


def below_size_limits(
    faults: FaultServer, tmp_path: Path, file_format: str
) -> Iterator[tuple[str, Ended]]:
    """Run with every limit on a file's size that is too small, then without; yield errors."""
    template = tmp_path / "template"
    template.mkdir()
    make_config(template)
    case = Case(faults, Folders(template), INITIAL, file_format)
    case.undisturbed(tmp_path / "undisturbed")
    _, expected = case.undisturbed(tmp_path / "undisturbed")
    made = [path for path in (tmp_path / "undisturbed").rglob("*") if path.is_file()]
    for size in sorted(path.stat().st_size for path in made):
        # The notes of the driver are files too.
        if size < 12_000:
            continue
        folders = case.copy(tmp_path / "limited")
        ended = case.run(folders, file_bytes=size - 1)
        wrong = check_message(ended, 1, "the file would exceed the size limit", "bytes are needed")
        if left_behind(folders) or contents(folders):
            wrong += f" left: {contents(folders)}"
        yield wrong + case.check_resumed(folders, expected), ended


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_file_system_that_is_too_small_is_named_and_left_as_it_was(
    faults: FaultServer, tmp_path: Path, file_format: str
) -> None:
    # Where nothing can be mounted, as without root, a limit on the size of files stands in.
    limited = on_small_disks if can_mount(tmp_path / "probe") else below_size_limits
    told = []
    failures = []
    for wrong, ended in limited(faults, tmp_path, file_format):
        told.append(ended.stderr)
        failures += [wrong] if wrong else []
    assert failures == [], f"{len(failures)} of {len(told)}"
    for file in ("transactions_", "merchants.json", "datapackage.json"):
        assert any(file in text for text in told), (file, told)


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_named_and_nothing_is_left(
    faults: FaultServer, tmp_path: Path
) -> None:
    failures = [wrong for wrong, _ in below_size_limits(faults, tmp_path, "csv")]
    assert failures
    assert [wrong for wrong in failures if wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_regenerate_without_space_leaves_nothing_behind_and_can_be_run_again(
    faults: FaultServer, tmp_path: Path, file_format: str
) -> None:
    template = lost_and_changed(file_format)(faults, tmp_path / "template")
    case = Case(faults, template, REGENERATE, file_format)
    undisturbed, expected = case.undisturbed(tmp_path / "undisturbed")
    failures = []
    for at, (operation, path, *_) in enumerate(undisturbed.operations, start=1):
        if operation not in ("write", "create", "fsync") or Path(path).is_dir():
            continue
        folders = case.copy(tmp_path / "full")
        ended = case.run(folders, Fault(at, "torn", error=errno.ENOSPC, for_good=True))
        if wrong := check_message(ended, 1, FULL):
            failures.append(f"{path}: {wrong}")
        if left := left_behind(folders):
            failures.append(f"{operation} {path}: left {left}")
        if wrong := case.check_resumed(folders, expected):
            failures.append(f"{path}: {wrong}")
    assert failures == []
