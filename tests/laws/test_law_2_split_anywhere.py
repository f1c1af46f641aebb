"""Law 2: one run over a period equals any runs over its parts."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.builders import (
    LIVELY_WORLD,
    STATE,
    Folders,
    merchant_versions,
    period,
    pools_once,
    reopened,
    transaction_lines,
    write_config,
)
from tests.gen_server import GenServer

from payworld import Simulation
from payworld.engine.encode import CsvEncoder
from payworld.storage.reference import load_reference
from payworld.storage.state_file import encode_state
from payworld.synthesis.rules import compile_rules
from payworld.synthesis.transactions import render_block

TURNS = {
    "leap day": ("2024-02-20", "2024-03-09"),
    "no leap day": ("2023-02-20", "2023-03-09"),
    "year's end": ("2023-12-22", "2024-01-09"),
    "from the middle of a month": ("2024-04-17", "2024-05-08"),
    "from the last day of a month": ("2024-05-31", "2024-06-10"),
}


@pytest.fixture(autouse=True)
def _quick_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payworld.world.birth.draw_name_pools", pools_once)


def lived(simulation: Simulation, until: date) -> bytes:
    """Return the payments up to a date as the bytes that a run would append."""
    encoder = CsvEncoder(compile_rules(simulation.world.config, load_reference()))
    parts = []
    for day in simulation.days(until):
        for block in day.plan.blocks():
            parts += encoder.encode(render_block(block, day.plan.pool, encoder.rules))
    return b"".join(parts)


def whole(seed: int, start: date, end: date) -> tuple[bytes, bytes]:
    simulation = Simulation.create(start, seed=seed, **{**LIVELY_WORLD, "initial_merchants": 12})
    return lived(simulation, end), bytes(encode_state(simulation.world))


def in_parts(seed: int, start: date, ends: Sequence[date]) -> tuple[bytes, bytes]:
    simulation = Simulation.create(start, seed=seed, **{**LIVELY_WORLD, "initial_merchants": 12})
    text = b""
    for end in ends:
        text += lived(simulation, end)
        simulation = reopened(simulation)
    return text, bytes(encode_state(simulation.world))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "turn"), list(enumerate(TURNS)))
def test_every_split_point_around_a_turn_of_the_calendar_gives_the_same_world(
    turn: str, seed: int
) -> None:
    start, end = (date.fromisoformat(text) for text in TURNS[turn])
    text, state = whole(seed, start, end)
    simulation = Simulation.create(start, seed=seed, **{**LIVELY_WORLD, "initial_merchants": 12})
    first = b""
    for offset in range((end - start).days):
        first += lived(simulation, start + timedelta(offset))
        rest = reopened(simulation)
        assert first + lived(rest, end) == text, offset
        assert encode_state(rest.world) == state, offset


@pytest.mark.slow
@settings(max_examples=15)
@given(
    seed=st.integers(0, 50) | st.just(2**63 - 1),
    start=st.dates(date(1999, 12, 1), date(2030, 1, 1)),
    lengths=st.lists(st.integers(1, 12), min_size=2, max_size=5),
)
@example(seed=3, start=date(2024, 2, 29), lengths=[1, 1, 1, 1, 1])
def test_any_splits_of_any_period_give_the_same_world(
    seed: int, start: date, lengths: list[int]
) -> None:
    ends = [start + timedelta(sum(lengths[: part + 1]) - 1) for part in range(len(lengths))]
    assert in_parts(seed, start, ends) == whole(seed, start, ends[-1])


def test_a_world_of_one_day_may_be_gone_on_with() -> None:
    day = date(2024, 12, 31)
    assert in_parts(5, day, [day, day + timedelta(1)]) == whole(5, day, day + timedelta(1))


@pytest.mark.slow
def test_a_year_lived_month_by_month_and_in_odd_parts_is_the_same_year() -> None:
    start, end = date(2024, 1, 1), date(2024, 12, 31)
    expected = whole(42, start, end)
    months = [date(2024, month + 1, 1) - timedelta(1) for month in range(1, 12)]
    assert in_parts(42, start, [*months, end]) == expected
    odd = [start + timedelta(13 * part + 5) for part in range(27)]
    assert in_parts(42, start, [*odd, end]) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "file_format"), [(42, "csv"), (7, "csv"), (1, "parquet")])
def test_a_month_in_one_run_equals_twenty_days_and_ten_nights_on_the_disk(
    tmp_path: Path, server: GenServer, seed: int, file_format: str
) -> None:
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD | {"seed": seed})
    options = ["-f", "-q", "--config", config, "--format", file_format]
    one, many = Folders(tmp_path / "one"), Folders(tmp_path / "many")

    def gen(folders: Folders, *mode: str) -> None:
        ended = server.run(*mode, *options, *folders.options)
        assert ended.code == 0, ended.stderr

    # Across the end of a leap February.
    gen(one, "--initial", *period("2024-02-15", "2024-03-15"))
    gen(many, "--initial", *period("2024-02-15", "2024-03-05"))
    for night in range(6, 16):
        gen(many, "--incremental", "--date", f"2024-03-{night:02d}")
    assert (one.state / STATE).read_bytes() == (many.state / STATE).read_bytes()
    if file_format == "csv":
        assert transaction_lines(one.output) == transaction_lines(many.output)
        assert merchant_versions(one.output) == merchant_versions(many.output)
    else:
        for table, column in (("transactions", None), ("merchants", "last_transaction_date")):
            frames = [
                pl.concat([pl.read_parquet(p) for p in sorted(f.output.glob(f"{table}_*"))])
                for f in (one, many)
            ]
            if column:
                frames = [frame.drop(column) for frame in frames]
            assert_frame_equal(*frames)


def test_last_transaction_date_is_the_one_column_as_of_the_files_end(
    tmp_path: Path, server: GenServer
) -> None:
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    folders = Folders(tmp_path)
    run = ["-f", "-q", "--config", config, *folders.options]
    assert server.run("--initial", *period("2024-02-20", "2024-03-04"), *run).code == 0
    assert server.run("--incremental", "--date", "2024-03-08", *run).code == 0
    transactions = pl.concat(
        pl.read_csv(p, columns=["merchant_id", "payment_timestamp"], try_parse_dates=True)
        for p in folders.output.glob("transactions_*.csv")
    ).select("merchant_id", day=pl.col("payment_timestamp").dt.date())
    for path in sorted(folders.output.glob("merchants_*.csv")):
        end = date.fromisoformat(path.stem.rpartition("_")[2])
        versions = pl.read_csv(path, schema_overrides={"last_transaction_date": pl.Date})
        # Each run writes as of its own end, a file of an earlier month as of that month's.
        latest = (
            transactions.filter(pl.col("day") <= end)
            .group_by("merchant_id")
            .agg(pl.col("day").max())
        )
        joined = versions.join(latest, on="merchant_id", how="left")
        assert joined["last_transaction_date"].eq_missing(joined["day"]).all(), path.name
        assert versions.height


def test_a_gap_filled_in_one_run_equals_the_nights_it_skipped(
    tmp_path: Path, server: GenServer
) -> None:
    config = write_config(tmp_path / "world.yaml", LIVELY_WORLD)
    written = []
    for name, runs in {
        "nightly": [["--date", "2024-01-31"], ["--date", "2024-02-01"], ["--date", "2024-02-02"]],
        "late": [period("2024-02-02", "2024-02-02")],
    }.items():
        folders = Folders(tmp_path / name)
        run = ["-f", "-q", "--config", config, *folders.options]
        assert server.run("--initial", *period("2024-01-28", "2024-01-30"), *run).code == 0
        for dates in runs:
            assert server.run("--incremental", *dates, *run).code == 0
        state = json.loads((folders.state / STATE).read_bytes())
        written.append((state, transaction_lines(folders.output)))
    assert written[0] == written[1]
