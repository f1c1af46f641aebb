"""The fraud stream's parts for programs, on Polars or Arrow frames of the caller's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa

from payworld.config.document import validate
from payworld.config.types import Section
from payworld.datasets.fraud_stream.alias import AliasTable
from payworld.datasets.fraud_stream.arguments import (
    check_count,
    check_seed,
    frame_of,
    path_of,
    plain_date,
)
from payworld.datasets.fraud_stream.calendar import Calendar, make_calendar
from payworld.datasets.fraud_stream.catalogs import make_catalogs
from payworld.datasets.fraud_stream.columns import Renderer
from payworld.datasets.fraud_stream.config import (
    PRINTED_BY,
    FraudConfig,
    LabelConfig,
    config_from_text,
)
from payworld.datasets.fraud_stream.encode import plain_table
from payworld.datasets.fraud_stream.plan import make_plan
from payworld.datasets.fraud_stream.relabel import FraudColumns, label_origins, zone_of
from payworld.datasets.fraud_stream.run import CATALOG_COLUMNS, save_catalogs
from payworld.datasets.fraud_stream.schema import FraudSchema, own_schema
from payworld.datasets.fraud_stream.temporal import TemporalConfig
from payworld.errors import ConfigError, UsageError
from payworld.randomness import stream
from payworld.storage.fraud_catalogs import read_tables
from payworld.storage.text_files import read_text

__all__ = [
    "CatalogFrames",
    "FraudColumns",
    "generate",
    "label_fraud",
    "load_catalogs",
    "load_config",
    "sample_entities",
    "sample_timestamps",
    "write_catalogs",
]

Frame = TypeVar("Frame", pl.DataFrame, pa.Table)
M = TypeVar("M", bound=Section)
Day = date | str


class CatalogFrames(NamedTuple):
    """The catalogs as frames."""

    customers: pl.DataFrame
    merchants: pl.DataFrame
    cards: pl.DataFrame


def _checked(model: type[M], given: Mapping[str, Any], source: str) -> M:
    return validate(model, given, source, printed_by=PRINTED_BY)


def load_config(path: str | Path | None = None) -> FraudConfig:
    """Return the configuration of a YAML file; None: the defaults.

    Raises ConfigError, which names each key, its value and what was expected.
    """
    text = "" if path is None else read_text(path_of(path, "path"), "path")
    return config_from_text(text, "configuration" if path is None else str(path), {})


def _dated(config: FraudConfig, run_date: date | None) -> FraudConfig:
    """Return a program's configuration, checked, with its dates filled in."""
    if not isinstance(config, FraudConfig):
        raise UsageError(
            f"config is a {type(config).__name__}; expected what load_config() returns"
        )
    # model_copy(update=...) checks nothing.
    config = _checked(FraudConfig, config.model_dump(warnings=False), "config")
    if run_date is not None:
        return config.dated(plain_date(run_date))
    temporal = config.temporal
    if temporal.end_date is None:
        raise UsageError(
            "temporal.end_date is not set; expected a date there, or run_date for the 30 days "
            "before it"
        )
    return config.dated(date.fromisoformat(temporal.end_date))


