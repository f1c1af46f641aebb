"""When payments happen: from shares of the stream to instants, ascending.

A point u of [0, 1) is a share of the stream's activity. Each day is as wide as its weekday's
weight, each minute in it as its share of the day's peaks, so that evenly spread points become
instants that follow both, and rising points become rising instants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from payworld.datasets.fraud_stream.config import LabelConfig
from payworld.datasets.fraud_stream.distributions import DISTRIBUTIONS
from payworld.datasets.fraud_stream.temporal import TemporalConfig
from payworld.errors import ConfigError
from payworld.world.arrays import BoolArray, FloatArray, IntArray

__all__ = ["Calendar", "Profile", "is_night_hour", "make_calendar"]

_MINUTES = 1440


def is_night_hour(hours: np.ndarray, labels: LabelConfig) -> BoolArray:
    """Return which hours of the day, 0 to 24, are night."""
    start, end = labels.night_start_hour, labels.night_end_hour
    if start <= end:
        return (hours >= start) & (hours < end)
    return (hours >= start) | (hours < end)


@dataclass(frozen=True, eq=False)
class Profile:
    """A day's minutes as instants: share of the day before each, and which are night."""

    share: FloatArray
    seconds: FloatArray
    night: BoolArray
    night_share: FloatArray

    @classmethod
    def of(cls, mass: FloatArray, night: BoolArray) -> Profile:
        """Return the profile of minutes with a relative mass each, shape (minutes,)."""
        weight = mass if mass.sum() > 0 else np.ones_like(mass)
        share = np.concatenate([[0.0], np.cumsum(weight / weight.sum())])
        share /= share[-1]
        at_night = np.concatenate([[0.0], np.cumsum(np.diff(share) * night)])
        seconds: FloatArray = np.arange(len(mass) + 1, dtype=np.float64) * 60
        return cls(share, seconds, night, at_night)


