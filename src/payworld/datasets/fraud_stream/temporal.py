"""When payments happen: the knobs of days, weekdays and hours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from payworld.config.types import Number, Section
from payworld.datasets.fraud_stream.distributions import DISTRIBUTIONS
from payworld.timeline import parse_date

__all__ = ["TemporalConfig", "TimeComponent", "Weight"]

_MOST_PEAKS = 100

Weight = Annotated[Number, Field(ge=0, le=1e9)]


def _date_text(value: Any) -> Any:
    # YAML reads an unquoted date as one.
    return value.isoformat() if isinstance(value, date) else value


_Date = Annotated[str, BeforeValidator(_date_text)]


class TimeComponent(Section):
    """One peak of the day: a Gaussian that wraps around midnight."""

    mean_hour: Annotated[Number, Field(ge=0, lt=24)] = Field(
        description="hour of the peak, 0 to 24"
    )
    std_hours: Annotated[Number, Field(gt=0, le=24)] = Field(description="width in hours")
    weight: Weight = Field(description="relative weight of the peak")


_PEAKS = (
    TimeComponent(mean_hour=9, std_hours=2, weight=0.3),
    TimeComponent(mean_hour=13, std_hours=2, weight=0.35),
    TimeComponent(mean_hour=20, std_hours=2.5, weight=0.35),
)
_WEEK = {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.05, 4: 1.2, 5: 1.15, 6: 0.85}


class TemporalConfig(Section):
    """When payments happen."""

    start_date: _Date | None = Field(
        None, description="first day, YYYY-MM-DD; null: 30 days before the run date"
    )
    end_date: _Date | None = Field(
        None, description="last day, included; null: the day before the run date"
    )
    weekday_weights: dict[int, Weight] = Field(
        _WEEK, description="weight of a day by weekday, 0 = Monday to 6; one left out weighs 0"
    )
    time_components: tuple[TimeComponent, ...] = Field(
        _PEAKS, description="peaks of the day, 1 to 100: mean_hour, std_hours, weight"
    )
    distribution_type: str = Field(
        "gaussian", description=f"shape of the peaks: {', '.join(DISTRIBUTIONS)}"
    )
    timezone: str = Field("UTC", description="IANA time zone in which days and hours are meant")

    @field_validator("weekday_weights", mode="before")
    @classmethod
    def _weekdays(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) == len(_WEEK):
            value = dict(enumerate(value))
        if not isinstance(value, Mapping):
            raise ValueError(
                "expected a mapping of weekdays, 0 (Monday) to 6, to weights, or a list of seven"
            )
        days = {str(day): weight for day, weight in value.items()}
        unknown = sorted(set(days) - {str(day) for day in range(7)})
        if unknown:
            raise ValueError(f"unknown weekday {unknown[0]!r}; expected 0 (Monday) to 6 (Sunday)")
        return {day: days.get(str(day), 0.0) for day in range(7)}

    @field_validator("weekday_weights")
    @classmethod
    def _one_weekday_weighs(cls, value: dict[int, float]) -> dict[int, float]:
        if not math.fsum(value.values()) > 0:
            raise ValueError("at least one weekday must weigh more than 0")
        return value

    @field_validator("time_components", mode="before")
    @classmethod
    def _peaks(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= _MOST_PEAKS:
            raise ValueError(f"expected a list of 1 to {_MOST_PEAKS} peaks")
        return tuple(value)

    @field_validator("time_components")
    @classmethod
    def _one_peak_weighs(cls, value: tuple[TimeComponent, ...]) -> tuple[TimeComponent, ...]:
        if not math.fsum(part.weight for part in value) > 0:
            raise ValueError("at least one peak must weigh more than 0")
        return value

    @field_validator("distribution_type")
    @classmethod
    def _known_distribution(cls, value: str) -> str:
        if value not in DISTRIBUTIONS:
            raise ValueError(f"unknown distribution; expected one of {', '.join(DISTRIBUTIONS)}")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("unknown time zone; expected an IANA name such as Europe/Berlin")
        return value

    @field_validator("start_date", "end_date")
    @classmethod
    def _is_date(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_date(value, "date")
            except Exception as error:
                raise ValueError(str(error).split(": ", 1)[1]) from error
        return value

    @field_validator("end_date")
    @classmethod
    def _ends_after_start(cls, value: str | None, known: ValidationInfo) -> str | None:
        start = known.data.get("start_date")
        if value is not None and start is not None and start > value:
            raise ValueError(f"start_date {start} is after it; swap them")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone."""
        return ZoneInfo(self.timezone)
