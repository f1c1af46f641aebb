"""The plan of a stream: which block covers which time, and how many frauds a row group holds.

Cheap whatever the number of rows: a few numbers for each block of 16,384.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from payworld.datasets.fraud_stream.amounts import draw_amounts
from payworld.datasets.fraud_stream.calendar import Calendar, make_calendar
from payworld.datasets.fraud_stream.catalogs import Catalogs
from payworld.datasets.fraud_stream.config import FraudConfig
from payworld.datasets.fraud_stream.labels import (
    fraud_count,
    logits,
    sigmoid,
    solve_intercept,
    split_count,
)
from payworld.randomness import stream
from payworld.world.arrays import FloatArray, IntArray

__all__ = ["BLOCK_ROWS", "GROUP_ROWS", "Plan", "Quotas", "Series", "make_plan"]

# Parts of the data format: other numbers give other bytes.
BLOCK_ROWS = 16_384
GROUP_BLOCKS = 6
GROUP_ROWS = BLOCK_ROWS * GROUP_BLOCKS

_PILOT_ROWS = 65_536
_PILOT_BINS = 2_048
# Recurring payments come weekly where the stream is long enough, else four times.
_PERIOD_DAYS = 7
_TIMES = 4
_FEWEST_TIMES = 3
# A payment that recurs has one before it.
_FEWEST_EVENTS = 2


@dataclass(frozen=True)
class Series:
    """Recurring payments: `events` of them, of `count` series in turn."""

    events: int
    count: int


@dataclass(frozen=True, eq=False)
class Quotas:
    """Frauds of each row group, shape (groups,): by the model, in bursts, and all."""

    model: IntArray
    bursts: IntArray
    total: IntArray


@dataclass(frozen=True, eq=False)
class Plan:
    """All that blocks need to know of each other; lives for a run.

    Block b holds the points of the calendar from edges[b] to edges[b + 1], row group g the
    instants from meetings[g] to meetings[g + 1], ns since 1970.
    """

    config: FraudConfig
    calendar: Calendar
    edges: FloatArray
    meetings: IntArray
    quotas: Quotas
    intercept: float
    series: Series
    pos_share: float

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return self.config.total_rows

    @property
    def blocks(self) -> int:
        """Return the number of blocks."""
        return len(self.edges) - 1

    @property
    def groups(self) -> int:
        """Return the number of row groups."""
        return -(-self.rows // GROUP_ROWS)

    def first_row(self, block: int) -> int:
        """Return the number of the block's first row."""
        return block * BLOCK_ROWS

    def rows_of(self, block: int) -> int:
        """Return the block's number of rows."""
        return min(BLOCK_ROWS, self.rows - block * BLOCK_ROWS)

    def blocks_of(self, group: int) -> range:
        """Return the blocks of a row group."""
        return range(group * GROUP_BLOCKS, min((group + 1) * GROUP_BLOCKS, self.blocks))


