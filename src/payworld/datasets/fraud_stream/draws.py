"""The draws of a block: when, which card and merchant, how much; and which of a group are fraud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.alias import AliasTable
from payworld.datasets.fraud_stream.amounts import amounts_of, draw_amounts, rounded
from payworld.datasets.fraud_stream.catalogs import Catalogs
from payworld.datasets.fraud_stream.labels import Keys, Places, choose_frauds, draw_keys, logits
from payworld.datasets.fraud_stream.plan import Plan
from payworld.randomness import hash_bits, stream
from payworld.world.arrays import BoolArray, ByteArray, FloatArray, Int32Array, IntArray

__all__ = ["Payments", "Recurring", "draw_cards", "draw_origins", "draw_payments", "recurring_rows"]

# How far a recurring amount strays from its series' amount.
_RECURRING_SPREAD = 0.01
_TWO_TO_53 = 2.0**-53


@dataclass(frozen=True, eq=False)
class Recurring:
    """The recurring payments of one block, ascending; lives for a block."""

    rows: IntArray
    series: IntArray
    events: IntArray
    is_first: BoolArray


@dataclass(frozen=True, eq=False)
class Payments:
    """What labels depend on, for one block; columns of equal length; lives for a block."""

    instants: IntArray
    cards: Int32Array
    merchants: Int32Array
    amounts: FloatArray
    logit: Keys
    recurring: Recurring


def recurring_rows(plan: Plan, block: int) -> Recurring:
    """Return which rows of a block are recurring payments, and of which series.

    Event e takes one of the rows from e * rows // events to (e + 1) * rows // events. Series
    come in turn, so that a series' payments are equally far apart in the stream's activity.
    """
    events, count = plan.series.events, plan.series.count
    first, rows = plan.first_row(block), plan.rows_of(block)
    if not events:
        none = np.empty(0, np.int64)
        return Recurring(none, none, none, np.empty(0, np.bool_))
    low = max(first * events // plan.rows - 1, 0)
    high = min((first + rows) * events // plan.rows + 1, events)
    event = np.arange(low, high)
    begin = event * plan.rows // events
    width = (event + 1) * plan.rows // events - begin
    jitter = hash_bits(plan.config.seed, "fraud.recurring.row", event) >> np.uint64(32)
    row = begin + (jitter.astype(np.int64) * width >> 32) - first
    inside = (row >= 0) & (row < rows)
    event = event[inside]
    return Recurring(row[inside], event % count, event, event < count)


def _uniform(seed: int, purpose: str, ordinals: IntArray) -> FloatArray:
    """Return a number in (0, 1) for each ordinal, the same for ever."""
    bits = (hash_bits(seed, purpose, ordinals) >> np.uint64(11)).astype(np.float64)
    return (bits + 0.5) * _TWO_TO_53


def _series_amounts(plan: Plan, recurring: Recurring, pairs: IntArray) -> FloatArray:
    """Return each recurring payment's amount: that of its card at its merchant, within 0.5%.

    `pairs` number card and merchant together: should two series meet there, they cost the same.
    """
    seed = plan.config.seed
    uniform = _uniform(seed, "fraud.recurring.amount", pairs)
    angle = 2 * np.pi * _uniform(seed, "fraud.recurring.angle", pairs)
    # Box and Muller's normal numbers.
    normal = np.sqrt(-2 * np.log(uniform)) * np.cos(angle)
    amounts = amounts_of(uniform, normal, plan.config.feature)
    drift = _uniform(seed, "fraud.recurring.drift", recurring.events) - 0.5
    drift[recurring.is_first] = 0.0
    return rounded(amounts * (1 + _RECURRING_SPREAD * drift), plan.config.feature)


def _draw(plan: Plan, table: AliasTable, purpose: str, block: int) -> Int32Array:
    raw = stream(plan.config.seed, purpose, block=block).bit_generator.random_raw
    bits: NDArray[np.uint64] = raw(plan.rows_of(block))
    return table.pick(bits)


def draw_cards(plan: Plan, catalogs: Catalogs, block: int, recurring: Recurring) -> Int32Array:
    """Draw the card of each payment of a block, shape (rows,)."""
    cards = _draw(plan, catalogs.cards.table, "fraud.card", block)
    bits = hash_bits(plan.config.seed, "fraud.recurring.card", recurring.series)
    cards[recurring.rows] = catalogs.cards.table.pick(bits)
    return cards


def _draw_merchants(plan: Plan, catalogs: Catalogs, block: int, recurring: Recurring) -> Int32Array:
    merchants = _draw(plan, catalogs.merchants.table, "fraud.merchant", block)
    bits = hash_bits(plan.config.seed, "fraud.recurring.merchant", recurring.series)
    chosen = catalogs.merchants.table.pick(bits)
    # Cash machines sell no subscriptions; none is of the first rank.
    while (at_atm := catalogs.merchants.is_atm[chosen]).any():
        chosen = chosen - at_atm
    merchants[recurring.rows] = chosen
    return merchants


def draw_payments(plan: Plan, catalogs: Catalogs, block: int) -> Payments:
    """Draw what labels depend on, for one block."""
    config, n = plan.config, plan.rows_of(block)
    recurring = recurring_rows(plan, block)
    cards = draw_cards(plan, catalogs, block, recurring)
    merchants = _draw_merchants(plan, catalogs, block, recurring)
    points = stream(config.seed, "fraud.time", block=block).random(n)
    points.sort()
    low, high = plan.edges[block], plan.edges[block + 1]
    points *= high - low
    points += low
    instants, night = plan.calendar.instants(points)
    amounts = draw_amounts(stream(config.seed, "fraud.amount", block=block), n, config.feature)
    at = recurring.rows
    pairs = cards[at].astype(np.int64) * len(catalogs.merchants) + merchants[at]
    amounts[at] = _series_amounts(plan, recurring, pairs)
    logit = logits(
        amounts,
        catalogs.merchants.risk32[merchants],
        catalogs.cards.risk32[cards],
        night,
        config.labels,
    )
    return Payments(instants, cards, merchants, amounts, logit, recurring)


def draw_origins(
    plan: Plan, catalogs: Catalogs, group: int, payments: Sequence[Payments]
) -> ByteArray:
    """Draw which payments of a row group, given by block, are fraud: their origin, 0 for none."""
    config, quotas = plan.config, plan.quotas
    quota = (int(quotas.model[group]), int(quotas.bursts[group]), int(quotas.total[group]))
    if not quota[2]:
        return np.zeros(sum(len(part.cards) for part in payments), np.uint8)
    keys = [
        draw_keys(stream(config.seed, "fraud.label", block=block), part.logit)
        for block, part in zip(plan.blocks_of(group), payments, strict=True)
    ]
    places = _places(
        plan,
        group,
        np.concatenate([part.instants for part in payments]),
        np.concatenate([part.merchants for part in payments]),
        len(catalogs.merchants),
    )
    return choose_frauds(np.concatenate(keys), places, quota, config.labels.burst_factor)


def _places(
    plan: Plan, group: int, instants: IntArray, merchants: Int32Array, merchant_count: int
) -> Places:
    """Return where a row group's payments stand for bursts.

    Bursts keep a window's length away from where groups meet, so that no group needs to know the
    frauds of another; nothing is before the first and after the last.
    """
    window_ns = plan.config.labels.burst_window_s * 1_000_000_000
    window: IntArray = instants // window_ns
    is_open = np.ones(len(instants), np.bool_)
    if group > 0:
        is_open &= instants >= plan.meetings[group] + window_ns
    if group < plan.groups - 1:
        is_open &= instants < plan.meetings[group + 1] - window_ns
    # From 1: a number stands below each.
    return Places(merchants, window - (window[0] & ~1) + 2, is_open, merchant_count)
