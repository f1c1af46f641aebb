"""Progress of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from payworld.cli.output import say
from payworld.timeline import Period, iso

__all__ = ["progress"]

LOG_SECONDS = 5.0


@contextmanager
def progress(period: Period, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call with (last whole day, rows so far)."""
    if quiet:
        yield lambda _day, _rows: None
    elif sys.stderr.isatty():
        with _bar(period) as update:
            yield update
    else:
        yield _log_lines(period)


def _log_lines(period: Period) -> Callable[[int, int], None]:
    began = told = monotonic()

    def update(day: int, rows: int) -> None:
        nonlocal told
        now = monotonic()
        if now - told < LOG_SECONDS:
            return
        told = now
        say(
            f"through {iso(day)} of {iso(period.end)}: {rows:,} rows, "
            f"{rows / (now - began):,.0f} rows/s"
        )

    return update


@contextmanager
def _bar(period: Period) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    began = monotonic()
    bar = Progress(
        TextColumn("{task.fields[day]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days  {task.fields[rows]:,} rows  {task.fields[speed]:,.0f} rows/s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", total=period.days, day=iso(period.start), rows=0, speed=0.0)

    def update(day: int, rows: int) -> None:
        # Begun with the first figures: its thread must not be there when workers are forked.
        bar.start()
        bar.update(
            task,
            completed=max(day - period.start + 1, 0),
            day=iso(day),
            rows=rows,
            speed=rows / max(monotonic() - began, 1e-6),
        )

    try:
        yield update
    finally:
        bar.stop()
