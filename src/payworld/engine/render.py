"""A task rendered to bytes: what every worker loads, with Polars, and no other part of a run."""

from __future__ import annotations

from collections.abc import Iterator

from payworld.engine.encode import ArrowEncoder, CompressedEncoder, CsvEncoder, Encoder
from payworld.engine.tasks import Bytes
from payworld.storage.style import FileStyle
from payworld.synthesis.plan import BlockPlan
from payworld.synthesis.rules import Rules
from payworld.synthesis.transactions import TransactionColumns, join_columns, render_block
from payworld.world.state import CardPool

__all__ = ["make_encoder", "render_task"]

# Rows encoded at a time.
ENCODE_ROWS = 20_480


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
