"""A consumer that polls the folder while gen is at work never sees a file it could read half."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.builders import LIVELY_WORLD, MANIFEST, Folders, period, write_config
from tests.examples.reader import Reader
from tests.faults.driver import FaultServer

ROOT = Path(__file__).resolve().parents[2]

# Every month is committed alone, tasks are small, and workers work however little there is to do.
PATCHES: dict[str, float] = {
    "payworld.engine.work.COMMIT_SECONDS": 0,
    "payworld.engine.work.CHECKPOINT_SECONDS": 0,
    "payworld.engine.run.WORKER_ROWS": 0,
    "payworld.engine.tasks.TASK_ROWS": 2000,
}
INITIAL = ("--initial", *period("2023-11-15", "2024-03-31"))
NIGHTS = [("--incremental", "--date", day) for day in ("2024-04-01", "2024-04-02", "2024-05-03")]


def watched(folders: Folders, run: Callable[[], None]) -> dict[str, Any]:
    """Return what a consumer in another process sees while something runs."""
    folders.output.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.examples.reader", str(folders.output)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as reader:  # fmt: skip
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        run()
        seen, _ = reader.communicate("\n")
    assert reader.returncode == 0
    return dict(json.loads(seen))


def differences(folders: Folders, seen: dict[str, Any]) -> list[str]:
    """Return what a consumer saw that is not so in the end."""
    final = {
        str(path.relative_to(folders.output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folders.output.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    return [
        *seen["wrong"],
        *(
            f"{name} was seen with other bytes"
            for name, contents in seen["contents"].items()
            if contents != [final.get(name)]
        ),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    "places", ["--format csv", "--format parquet", "--layout hive --compression zstd"]
)
def test_whoever_reads_during_a_run_reads_whole_files_and_a_true_manifest(
    faults: FaultServer, tmp_path: Path, places: str, workers: str
) -> None:
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    options = ["-f", "--config", config, *places.split(), *folders.options]

    def run(*commands: tuple[str, ...]) -> None:
        for command in commands:
            ended = faults.run(*command, *options, "--workers", workers, patches=PATCHES)
            assert ended.code == 0, ended.stderr

    seen = watched(folders, lambda: run(INITIAL))
    assert differences(folders, seen) == []
    # Five months, two files each; it looked often, and while the run was at work.
    assert (seen["manifests"], len(seen["contents"])) == (10, 10)
    assert seen["looks_at_work"] > 10
    seen = watched(folders, lambda: run(*NIGHTS))
    assert differences(folders, seen) == []
    assert (seen["manifests"], len(seen["contents"])) == (18, 18)
    assert seen["looks_at_work"] > 0


# What a careless writer does, done to the real one: each has to be seen.
SLOWLY = """
import pathlib, time
def slowly(work, final):
    data = work.read_bytes()
    with open(final, "wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        time.sleep(0.3)
        file.write(data[len(data) // 2 :])
    work.unlink()
pathlib.Path.{name} = slowly
"""
MANIFEST_FIRST = """
import time
import payworld.storage.commit as commit
waiting, publish_manifest = [], commit.publish_manifest
def early(folder):
    publish_manifest(folder)
    time.sleep(0.3)
    for work, final in waiting:
        work.rename(final)
commit.publish = lambda work, final, sha256: waiting.append((work, final))
commit.publish_manifest = early
"""
SABOTAGE = {
    "a file is written under its name": (SLOWLY.format(name="rename"), "other bytes"),
    "the manifest is written in place": (SLOWLY.format(name="replace"), "does not parse"),
    "the manifest comes before its files": (MANIFEST_FIRST, "which is not there"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SABOTAGE)
def test_the_reader_sees_what_a_careless_writer_does(tmp_path: Path, name: str) -> None:
    sabotage, expected = SABOTAGE[name]
    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)

    def run() -> None:
        subprocess.run(
            [sys.executable, "-c", f"{sabotage}\nfrom payworld.cli.entry import main; main()",
             "--initial", *period("2024-01-01", "2024-01-20"), "-f", "-q", "--config", config,
             *folders.options],
            check=True, capture_output=True,
        )  # fmt: skip

    seen = watched(folders, run)
    found = differences(folders, seen)
    assert any(expected in line for line in found), found


def test_a_reader_reads_a_file_again_that_has_changed(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for text in ("half", "whole file"):
        (tmp_path / "transactions.csv").write_text(text, encoding="utf-8")
        reader.look()
    assert [len(found) for found in reader.contents.values()] == [2]
