"""gen amid an upload, while the store is silent: ended by a signal, or started once more."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.builders import SMALL_WORLD, period, write_config
from tests.gen_server import ROOT, GenServer
from tests.object_store import ObjectStore
from tests.publishing import PART, PLACE, PublishedWorld


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with ObjectStore() as store:
        yield store


@pytest.fixture
def world(
    running: ObjectStore, server: GenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PublishedWorld]:
    with running.emptied(monkeypatch) as store:
        yield PublishedWorld(server, store, tmp_path)


class Started:
    """gen as a process of its own, that uploads parts to a store that has fallen silent."""

    def __init__(self, store: ObjectStore, root: Path, *arguments: str) -> None:
        store.faults.on, store.faults.kind = "partNumber=2", "stall"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PAYWORLD_")}
        code = (
            f"from payworld.storage import upload; upload.PART_BYTES = {PART}; "
            "from payworld.cli.app import main; main()"
        )
        self._store = store
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=root,
            env={**environment, "PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finished(self) -> tuple[int, str]:
        """Return the exit code and the messages of the process, whose store speaks again."""
        self._store.faults.on = ""
        self._store.faults.released.set()
        _, stderr = self.process.communicate(timeout=60)
        return self.process.returncode, stderr

    def ended_by(self, number: int) -> tuple[int, str]:
        """Return the exit code and the messages of the process, ended amid a part."""
        assert self._store.faults.stalled.wait(60)
        self.process.send_signal(number)
        # The server is silent all the while.
        _, stderr = self.process.communicate(timeout=30)
        return self.process.returncode, stderr


LARGE = ["--initial", *period("2024-01-01", "2024-01-31"), "-f", "--publish", PLACE]


def large_world(world: PublishedWorld) -> list[str]:
    """Return the arguments of a run whose payments go up in several parts."""
    keys: dict[str, Any] = {**SMALL_WORLD, "initial_merchants": 200}
    return [*LARGE, "--config", write_config(world.root / "large.yaml", keys)]


@pytest.mark.slow
def test_a_killed_upload_leaves_nothing_visible_and_the_same_command_makes_it_good(
    world: PublishedWorld,
) -> None:
    command = large_world(world)
    code, _ = Started(world.store, world.root, *command).ended_by(signal.SIGKILL)
    assert code == -signal.SIGKILL
    name = "transactions_2024-01-01_2024-01-31.csv"
    assert set(world.store.objects()) <= {"raw/merchants_2024-01-01_2024-01-31.csv"}
    assert world.store.unfinished() == [f"raw/{name}"]
    before = world.folders.digests()
    # The note of the dead publish: it holds nothing, and goes.
    del before["raw_data/.publishing.json"]
    world.store.faults.on = ""
    world.gen(*command)
    assert world.is_published()
    assert world.store.unfinished() == []
    assert world.folders.digests() == before


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_while_the_store_is_silent_ends_the_run_and_the_world_is_whole(
    world: PublishedWorld, number: int, code: int
) -> None:
    command = large_world(world)
    ended = Started(world.store, world.root, *command).ended_by(number)
    assert ended[0] == code, ended[1]
    assert "the world is as of its last commit; run the same command again" in ended[1]
    assert "Traceback" not in ended[1]
    assert world.store.unfinished() == []
    assert set(world.store.objects()) <= {"raw/merchants_2024-01-01_2024-01-31.csv"}
    world.gen("verify")
    world.store.faults.on = ""
    world.gen("publish", PLACE)
    assert world.is_published()


@pytest.mark.slow
def test_a_second_publish_of_the_folder_ends_with_75_and_disturbs_nothing(
    world: PublishedWorld,
) -> None:
    world.gen(*large_world(world), "--publish", "")
    first = Started(world.store, world.root, "publish", PLACE)
    assert world.store.faults.stalled.wait(60)
    # The first one's other part may come at any time.
    others = ("GET", "HEAD", "POST", "DELETE")
    asked = world.store.faults.told(*others)
    ended = world.gen("publish", PLACE, code=75)
    assert f"is at work: process {first.process.pid} holds it since 20" in ended.stderr
    assert world.store.faults.told(*others) == asked
    assert len(world.store.unfinished()) == 1
    # Nothing else waits for it.
    for command in (["status"], ["files"], ["verify"], ["publish", PLACE, "--dry-run"]):
        world.gen(*command)
    night = ["--incremental", "--date", "2024-02-01", "-f"]
    ended = world.gen(*night, "--publish", PLACE, "--json", "-q", code=75)
    assert (ended.data["end_date"], ended.data["publish"]["done"]) == ("2024-02-01", False)
    assert f"To go on: gen publish {PLACE}" in ended.stderr
    code, stderr = first.finished()
    assert code == 0, stderr
    assert world.store.unfinished() == []
    assert not list(world.folders.output.glob(".*"))
    world.gen("publish", PLACE)
    assert world.is_published()
