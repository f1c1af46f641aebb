"""Law 4: kill it at any instant, run the same command again: nothing shows that it happened.

Every kill is a real SIGKILL of a real process.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.builders import (
    LIVELY_WORLD,
    MANIFEST,
    PREVIOUS,
    STATE,
    Folders,
    digests,
    period,
    write_config,
)
from tests.gen_server import Ended, GenServer

from payworld.storage.state_file import read_state

SIGKILL = -9

# A checkpoint after each task, so that each can be gone on from.
EAGER = {"payworld.engine.work.CHECKPOINT_SECONDS": 0, "payworld.engine.tasks.TASK_ROWS": 800}
CSV, PARQUET = ["--format", "csv"], ["--format", "parquet"]
HIVE = ["--compression", "gzip", "--layout", "hive"]
COMMITS: dict[str, dict[str, float]] = {
    "each month is committed": {**EAGER, "payworld.engine.work.COMMIT_SECONDS": 0},
    "months wait for one commit": {**EAGER, "payworld.engine.work.COMMIT_SECONDS": 1e9},
    "no checkpoint": {"payworld.engine.work.CHECKPOINT_SECONDS": 1e9},
}


@dataclass
class Case:
    """One command, a world that it starts from, and what it leaves if nobody disturbs it."""

    server: GenServer
    root: Path
    command: list[str]
    before: list[str] = field(default_factory=list)
    patches: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folders = Folders(self.root / "world")
        self.start = self.root / "start"
        self.start.mkdir()
        if self.before:
            assert self._gen(self.before, Folders(self.start)).code == 0
        self.reset()
        self.undisturbed = self._gen(self.command, self.folders)
        assert self.undisturbed.code == 0, self.undisturbed.stderr
        self.expected = self.folders.digests()

    def _gen(self, command: list[str], folders: Folders) -> Ended:
        return self.server.run(*command, *folders.options)

    def reset(self) -> None:
        shutil.rmtree(self.folders.root, ignore_errors=True)
        shutil.copytree(self.start, self.folders.root)

    def operations(self) -> int:
        """Return how many operations on the disk a run makes."""
        self.reset()
        ended = self.server.run(*self.command, *self.folders.options, patches=self.patches)
        assert ended.code == 0, ended.stderr
        return len(ended.operations)

    def killed_and_run_again(
        self, kill_operation: int = 0, kill_after: float | None = None, workers: int = 1
    ) -> int:
        """Kill a run, look at what it left, run it again, look again; returns how it ended."""
        self.reset()
        arguments = [*self.command, *self.folders.options, "--workers", str(workers)]
        moment = f"operation {kill_operation}" if kill_operation else f"{kill_after} s"
        killed = self.server.run(
            *arguments,
            patches=self.patches,
            kill_operation=kill_operation,
            kill_after=kill_after,
        )
        assert killed.code in {SIGKILL, 0}, killed.stderr
        self.check_that_what_is_published_is_whole(moment)
        again = self.server.run(*arguments, patches=self.patches)
        assert again.code == 0, (moment, again.stderr)
        assert self.folders.digests() == self.expected, moment
        self.check_previous_state(moment)
        return killed.code

    def check_that_what_is_published_is_whole(self, moment: str) -> None:
        """A final name holds the final bytes; the state is the old one or a committed one."""
        for name, digest in digests(self.folders.output).items():
            plain = Path(name).name
            if plain[0] != "." and plain != MANIFEST:
                assert digest == self.expected[name], (moment, name)
        if (self.folders.state / STATE).exists():
            world, _ = read_state(self.folders.state)
            assert world.total_transactions >= 0

    def check_previous_state(self, moment: str) -> None:
        """The state before the last is whole too, and older."""
        previous = self.folders.state / PREVIOUS
        if previous.exists():
            kept = self.root / "previous"
            kept.mkdir(exist_ok=True)
            shutil.copy(previous, kept / STATE)
            older, _ = read_state(kept)
            world, _ = read_state(self.folders.state)
            assert older.last_day < world.last_day, moment


def case(
    server: GenServer, root: Path, mode: str, style: list[str], patches: dict[str, float]
) -> Case:
    world = LIVELY_WORLD | {"initial_merchants": 20}
    run = ["-f", "-q", "--config", write_config(root / "world.yaml", world)]
    run += style
    first = ["--initial", *period("2024-01-27", "2024-02-03"), *run]
    if mode == "initial":
        # Parts of three months.
        command = ["--initial", *period("2024-01-29", "2024-03-02"), *run]
        return Case(server, root, command, patches=patches)
    command = ["--incremental", "--date", "2024-03-02", *run]
    return Case(server, root, command, before=first, patches=patches)


def spread(first: int, last: int, at_most: int) -> Iterable[int]:
    """Return whole numbers from first to last, all of them or evenly spaced."""
    count = last - first + 1
    return sorted({first + count * part // at_most for part in range(at_most)} | {last})


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("mode", "style", "commits"),
    [
        ("initial", CSV, "each month is committed"),
        ("initial", CSV, "no checkpoint"),
        ("incremental", CSV, "months wait for one commit"),
        ("initial", PARQUET, "months wait for one commit"),
        ("incremental", PARQUET, "each month is committed"),
        ("initial", HIVE, "each month is committed"),
        ("incremental", HIVE, "months wait for one commit"),
    ],
)
def test_a_kill_at_any_operation_on_the_disk_leaves_no_trace(
    server: GenServer, tmp_path: Path, mode: str, style: list[str], commits: str
) -> None:
    gen = case(server, tmp_path, mode, style, COMMITS[commits])
    operations = gen.operations()
    # The last operations are the commit: each of those, and some of those before.
    tail = max(1, operations - 16)
    moments = [*spread(1, tail, 8), *range(tail + 1, operations + 1)]
    for operation in moments:
        assert gen.killed_and_run_again(kill_operation=operation) == SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mode", ["initial", "incremental"])
def test_a_kill_at_any_moment_leaves_no_trace(
    server: GenServer, tmp_path: Path, mode: str, workers: int
) -> None:
    patches = {
        "payworld.engine.work.CHECKPOINT_SECONDS": 0.02,
        "payworld.engine.work.COMMIT_SECONDS": 0.1,
        "payworld.engine.run.WORKER_ROWS": 0,
    }
    world = LIVELY_WORLD | {"initial_merchants": 300}
    run = ["-f", "-q", "--config", write_config(tmp_path / "world.yaml", world)]
    # Every few days a checkpoint, every month a commit.
    if mode == "initial":
        command = ["--initial", *period("2024-01-25", "2024-03-06"), *run]
        gen = Case(server, tmp_path, command, patches=patches)
    else:
        before = ["--initial", *period("2024-01-22", "2024-01-24"), *run]
        command = ["--incremental", "--date", "2024-03-06", *run]
        gen = Case(server, tmp_path, command, before=before, patches=patches)
    moments = 10
    ended = [
        gen.killed_and_run_again(
            kill_after=gen.undisturbed.seconds * (part + 0.5) / moments, workers=workers
        )
        for part in range(moments)
    ]
    # Runs differ in speed, so late kills may come after the end; kills at counted disk operations,
    # below, do not depend on it.
    assert ended.count(SIGKILL) >= 1


@pytest.mark.slow
def test_a_run_killed_again_and_again_still_comes_to_its_end(
    server: GenServer, tmp_path: Path
) -> None:
    """Each try goes on from the last checkpoint: otherwise none would ever get further."""
    gen = case(server, tmp_path, "initial", CSV, COMMITS["each month is committed"])
    operations = gen.operations()
    gen.reset()
    arguments = [*gen.command, *gen.folders.options]
    tries = 0
    # Far fewer operations than the whole run makes, in each try.
    while server.run(*arguments, patches=gen.patches, kill_operation=operations // 3).code:
        tries += 1
        gen.check_that_what_is_published_is_whole(f"try {tries}")
        assert tries < 20
    assert tries >= 3
    assert gen.folders.digests() == gen.expected


@pytest.mark.slow
def test_another_command_after_a_kill_is_not_led_astray_by_what_it_left(
    server: GenServer, tmp_path: Path
) -> None:
    gen = case(server, tmp_path, "incremental", CSV, COMMITS["months wait for one commit"])
    operations = gen.operations()
    gen.reset()
    options = [*gen.command[3:], *gen.folders.options]
    command = ["--incremental", "--date", "2024-02-10", *options]
    for operation in range(operations // 5, operations, operations // 5):
        gen.reset()
        arguments = [*gen.command, *gen.folders.options]
        killed = server.run(*arguments, patches=gen.patches, kill_operation=operation)
        assert killed.code == SIGKILL
        world, _ = read_state(gen.folders.state)
        shorter = server.run(*command)
        assert shorter.code == 0, shorter.stderr
        assert server.run(*gen.command, *gen.folders.options).code == 0
        # Files are cut at 10 February here; the world is the same, and nothing else lies about.
        found = gen.folders.digests()
        assert found["state/merchants.json"] == gen.expected["state/merchants.json"], world
        assert [name for name in found if Path(name).name.startswith(".")] == []
