"""A few requests at once, in threads that an interrupt need not wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

__all__ = ["in_lanes"]

T = TypeVar("T")


def in_lanes(jobs: Iterable[Callable[[], T]], width: int) -> Iterator[T]:
    """Yield the results of jobs as they end, at most `width` of them under way at once.

    A job is taken from the iterable when there is room for it. The first error of a job or of the
    iterable is raised when the jobs under way have ended; an interrupt is raised at once.

    >>> sorted(in_lanes([lambda: 2, lambda: 1], width=4))
    [1, 2]
    """
    ended: SimpleQueue[tuple[list[T], BaseException | None]] = SimpleQueue()

    def run(job: Callable[[], T]) -> None:
        try:
            ended.put(([job()], None))
        except BaseException as error:  # noqa: BLE001  # raised where the results are taken
            ended.put(([], error))

    running = 0

    def take() -> list[T]:
        nonlocal running
        result, error = ended.get()
        running -= 1
        if error is not None:
            raise error
        return result

    try:
        for job in jobs:
            # Daemons: a server that stalls must not keep an interrupted program alive, as the
            # threads of an executor would.
            Thread(target=run, args=(job,), daemon=True).start()
            running += 1
            if running == width:
                yield from take()
        while running:
            yield from take()
    except Exception:
        for _ in range(running):
            ended.get()
        raise
