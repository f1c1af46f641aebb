"""The Python API: a world in memory, day by day, as frames. The disk is touched only if asked.

>>> from datetime import date
>>> from payworld import Simulation
>>> simulation = Simulation.create(start_date=date(2024, 1, 1), initial_merchants=20)
>>> day = simulation.step()
>>> day.date, day.merchants().height, day.transactions().columns[:2]
(datetime.date(2024, 1, 1), 20, ['payment_id', 'payment_timestamp'])
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl

from payworld.config import RunSettings, WorldConfig, validate
from payworld.engine.decide import check_config, decide_incremental
from payworld.engine.request import Held, Outcome, Request
from payworld.engine.run import execute
from payworld.engine.step import step_day
from payworld.errors import StorageError, UsageError
from payworld.reports.files import PublishedFile, list_files
from payworld.reports.tables import find_tables
from payworld.schema import TRANSACTIONS, frame_schema
from payworld.storage.reference import load_reference
from payworld.storage.schemas import to_format
from payworld.storage.session import check_paths, hold_world
from payworld.storage.state_file import STATE, read_state
from payworld.storage.style import FileStyle
from payworld.synthesis.frames import merchants_frame, transactions_frame
from payworld.synthesis.plan import DayPlan
from payworld.synthesis.rules import Rules, compile_rules
from payworld.synthesis.transactions import render_block
from payworld.timeline import FIRST_DATE, LAST_DATE, Period
from payworld.world.birth import create_world
from payworld.world.state import World

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Day", "PublishedFile", "Simulation", "generate", "published_files", "table_schema"]


@dataclass(frozen=True, eq=False)
class Day:
    """One simulated day; its frames are made when they are asked for."""

    plan: DayPlan
    world: World
    rules: Rules

    @property
    def date(self) -> date:
        """Return the simulated date."""
        return date.fromordinal(self.plan.day)

    @property
    def payments(self) -> int:
        """Return the number of payments of the day."""
        return self.plan.payments

    def blocks(self) -> Iterator[pl.DataFrame]:
        """Yield the day's payments block by block (up to 1,024 merchants), in row order."""
        for block in self.plan.blocks():
            yield transactions_frame(render_block(block, self.plan.pool, self.rules), self.rules)

    def transactions(self) -> pl.DataFrame:
        """Return the day's payments with exact types, columns as in schema.TRANSACTIONS."""
        return pl.concat([pl.DataFrame(schema=frame_schema(TRANSACTIONS)), *self.blocks()])

    def merchants(self) -> pl.DataFrame:
        """Return the merchant versions of the day, columns as in schema.MERCHANTS."""
        period = Period(self.plan.day, self.plan.day)
        return merchants_frame(self.world, period, self.rules.reference.places)

    def to_arrow(self) -> pa.Table:
        """Return the day's payments as an Arrow table."""
        return self.transactions().to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """Return the day's payments as a pandas frame."""
        return self.transactions().to_pandas()


def _day(value: date, name: str) -> int:
    """Return a date's ordinal; UsageError for anything but a date of payworld's calendar."""
    # A datetime is a date to Python, but what day it is depends on a zone.
    if type(value) is not date or not FIRST_DATE <= value <= LAST_DATE:
        raise UsageError(
            f"{name} = {value!r}: expected a date between {FIRST_DATE} and {LAST_DATE}, as a "
            "datetime.date"
        )
    return value.toordinal()


