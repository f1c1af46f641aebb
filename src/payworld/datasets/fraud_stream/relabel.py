"""Labels for payments of the caller's own, by the same model as the stream's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import polars as pl

from payworld.datasets.fraud_stream.calendar import is_night_hour
from payworld.datasets.fraud_stream.config import LabelConfig
from payworld.datasets.fraud_stream.labels import (
    Places,
    choose_frauds,
    draw_keys,
    fraud_count,
    logits,
    split_count,
)
from payworld.errors import UsageError
from payworld.randomness import stream
from payworld.timeline import FIRST_DATE, LAST_DATE
from payworld.world.arrays import BoolArray, ByteArray, FloatArray

__all__ = ["FraudColumns", "label_origins", "zone_of"]

# Far above any; the logit is a 32-bit number.
_MOST_AMOUNT = 1e18
_MOST_RISK = 1e6


@dataclass(frozen=True)
class FraudColumns:
    """The names of the columns that labels depend on."""

    event_time: str = "event_time"
    amount: str = "amount"
    merchant: str = "merchant_id"
    merchant_risk: str = "merchant_risk"
    card_risk: str = "card_risk"


def _check(frame: pl.DataFrame, columns: FraudColumns) -> None:
    for field in fields(columns):
        name = getattr(columns, field.name)
        if name not in frame.columns:
            raise UsageError(
                f"{field.name} = {name!r}: the frame has no such column; it has "
                f"{', '.join(frame.columns)}: name it with columns=FraudColumns(...)"
            )
        if frame[name].null_count():
            raise UsageError(f"column {name!r} has missing values; expected none")
    if not isinstance(frame.schema[columns.event_time], pl.Datetime):
        raise UsageError(
            f"column {columns.event_time!r} is {frame.schema[columns.event_time]}; expected "
            "timestamps"
        )


def _numbers(frame: pl.DataFrame, name: str, most: float) -> FloatArray:
    """Return a column's numbers; UsageError unless they are finite and 0 to most."""
    if not frame.schema[name].is_numeric():
        raise UsageError(f"column {name!r} is {frame.schema[name]}; expected numbers")
    values = frame[name].cast(pl.Float64).to_numpy()
    # A number that is none compares as false.
    if not ((values >= 0) & (values <= most)).all():
        raise UsageError(f"column {name!r}: expected numbers from 0 to {most:g}")
    return values


def zone_of(timezone: str) -> ZoneInfo:
    """Return the time zone of an IANA name; UsageError if it is none."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise UsageError(
            f"timezone = {timezone!r}: unknown; expected an IANA name such as Europe/Berlin"
        ) from error


def _night(instants: pl.Series, labels: LabelConfig, timezone: str) -> BoolArray:
    hours = instants.dt.convert_time_zone(zone_of(timezone).key).dt.hour().to_numpy()
    return is_night_hour(hours, labels)


def label_origins(
    frame: pl.DataFrame,
    fraud_rate: float,
    labels: LabelConfig,
    columns: FraudColumns,
    timezone: str,
    seed: int,
) -> ByteArray:
    """Return each payment's origin of fraud (0: none), shape (rows,)."""
    _check(frame, columns)
    frauds = fraud_count(len(frame), fraud_rate)
    if not frauds:
        return np.zeros(len(frame), np.uint8)
    times = frame[columns.event_time]
    zone = getattr(times.dtype, "time_zone", None)
    # A time without a zone is taken for UTC.
    instants = times.dt.replace_time_zone("UTC") if zone is None else times
    instants = instants.dt.convert_time_zone("UTC")
    if not instants.dt.year().is_between(FIRST_DATE.year, LAST_DATE.year).all():
        raise UsageError(
            f"column {columns.event_time!r}: expected instants from {FIRST_DATE} to {LAST_DATE}"
        )
    instants = instants.dt.cast_time_unit("ns")
    logit = logits(
        _numbers(frame, columns.amount, _MOST_AMOUNT),
        _numbers(frame, columns.merchant_risk, _MOST_RISK),
        _numbers(frame, columns.card_risk, _MOST_RISK),
        _night(instants, labels, timezone),
        labels,
    )
    codes = frame[columns.merchant].rank("dense").to_numpy().astype(np.int32) - 1
    window = instants.to_physical().to_numpy() // (labels.burst_window_s * 1_000_000_000)
    keys = draw_keys(stream(seed, "fraud.label_frame"), logit)
    model, bursts = split_count(frauds, labels)
    quotas = (model, bursts, frauds)
    # From 1: a number stands below each.
    numbers = window - (int(window.min()) & ~1) + 2
    places = Places(codes, numbers, np.ones(len(codes), np.bool_), int(codes.max()) + 1)
    return choose_frauds(keys, places, quotas, labels.burst_factor)
