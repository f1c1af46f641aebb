"""Days cut into tasks of about equal size, and a task rendered to bytes.

Tasks are a matter of speed alone: any cut gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from payworld.engine.encode import ArrowEncoder, Bytes, CompressedEncoder, CsvEncoder, Encoder
from payworld.storage.style import FileStyle
from payworld.synthesis.plan import BlockPlan, DayPlan
from payworld.synthesis.rules import Rules
from payworld.synthesis.transactions import TransactionColumns, join_columns, render_block
from payworld.world.state import CardPool, World

__all__ = ["Task", "cut_tasks", "make_encoder", "render_task"]

# Rows of a task: each message, and each call of the writer, has a cost of its own; more rows crowd
# the caches, most of all where two processes share one.
TASK_ROWS = 20_480
# Rows encoded at a time.
ENCODE_ROWS = 20_480


@dataclass(frozen=True, eq=False)
class Task:
    """A stretch of consecutive blocks, with the world as of the last day that it completes."""

    blocks: list[tuple[BlockPlan, CardPool]]
    rows: int
    world: World | None


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


def make_encoder(style: FileStyle, rules: Rules) -> Encoder:
    """Return the encoder of a run's files."""
    if style.format == "parquet":
        return ArrowEncoder(rules)
    if style.compression == "none":
        return CsvEncoder(rules)
    return CompressedEncoder(rules, style.compression)


def render_task(
    blocks: list[tuple[BlockPlan, CardPool]], rules: Rules, encoder: Encoder
) -> Iterator[Bytes]:
    """Yield the bytes of a task's blocks, in order; small blocks are encoded together."""
    waiting: list[TransactionColumns] = []
    rows = 0
    most = 0 if encoder.takes_one_block else ENCODE_ROWS
    for block, pool in blocks:
        if rows and rows + block.payments > most:
            yield from encoder.encode(join_columns(waiting))
            waiting, rows = [], 0
        waiting.append(render_block(block, pool, rules))
        rows += block.payments
    if rows:
        yield from encoder.encode(join_columns(waiting))
