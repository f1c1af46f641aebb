"""A task rendered to bytes: what every worker loads, with Polars, and no other part of a run."""

from __future__ import annotations

from payworld.engine.encode import ArrowEncoder, CompressedEncoder, CsvEncoder, Encoder
from payworld.engine.tasks import Bytes, Rendered
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
) -> Rendered:
    """Return the bytes of a task's blocks, in order; small blocks are encoded together."""
    parts: list[Bytes] = []
    waiting: list[TransactionColumns] = []
    rows = amount = cost = mdr = 0
    most = 0 if encoder.takes_one_block else ENCODE_ROWS
    for block, pool in blocks:
        if rows and rows + block.payments > most:
            parts += encoder.encode(join_columns(waiting))
            waiting, rows = [], 0
        columns = render_block(block, pool, rules)
        amount += int(columns.amount_cents.sum())
        cost += int(columns.cost_cents.sum())
        mdr += int(columns.mdr_cents.sum())
        waiting.append(columns)
        rows += block.payments
    if rows:
        parts += encoder.encode(join_columns(waiting))
    return Rendered(parts, (amount, cost, mdr))
