"""Kills and signals by the clock, workers that die, two runs at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import pytest
from tests.builders import LIVELY_WORLD, Folders
from tests.faults.driver import Fault, FaultServer
from tests.faults.test_kill import CASES
from tests.faults.worlds import (
    INITIAL,
    LATER,
    Case,
    begin,
    check_message,
    contents,
    left_behind,
    make_config,
    run_options,
)

BUSY = {**LIVELY_WORLD, "initial_merchants": 700, "max_stored_cards": 2000}
BUSY_DAYS = ("--initial", "--start-date", "2024-01-20", "--end-date", "2024-03-10")
QUICK: dict[str, float] = {
    "payworld.engine.run.WORKER_ROWS": 0,
    "payworld.engine.work.COMMIT_SECONDS": 0.3,
    "payworld.engine.work.CHECKPOINT_SECONDS": 0.02,
    "payworld.engine.tasks.TASK_ROWS": 4_000,
}
SOON = "run the same command again to go on"
GOLDEN = 0.618034


def spread(count: int, seconds: float) -> Iterator[float]:
    """Yield moments all over a stretch of time, in no order."""
    for number in range(1, count + 1):
        yield number * GOLDEN % 1 * seconds


def busy_case(faults: FaultServer, root: Path, file_format: str, workers: int) -> Case:
    root.mkdir()
    make_config(root, BUSY)
    command = (*BUSY_DAYS, "--workers", str(workers))
    return Case(faults, Folders(root), command, file_format, QUICK, previous=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "file_format", "workers"),
    [
        (signal.SIGKILL, "csv", 1),
        (signal.SIGKILL, "csv", 3),
        (signal.SIGKILL, "parquet", 2),
        (signal.SIGTERM, "csv", 1),
        (signal.SIGTERM, "csv", 3),
        (signal.SIGINT, "csv", 3),
        (signal.SIGINT, "parquet", 2),
    ],
)
def test_a_run_stopped_again_and_again_at_any_moment_ends_as_if_it_had_not_been(
    faults: FaultServer, tmp_path: Path, file_format: str, workers: int, number: signal.Signals
) -> None:
    case = busy_case(faults, tmp_path / "template", file_format, workers)
    ended, expected = case.undisturbed(tmp_path / "undisturbed")
    folders = case.copy(tmp_path / "stopped")
    stopped, is_new, whole = 0, True, ended.seconds
    # What is stopped in time has made some way: the world ends sooner or later.
    for part in spread(12, 1.0):
        ended = case.run(folders, signal_after=(number, part * whole))
        assert ended.orphans == 0
        if number == signal.SIGKILL:
            assert ended.code in (0, -number)
        else:
            code = 128 + number
            # Before the program has begun, the signal ends the process as it ends any other.
            assert ended.code in (0, code, -number), ended.stderr
            assert ended.reaction < 2
            assert "Traceback" not in ended.stderr
            told = SOON in ended.stderr or "no command was at work" in ended.stderr
            assert told == (ended.code == code), ended.stderr
        stopped += ended.code != 0
        assert case.half_done(folders, expected) == []
        if ended.code == 0:
            assert contents(folders, previous=False) == expected
            folders = case.copy(folders.root)
            # The machine may have been busier at first.
            whole = min(whole, ended.seconds) if is_new else whole
        is_new = ended.code == 0
    assert stopped >= 6
    assert case.check_resumed(folders, expected) == ""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["initial, a commit a chunk", "replace"])
def test_a_run_stopped_at_any_boundary_says_how_to_go_on_and_does(
    faults: FaultServer, tmp_path: Path, name: str, number: signal.Signals
) -> None:
    make_world, make_case = CASES[name]
    case = make_case(faults, make_world(faults, tmp_path / "template"))
    undisturbed, expected = case.undisturbed(tmp_path / "undisturbed")
    word = "terminated" if number == signal.SIGTERM else "interrupted"
    failures = []
    # Each fourth boundary, others with the other signal.
    for at in range(1 + 2 * (number == signal.SIGINT), len(undisturbed.operations) + 1, 4):
        folders = case.copy(tmp_path / "stopped")
        ended = case.run(folders, Fault(at, signal=number))
        where = " ".join(undisturbed.operations[at - 1])
        if ended.code != 128 + number or word not in ended.stderr or SOON not in ended.stderr:
            failures.append(f"{where}: {ended.code} {ended.stderr}")
        if "Traceback" in ended.stderr:
            failures.append(f"{where}: {ended.stderr}")
        if half_done := case.half_done(folders, expected):
            failures.append(f"{where}: half done: {half_done}")
        if wrong := case.check_resumed(folders, expected):
            failures.append(f"{where}: {wrong}")
    assert failures == []


def gen(*arguments: str, workers_for_few_rows: bool = True) -> "subprocess.Popen[str]":
    """Start gen as a process of its own; few rows are enough for workers to take part."""
    few = "from payworld.engine import run, work; run.WORKER_ROWS = 0; work.COMMIT_SECONDS = 0.3; "
    script = "from payworld.cli.entry import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", (few if workers_for_few_rows else "") + script, *arguments],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    with suppress(OSError):
        return [int(child) for child in path.read_text().split()]
    return []


def halt(process: "subprocess.Popen[str]") -> None:
    """Stop every thread: one that waits for the disk ends its write first."""
    process.send_signal(signal.SIGSTOP)
    threads = Path(f"/proc/{process.pid}/task")
    while not all(") T " in path.read_text() for path in threads.glob("*/stat")):
        time.sleep(0.01)


def wait_for(condition: str, found: "subprocess.Popen[str]", path: Path, workers: int = 0) -> None:
    for _ in range(3_000):
        if path.exists() and len(children(found.pid)) >= workers:
            return
        assert found.poll() is None, found.communicate()
        time.sleep(0.01)
    raise AssertionError(f"never happened: {condition}")


@contextmanager
def held_world(folders: Folders, workers: int = 1) -> Iterator["subprocess.Popen[str]"]:
    """A run that holds a world and is stopped in the middle of its work."""
    options = [*run_options(folders), "--workers", str(workers)]
    process = gen("--incremental", "--date", "2026-12-31", *options)
    try:
        partials = folders.output / ".transactions_2024-02-03_2024-02-29.csv.partial"
        wait_for("the run is at work", process, partials, workers - 1)
        halt(process)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_second_run_ends_at_once_and_names_the_first(faults: FaultServer, tmp_path: Path) -> None:
    folders = begin(faults, tmp_path / "world", BUSY)
    second = tmp_path / "second"
    second.mkdir()
    make_config(second, BUSY)
    with held_world(folders) as first:
        note = orjson.loads((folders.state / ".holder.json").read_bytes())
        assert note["pid"] == first.pid
        before = contents(folders)
        for command in (LATER, (*INITIAL, "--replace"), ("recover",), ("regenerate", *INITIAL[1:])):
            ended = Case(faults, folders, command).run(folders)
            assert check_message(ended, 75, str(first.pid), note["since"]) == "", command
            assert ended.seconds < 2
        # Another world that would write to the same data folder.
        shared = [*run_options(folders), "--state-dir", str(second / "state")]
        ended = faults.run(*INITIAL, "--seed", "9", *shared)
        assert check_message(ended, 75, str(folders.output), str(first.pid), note["since"]) == ""
        assert not (second / "state").exists()
        status = faults.run("status", "--json", *folders.options)
        assert status.code == 0, status.stderr
        assert status.data["last_generated_date"] == "2024-02-02"
        assert status.data["unfinished_run"]["mode"] == "incremental"
        assert contents(folders) == before
    # The first is dead: what it left does not block.
    ended = Case(faults, folders, LATER).run(folders)
    assert ended.code == 0, ended.stderr
    assert left_behind(folders) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "recover"])
def test_tidying_up_after_a_killed_run_spares_another_world_that_is_at_work_there(
    faults: FaultServer, tmp_path: Path, command: str
) -> None:
    """The folder of a run that was killed may be another world's by the time of the next one."""
    ours = begin(faults, tmp_path / "ours", BUSY)
    ended = Case(faults, ours, LATER).run(ours)
    assert ended.code == 0, ended.stderr
    place = tmp_path / "place"
    elsewhere = ["--state-dir", str(ours.state), "--output-dir", str(place)]
    config = ["-f", "--config", str(ours.root / "world.yaml")]
    # With other processes, the thirtieth operation would not always be the same.
    one = ["--workers", "1", *elsewhere]
    long = ["--incremental", "--date", "2024-02-08", *config, *one]
    killed = faults.run(*long, patches=QUICK, fault=Fault(30))
    assert killed.code == -signal.SIGKILL
    assert list(place.glob(".transactions*"))
    if command == "recover":
        (ours.state / "merchants.json").write_bytes(b"{")
    other = Folders(tmp_path / "other")
    other.root.mkdir()
    make_config(other.root, {**BUSY, "seed": 4})
    theirs = [*config[:2], str(other.root / "world.yaml"), "--state-dir", str(other.state)]
    process = gen(*INITIAL[:-1], "2026-12-31", *theirs, "--output-dir", str(place))
    try:
        partial = place / ".transactions_2024-01-30_2024-01-31.csv.partial"
        wait_for("the other run is at work", process, partial)
        halt(process)
        before = sorted(path.name for path in place.iterdir())
        if command == "recover":
            ended = faults.run("recover", *ours.options)
        else:
            ended = faults.run("--incremental", "--date", "2024-02-05", *config, *ours.options)
        after = sorted(path.name for path in place.iterdir())
    finally:
        process.kill()
        process.communicate()
    assert ended.code == 0, ended.stderr
    assert after == before


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_a_worker_killed_from_outside_is_named_and_the_next_run_goes_on(
    faults: FaultServer, tmp_path: Path, workers: int
) -> None:
    case = busy_case(faults, tmp_path / "template", "csv", workers)
    _, expected = case.undisturbed(tmp_path / "undisturbed")
    # The run itself counts as one of the workers.
    for which in range(workers - 1):
        folders = case.copy(tmp_path / "killed")
        process = gen(*case.command, *run_options(folders))
        partial = folders.output / ".transactions_2024-01-20_2024-01-31.csv.partial"
        wait_for("workers work", process, partial, workers - 1)
        team = children(process.pid)
        process.send_signal(signal.SIGSTOP)
        os.kill(team[which], signal.SIGKILL)
        process.send_signal(signal.SIGCONT)
        out, errors = process.communicate(timeout=20)
        assert (process.returncode, out) == (1, "")
        assert f"worker process {team[which]} ended by signal 9" in errors
        assert "run the same command again" in errors
        assert "Traceback" not in errors
        assert not [pid for pid in team if Path(f"/proc/{pid}").exists()]
        assert case.half_done(folders, expected) == []
        assert case.check_resumed(folders, expected) == ""


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", [1, 3])
def test_kill_9_on_a_program_started_as_users_start_it_loses_nothing(
    faults: FaultServer, tmp_path: Path, workers: int
) -> None:
    case = busy_case(faults, tmp_path / "template", "csv", workers)
    _, expected = case.undisturbed(tmp_path / "undisturbed")
    folders = case.copy(tmp_path / "killed")
    began = time.monotonic()
    process = gen(*case.command, *run_options(folders))
    process.communicate()
    assert contents(folders, previous=False) == expected
    seconds = time.monotonic() - began
    folders = case.copy(tmp_path / "killed")
    for moment in spread(8, seconds):
        process = gen(*case.command, *run_options(folders))
        team: set[int] = set()
        until = time.monotonic() + moment
        while time.monotonic() < until and process.poll() is None:
            team |= {*children(process.pid)}
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert case.half_done(folders, expected) == []
        until = time.monotonic() + 5
        while team and time.monotonic() < until:
            team = {pid for pid in team if Path(f"/proc/{pid}").exists()}
            time.sleep(0.01)
        assert team == set()
    assert case.check_resumed(folders, expected) == ""
