"""Renders tasks in order, in this process or in several.

This process counts as one of them: it hashes and writes what all have rendered, and renders too
while the others have enough to do, once a thread has loaded what that needs: the others load it
while this one makes the first merchants. They write into shared memory. A worker ends when its pipe
does, so none outlives the run. The command line forks them, before anything has started a thread,
which costs nothing; a program that may have threads (Polars starts some) has them spawned, which
costs each the time to load the libraries.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import pickle
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import reduction
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess, SpawnProcess
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from payworld.engine.processes import begin_work, cores, death_of, end_all, start, stay_on
from payworld.engine.tasks import TASK_ROWS, Rendered, Task
from payworld.errors import WorkerError
from payworld.storage.style import FileStyle
from payworld.synthesis.plan import BlockPlan
from payworld.synthesis.rules import Rules
from payworld.world.state import CardPool

__all__ = ["Renderer", "StartMethod", "can_share"]

StartMethod = Literal["fork", "spawn"]

# Far above the widest row of any format; memory that is never touched costs nothing.
ROW_BYTES = 512
SLOT_BYTES = TASK_ROWS * ROW_BYTES
# Tasks that wait for a worker, so that it goes on while the parent renders one itself.
SLOTS = 4
# What the parent has rendered and cannot write yet, because an earlier task is not done.
OWN_AHEAD = 4

_Blocks = list[tuple[BlockPlan, CardPool]]
# What a worker begins with.
_NO_CARDS = CardPool(np.zeros(0, np.int64), np.zeros(0, np.uint16))

_WAY_OUT = "what was committed is safe: run the same command again to go on"


def can_share() -> bool:
    """Return whether this platform has memory without a name: elsewhere one process does all."""
    return sys.platform == "linux"


class _Shared:
    """Memory without a name that a worker and its parent both map; lives for a run."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("payworld")
        try:
            os.ftruncate(self._descriptor, SLOT_BYTES * SLOTS)
        except OSError:
            os.close(self._descriptor)
            raise

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


@dataclass(eq=False)
class _Worker:
    """A process with its pipe and memory; lives for a run.

    `slots` are those that are free, `pool` is the last that it was given.
    """

    process: multiprocessing.process.BaseProcess
    pipe: Connection
    memory: mmap.mmap
    slots: list[int] = field(default_factory=lambda: list(range(SLOTS)))
    pool: CardPool = _NO_CARDS


@dataclass(frozen=True, eq=False)
class _Job:
    """A task that is given to a worker and a slot of its memory, or rendered by the parent."""

    task: Task
    at: _Worker | Rendered
    slot: int = 0

    def is_done(self) -> bool:
        """Return whether its bytes are there. A worker answers its tasks in order."""
        return isinstance(self.at, Rendered) or self.at.pipe.poll()


# Blocks with the places of their pools among those that go along, after the last one sent.
_Parcel = tuple[list[tuple[BlockPlan, int]], list[CardPool]]


def _packed(blocks: _Blocks, pool: CardPool) -> tuple[_Parcel, CardPool]:
    """Return blocks to send, without the pool that was sent last, and the pool that now is.

    Pools are by far the largest part, and a day's blocks have the same.
    """
    pools, places = [pool], []
    for block, its_pool in blocks:
        if its_pool is not pools[-1]:
            pools.append(its_pool)
        places.append((block, len(pools) - 1))
    return (places, pools[1:]), pools[-1]


def _unpacked(parcel: _Parcel, pool: CardPool) -> tuple[_Blocks, CardPool]:
    """Return what was packed, and the pool that was sent last."""
    places, sent = parcel
    pools = [pool, *sent]
    return [(block, pools[at]) for block, at in places], pools[-1]


def _load(rules: Rules, style: FileStyle) -> Callable[[_Blocks], Rendered]:
    """Return what renders blocks, ready to begin; loads Polars, which takes a while."""
    from payworld.engine.render import make_encoder, render_task

    encoder = make_encoder(style, rules)
    encoder.prepare()
    return lambda blocks: render_task(blocks, rules, encoder)


def _work(
    pipe: Connection,
    shared: _Shared,
    rules: Rules,
    style: FileStyle,
    inherited: list[int],
    core: list[int],
) -> None:
    """Render what comes through the pipe until it ends; the whole life of a worker."""
    begin_work(inherited)
    stay_on(core)
    memory, render = shared.open(), _load(rules, style)
    pool = _NO_CARDS
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            slot, given = pipe.recv()
            try:
                at = first = slot * SLOT_BYTES
                if isinstance(given, int):
                    given = memory[at : at + given]
                parcel = pickle.loads(given)  # noqa: S301  # of this very process's parent
                blocks, pool = _unpacked(parcel, pool)
                rendered = render(blocks)
                for part in rendered.parts:
                    memory[at : at + len(part)] = part
                    at += len(part)
                pipe.send((first, at, rendered.cents))
            except Exception:  # noqa: BLE001  # whatever it was, the parent reports it
                pipe.send(traceback.format_exc())


