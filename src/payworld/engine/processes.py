"""What every worker process is like: how it starts, how it ends, how its death is told.

A worker reads from a pipe and ends when that does, so none outlives the run. Imports next to
nothing: a product that needs no Polars is not made to load it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from payworld.errors import WorkerError

__all__ = ["begin_work", "core_count", "cores", "death_of", "end_all", "start", "stay_on"]

_STOPPING = (signal.SIGINT, signal.SIGTERM)
# A pipe's end is seen before the process is gone.
_GONE_SECONDS = 5


def cores() -> list[int]:
    """Return the numbers of the cores that this process may use; none where nobody knows."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(cores()) or os.cpu_count() or 1


def stay_on(some: Sequence[int]) -> None:
    """Keep this thread, and those that it starts from now on, on some cores, if any are named."""
    if some:
        # Speed alone: where it is not allowed, nothing is lost.
        with suppress(OSError):
            os.sched_setaffinity(0, some)


def start(process: BaseProcess) -> None:
    """Start a worker; a signal reaches it only when it has said, in `begin_work`, what to do."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def begin_work(inherited: Sequence[int]) -> None:
    """Make this process a worker: call it first in one.

    Ctrl-C reaches the whole group: the parent decides, and the pipe's end tells the workers. What
    was inherited (locks, the ends of others' pipes) must not outlive the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    for descriptor in inherited:
        with suppress(OSError):
            os.close(descriptor)


def end_all(workers: Sequence[tuple[BaseProcess, Connection]], failed: bool) -> None:
    """End the workers: by themselves, as their pipes end, or at once where the run has failed."""
    for process, pipe in workers:
        pipe.close()
        if failed:
            process.terminate()
    for process, _ in workers:
        process.join()


def death_of(process: BaseProcess, way_out: str) -> WorkerError:
    """Return the error that tells how a worker ended before its work was done."""
    process.join(timeout=_GONE_SECONDS)
    code = process.exitcode
    how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
    return WorkerError(
        f"worker process {process.pid} ended {how} before its work was done (killed from outside, "
        f"or out of memory); {way_out}"
    )
