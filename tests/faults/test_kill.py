"""Killed at any instant, the same command again gives what an undisturbed run gives (law 4)."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.builders import STATE, Folders
from tests.faults.driver import Ended, Fault, FaultServer, When
from tests.faults.worlds import INITIAL, LATER, OFTEN, Case, begin, make_config

# Few rows are enough for workers to take part.
WITH_WORKERS: dict[str, float] = {
    "payworld.engine.run.WORKER_ROWS": 0,
    "payworld.engine.tasks.TASK_ROWS": 1,
}
REGENERATE = ("regenerate", "--start-date", "2024-01-30", "--end-date", "2024-02-04")


def no_world(_: FaultServer, root: Path) -> Folders:
    root.mkdir()
    make_config(root)
    return Folders(root)


def small_world(faults: FaultServer, root: Path) -> Folders:
    return begin(faults, root)


def parquet_world(faults: FaultServer, root: Path) -> Folders:
    return begin(faults, root, file_format="parquet")


def two_runs_old(file_format: str) -> Callable[[FaultServer, Path], Folders]:
    def make(faults: FaultServer, root: Path) -> Folders:
        folders = begin(faults, root, file_format=file_format)
        ended = Case(faults, folders, LATER, file_format).run(folders)
        assert ended.code == 0, ended.stderr
        return folders

    return make


def damaged_state(faults: FaultServer, root: Path) -> Folders:
    folders = two_runs_old("csv")(faults, root)
    path = folders.state / STATE
    path.write_bytes(path.read_bytes()[:-50])
    return folders


def lost_and_changed(file_format: str) -> Callable[[FaultServer, Path], Folders]:
    def make(faults: FaultServer, root: Path) -> Folders:
        folders = two_runs_old(file_format)(faults, root)
        lost, changed, *_ = sorted(folders.output.glob(f"transactions*.{file_format}"))
        lost.unlink()
        changed.write_bytes(changed.read_bytes()[:-1])
        sorted(folders.output.glob(f"merchants*.{file_format}"))[-1].unlink()
        return folders

    return make


CASES: dict[str, tuple[Callable[[FaultServer, Path], Folders], Callable[..., Case]]] = {
    "initial": (no_world, lambda f, w: Case(f, w, INITIAL)),
    "initial, a commit a chunk": (
        no_world,
        lambda f, w: Case(f, w, INITIAL, patches=OFTEN, previous=False),
    ),
    "initial parquet": (no_world, lambda f, w: Case(f, w, INITIAL, "parquet")),
    "initial, two workers": (
        no_world,
        lambda f, w: Case(f, w, (*INITIAL, "--workers", "2"), patches=WITH_WORKERS),
    ),
    "incremental": (small_world, lambda f, w: Case(f, w, LATER)),
    "incremental parquet, two workers": (
        parquet_world,
        lambda f, w: Case(f, w, (*LATER, "--workers", "2"), "parquet", patches=WITH_WORKERS),
    ),
    "incremental parquet with checkpoints": (
        parquet_world,
        lambda f, w: Case(f, w, LATER, "parquet", patches=OFTEN),
    ),
    "incremental without hard links": (
        small_world,
        lambda f, w: Case(f, w, LATER, call="no_hard_links"),
    ),
    "replace": (
        two_runs_old("csv"),
        lambda f, w: Case(f, w, (*INITIAL, "--replace", "--seed", "7")),
    ),
    "recover": (damaged_state, lambda f, w: Case(f, w, ("recover",))),
    "regenerate": (lost_and_changed("csv"), lambda f, w: Case(f, w, REGENERATE)),
    "regenerate parquet": (
        lost_and_changed("parquet"),
        lambda f, w: Case(f, w, REGENERATE, "parquet"),
    ),
}


def boundaries(ended: Ended) -> list[tuple[int, When]]:
    """Return every boundary: before each operation, in the middle of each write, after the last.

    After one operation is before the next, but for what C++ writes in between.
    """
    moments: list[tuple[int, When]] = []
    for number, (name, path, *_) in enumerate(ended.operations, start=1):
        moments.append((number, "before"))
        if name == "write":
            moments.append((number, "torn"))
        if number == len(ended.operations) or (name == "create" and ".parquet" in path):
            moments.append((number, "after"))
    return moments


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CASES)
def test_a_run_killed_at_any_boundary_is_finished_by_the_same_command(
    faults: FaultServer, tmp_path: Path, name: str
) -> None:
    make_world, make_case = CASES[name]
    case = make_case(faults, make_world(faults, tmp_path / "template"))
    ended, expected = case.undisturbed(tmp_path / "undisturbed")
    failures = []
    moments = boundaries(ended)
    for at, when in moments:
        folders = case.copy(tmp_path / "killed")
        killed = case.run(folders, Fault(at, when))
        assert killed.code == -signal.SIGKILL
        # Workers end with the process that they work for.
        assert killed.orphans == 0
        where = f"killed {when} operation {at} {ended.operations[at - 1]}"
        if half_done := case.half_done(folders, expected):
            failures.append(f"{where}: half done: {half_done}")
        if wrong := case.check_resumed(folders, expected):
            failures.append(f"{where}: {wrong}")
    assert failures == [], f"{len(failures)} of {len(moments)}"
    assert len(moments) > 12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["incremental", "replace"])
def test_a_run_that_finishes_what_another_began_can_be_killed_too(
    faults: FaultServer, tmp_path: Path, name: str
) -> None:
    make_world, make_case = CASES[name]
    case = make_case(faults, make_world(faults, tmp_path / "template"))
    ended, expected = case.undisturbed(tmp_path / "undisturbed")
    decided = next(
        number
        for number, (operation, path, *_) in enumerate(ended.operations, start=1)
        if operation == "rename" and not path.endswith(".journal.next")
    )
    # In one place all the time: the journal names folders by their absolute paths.
    folders = case.copy(tmp_path / "killed")
    assert case.run(folders, Fault(decided)).code == -signal.SIGKILL
    second = case.run(folders)
    assert second.code == 0
    failures = []
    for at, when in boundaries(second)[::2]:
        folders = case.copy(tmp_path / "killed")
        assert case.run(folders, Fault(decided)).code == -signal.SIGKILL
        assert case.run(folders, Fault(at, when)).code == -signal.SIGKILL
        if wrong := case.check_resumed(folders, expected):
            failures.append(f"killed {when} operation {at} {second.operations[at - 1]}: {wrong}")
    assert failures == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["incremental", "initial, a commit a chunk", "replace"])
def test_a_decided_commit_that_has_lost_a_part_is_made_again(
    faults: FaultServer, tmp_path: Path, name: str
) -> None:
    """After a power cut that took a name, or a hand that tidied up what begins with a dot."""
    make_world, make_case = CASES[name]
    case = make_case(faults, make_world(faults, tmp_path / "template"))
    undisturbed, expected = case.undisturbed(tmp_path / "undisturbed")
    # Which state was the one before is told by what was moved aside.
    failures, tried = [], set()
    for at, (operation, *_) in enumerate(undisturbed.operations, start=1):
        if operation not in ("rename", "replace"):
            continue
        folders = case.copy(tmp_path / "killed")
        assert case.run(folders, Fault(at)).code == -signal.SIGKILL
        parts = [
            path for path in folders.root.rglob(".*") if path.name.endswith((".partial", "xt"))
        ]
        for part in [path.relative_to(folders.root) for path in parts]:
            folders = case.copy(tmp_path / "killed")
            assert case.run(folders, Fault(at)).code == -signal.SIGKILL
            (folders.root / part).unlink()
            tried.add(part.name)
            if wrong := case.check_resumed(folders, expected):
                failures.append(
                    f"killed at {undisturbed.operations[at - 1]}, without {part}: {wrong}"
                )
    assert failures == []
    assert {".datapackage.json.next", ".merchants.json.next"} < tried
    assert any(part.startswith(".transactions_") for part in tried)
