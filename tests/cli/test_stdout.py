"""A standard output that takes nothing: full, closed, or not open for writing."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.builders import SMALL_WORLD, Folders, period, write_config
from tests.gen_server import GenServer

FULL = "No space left on device"
COMMANDS = [
    "preview transactions",
    "preview merchants --json",
    "history M000001",
    "status",
    "files",
    "schema --as duckdb",
    "schema",
    "config",
    "--incremental --date 2024-01-02 -f -q --json",
]


@pytest.fixture(scope="module")
def root(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stdout")
    config = write_config(root / "world.yaml", SMALL_WORLD)
    run = ["--initial", *period("2024-01-01", "2024-01-02"), "-f", "-q", "--config", config]
    assert server.run(*run, *Folders(root).options).code == 0
    return root


def gen(root: Path, command: str, redirected: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"exec {sys.executable} -m payworld {command} {redirected}"],
        cwd=root, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_printed_ends_with_1_and_is_said(root: Path, command: str) -> None:
    for redirected, said in (("> /dev/full", FULL), (">&-", "it is closed")):
        ended = gen(root, command, redirected)
        assert ended.returncode == 1, ended.stderr
        assert ended.stderr.endswith(f"error: cannot write to standard output: {said}\n")
        assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--help", "--version", "preview --help"])
def test_help_that_cannot_be_printed_has_no_traceback_either(root: Path, option: str) -> None:
    ended = gen(root, option, "> /dev/full")
    assert ended.returncode == 1
    assert ended.stderr == f"error: cannot write to standard output: {FULL}\n"


def test_a_run_that_prints_nothing_does_not_mind(root: Path) -> None:
    command = "--incremental --date 2024-01-02 -f"
    for redirected in ("> /dev/full", ">&-"):
        ended = gen(root, command, redirected)
        assert (ended.returncode, "already generated" in ended.stderr) == (0, True)
