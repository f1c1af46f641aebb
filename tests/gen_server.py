"""Starts gen many times over: a process that has loaded everything forks for each run.

A run is a process of its own, with its own arguments, folder and environment, that ends with
gen's exit code; it differs from a start on the command line in the half second it saves. It can
be told to kill itself (SIGKILL) at a chosen operation on the disk, or be killed at a chosen moment.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]

# What changes something on the disk, as payworld's storage calls it.
OPERATIONS = ("write", "fsync", "replace", "rename", "unlink", "link", "ftruncate", "mkdir")


@dataclass(frozen=True)
class Ended:
    """A run that has ended; `code` is the exit code, or minus the signal that ended it."""

    code: int
    stdout: str
    stderr: str
    operations: int
    seconds: float

    @property
    def data(self) -> Any:
        """Return what the run printed on stdout as JSON."""
        return json.loads(self.stdout)


class GenServer:
    """Runs gen in forked processes; lives for the tests that share it."""

    def __init__(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PAYWORLD_")}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.gen_server"],
            cwd=ROOT,
            env={**environment, "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)

    def run(
        self,
        *arguments: str | Path,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        patches: Mapping[str, float] | None = None,
        today: date | None = None,
        kill_operation: int = 0,
        kill_after: float | None = None,
    ) -> Ended:
        """Return a run of gen that has ended.

        `patches` sets constants by their dotted names; `kill_operation` counts from 1.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            job = {
                "arguments": [str(argument) for argument in arguments],
                "cwd": str(cwd),
                "environment": dict(environment or {}),
                "patches": dict(patches or {}),
                "today": today and today.isoformat(),
                "kill_operation": kill_operation,
                "kill_after": kill_after,
                "folder": folder,
            }
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            counted = Path(folder, "operations")
            return Ended(
                code=answer["code"],
                stdout=_text_of(folder, "stdout"),
                stderr=_text_of(folder, "stderr"),
                operations=int(counted.read_text()) if counted.exists() else 0,
                seconds=answer["seconds"],
            )


def _text_of(folder: str, name: str) -> str:
    path = Path(folder, name)
    # A run that is killed at once has not come to make it.
    return path.read_text(encoding="utf-8") if path.exists() else ""


class _Operations:
    """Counts operations on the disk and kills the process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.count = 0

    def install(self) -> None:
        for name in OPERATIONS:
            setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.kill_at:
                if name == "write":
                    # Torn in the middle, as a power cut or a full pipe leaves it.
                    original(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return watched


def _redirect(folder: Path) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _run(job: dict[str, Any]) -> None:
    """Be gen, once; never returns."""
    from importlib import import_module

    from payworld.cli import clock
    from payworld.cli.app import app

    folder = Path(job["folder"])
    _redirect(folder)
    os.chdir(job["cwd"])
    os.environ.update(job["environment"])
    time.tzset()
    for name, value in job["patches"].items():
        module, _, constant = name.rpartition(".")
        loaded = import_module(module)
        assert hasattr(loaded, constant), name
        setattr(loaded, constant, value)
    if job["today"]:
        present = date.fromisoformat(job["today"])
        clock.today = lambda: present
    operations = _Operations(job["kill_operation"])
    operations.install()
    code = 0
    try:
        app(args=job["arguments"], prog_name="gen")
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  # the test sees it on stderr
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    (folder / "operations").write_text(str(operations.count))
    os._exit(code)


def _serve() -> None:
    from payworld.cli.tuning import tune_process

    tune_process()
    _load(
        "faker",
        "pyarrow.compute",
        "pyarrow.parquet",
        "payworld.cli.generate",
        "payworld.cli.plan",
        "payworld.cli.progress",
        "payworld.cli.status",
        "payworld.cli.summary",
        "payworld.engine.run",
        "payworld.storage.archive",
    )
    _prepare()
    for line in sys.stdin:
        job = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(job)
        if job["kill_after"] is not None:
            time.sleep(job["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        answer = {"code": code, "seconds": time.monotonic() - began}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _prepare() -> None:
    """Make what every run would make anew, out of the same functions: pools and tables."""
    from payworld.config import WorldConfig
    from payworld.storage.reference import load_reference
    from payworld.synthesis import rules, volumes
    from payworld.world import birth

    draw_name_pools, count_table = birth.draw_name_pools, volumes.count_table

    @lru_cache
    def pools(seed: int) -> Any:
        return draw_name_pools(seed)

    @lru_cache
    def table(ranges: tuple[tuple[int, int], ...], factor: float) -> Any:
        return count_table(list(ranges), factor)

    setattr(birth, "draw_name_pools", pools)  # noqa: B010
    setattr(rules, "count_table", lambda ranges, factor: table(tuple(ranges), factor))  # noqa: B010
    pools(WorldConfig().seed)
    rules.compile_rules(WorldConfig(), load_reference())


def _load(*names: str) -> Sequence[object]:
    from importlib import import_module

    return [import_module(name) for name in names]


if __name__ == "__main__":
    _serve()
