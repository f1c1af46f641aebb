"""Runs an example many times over: a process that has loaded it forks for each run.

A run is a process of its own, as if started on the command line, and ends with the example's exit
code. It can kill itself (SIGKILL) at a chosen step of its work, or be killed at a chosen moment.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
SIGKILL = -9


@dataclass(frozen=True)
class Ended:
    """A run that has ended; `code` is the exit code, or minus the signal that ended it.

    `steps` counts what `watch_*` below counts, `seconds` is the time it took.
    """

    code: int
    stdout: str
    stderr: str
    steps: int
    seconds: float


class ExampleServer:
    """Runs one example in forked processes; lives for the tests that share it."""

    def __init__(self, name: str) -> None:
        self.name = name
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PAYWORLD_")}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.examples.runner", name],
            cwd=ROOT,
            env=environment,
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
        self, raw_data: Path, target: Path, kill_step: int = 0, kill_after: float | None = None
    ) -> Ended:
        """Return a run that has ended; steps count from 1."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            job = {
                "arguments": ["--raw-data", str(raw_data), "--target", str(target)],
                "kill_step": kill_step,
                "kill_after": kill_after,
                "folder": folder,
            }
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            noted = Path(folder, "steps")
            return Ended(
                code=answer["code"],
                stdout=Path(folder, "stdout").read_text(encoding="utf-8"),
                stderr=Path(folder, "stderr").read_text(encoding="utf-8"),
                # Killed by the clock, it may have made the file and written nothing yet.
                steps=int(noted.read_text() or 0) if noted.exists() else 0,
                seconds=answer["seconds"],
            )


class _Steps:
    """Counts the steps of a run and kills the process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.count = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: Any, name: str) -> None:
        """Count each call of a function, before it and after it."""
        original = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            self.step()
            result = original(*arguments, **options)
            self.step()
            return result

        setattr(owner, name, watched)


def watch_duckdb_bronze_silver(module: Any, steps: _Steps) -> None:
    """Count before each statement and at the end; the connection's own type stays as it is."""
    connect = module.duckdb.connect

    class Connection:
        def __init__(self, *arguments: Any) -> None:
            self._connection = connect(*arguments)
            self._rows: Any = None

        def __enter__(self) -> "Connection":
            return self

        def __exit__(self, *_: object) -> None:
            self._connection.close()
            steps.step()

        def execute(self, *arguments: Any) -> Any:
            steps.step()
            return self._connection.execute(*arguments)

    module.duckdb.connect = Connection


def watch_iceberg_bronze(module: Any, steps: _Steps) -> None:
    """Count before and after each commit to the catalog, and each batch that is read for one."""
    steps.watch(module.SqlCatalog, "create_table")
    steps.watch(module.SqlCatalog, "commit_table")
    _watch_batches(module, steps)


def watch_delta_bronze(module: Any, steps: _Steps) -> None:
    """Count before and after each write and merge, and each batch that is read for one."""
    from deltalake.table import TableMerger

    steps.watch(module, "write_deltalake")
    steps.watch(TableMerger, "execute")
    _watch_batches(module, steps)


def _watch_batches(module: Any, steps: _Steps) -> None:
    """Count each batch as the engine takes it: in the middle of its writing."""
    import pyarrow as pa

    read_batches = module.landing.read_batches

    def watched(*arguments: Any) -> Any:
        reader = read_batches(*arguments)

        def batches() -> Any:
            for batch in reader:
                steps.step()
                yield batch

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    module.landing.read_batches = watched


def _run(name: str, module: Any, job: dict[str, Any]) -> None:
    """Be the example, once; never returns."""
    folder = Path(job["folder"])
    for number, stream in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    steps = _Steps(job["kill_step"])
    watch: Callable[[Any, _Steps], None] = globals()[f"watch_{name}"]
    watch(module, steps)
    sys.argv = [f"{name}.py", *job["arguments"]]
    code = 0
    try:
        module.landing.main("a test", module.ingest)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  # the test sees it on stderr
        import traceback

        traceback.print_exc()
        code = 99
    (folder / "steps").write_text(str(steps.count))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _serve(name: str) -> None:
    sys.path.insert(0, str(ROOT / "examples"))
    module = import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        # Both are there, also if the run is killed at once.
        for stream in ("stdout", "stderr"):
            Path(job["folder"], stream).touch()
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(name, module, job)
        if job["kill_after"] is not None:
            time.sleep(job["kill_after"])
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        answer = {"code": code, "seconds": time.monotonic() - began}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