def _draw_edges(seed: int, rows: int) -> FloatArray:
    """Draw the points at which blocks meet, shape (blocks + 1,).

    The gaps between sorted uniform points are as exponential variables over their sum, so a
    block's width is a gamma variable over the sum: all points are spread as if drawn at once.
    """
    blocks = -(-rows // BLOCK_ROWS)
    sizes = np.full(blocks, float(BLOCK_ROWS))
    sizes[-1] = rows - (blocks - 1) * BLOCK_ROWS + 1
    widths = stream(seed, "fraud.block_edges").standard_gamma(sizes)
    edges: FloatArray = np.concatenate([[0.0], np.cumsum(widths)])
    edges /= edges[-1]
    return edges


def _plan_series(config: FraudConfig, days: int, pos_share: float) -> Series:
    """Return the recurring payments that fit: they are online, and each comes three times.

    A stream too thin for one weekly series has one that comes less often.
    """
    share = min(config.feature.recurring_share, max(1 - pos_share, 0.0))
    events = round(share * config.total_rows)
    if events < _FEWEST_EVENTS:
        return Series(0, 0)
    if days >= _TIMES * _PERIOD_DAYS:
        count = round(events * _PERIOD_DAYS / days)
    else:
        count = events // _TIMES
    return Series(events, max(min(count, events // _FEWEST_TIMES), 1))


def _pilot_logits(config: FraudConfig, catalogs: Catalogs) -> tuple[FloatArray, FloatArray]:
    """Return daytime logits of a sample of payments, and the share of each."""
    rng = stream(config.seed, "fraud.pilot")
    cards = catalogs.cards.table.pick(rng.bit_generator.random_raw(_PILOT_ROWS))
    merchants = catalogs.merchants.table.pick(rng.bit_generator.random_raw(_PILOT_ROWS))
    logit = logits(
        draw_amounts(rng, _PILOT_ROWS, config.feature),
        catalogs.merchants.risk32[merchants],
        catalogs.cards.risk32[cards],
        np.zeros(_PILOT_ROWS, np.bool_),
        config.labels,
    )
    counts, edges = np.histogram(logit, bins=_PILOT_BINS)
    return (edges[:-1] + edges[1:]) / 2, counts / _PILOT_ROWS


def _rounded(expected: FloatArray, total: int) -> IntArray:
    """Return whole numbers that sum to total, each within one of its share of it."""
    weight = expected.sum()
    if not weight > 0:
        expected, weight = np.ones_like(expected), float(len(expected))
    upto = np.rint(np.cumsum(expected) / weight * total).astype(np.int64)
    upto[-1] = total
    return np.diff(np.maximum.accumulate(np.minimum(upto, total)), prepend=0)


def _spilled(wanted: IntArray, room: IntArray) -> IntArray:
    """Return the counts cut to the room of each block, what is cut moved to blocks with room."""
    kept = np.minimum(wanted, room)
    over = int((wanted - kept).sum())
    if over:
        spare = room - kept
        upto = np.minimum(np.cumsum(spare), over)
        kept = kept + np.diff(upto, prepend=0)
    return kept


def _plan_quotas(
    plan: tuple[FraudConfig, Calendar, FloatArray, IntArray], catalogs: Catalogs, spans: IntArray
) -> tuple[Quotas, float]:
    """Return each row group's frauds, and the intercept at which the target is expected.

    `spans` are the groups' lengths in ns, as far as a burst must keep away from their ends.
    """
    config, calendar, edges, sizes = plan
    frauds = fraud_count(config.total_rows, config.fraud_rate)
    if frauds == 0:
        none = np.zeros(len(spans), np.int64)
        return Quotas(none, none, none), float("-inf")
    logit, share = _pilot_logits(config, catalogs)
    night = np.diff(calendar.night_before(edges)) / np.maximum(np.diff(edges), 1e-300)
    night = np.clip(night, 0.0, 1.0)

    def expected(intercept: float) -> FloatArray:
        by_day = float(sigmoid(intercept + logit) @ share)
        by_night = float(sigmoid(intercept + logit + config.labels.night_weight) @ share)
        return sizes * ((1 - night) * by_day + night * by_night)

    intercept = solve_intercept(lambda value: float(expected(value).sum()), frauds)
    firsts = np.arange(0, len(sizes), GROUP_BLOCKS)
    by_group, room = np.add.reduceat(expected(intercept), firsts), np.add.reduceat(sizes, firsts)
    model, bursts = split_count(frauds, config.labels)
    # Bursts go to groups that have room for them in time, in whole bursts where there are many.
    opens = by_group * (spans > 0)
    factor = config.labels.burst_factor
    in_bursts = _rounded(opens, bursts // factor) * factor
    in_bursts[int(np.argmax(opens))] += bursts % factor
    by_model = _rounded(by_group, model)
    # Few such groups in a long stream would draw all of its bursts together.
    most = np.maximum(2 * _rounded(by_group, frauds), factor)
    filled = _rounded(by_group, int(np.maximum(in_bursts - most, 0).sum()))
    in_bursts = np.minimum(in_bursts, most)
    total = _spilled(by_model + in_bursts + filled, room)
    return Quotas(np.minimum(by_model, total), np.minimum(in_bursts, total), total), intercept


def _spans(meetings: IntArray, window_ns: int) -> IntArray:
    """Return how much of each row group's time is a window's length from other groups, ns."""
    spans = np.diff(meetings)
    if len(spans) > 1:
        spans = spans - 2 * window_ns
        spans[[0, -1]] += window_ns
    return spans


def make_plan(config: FraudConfig, catalogs: Catalogs) -> Plan:
    """Return the plan of a configuration whose dates are known."""
    calendar = make_calendar(config.temporal, config.labels)
    edges = _draw_edges(config.seed, config.total_rows)
    blocks = len(edges) - 1
    sizes = np.full(blocks, BLOCK_ROWS, np.int64)
    sizes[-1] = config.total_rows - (blocks - 1) * BLOCK_ROWS
    ends = np.append(edges[:-1:GROUP_BLOCKS], np.nextafter(1.0, 0.0))
    meetings = calendar.instants(ends)[0]
    spans = _spans(meetings, config.labels.burst_window_s * 1_000_000_000)
    quotas, intercept = _plan_quotas((config, calendar, edges, sizes), catalogs, spans)
    devices = config.feature.device_types
    pos_share = devices["POS"] / sum(devices.values())
    series = _plan_series(config, calendar.days, pos_share)
    return Plan(config, calendar, edges, meetings, quotas, intercept, series, pos_share)
