"""The quick CSV encoder writes what a plain write of the typed frame gives, byte for byte."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import pools_once

from payworld import Simulation
from payworld.config import WorldConfig, validate
from payworld.engine.encode import CsvEncoder
from payworld.engine.render import render_task
from payworld.engine.tasks import Bytes, cut_tasks
from payworld.storage.csv import write_csv_text
from payworld.storage.reference import load_reference
from payworld.synthesis.frames import transactions_frame
from payworld.synthesis.rules import compile_rules
from payworld.synthesis.transactions import TransactionColumns, join_columns, render_block

WORLDS: dict[str, dict[str, Any]] = {
    "default": {},
    "more than a block": {"initial_merchants": 1_100},
    "cents": {"merchant_sizes": {"small": {"amount_range": [0.01, 0.10]}}},
    "millions": {"merchant_sizes": {"small": {"amount_range": [999_999.0, 1_000_000.0]}}},
    "losses": {
        "merchant_sizes": {
            size: {"mdr_rate_range": [0.0, 0.0001]} for size in ("small", "medium", "large")
        }
    },
    "all of it": {"merchant_sizes": {"small": {"mdr_rate_range": [1.0, 1.0]}}},
    "no terminal": {
        "payment_types": {"card_present": 0.0, "online": 1.0, "in_app": 0.0, "phone_order": 0.0}
    },
    "terminals alone": {
        "payment_types": {"card_present": 1.0, "online": 0.0, "in_app": 0.0, "phone_order": 0.0}
    },
    "round the clock": {"business_hours": {"opens_at": 0, "closes_at": 24}},
    "stored cards alone": {"card_store_probability": 1.0, "card_reuse_range": [1.0, 1.0]},
}


@pytest.fixture(autouse=True)
def _quick_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payworld.world.birth.draw_name_pools", pools_once)


def assert_equal_bytes(config: WorldConfig, start: date, days: int) -> int:
    """Compare all blocks of some days, one by one and joined; returns how many rows there were."""
    rules = compile_rules(config, load_reference())
    encoder = CsvEncoder(rules)
    simulation = Simulation.create(start, config)
    all_columns, texts = [], b""
    for _ in range(days):
        plan = simulation.step().plan
        for block in plan.blocks():
            columns = render_block(block, plan.pool, rules)
            plain = write_csv_text(transactions_frame(columns, rules))
            assert b"".join(encoder.encode(columns)) == plain
            all_columns.append(columns)
            texts += plain
    joined = join_columns(all_columns)
    assert b"".join(encoder.encode(joined)) == texts
    assert write_csv_text(transactions_frame(joined, rules)) == texts
    return len(joined)


@pytest.mark.parametrize("name", WORLDS)
def test_the_bytes_are_those_of_a_plain_write(name: str) -> None:
    config = validate(WorldConfig, {"initial_merchants": 50} | WORLDS[name], name)
    assert assert_equal_bytes(config, date(2024, 2, 28), 3) > 100


@pytest.mark.slow
@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**63 - 1),
    start=st.dates(date(1900, 1, 1), date(2199, 12, 1)),
    merchants=st.integers(1, 30),
    days=st.integers(1, 4),
)
def test_the_bytes_are_those_of_a_plain_write_in_any_small_world(
    seed: int, start: date, merchants: int, days: int
) -> None:
    config = WorldConfig(seed=seed, initial_merchants=merchants)
    simulation = Simulation.create(start, config)
    if any(simulation.step().payments for _ in range(days)):
        assert_equal_bytes(config, start, days)


@pytest.mark.parametrize("task_rows", [1, 100, 5_000, 10**9])
def test_tasks_hold_every_block_once_in_order_however_they_are_cut(
    monkeypatch: pytest.MonkeyPatch, task_rows: int
) -> None:
    monkeypatch.setattr("payworld.engine.tasks.TASK_ROWS", task_rows)
    simulation = Simulation.create(date(2024, 1, 28), initial_merchants=1_100)
    days = [(day.world, day.plan) for day in simulation.days(date(2024, 2, 3))]
    month_end = date(2024, 1, 31).toordinal()
    tasks = list(cut_tasks(days, {month_end, date(2024, 2, 3).toordinal()}))
    found = [(block.day, block.block) for task in tasks for block, _ in task.blocks]
    assert found == [(plan.day, block.block) for _, plan in days for block in plan.blocks()]
    assert sum(task.rows for task in tasks) == simulation.world.total_transactions
    # A month's last day ends a task, with the world as it is then.
    ends = [task.world.last_day for task in tasks if task.world is not None]
    assert month_end in ends
    assert ends[-1] == simulation.world.last_day
    assert all(len({iso_month(b.day) for b, _ in task.blocks}) == 1 for task in tasks)


def iso_month(day: int) -> int:
    return date.fromordinal(day).month


class _CountingEncoder(CsvEncoder):
    encoded = 0

    def encode(self, columns: TransactionColumns) -> list[Bytes]:
        self.encoded += 1
        return super().encode(columns)


def test_blocks_encoded_together_or_alone_are_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = WorldConfig(initial_merchants=1_100)
    rules = compile_rules(config, load_reference())
    simulation = Simulation.create(date(2024, 1, 1), config)
    days = [simulation.step() for _ in range(2)]
    blocks = [(block, day.plan.pool) for day in days for block in day.plan.blocks()]
    texts = []
    for rows in (1, 10**9):
        monkeypatch.setattr("payworld.engine.render.ENCODE_ROWS", rows)
        encoder = _CountingEncoder(rules)
        texts.append(b"".join(render_task(blocks, rules, encoder).parts))
        assert encoder.encoded == (len(blocks) if rows == 1 else 1)
    assert texts[0] == texts[1]
