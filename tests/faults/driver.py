"""Starts gen in forked processes and does something to it at an exact operation on the disk.

A process that has loaded payworld forks for each run, so that hundreds of faults take a minute.
Each run is a process of its own and a session of its own: it enters by `payworld.cli.entry.main`
with its own argv, and can be killed, signalled or denied (ENOSPC, EIO) before, in the middle of,
or after its n-th operation, or at a moment of the clock. Its orphans become children of this
process, so that one that does not end is seen.
"""

import ctypes
import errno
import gc
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

ROOT = Path(__file__).resolve().parents[2]
PR_SET_CHILD_SUBREAPER = 36
ORPHAN_SECONDS = 10.0

# What changes something on the disk. `create` is an os.open with O_CREAT of what was not there
# (`open`: it was), or a file opened to be written by Python; Parquet's own writes happen in C++,
# between `create` and `fsync`.
ON_PATHS = ("replace", "rename", "link", "unlink", "mkdir", "rmdir", "symlink")
FAILED = ["failed"]
ON_DESCRIPTORS = ("write", "pwrite", "fsync", "ftruncate")

When = Literal["before", "torn", "after"]


@dataclass(frozen=True)
class Fault:
    """What happens to a run at its `at`-th operation (from 1; 0: nothing).

    `torn` applies to writes: half of the bytes are written first. `error` is raised in place of
    the operation, this once or (`for_good`) for it and all writes to come; else `signal` is sent.
    """

    at: int = 0
    when: When = "before"
    signal: int = signal.SIGKILL
    error: int = 0
    for_good: bool = False


@dataclass(frozen=True)
class Ended:
    """A run that has ended; `code` is the exit code, or minus the signal that ended it.

    `operations` are [name, path] or [name, from, to], `done` those that did not fail; `reaction`
    is the seconds from a signal sent by the clock to the end, `orphans` the processes that had
    to be killed after it.
    """

    code: int
    stdout: str
    stderr: str
    operations: list[list[str]]
    done: list[list[str]]
    seconds: float
    reaction: float
    orphans: int

    @property
    def data(self) -> Any:
        """Return what the run printed on stdout as JSON."""
        return json.loads(self.stdout)


class FaultServer:
    """Runs gen with faults; lives for the tests that share it."""

    def __init__(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PAYWORLD_")}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.faults.driver"],
            cwd=ROOT,
            env={**environment, "NO_COLOR": "1", "COLUMNS": "200"},
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
        days_at: list[date] | None = None,
        fault: Fault | None = None,
        signal_after: tuple[int, float] | None = None,
        user: int | None = None,
        file_bytes: int | None = None,
        call: str | None = None,
    ) -> Ended:
        """Return a run of gen that has ended.

        `patches` sets constants by their dotted names. `days_at` are the dates that the clock
        tells, one at each look at it. `signal_after` sends a signal to the whole session after
        some seconds. `user` is the uid to become, `file_bytes` the largest file it may write.
        `call` names a function of this module to call before gen starts.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory(prefix="payworld-fault-") as folder:
            Path(folder).chmod(0o777)
            job = {
                "arguments": [str(argument) for argument in arguments],
                "cwd": str(cwd),
                "environment": dict(environment or {}),
                "patches": dict(patches or {}),
                "today": [day.isoformat() for day in days_at or ([today] if today else [])],
                "fault": asdict(fault or Fault()),
                "signal_after": signal_after,
                "user": user,
                "file_bytes": file_bytes,
                "call": call,
                "folder": folder,
            }
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            noted = Path(folder, "operations")
            lines = noted.read_bytes().splitlines() if noted.exists() else []
            notes = [json.loads(line) for line in lines]
            return Ended(
                code=answer["code"],
                stdout=Path(folder, "stdout").read_text(encoding="utf-8"),
                stderr=Path(folder, "stderr").read_text(encoding="utf-8"),
                operations=[note for note in notes if note != FAILED],
                done=[
                    note
                    for note, outcome in zip(notes, [*notes[1:], None], strict=False)
                    if FAILED not in (note, outcome)
                ],
                seconds=answer["seconds"],
                reaction=answer["reaction"],
                orphans=answer["orphans"],
            )


class _Disk:
    """Stands between a run and the disk: notes each operation, and brings the fault about."""

    def __init__(self, fault: Fault, notes: Path) -> None:
        self.fault = fault
        self.count = 0
        self.full = False
        self._note = os.write
        self._link = os.readlink
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def install(self) -> None:
        for name in ON_PATHS:
            setattr(os, name, self._on_path(name, getattr(os, name)))
        for name in ON_DESCRIPTORS:
            setattr(os, name, self._on_descriptor(name, getattr(os, name)))
        plain_open, plain_io_open = os.open, io.open

        def watched_open(path: Any, flags: int, *rest: Any, **options: Any) -> int:
            if not flags & os.O_CREAT:
                return plain_open(path, flags, *rest, **options)
            name = "open" if os.path.lexists(path) else "create"
            return cast(
                int, self._do([name, path], lambda: plain_open(path, flags, *rest, **options))
            )

        def watched_io_open(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if isinstance(file, int) or not set(mode) & set("wax+"):
                return plain_io_open(file, mode, *rest, **options)
            return self._do(["create", file], lambda: plain_io_open(file, mode, *rest, **options))

        # Each stands in for a function whose overloads it keeps.
        vars(os)["open"] = watched_open
        vars(io)["open"] = watched_io_open

    def _on_path(self, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            paths = arguments[:2] if name in ("replace", "rename", "link") else arguments[:1]
            return self._do([name, *paths], lambda: plain(*arguments, **options))

        return watched

    def _on_descriptor(self, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        noted = "write" if name == "pwrite" else name

        def watched(descriptor: int, *rest: Any) -> Any:
            path = self._link(f"/proc/self/fd/{descriptor}")

            def tear() -> None:
                plain(descriptor, rest[0][: len(rest[0]) // 2], *rest[1:])

            return self._do(
                [noted, path],
                lambda: plain(descriptor, *rest),
                tear if noted == "write" else None,
            )

        return watched

    def _do(
        self,
        what: list[Any],
        act: Callable[[], Any],
        tear: Callable[[], None] | None = None,
    ) -> Any:
        self.count += 1
        line = json.dumps([os.fsdecode(part) for part in what]) + "\n"
        self._note(self._notes, line.encode())
        fault = self.fault
        takes_space = what[0] in ("write", "create", "mkdir", "link") or (
            what[0] == "fsync" and Path(what[1]).is_file()
        )
        if self.full and takes_space:
            raise OSError(fault.error, os.strerror(fault.error), str(what[1]))
        if self.count != fault.at:
            try:
                return act()
            except OSError:
                self._note(self._notes, b'["failed"]\n')
                raise
        if fault.when == "torn" and tear is not None:
            tear()
        if fault.error:
            self.full = fault.for_good
            raise OSError(fault.error, os.strerror(fault.error), str(what[1]))
        if fault.when == "after":
            try:
                return act()
            finally:
                os.kill(os.getpid(), fault.signal)
        os.kill(os.getpid(), fault.signal)
        return act()


def an_older_format() -> None:
    """Make the present format 2, to which format 1 migrates."""
    from payworld.storage import commit
    from payworld.world import codec

    def from_1(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "format_version": 2}

    vars(codec)["FORMAT_VERSION"] = 2
    vars(commit)["FORMAT_VERSION"] = 2
    codec.MIGRATIONS[1] = from_1


def no_hard_links() -> None:
    """Be on a file system that has none."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    vars(os)["link"] = refuse