class Simulation:
    """A world that steps forward in memory; lives until it is dropped."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rules = compile_rules(world.config, load_reference())

    @classmethod
    def create(cls, start_date: date, config: WorldConfig | None = None, **keys: Any) -> Self:
        """Return a world that begins on a date; keys are configuration keys to change.

        Raises ConfigError for a key or value that does not validate, UsageError for the date.
        """
        first = _day(start_date, "start_date")
        chosen = validate(WorldConfig, keys, "the configuration", base=config or WorldConfig())
        return cls(create_world(chosen, first, load_reference().places))

    @classmethod
    def open(cls, state_dir: str | Path = "state") -> Self:
        """Return the world of a state folder as it stands; stepping it does not change the folder.

        Raises StateError if there is none or it does not verify.
        """
        return cls(read_state(Path(state_dir))[0])

    @property
    def last_date(self) -> date:
        """Return the last day that was lived; the day before the first in a world just made."""
        return self.world.last_date

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Let changed configuration keys hold from the next day on; UsageError for birth keys."""
        changed = validate(WorldConfig, changes, "the configuration", base=self.world.config)
        check_config(self.world, changed, accepted=True)
        self.world = self.world.with_config(changed)
        self._rules = compile_rules(changed, load_reference())

    def step(self) -> Day:
        """Live the next day and return it."""
        if self.world.last_date >= LAST_DATE:
            raise UsageError(f"the calendar of payworld ends on {LAST_DATE}")
        self.world, plan = step_day(self.world, self._rules)
        return Day(plan, self.world, self._rules)

    def days(self, until: date) -> Iterator[Day]:
        """Live and yield every day up to and including a date."""
        while self.world.last_date < until:
            yield self.step()

    def fork(self) -> Self:
        """Return another simulation that goes on from here on its own."""
        return copy.copy(self)


def generate(
    start_date: date | None = None,
    *,
    end_date: date,
    state_dir: str | Path = "state",
    output_dir: str | Path = "raw_data",
    file_format: Literal["csv", "parquet"] = "csv",
    compression: Literal["none", "gzip", "zstd"] = "none",
    layout: Literal["flat", "hive"] = "flat",
    workers: int = 1,
    config: Mapping[str, Any] | None = None,
) -> Outcome | None:
    """Write the missing days to disk, as `gen` does: begin a world, or go on with the one there.

    A world is begun on `start_date` if there is none; `config` holds keys to change then. Returns
    None where every day up to `end_date` is there already. Raises PayworldError, for days before
    the world's first one too.
    """
    state, output = Path(state_dir), Path(output_dir)
    last = _day(end_date, "end_date")
    start = None if start_date is None else _day(start_date, "start_date")
    if start is not None and start > last:
        raise UsageError(f"start_date = {start_date}: it lies after end_date = {end_date}")
    given = {
        "format": file_format, "compression": compression, "layout": layout, "workers": workers
    }  # fmt: skip
    settings = validate(RunSettings, given, "the arguments")
    validate(WorldConfig, config or {}, "config")
    check_paths(state, output)
    if start is None and not os.path.lexists(state / STATE):
        raise UsageError("start_date = None: expected the first day of a new world")
    with hold_world(state, output, "a call of payworld.generate") as (world, base, records, locks):
        keys = config or {}
        if world is None:
            if start is None:
                raise UsageError("start_date = None: expected the first day of a new world")
            chosen, first, mode = (
                validate(WorldConfig, keys, "config"),
                start,
                "initial",
            )
        else:
            chosen = validate(WorldConfig, keys, "config", base=world.config)
            decide_incremental(world, start, last)
            check_config(world, chosen, accepted=False)
            first, mode = world.last_day + 1, "incremental"
        period = Period(first, last)
        if period.days < 1:
            return None
        request = Request(
            mode="initial" if mode == "initial" else "incremental",
            period=period,
            state_dir=state,
            output_dir=output,
            style=FileStyle.asked(settings),
            workers=workers,
            config=chosen,
        )
        return execute(request, Held(world, base, records, locks))


def table_schema(table: str, form: str = "json-schema") -> Any:
    """Return the columns of a table in a format of `gen schema`: JSON types, or text.

    Tables and formats are those of the command line. Raises UsageError for one that is none.
    """
    return to_format(find_tables(table), form)


def published_files(
    output_dir: str | Path = "raw_data", *, since: date | None = None, table: str | None = None
) -> list[PublishedFile]:
    """Return the published files with a day after `since`, in order of their days.

    Raises StateMissingError if no run has published files there, StorageError if one of them is
    lost.
    """
    seen = None if since is None else date.fromordinal(_day(since, "since")).isoformat()
    listing = list_files(Path(output_dir), seen, table)
    if listing.lost:
        raise StorageError(
            f"{', '.join(file.name for file in listing.lost)}: missing in {str(output_dir)!r}, or "
            "not as long as the manifest says; make it again with gen regenerate"
        )
    return listing.files