@dataclass(frozen=True, eq=False)
class Calendar:
    """The days of a stream; lives for a run.

    `edges` are the shares of the stream before each day, shape (days + 1,); `starts` the
    instants at which days begin, seconds since 1970 in UTC.
    """

    edges: FloatArray
    starts: IntArray
    profiles: tuple[Profile, ...]
    profile_of_day: IntArray

    @property
    def days(self) -> int:
        """Return the number of days."""
        return len(self.starts)

    def instants(self, points: FloatArray) -> tuple[IntArray, BoolArray]:
        """Return the instants of rising points, ns since 1970 in UTC, and which are at night."""
        instants = np.empty(len(points), np.int64)
        night = np.empty(len(points), np.bool_)

        def fill(rows: slice, day: int, profile: Profile, inside: FloatArray) -> None:
            seconds = np.interp(inside, profile.share, profile.seconds)
            np.minimum(seconds, profile.seconds[-1] - 1e-6, out=seconds)
            nanoseconds = (seconds * 1e9).astype(np.int64)
            instants[rows] = nanoseconds + self.starts[day] * 1_000_000_000
            night[rows] = profile.night[(nanoseconds // 60_000_000_000)]

        self._by_day(points, fill)
        return instants, night

    def points_at(self, seconds: FloatArray) -> FloatArray:
        """Return the points of instants, seconds since 1970 in UTC: 0 before the first day."""
        day = np.clip(np.searchsorted(self.starts, seconds, side="right") - 1, 0, self.days - 1)
        points = np.empty(len(seconds))
        for row, number in enumerate(day.tolist()):
            profile = self.profiles[self.profile_of_day[number]]
            inside = np.interp(seconds[row] - self.starts[number], profile.seconds, profile.share)
            width = self.edges[number + 1] - self.edges[number]
            points[row] = self.edges[number] + inside * width
        return points

    def night_before(self, points: FloatArray) -> FloatArray:
        """Return the share of the stream that is night and before each of the rising points."""
        whole_nights = np.array([profile.night_share[-1] for profile in self.profiles])
        widths = np.diff(self.edges)
        before = np.concatenate([[0.0], np.cumsum(widths * whole_nights[self.profile_of_day])])
        result = np.empty(len(points))

        def fill(rows: slice, day: int, profile: Profile, inside: FloatArray) -> None:
            part = np.interp(inside, profile.share, profile.night_share)
            result[rows] = before[day] + part * widths[day]

        self._by_day(points, fill)
        return result

    def _by_day(
        self, points: FloatArray, fill: Callable[[slice, int, Profile, FloatArray], None]
    ) -> None:
        """Call fill for each day that has points, with their places in the day, 0 to 1."""
        if not len(points):
            return
        first, last = np.clip(
            np.searchsorted(self.edges, points[[0, -1]], side="right") - 1, 0, self.days - 1
        )
        cuts = np.searchsorted(points, self.edges[first + 1 : last + 1], side="left")
        begin = 0
        for day, end in zip(range(first, last + 1), [*cuts.tolist(), len(points)], strict=True):
            if end > begin:
                width = self.edges[day + 1] - self.edges[day]
                inside = (points[begin:end] - self.edges[day]) / (width or 1.0)
                fill(slice(begin, end), day, self.profiles[self.profile_of_day[day]], inside)
                begin = end


def _minute_mass(temporal: TemporalConfig) -> FloatArray:
    """Return the share of each wall clock minute in a day, shape (1440,)."""
    cdf = DISTRIBUTIONS[temporal.distribution_type]
    hours = np.arange(_MINUTES + 1) / 60
    total = sum(part.weight for part in temporal.time_components)
    share = sum(
        part.weight / total * cdf(hours, part.mean_hour, part.std_hours)
        for part in temporal.time_components
    )
    return np.maximum(np.diff(np.asarray(share)), 0.0)


def _wall_minutes(start: int, minutes: int, zone: ZoneInfo) -> IntArray:
    """Return the wall clock's minute of the day at each minute after an instant."""
    clock = [datetime.fromtimestamp(start + 60 * m, zone) for m in range(minutes)]
    return np.array([time.hour * 60 + time.minute for time in clock], dtype=np.int64)


def _day_starts(first: date, days: int, zone: ZoneInfo) -> IntArray:
    """Return the seconds since 1970 at which days begin, and the last ends, shape (days + 1,)."""
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    if zone.key == "UTC":
        return int(midnight.timestamp()) + 86_400 * np.arange(days + 1)
    local = [first + timedelta(days=day) for day in range(days + 1)]
    return np.array([int(datetime(d.year, d.month, d.day, tzinfo=zone).timestamp()) for d in local])


def make_calendar(temporal: TemporalConfig, labels: LabelConfig) -> Calendar:
    """Return the calendar of a configuration whose dates are known."""
    zone = temporal.zone
    first = date.fromisoformat(str(temporal.start_date))
    days = (date.fromisoformat(str(temporal.end_date)) - first).days + 1
    weights = np.array([temporal.weekday_weights[day] for day in range(7)])
    weight = weights[(first.weekday() + np.arange(days)) % 7]
    starts = _day_starts(first, days, zone)
    lengths = np.diff(starts) // 60
    # Where a country moved across the date line, a day was left out.
    weight = np.where(lengths > 0, weight, 0.0)
    if not weight.sum() > 0:
        raise ConfigError(
            f"temporal.weekday_weights: every day from {temporal.start_date} to "
            f"{temporal.end_date} weighs 0 or is no day in {temporal.timezone}; expected one that "
            "weighs more"
        )
    edges = np.concatenate([[0.0], np.cumsum(weight / weight.sum())])
    edges[np.flatnonzero(weight)[-1] + 1 :] = 1.0
    mass = _minute_mass(temporal)
    night = is_night_hour(np.arange(_MINUTES) // 60, labels)
    profiles = [Profile.of(mass, night)]
    profile_of_day = np.zeros(days, np.int64)
    # The days on which clocks change have minutes of their own.
    for day in np.flatnonzero((lengths != _MINUTES) & (lengths > 0)):
        wall = _wall_minutes(int(starts[day]), int(lengths[day]), zone)
        profile_of_day[day] = len(profiles)
        profiles.append(Profile.of(mass[wall], night[wall]))
    return Calendar(edges, starts[:-1], tuple(profiles), profile_of_day)
