"""Days cut into tasks of about equal size.

Tasks are a matter of speed alone: any cut gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from payworld.storage.manifest import Cents
from payworld.synthesis.plan import BlockPlan, DayPlan
from payworld.world.state import CardPool, World

__all__ = ["TASK_ROWS", "Bytes", "Rendered", "Task", "cut_tasks"]

Bytes = bytes | memoryview

# Rows of a task: each message, and each call of the writer, has a cost of its own; more rows crowd
# the caches, most of all where two processes share one.
TASK_ROWS = 20_480


@dataclass(frozen=True, eq=False)
class Task:
    """A stretch of consecutive blocks, with the world as of the last day that it completes."""

    blocks: list[tuple[BlockPlan, CardPool]]
    rows: int
    world: World | None


@dataclass(frozen=True, eq=False)
class Rendered:
    """What a task becomes: its bytes, in pieces, and the sums of its money in cents."""

    parts: list[Bytes]
    cents: Cents


def cut_tasks(days: Iterable[tuple[World, DayPlan]], last_days: set[int]) -> Iterator[Task]:
    """Yield tasks in order; one ends after each of the last days (of chunks), if not earlier."""
    blocks: list[tuple[BlockPlan, CardPool]] = []
    rows = 0
    for world, plan in days:
        for block in plan.blocks():
            if rows and rows + block.payments > TASK_ROWS:
                yield Task(blocks, rows, None)
                blocks, rows = [], 0
            blocks.append((block, plan.pool))
            rows += block.payments
        # A day more would not fit; of a day that no task holds, as much as makes a fair one.
        if plan.day in last_days or rows + min(plan.payments, TASK_ROWS // 2) > TASK_ROWS:
            yield Task(blocks, rows, world)
            blocks, rows = [], 0
