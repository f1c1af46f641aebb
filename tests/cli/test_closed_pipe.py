"""A reader that has gone (`| head`) is no failure, and hides none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.builders import Folders, period, write_config
from tests.gen_server import GenServer

SCRIPT = "from payworld.cli.entry import main; main()"


@pytest.fixture(scope="module")
def folders(server: GenServer, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    found = Folders(tmp_path_factory.mktemp("pipe"))
    config = write_config(found.root / "world.yaml", {"initial_merchants": 5})
    ended = server.run(
        "--initial", *period("2024-01-30", "2024-02-01"), "-f", "-q", "--config", config,
        *found.options,
    )  # fmt: skip
    assert ended.code == 0, ended.stderr
    return found


def with_a_closed_pipe(*arguments: str | Path) -> tuple[int, str]:
    """Run gen with a stdout that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["schema"], ["schema", "world", "--as", "duckdb"], ["config"], ["files", "--json"],
        ["history", "M000001"], ["preview", "transactions", "-n", "2000"], ["status"],
        ["finance", "--print-config"], ["fraud", "--print-schema"],
    ],
)  # fmt: skip
def test_a_reader_that_has_gone_is_no_failure(folders: Folders, command: list[str]) -> None:
    options: list[str | Path] = []
    if command[0] in ("history", "status"):
        options = [*folders.options]
    elif command[0] in ("files", "preview"):
        options = ["--output-dir", folders.output]
    code, told = with_a_closed_pipe(*command, *options)
    assert code == 0, told
    assert "rror" not in told


def test_a_reader_that_has_gone_does_not_hide_a_breach(folders: Folders) -> None:
    [chunk, *_] = sorted(folders.output.glob("transactions_*.csv"))
    chunk.write_bytes(chunk.read_bytes() + b"\n")
    code, _ = with_a_closed_pipe("verify", *folders.options)
    assert code == 1
