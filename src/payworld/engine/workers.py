"""Renders tasks in order, in this process or in several.

Workers write what they render into shared memory; the parent hashes and writes it. A worker ends
when its pipe does, so none outlives the run. The command line forks them, before anything has
started a thread, which costs nothing; a program that may have threads (Polars starts some) has
them spawned, which costs each the time to load the libraries.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess, SpawnProcess
from types import TracebackType
from typing import Any, Literal, Self

from payworld.engine.tasks import TASK_ROWS, Task, make_encoder, render_task
from payworld.errors import WorkerError
from payworld.synthesis.rules import Rules

__all__ = ["Renderer", "StartMethod", "can_share"]

StartMethod = Literal["fork", "spawn"]

# Far above the widest row of any format; memory that is never touched costs nothing.
ROW_BYTES = 512
SLOT_BYTES = TASK_ROWS * ROW_BYTES
SLOTS = 2
STOPPING = (signal.SIGINT, signal.SIGTERM)


def can_share() -> bool:
    """Return whether this platform has memory without a name: elsewhere one process does all."""
    return sys.platform == "linux"


class _Shared:
    """Memory without a name that a worker and its parent both map; lives for a run."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("payworld")
        os.ftruncate(self._descriptor, SLOT_BYTES * SLOTS)

    def __getstate__(self) -> Any:
        # Called while a spawned process is given its arguments.
        return reduction.DupFd(self._descriptor)

    def __setstate__(self, duplicate: Any) -> None:
        self._descriptor = duplicate.detach()

    def open(self) -> mmap.mmap:
        """Return the memory, and let go of the descriptor."""
        memory = mmap.mmap(self._descriptor, SLOT_BYTES * SLOTS)
        os.close(self._descriptor)
        return memory


@dataclass(frozen=True)
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    memory: mmap.mmap


def _work(
    pipe: Connection, shared: _Shared, rules: Rules, file_format: str, inherited: list[int]
) -> None:
    """Render what comes through the pipe until it ends; the whole life of a worker."""
    # Ctrl-C reaches the whole group: the parent decides, and the pipe's end tells the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    for descriptor in inherited:
        # The world's locks must not outlive the parent.
        with suppress(OSError):
            os.close(descriptor)
    memory, encoder = shared.open(), make_encoder(file_format, rules)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            blocks, slot = pipe.recv()
            try:
                at = start = slot * SLOT_BYTES
                for part in render_task(blocks, rules, encoder):
                    memory[at : at + len(part)] = part
                    at += len(part)
                pipe.send((start, at))
            except Exception:  # noqa: BLE001  # whatever it was, the parent reports it
                pipe.send(traceback.format_exc())


class Renderer:
    """Turns tasks into bytes with a number of worker processes (1: none); lives for a run."""

    def __init__(
        self,
        rules: Rules,
        file_format: str,
        workers: int,
        inherited: list[int],
        start_method: StartMethod = "spawn",
    ) -> None:
        self._rules = rules
        self._encoder = make_encoder(file_format, rules)
        self._workers: list[_Worker] = []
        forked = start_method == "fork"
        make = ForkProcess if forked else SpawnProcess
        for _ in range(workers if workers > 1 and can_share() else 0):
            ours, theirs = multiprocessing.Pipe()
            shared, others = _Shared(), [worker.pipe.fileno() for worker in self._workers]
            # A forked worker closes the locks, and the parent's ends of the pipes so far.
            given = [*inherited, *others, ours.fileno()] if forked else []
            arguments = (theirs, shared, rules, file_format, given)
            process = make(target=_work, args=arguments, daemon=True)
            # The parent's handlers are none of the worker's: it sets its own before it listens.
            held = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
            theirs.close()
            self._workers.append(_Worker(process, ours, shared.open()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if kind is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

    def render(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, list[memoryview]]]:
        """Yield each task with its bytes, in order; the bytes hold until the next is taken.

        Raises WorkerError if a worker fails or dies.
        """
        if not self._workers:
            for task in tasks:
                yield task, list(render_task(task.blocks, self._rules, self._encoder))
            return
        pending: deque[tuple[Task, _Worker | None]] = deque()
        ahead = SLOTS * len(self._workers)
        turn = 0
        for task in tasks:
            if len(pending) == ahead:
                yield self._collect(*pending.popleft())
            if task.rows > TASK_ROWS:
                # More than a slot holds (very busy merchants): this process renders it.
                pending.append((task, None))
            else:
                worker = self._workers[turn % len(self._workers)]
                slot = turn // len(self._workers) % SLOTS
                self._send(worker, task, slot)
                pending.append((task, worker))
                turn += 1
        while pending:
            yield self._collect(*pending.popleft())

    def _send(self, worker: _Worker, task: Task, slot: int) -> None:
        try:
            worker.pipe.send((task.blocks, slot))
        except OSError as error:
            raise self._died(worker) from error

    def _collect(self, task: Task, worker: _Worker | None) -> tuple[Task, list[memoryview]]:
        if worker is None:
            return task, list(render_task(task.blocks, self._rules, self._encoder))
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._died(worker) from error
        if isinstance(answer, str):
            raise WorkerError(f"a worker process failed:\n{answer}")
        start, end = answer
        return task, [memoryview(worker.memory)[start:end]]

    def _died(self, worker: _Worker) -> WorkerError:
        worker.process.join(timeout=5)
        code = worker.process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return WorkerError(
            f"worker process {worker.process.pid} ended {how} before its work was done (killed "
            "from outside, or out of memory); what was committed is safe: run the same command "
            "again to go on"
        )
