"""Ctrl-C and SIGTERM before the command is at work: one line, and the exit code of the signal."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Sends the signal as a module is about to be loaded: at an exact moment of the start.
HOOK = """
import os, sys

class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Sender())
from payworld.cli.entry import main
sys.argv = ["gen", *{arguments!r}]
main()
"""
DAYS = ["--initial", "--start-date", "2024-01-01", "--end-date", "2024-01-02", "-f"]
MOMENTS = [
    "payworld.cli.app", "typer", "payworld.cli.options", "payworld.cli.tuning",
    "payworld.cli.generate", "pydantic", "numpy", "orjson", "payworld.storage.session",
]  # fmt: skip
# Loaded by the command itself, which says how to go on.
AT_WORK = ["polars", "payworld.engine.run", "payworld.cli.progress", "faker"]


@pytest.mark.parametrize("module", MOMENTS + AT_WORK)
@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_while_modules_are_loaded_ends_in_one_line(
    tmp_path: Path, module: str, number: signal.Signals, word: str
) -> None:
    script = HOOK.format(module=module, number=int(number), arguments=DAYS)
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 128 + number, ended.stderr
    lines = ended.stderr.split("\n")
    assert (lines[0], lines[2:], ended.stdout) == ("", [""], ""), ended.stderr
    assert lines[1].startswith(f"{word}: ")
    if module in MOMENTS:
        assert list(tmp_path.iterdir()) == []


def test_a_shells_background_job_goes_on_ignoring_ctrl_c(tmp_path: Path) -> None:
    script = HOOK.format(module="typer", number=int(signal.SIGINT), arguments=["config"])
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + script
    ended = subprocess.run(
        [sys.executable, "-c", ignoring], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "initial_merchants" in ended.stdout


@pytest.mark.parametrize("key", ["Ctrl-C", "Ctrl-D"])
def test_a_question_that_is_broken_off_ends_the_run_and_changes_nothing(
    tmp_path: Path, key: str
) -> None:
    ours, theirs = pty.openpty()
    script = "from payworld.cli.entry import main; main()"
    command = [sys.executable, "-c", script, *DAYS[:-1]]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE
    )
    os.close(theirs)
    text = b""
    while b"Go on?" not in text:
        text += os.read(ours, 1_000)
    if key == "Ctrl-C":
        process.send_signal(signal.SIGINT)
    else:
        os.write(ours, b"\x04")
    out, _ = process.communicate(timeout=20)
    text += os.read(ours, 10_000)
    os.close(ours)
    assert (process.returncode, out.strip()) == (130, b"")
    assert b"interrupted: the world is as of its last commit" in text
    assert b"Traceback" not in text
    assert list(tmp_path.iterdir()) == []
