"""Law 5: what is done stays done; nothing is overwritten, and no world replaced unasked."""

from datetime import date
from pathlib import Path

import pytest
from tests.builders import (
    LIVELY_WORLD,
    MANIFEST,
    STATE,
    Folders,
    digests,
    period,
    stats,
    write_config,
)
from tests.gen_server import Ended, GenServer

DONE = period("2024-02-26", "2024-03-02")


class LivedWorld:
    """A world on the disk that has come to 2024-03-02; lives for a test."""

    def __init__(self, server: GenServer, root: Path) -> None:
        self.server = server
        self.folders = Folders(root)
        self.config = write_config(root / "world.yaml", LIVELY_WORLD)
        assert self.gen("--initial", *DONE).code == 0

    def gen(self, *arguments: str) -> Ended:
        return self.server.run(
            *arguments, "-f", "--config", self.config, *self.folders.options, today=TODAY
        )


TODAY = date(2024, 3, 3)


@pytest.fixture
def lived(server: GenServer, tmp_path: Path) -> LivedWorld:
    return LivedWorld(server, tmp_path)


@pytest.mark.parametrize(
    "again",
    [
        ["--initial", *DONE],
        ["--initial", *period("2024-02-26", "2024-02-28")],
        ["--initial", *DONE, "--replace"],
        ["--incremental"],
        ["--incremental", "--date", "2024-03-02"],
        ["--incremental", "--date", "2024-02-26"],
        ["--incremental", *period("2024-02-28", "2024-03-01")],
    ],
    ids=lambda words: " ".join(words),
)
def test_what_is_done_is_a_no_op_that_touches_no_file(lived: LivedWorld, again: list[str]) -> None:
    before = stats(lived.folders.root)
    ended = lived.gen(*again)
    assert (ended.code, ended.stdout) == (0, "")
    assert "already generated through 2024-03-02" in ended.stderr
    assert stats(lived.folders.root) == before


def test_a_night_adds_files_and_touches_none_of_those_before(lived: LivedWorld) -> None:
    before = stats(lived.folders.output)
    assert lived.gen("--incremental", "--date", "2024-03-04").code == 0
    after = stats(lived.folders.output)
    manifest = str(lived.folders.output / MANIFEST)
    assert {name: after[name] for name in before if name != manifest} == {
        name: before[name] for name in before if name != manifest
    }
    assert set(after) - set(before) == {
        str(lived.folders.output / f"{table}_2024-03-03_2024-03-04.csv")
        for table in ("merchants", "transactions")
    }


@pytest.mark.parametrize(
    "other",
    [
        [*period("2024-02-26", "2024-03-05")],
        [*period("2024-02-25", "2024-03-02")],
        [*DONE, "--seed", "43"],
    ],
    ids=["later end", "other start", "other seed"],
)
def test_initial_over_a_world_stops_and_shows_both_ways_out(
    lived: LivedWorld, other: list[str]
) -> None:
    before = stats(lived.folders.root)
    ended = lived.gen("--initial", *other)
    assert ended.code == 2
    assert "gen --incremental" in ended.stderr
    assert "gen --initial --replace" in ended.stderr
    assert "2024-02-26 to 2024-03-02" in ended.stderr
    assert stats(lived.folders.root) == before


def test_initial_with_another_configuration_stops_too(lived: LivedWorld, tmp_path: Path) -> None:
    before = digests(tmp_path / "raw_data") | digests(tmp_path / "state")
    write_config(lived.config, LIVELY_WORLD | {"monthly_growth_rate": 0.1})
    ended = lived.gen("--initial", *DONE)
    assert ended.code == 2
    assert "--replace" in ended.stderr
    assert digests(tmp_path / "raw_data") | digests(tmp_path / "state") == before


def test_replace_moves_the_old_world_aside_and_deletes_nothing(lived: LivedWorld) -> None:
    folders = lived.folders
    assert lived.gen("--incremental", "--date", "2024-03-03").code == 0
    before = sorted(digests(folders.state).values()) + sorted(digests(folders.output).values())
    ended = lived.gen("--initial", *DONE, "--seed", "7", "--replace", "--json")
    assert ended.code == 0, ended.stderr
    moved = ended.data["moved_aside"]
    assert [Path(folder).parent.name for folder in moved] == ["_replaced", "_replaced"]
    aside = [value for folder in moved for value in digests(Path(folder)).values()]
    assert sorted(aside) == sorted(before)
    # The new world is as if there had been no other.
    fresh = Folders(folders.root / "fresh")
    run = ["--initial", *DONE, "--seed", "7", "-f", "--config", lived.config, *fresh.options]
    assert lived.server.run(*run).code == 0
    found = {name: d for name, d in folders.digests().items() if "_replaced" not in name}
    assert found == fresh.digests()


def test_replacing_twice_keeps_both_old_worlds(lived: LivedWorld) -> None:
    for seed in ("1", "2"):
        assert lived.gen("--initial", *DONE, "--seed", seed, "--replace", "-q").code == 0
    kept = list((lived.folders.state / "_replaced").rglob(STATE))
    assert len(kept) == 2
    assert len(list((lived.folders.output / "_replaced").rglob("transactions_*"))) == 4


def test_files_that_are_not_of_the_world_stay_where_they_are_when_it_is_replaced(
    lived: LivedWorld,
) -> None:
    mine = lived.folders.output / "notes.txt"
    mine.write_text("mine", encoding="utf-8")
    assert lived.gen("--initial", *DONE, "--seed", "1", "--replace").code == 0
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_final_name_with_other_bytes_is_never_overwritten(
    server: GenServer, tmp_path: Path
) -> None:
    folders = Folders(tmp_path)
    folders.output.mkdir()
    taken = folders.output / "transactions_2024-02-26_2024-02-29.csv"
    taken.write_text("somebody else's\n", encoding="utf-8")
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    ended = server.run("--initial", *DONE, "-f", "--config", config, *folders.options)
    assert ended.code == 1
    assert taken.name in ended.stderr
    assert "move it away" in ended.stderr
    assert taken.read_text(encoding="utf-8") == "somebody else's\n"


def test_a_run_in_a_held_world_ends_with_75_and_changes_nothing(lived: LivedWorld) -> None:
    import fcntl
    import os

    before = stats(lived.folders.root)
    descriptor = os.open(lived.folders.state, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        ended = lived.gen("--incremental", "--date", "2024-03-05")
    finally:
        os.close(descriptor)
    assert ended.code == 75
    assert "another run is at work" in ended.stderr
    assert stats(lived.folders.root) == before
    assert lived.gen("--incremental", "--date", "2024-03-05").code == 0