class Renderer:
    """Turns tasks into bytes with a number of worker processes (1: none); lives for a run."""

    def __init__(
        self,
        rules: Rules,
        style: FileStyle,
        workers: int,
        inherited: list[int],
        start_method: StartMethod = "spawn",
    ) -> None:
        self._rules, self._style = rules, style
        self._workers: list[_Worker] = []
        forked = start_method == "fork"
        make = ForkProcess if forked else SpawnProcess
        workers = workers if can_share() else 1
        allowed = cores()
        # Where all cores are taken, a process that moves finds another one's data in the cache. A
        # program's own threads stay free, and so do fewer workers than there are cores.
        self._left = allowed if forked and len(allowed) == workers > 1 else []
        for number in range(1, workers):
            try:
                shared = _Shared()
            except OSError:
                # A limit on the size of files (ulimit -f) counts here too: fewer do the work.
                break
            ours, theirs = multiprocessing.Pipe()
            others = [worker.pipe.fileno() for worker in self._workers]
            # A forked worker closes the locks, and the parent's ends of the pipes so far.
            given = [*inherited, *others, ours.fileno()] if forked else []
            arguments = (theirs, shared, rules, style, given, self._left[number : number + 1])
            process = make(target=_work, args=arguments, daemon=True)
            start(process)
            theirs.close()
            self._workers.append(_Worker(process, ours, shared.open()))
        stay_on(self._left[:1] if self._workers else [])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        stay_on(self._left)
        end_all([(w.process, w.pipe) for w in self._workers], failed=kind is not None)

    @property
    def has_workers(self) -> bool:
        """Return whether processes other than this one render."""
        return bool(self._workers)

    def render(
        self, tasks: Iterable[Task], is_busy: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[Task, Rendered]]:
        """Yield each task with its bytes, in order; the bytes hold until the next is taken.

        While this process is busy with other things, its workers render alone. Raises WorkerError
        if a worker fails or dies.
        """
        jobs: deque[_Job] = deque()
        for task in tasks:
            while jobs and jobs[0].is_done():
                yield from self._finish(jobs.popleft())
            while jobs and not self._idlest() and (is_busy() or not self._own.done()):
                yield from self._finish(jobs.popleft())
            worker = self._idlest() if task.rows <= TASK_ROWS else None
            if worker is not None:
                jobs.append(self._give(worker, task))
                continue
            while sum(isinstance(job.at, Rendered) for job in jobs) > OWN_AHEAD:
                yield from self._finish(jobs.popleft())
            # All have enough to do, or a slot cannot hold it (very busy merchants).
            jobs.append(_Job(task, self._own.result()(task.blocks)))
        while jobs:
            yield from self._finish(jobs.popleft())

    @cached_property
    def _own(self) -> Future[Callable[[_Blocks], Rendered]]:
        """What renders in this process, loaded by a thread from when it is first asked for."""
        if not self._workers:
            # Nobody else is at work meanwhile.
            loaded: Future[Callable[[_Blocks], Rendered]] = Future()
            loaded.set_result(_load(self._rules, self._style))
            return loaded
        thread = ThreadPoolExecutor(1)
        loading = thread.submit(_load, self._rules, self._style)
        thread.shutdown(wait=False)
        return loading

    def _idlest(self) -> _Worker | None:
        """Return the worker with the fewest tasks; None if none can take one more."""
        worker = max(self._workers, key=lambda worker: len(worker.slots), default=None)
        return worker if worker is not None and worker.slots else None

    def _give(self, worker: _Worker, task: Task) -> _Job:
        slot = worker.slots.pop()
        parcel, worker.pool = _packed(task.blocks, worker.pool)
        blocks = pickle.dumps(parcel, pickle.HIGHEST_PROTOCOL)
        try:
            if len(blocks) <= SLOT_BYTES:
                # A pipe holds less than this: the parent would wait until the worker reads it.
                at = slot * SLOT_BYTES
                worker.memory[at : at + len(blocks)] = blocks
                worker.pipe.send((slot, len(blocks)))
            else:
                worker.pipe.send((slot, blocks))
        except OSError as error:
            raise death_of(worker.process, _WAY_OUT) from error
        return _Job(task, worker, slot)

    def _finish(self, job: _Job) -> Iterator[tuple[Task, Rendered]]:
        worker = job.at
        if isinstance(worker, Rendered):
            yield job.task, worker
            return
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError) as error:
            raise death_of(worker.process, _WAY_OUT) from error
        if isinstance(answer, str):
            raise WorkerError(f"a worker process failed:\n{answer}")
        first, end, cents = answer
        yield job.task, Rendered([memoryview(worker.memory)[first:end]], cents)
        worker.slots.append(job.slot)
