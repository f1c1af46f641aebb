"""The ways in: gen, payworld, python -m payworld; and a person at a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.builders import SMALL_WORLD, Folders, period, stats, write_config

from payworld import __version__

PROGRAMS = Path(sys.executable).parent
WAYS_IN = {
    "gen": [str(PROGRAMS / "gen")],
    "payworld": [str(PROGRAMS / "payworld")],
    "python -m payworld": [sys.executable, "-m", "payworld"],
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_way_in_is_the_same_program(tmp_path: Path, way: str) -> None:
    shown = subprocess.run(
        [*WAYS_IN[way], "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert shown.stdout == f"payworld {__version__}\n"
    bare = subprocess.run(WAYS_IN[way], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (bare.returncode, bare.stdout) == (2, "")
    assert "--incremental" in bare.stderr


def test_the_console_script_makes_a_world_in_the_callers_folder(tmp_path: Path) -> None:
    config = write_config(tmp_path / "world.yaml", SMALL_WORLD)
    run = [*WAYS_IN["gen"], "--initial", *period("2024-01-01", "2024-01-02"), "-f"]
    subprocess.run([*run, "-q", "--config", config], check=True, cwd=tmp_path)
    assert (tmp_path / "state" / "merchants.json").is_file()
    assert (tmp_path / "raw_data" / "transactions_2024-01-01_2024-01-02.csv").is_file()


def at_a_terminal(command: list[str], answer: str, cwd: Path) -> tuple[int, str]:
    """Run a command on a terminal of its own, answer its question; returns code and screen."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.environ["TERM"] = "dumb"
        os.execv(command[0], command)  # noqa: S606
    screen, answered, deadline = b"", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                part = os.read(terminal, 65_536)
            except OSError:
                # The other end has gone.
                break
            if not part:
                break
            screen += part
        if not answered and b"[y/N]" in screen:
            os.write(terminal, answer.encode() + b"\n")
            answered = True
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert answered, screen
    return os.waitstatus_to_exitcode(status), screen.decode()


@pytest.fixture
def question(tmp_path: Path) -> list[str]:
    config = write_config(tmp_path / "world.yaml", SMALL_WORLD)
    return [
        *WAYS_IN["gen"], "--initial", *period("2024-01-30", "2024-02-02"), "--config", config,
        *Folders(tmp_path).options,
    ]  # fmt: skip


def test_at_a_terminal_it_says_what_it_would_make_and_a_yes_makes_it(
    tmp_path: Path, question: list[str]
) -> None:
    code, screen = at_a_terminal(question, "y", tmp_path)
    assert code == 0
    before, after = re.split(r"\[y/N\]", screen, maxsplit=1)
    assert "4 days, 2024-01-30 to 2024-02-02" in before
    assert "payments" in before
    assert "transactions_2024-02-01_2024-02-02.csv" in before
    assert "merchants" in after
    assert len(Folders(tmp_path).names()) == 4


@pytest.mark.parametrize("answer", ["n", ""])
def test_at_a_terminal_a_no_or_nothing_writes_nothing(
    tmp_path: Path, question: list[str], answer: str
) -> None:
    before = stats(tmp_path)
    code, screen = at_a_terminal(question, answer, tmp_path)
    assert code == 1
    assert "nothing was written" in screen
    assert stats(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["INT", "TERM"])
def test_a_signal_ends_a_run_with_a_message_and_the_same_command_goes_on(
    tmp_path: Path, stop: str
) -> None:
    import signal

    folders = Folders(tmp_path)
    config = write_config(tmp_path / "world.yaml", {"initial_merchants": 3_000})
    command = [*WAYS_IN["gen"], "--initial", *period("2024-01-01", "2024-02-10"), "-f", "-q"]
    command += ["--config", config, "--workers", "1", *folders.options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        while not list(folders.output.glob(".transactions_*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        run.send_signal(signal.Signals[f"SIG{stop}"])
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == {"INT": 130, "TERM": 143}[stop]
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert folders.names() == set()
    subprocess.run(command, check=True)
    assert len(folders.names()) == 4
    assert [path for path in folders.output.iterdir() if path.name[0] == "."] == []