def generate(
    config: FraudConfig, schema: FraudSchema | None = None, run_date: date | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the stream as frames of config.chunk_size rows, the last one shorter.

    All frames together are the rows of the file that `gen fraud` writes. Dates that the
    configuration leaves open come from run_date.
    """
    config = _dated(config, run_date)
    if not isinstance(schema, FraudSchema | None):
        raise UsageError(f"schema is a {type(schema).__name__}; expected a FraudSchema, or None")
    schema = schema or own_schema()
    catalogs = make_catalogs(config)
    plan = make_plan(config, catalogs)
    renderer = Renderer(plan, catalogs, schema)
    waiting: list[pl.DataFrame] = []
    rows = 0
    for number in range(plan.groups):
        table = plain_table(renderer.table(renderer.group(number)), schema)
        frame = pl.DataFrame(pl.from_arrow(table))
        waiting.append(frame)
        rows += len(frame)
        if rows < config.chunk_size:
            continue
        joined = pl.concat(waiting)
        whole = rows - rows % config.chunk_size
        yield from joined[:whole].iter_slices(config.chunk_size)
        waiting, rows = [joined[whole:]], rows - whole
    if rows:
        yield pl.concat(waiting).rechunk()


def write_catalogs(
    folder: str | Path, config: FraudConfig, run_date: date | None = None
) -> list[Path]:
    """Write customers, merchants and cards as Parquet files to a folder; returns their paths."""
    return list(save_catalogs(path_of(folder, "folder"), _dated(config, run_date), "folder="))


def load_catalogs(folder: str | Path) -> CatalogFrames:
    """Return the catalogs of a folder as frames."""
    tables = read_tables(path_of(folder, "folder"), CATALOG_COLUMNS)
    return CatalogFrames(
        **{name: pl.DataFrame(pl.from_arrow(table)) for name, table in tables.items()}
    )


def sample_timestamps(
    n: int,
    start: Day,
    end: Day,
    *,
    weekday_weights: Mapping[int, float] | Sequence[float] | None = None,
    time_components: Sequence[Mapping[str, float]] | None = None,
    distribution_type: str = "gaussian",
    timezone: str = "UTC",
    seed: int = 42,
) -> pl.Series:
    """Return n instants between two days, both included: ascending, UTC, in nanoseconds.

    For a datetime, the instant itself is the limit; without a zone it is meant in timezone.
    """
    check_count(n)
    check_seed(seed)
    given: dict[str, Any] = {
        "timezone": timezone,
        "start_date": _day(start, timezone),
        "end_date": _day(end, timezone),
        "weekday_weights": weekday_weights,
        "time_components": time_components,
        "distribution_type": distribution_type,
    }
    wanted = {key: value for key, value in given.items() if value is not None}
    try:
        temporal = _checked(TemporalConfig, wanted, "sample_timestamps")
    except ConfigError as error:
        # The keys are this function's arguments, but for two names.
        raise ConfigError(re.sub(r"\b(start|end)_date\b", r"\1", str(error))) from error
    calendar = make_calendar(temporal, LabelConfig())
    low = _point(calendar, start, temporal.zone, 0.0)
    high = _point(calendar, end, temporal.zone, 1.0)
    if low >= high:
        raise UsageError(f"start = {start}, end = {end}: expected activity between them")
    points = np.sort(stream(seed, "fraud.sample_timestamps").random(n)) * (high - low) + low
    instants, _ = calendar.instants(points)
    return pl.Series("event_time", instants).cast(pl.Datetime("ns", "UTC"))


def _day(value: Day, timezone: str) -> str:
    """Return the local day of a day or instant, YYYY-MM-DD."""
    if not isinstance(value, date | str):
        raise UsageError(f"got {value!r} for a day; expected a date, a datetime or YYYY-MM-DD")
    if isinstance(value, datetime):
        local = value.astimezone(zone_of(timezone)) if value.tzinfo else value
        return local.date().isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _point(calendar: Calendar, value: Day, zone: ZoneInfo, whole_day: float) -> float:
    """Return the point of a limit; whole_day for one that is no instant."""
    if not isinstance(value, datetime):
        return whole_day
    instant = value if value.tzinfo else value.replace(tzinfo=zone)
    return float(calendar.points_at(np.array([instant.timestamp()]))[0])


def sample_entities(catalog: Frame, n: int, *, weight: str = "weight", seed: int = 42) -> Frame:
    """Return n rows of a catalog, each drawn with its weight, with replacement; O(1) a row."""
    check_count(n)
    check_seed(seed)
    mine = frame_of(catalog)
    if weight not in mine.columns:
        known = ", ".join(mine.columns)
        raise UsageError(f"weight = {weight!r}: no such column; expected one of {known}")
    if not mine.schema[weight].is_numeric():
        raise UsageError(f"column {weight!r} is {mine.schema[weight]}; expected numbers")
    weights = mine[weight].cast(pl.Float64).to_numpy()
    # An infinite or missing weight makes the sum so.
    total = float(weights.sum())
    if not 0 < total < np.inf or (weights < 0).any():
        raise UsageError(
            f"column {weight!r}: expected weights of 0 or more, at least one of them above 0"
        )
    bits = stream(int(seed), "fraud.sample_entities").bit_generator.random_raw(int(n))
    rows = AliasTable.of(weights).pick(np.asarray(bits, dtype=np.uint64))
    return mine[rows] if mine is catalog else _taken(catalog, rows)


def label_fraud(
    frame: Frame,
    fraud_rate: float = 0.003,
    *,
    labels: LabelConfig | Mapping[str, Any] | None = None,
    burst_factor: int | None = None,
    burst_window_s: int | None = None,
    burst_share: float | None = None,
    columns: FraudColumns | None = None,
    timezone: str = "UTC",
    explain: bool = False,
    seed: int = 42,
) -> Frame:
    """Return the frame with `label_fraud`, true for exactly round(fraud_rate x rows) payments.

    The frame has event time, amount, merchant, merchant risk and card risk, under the names in
    `columns`, in any order of rows. `explain` adds `label_origin`: none, model, burst, filled.
    """
    if not isinstance(fraud_rate, Real) or not 0 <= fraud_rate <= 1:
        raise UsageError(f"fraud_rate = {fraud_rate!r}: expected a share, 0 to 1")
    check_seed(seed)
    if not isinstance(labels, LabelConfig | Mapping | None):
        raise UsageError(f"labels is a {type(labels).__name__}; expected a LabelConfig or mapping")
    base = labels.model_dump() if isinstance(labels, LabelConfig) else dict(labels or {})
    given = {
        "burst_factor": burst_factor,
        "burst_window_s": burst_window_s,
        "burst_share": burst_share,
    }
    base |= {key: value for key, value in given.items() if value is not None}
    rules = _checked(LabelConfig, base, "label_fraud")
    mine = frame_of(frame)
    origin = label_origins(mine, fraud_rate, rules, columns or FraudColumns(), timezone, seed)
    added = [pl.Series("label_fraud", origin > 0, dtype=pl.Boolean)]
    if explain:
        names = pl.Series(["none", "model", "burst", "filled"])
        added.append(names.gather(pl.Series(origin)).alias("label_origin"))
    return mine.with_columns(added) if mine is frame else _with_columns(frame, added)


def _taken(table: pa.Table, rows: np.ndarray) -> Any:
    return table.take(pa.array(rows))


def _with_columns(table: pa.Table, added: list[pl.Series]) -> pa.Table:
    """Return an Arrow table with columns added, or replaced where their names are taken."""
    for column in added:
        values = pa.array(column.to_list(), pa.bool_() if column.dtype == pl.Boolean else None)
        if column.name in table.column_names:
            table = table.drop_columns([column.name])
        table = table.append_column(column.name, values)
    return table
