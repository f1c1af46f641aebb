"""A replaced world stands until the new one's first commit is decided."""

from __future__ import annotations

import errno
import resource
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
from tests.builders import PREVIOUS, STATE
from tests.faults.driver import Fault, FaultServer
from tests.faults.test_kill import boundaries, damaged_state, two_runs_old
from tests.faults.worlds import INITIAL, Case, check_message, left_behind, run_options

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


NEW = (*INITIAL, "--replace", "--seed", "7")


def decided_at(operations: list[list[str]]) -> int:
    """Return the number of the write that decides the commit: the journal's last one."""
    return max(
        number
        for number, (name, path, *_) in enumerate(operations, start=1)
        if name == "write" and path.endswith("/.journal")
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_replacement_killed_at_any_boundary_leaves_a_whole_world_to_go_on_with(
    faults: FaultServer, tmp_path: Path
) -> None:
    """The old world before the decision, the new one after it; never a mixture."""
    case = Case(faults, two_runs_old("csv")(faults, tmp_path / "template"), NEW)
    undisturbed, _ = case.undisturbed(tmp_path / "undisturbed")
    decided = decided_at(undisturbed.operations)
    failures = []
    for at, when in boundaries(undisturbed):
        folders = case.copy(tmp_path / "killed")
        case.run(folders, Fault(at, when))
        where = f"{when} {undisturbed.operations[at - 1]}"
        seed = [] if at <= decided else ["--seed", "7"]
        ended = faults.run("--incremental", "--date", "2024-02-06", *run_options(folders), *seed)
        if ended.code:
            failures.append(f"{where}: {ended.code} {ended.stderr}")
        verified = faults.run("verify", *folders.options)
        if verified.code:
            failures.append(f"{where}: {verified.stdout}")
        if left_behind(folders):
            failures.append(f"{where}: left behind {left_behind(folders)}")
        if bool(list(folders.root.glob("*/_replaced"))) == (at <= decided):
            failures.append(f"{where}: moved aside")
    assert failures == []


def test_a_replacement_by_the_same_seed_is_not_taken_for_a_run_to_go_on_with(
    faults: FaultServer, tmp_path: Path
) -> None:
    days = (*INITIAL[:-1], "2024-02-03", "--replace")
    case = Case(faults, two_runs_old("csv")(faults, tmp_path / "template"), days)
    undisturbed, expected = case.undisturbed(tmp_path / "undisturbed")
    folders = case.copy(tmp_path / "killed")
    case.run(folders, Fault(decided_at(undisturbed.operations)))
    assert case.check_resumed(folders, expected) == ""


def test_recover_finishes_a_replacement_that_was_decided(
    faults: FaultServer, tmp_path: Path
) -> None:
    """Of a damaged state: its previous one may be moved aside already."""
    case = Case(faults, damaged_state(faults, tmp_path / "template"), NEW)
    undisturbed, expected = case.undisturbed(tmp_path / "undisturbed")
    first = decided_at(undisturbed.operations) + 1
    for at in range(first, len(undisturbed.operations) + 1, 3):
        folders = case.copy(tmp_path / "killed")
        case.run(folders, Fault(at))
        ended = faults.run("recover", *folders.options)
        assert ended.code == 0, (undisturbed.operations[at - 1], ended.stderr)
        assert "nothing to recover" in ended.stderr
        assert case.check_resumed(folders, expected) == "", undisturbed.operations[at - 1]


def test_the_files_of_a_third_world_are_not_moved_aside(
    faults: FaultServer, tmp_path: Path
) -> None:
    ours = two_runs_old("csv")(faults, tmp_path / "ours")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(ours.root / "world.yaml", other)
    places = ["--state-dir", str(other / "state"), "--output-dir", str(other / "raw_data")]
    config = ["-f", "--config", str(other / "world.yaml")]
    assert faults.run(*INITIAL, "--seed", "3", *config, *places).code == 0
    before = content(tmp_path)
    mixed = ["--state-dir", str(ours.state), "--output-dir", str(other / "raw_data")]
    ended = faults.run(*NEW, *config, *mixed)
    assert check_message(ended, 1, str(other / "raw_data"), "another world") == ""
    assert content(tmp_path) == before


def test_a_replacement_that_fails_as_it_prepares_leaves_no_folder(
    faults: FaultServer, tmp_path: Path
) -> None:
    case = Case(faults, two_runs_old("csv")(faults, tmp_path / "template"), NEW)
    undisturbed, _ = case.undisturbed(tmp_path / "undisturbed")
    made = [
        number
        for number, (name, path, *_) in enumerate(undisturbed.operations, start=1)
        if name == "mkdir" and "_replaced" in path
    ]
    before = content(case.template.root)
    for at in range(made[0], decided_at(undisturbed.operations) + 1):
        name, path, *_ = undisturbed.operations[at - 1]
        if name not in ("mkdir", "write", "create", "fsync") or Path(path).name == ".holder.json":
            continue
        folders = case.copy(tmp_path / "full")
        ended = case.run(folders, Fault(at, error=errno.ENOSPC, for_good=True))
        assert check_message(ended, 1, "free some space") == "", (name, path)
        assert left_behind(folders) == [], (name, path)
        assert content(folders.root) == before, (name, path)


def test_replaced_again_and_again_each_world_is_kept(faults: FaultServer, tmp_path: Path) -> None:
    folders = two_runs_old("csv")(faults, tmp_path / "world")
    kept: set[bytes] = set()
    for seed in ("7", "8", "9"):
        kept |= {data for name, data in content(folders.root).items() if name != "world.yaml"}
        ended = faults.run(*INITIAL, "--replace", "--seed", seed, *run_options(folders))
        assert ended.code == 0, ended.stderr
    assert kept <= set(content(folders.root).values())
    assert len(list(folders.output.glob("_replaced/*"))) == 3
    names = {path.name for path in folders.state.glob("_replaced/*/*")}
    assert names == {STATE, PREVIOUS}
    assert faults.run("verify", *folders.options).code == 0
    assert left_behind(folders) == []