def _redirect(folder: Path) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _be_gen(job: dict[str, Any]) -> None:
    """Be gen, once; never returns."""
    from importlib import import_module

    from payworld.cli import clock
    from payworld.cli.entry import main

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
        days = iter([date.fromisoformat(day) for day in job["today"]])
        present = [next(days)]

        def today() -> date:
            shown = present[0]
            present[0] = next(days, shown)
            return shown

        vars(clock)["today"] = today
    if job["call"]:
        globals()[job["call"]]()
    disk = _Disk(Fault(**job["fault"]), folder / "operations")
    if job["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_bytes"], job["file_bytes"]))
    if job["user"] is not None:
        os.setgroups([])
        os.setgid(job["user"])
        os.setuid(job["user"])
    disk.install()
    sys.argv = ["gen", *job["arguments"]]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  # the test sees it on stderr
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _count_orphans() -> int:
    """Wait until no child is left; kill those that do not end, and return how many."""
    until = time.monotonic() + ORPHAN_SECONDS
    while time.monotonic() < until:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0
        if not pid:
            time.sleep(0.005)
    found = 0
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    for child in children.split():
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
        os.waitpid(int(child), 0)
        found += 1
    return found


def _wait_for_signal(child: int, signal_after: tuple[int, float]) -> float:
    number, seconds = signal_after
    time.sleep(seconds)
    sent = time.monotonic()
    with suppress(ProcessLookupError):
        # Ctrl-C reaches the whole foreground group; others are sent to the process alone.
        (os.killpg if number == signal.SIGINT else os.kill)(child, number)
    return sent


def _serve() -> None:
    from payworld.cli.tuning import tune_process

    tune_process()
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    _load()
    for line in sys.stdin:
        job = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _be_gen(job)
        sent = began
        if job["signal_after"] is not None:
            sent = _wait_for_signal(child, job["signal_after"])
        _, status = os.waitpid(child, 0)
        ended = time.monotonic()
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "seconds": ended - began,
            "reaction": ended - sent,
            "orphans": _count_orphans(),
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _load() -> None:
    """Load what a run loads; make once what each run would make anew by the same functions."""
    import functools
    from importlib import import_module

    for name in (
        "cli.finance", "cli.fraud_command", "cli.generate", "cli.plan", "cli.progress",
        "cli.repair", "cli.status", "cli.summary", "engine.regenerate", "engine.render",
        "engine.run", "reports.verify", "storage.archive", "storage.repair", "synthesis.frames",
    ):  # fmt: skip
        import_module(f"payworld.{name}")
    for name in ("compute", "csv", "parquet"):
        import_module(f"pyarrow.{name}")
    from payworld.config import WorldConfig
    from payworld.storage.reference import load_reference
    from payworld.synthesis.rules import compile_rules
    from payworld.world import birth

    once = functools.cache(birth.draw_name_pools)
    once(WorldConfig().seed)
    vars(birth)["draw_name_pools"] = once
    rules = compile_rules(WorldConfig(), load_reference())
    for month in (1, 2, 3):
        rules.counts(month)
    gc.freeze()


if __name__ == "__main__":
    _serve()
