"""Row groups in order, from this process or from several.

Workers are forked before anything has started a thread. Which groups are a worker's is settled
beforehand, so that nobody waits for orders; results come through shared memory. A worker ends
when its pipe does, so none outlives the run.
"""

from __future__ import annotations

import mmap
import multiprocessing
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from payworld.datasets.fraud_stream.encode import Encoded, GroupEncoder
from payworld.datasets.fraud_stream.plan import GROUP_ROWS
from payworld.engine.processes import begin_work, core_count, death_of, end_all, start
from payworld.errors import WorkerError

__all__ = ["GroupSource", "worker_count"]

# Far above the widest row of any format; memory that is never touched costs nothing.
_SLOT_BYTES = GROUP_ROWS * 1_024
_MOST_GROUPS_AT_ONCE = 8
_WAY_OUT = (
    "no file was published: run the same command again, with fewer --num-workers if memory is short"
)


def worker_count(wanted: int | None, groups: int) -> int:
    """Return how many processes are worth having: no more than row groups."""
    workers = wanted or core_count()
    # Elsewhere a fork is not safe, and one process does all.
    return min(workers, groups) if sys.platform == "linux" else 1


@dataclass(frozen=True)
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    memory: mmap.mmap


def _work(
    pipe: Connection,
    memory: mmap.mmap,
    slots: int,
    encoder: GroupEncoder,
    groups: list[int],
    inherited: list[int],
) -> None:
    """Encode the groups one after another; the whole life of a worker."""
    begin_work(inherited)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            for turn, number in enumerate(groups):
                encoded = encoder.encode(number)
                if turn >= slots:
                    # The parent has done with the oldest slot.
                    pipe.recv()
                first = turn % slots * _SLOT_BYTES
                middle = first + len(encoded.data)
                end = middle + len(encoded.labels)
                memory[first:middle] = encoded.data
                memory[middle:end] = encoded.labels
                pipe.send((first, middle, end, encoded.frauds))
            # Wait for the parent to hang up: an end before that is a death.
            while True:
                pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception:  # noqa: BLE001  # whatever it was, the parent reports it
            pipe.send(traceback.format_exc())


class GroupSource:
    """Gives a stream's row groups in order, made by a number of processes; lives for a run."""

    def __init__(
        self,
        encoder: GroupEncoder,
        groups: range,
        workers: int,
        batch_size: int,
        inherited: list[int],
    ) -> None:
        self._encoder = encoder
        self._groups = groups
        # Groups that a worker makes in a row: what a batch holds, if all get their share.
        share = -(-len(groups) // max(workers, 1))
        self._run = max(1, min(batch_size // GROUP_ROWS, share, _MOST_GROUPS_AT_ONCE))
        self._workers: list[_Worker] = []
        for index in range(workers if workers > 1 else 0):
            self._start(index, workers, inherited)

    def _start(self, index: int, workers: int, inherited: list[int]) -> None:
        context = multiprocessing.get_context("fork")
        slots = self._run + 1
        ours, theirs = context.Pipe()
        memory = mmap.mmap(-1, _SLOT_BYTES * slots)
        mine = [g for n, g in enumerate(self._groups) if n // self._run % workers == index]
        others = [worker.pipe.fileno() for worker in self._workers]
        closing = [*inherited, *others, ours.fileno()]
        process = context.Process(
            target=_work, args=(theirs, memory, slots, self._encoder, mine, closing), daemon=True
        )
        start(process)
        theirs.close()
        self._workers.append(_Worker(process, ours, memory))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end_all([(w.process, w.pipe) for w in self._workers], failed=kind is not None)

    def encoded(self) -> Iterator[Encoded]:
        """Yield each row group in order; its bytes hold until the next is taken.

        Raises WorkerError if a worker fails or dies.
        """
        for turn, number in enumerate(self._groups):
            if not self._workers:
                yield self._encoder.encode(number)
                continue
            worker = self._workers[turn // self._run % len(self._workers)]
            yield self._receive(worker)
            with suppress(OSError):
                # A death shows at the next thing received.
                worker.pipe.send(None)

    def _receive(self, worker: _Worker) -> Encoded:
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError) as error:
            raise death_of(worker.process, _WAY_OUT) from error
        if isinstance(answer, str):
            raise WorkerError(f"a worker process failed:\n{answer}")
        first, middle, end, frauds = answer
        memory = memoryview(worker.memory)
        return Encoded(memory[first:middle], memory[middle:end], frauds)
