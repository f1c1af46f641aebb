"""Pay: how often a person is paid, on which accounts, and on which days.

Pay has a share of all transactions, and a rhythm has its own number of paydays. So each person has
rather a rhythm whose paydays come near that share of the person's transactions, in such a way that
over all people the share is met and pay fills the history.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from payworld.datasets.personal_finance.config import RHYTHMS
from payworld.datasets.personal_finance.draws import (
    Words,
    spread_points,
    uniforms,
    user_ordinals,
    whole_numbers,
)
from payworld.datasets.personal_finance.people import CREDIT_CARD, Accounts
from payworld.datasets.personal_finance.recurring import (
    EPOCH,
    Series,
    month_capacity,
    monthly_days,
    split,
)
from payworld.datasets.personal_finance.rules import INCOME, Rules
from payworld.timeline import day_of_month, days_in_month
from payworld.world.arrays import FloatArray, IntArray

__all__ = ["PayPlan", "pay_days", "plan_pay"]

_FRIDAY = 4
# Halvings of the range in which the tilt of the rhythms' weights is searched.
_HALVINGS = 40
_STEEPEST = 20.0


class PayPlan(NamedTuple):
    """How each account is paid; lives for a block."""

    rhythm: IntArray
    """Index into RHYTHMS, the same on all accounts of a person."""
    payments: IntArray
    """How many; none on cards, unless there is nothing else."""


def plan_pay(seed: int, accounts: Accounts, rules: Rules) -> PayPlan:
    """Return rhythm and number of payments of each account.

    A person's deposit accounts share the pay: each has every payday, or as many of the newest as
    leave room for expenses. Where even the rarest rhythm has too many paydays, or the most
    frequent too few, an account has its own share of payments instead.
    """
    share = rules.shares[(accounts.subtype == CREDIT_CARD).astype(np.int64), INCOME]
    first, person = accounts.by_person()
    n = accounts.n_transactions
    room = np.where(share > 0, np.floor(n * (1 + share) / 2), 0).astype(np.int64)
    most = np.minimum(_capacities(rules.as_of - accounts.history_start), room[:, None])
    rhythms = rules.config.income.rhythms
    weights = np.array([getattr(rhythms, name) for name in RHYTHMS])
    possible = np.add.reduceat(most, first, axis=0)
    wanted = np.add.reduceat(share * n, first)
    chance = np.cumsum(_tilted(weights, possible, wanted), axis=1)
    low = accounts.owner[first]
    point = spread_points(seed, "pay.rhythm", user_ordinals(seed, low), low)[0]
    rhythm = (chance[:, :-1] <= point[:, None] * chance[:, -1:]).sum(axis=1)
    held = np.where(weights > 0, possible, possible[:, [np.argmax(weights)]])
    is_met = (held.min(axis=1) <= wanted) & (wanted <= held.max(axis=1))
    own = np.floor(share * n + uniforms(seed, "pay.count", accounts.low)).astype(np.int64)
    full = most[np.arange(len(n)), rhythm[person]]
    return PayPlan(rhythm[person], np.where(is_met[person], full, np.minimum(own, room)))


def _tilted(weights: FloatArray, possible: IntArray, wanted: FloatArray) -> FloatArray:
    """Return the weights of each person's rhythms, tilted so that the mean is what is wanted.

    The weights are multiplied by exp(tilt x payments), which changes them least. A mean that no
    tilt reaches is missed by as little as can be.

    Args:
        weights: of the rhythms.
        possible: payments by person and rhythm.
        wanted: mean number of payments by person.
    """
    low = np.full(len(wanted), -_STEEPEST)
    high = -low
    for _ in range(_HALVINGS):
        tilt = (low + high) / 2
        tilted = _tilt(weights, possible, tilt)
        is_short = (tilted * possible).sum(axis=1) < wanted
        low, high = np.where(is_short, tilt, low), np.where(is_short, high, tilt)
    return _tilt(weights, possible, (low + high) / 2)


def _tilt(weights: FloatArray, possible: IntArray, tilt: FloatArray) -> FloatArray:
    exponent = np.where(weights > 0, tilt[:, None] * possible, -np.inf)
    tilted = weights * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return np.asarray(tilted / tilted.sum(axis=1, keepdims=True))


def _capacities(history: IntArray) -> IntArray:
    """Return how many paydays surely fit, shape (rows, rhythms); weekends may shift two days."""
    months = month_capacity(history - 2)
    each = [history // 7, history // 14, (history - 2) // 16, months]
    return np.maximum(np.stack(each, axis=1), 1)


def pay_days(
    seed: int,
    people: Words,
    history: IntArray,
    rhythm: IntArray,
    rows: tuple[IntArray, ...],
    rules: Rules,
) -> tuple[IntArray, Series]:
    """Return the days of pay, and their series.

    Of a person's accounts those with fewer payments have the newest days.

    Args:
        seed: of the data set.
        people: low words of the rows' users.
        history: days of history that the rows' users have.
        rhythm: of the rows' users, index into RHYTHMS.
        rows: position and count of each row within its account, and the largest count of its
            person's accounts.
        rules: of the data set.
    """
    position, count, most = rows
    capacity = _capacities(history)[np.arange(len(rhythm)), rhythm]
    streams = -(-most // capacity)
    series = split(position, count, streams)
    longest = -(-most // streams)
    employer = people + series.stream.astype(np.uint64)
    table = np.stack(
        [
            _weekly(seed, employer, series.step, 7, rules),
            _weekly(seed, employer, series.step, 14, rules),
            _semi_monthly(series.step, rules.as_of),
            _monthly(seed, employer, history, (series.step, longest), rules.as_of),
        ],
        axis=1,
    )
    return table[np.arange(len(rhythm)), rhythm], series


def _weekly(seed: int, keys: Words, step: IntArray, days: int, rules: Rules) -> IntArray:
    """Return paydays every 7 or 14 days, on Fridays mostly, otherwise on Thursdays."""
    on_thursday = uniforms(seed, "pay.weekday", keys) < rules.config.income.thursday_share
    payday = _FRIDAY - on_thursday
    newest = rules.as_of - 1 - (rules.as_of - 1 + 6 - payday) % 7
    skipped = uniforms(seed, "pay.week", keys) < 0.5
    return np.asarray(newest - np.where(days == 14, 7 * skipped, 0) - days * step)


def _semi_monthly(step: IntArray, as_of: int) -> IntArray:
    """Return paydays on the 15th and the last day of the month."""
    yesterday = as_of - 1
    day, length = day_of_month(yesterday), days_in_month(yesterday)
    months = (np.array([yesterday - EPOCH]).astype("M8[D]").astype("M8[M]")).astype(np.int64)[0]
    newest = 2 * months + (1 if day == length else 0 if day >= 15 else -1)
    half = newest - step
    month = (half // 2).astype("M8[M]")
    middle = month.astype("M8[D]").astype(np.int64) + 14
    end = (month + np.timedelta64(1, "M")).astype("M8[D]").astype(np.int64) - 1
    return _before_weekend(np.where(half % 2 == 0, middle, end) + EPOCH)


def _monthly(
    seed: int, keys: Words, history: IntArray, steps: tuple[IntArray, IntArray], as_of: int
) -> IntArray:
    step, longest = steps
    room = np.clip(history - 2 - 31 * (longest - 1), 1, 31)
    back = whole_numbers(uniforms(seed, "pay.day", keys), 0, room - 1)
    return _before_weekend(monthly_days(as_of - 1 - back, step))


def _before_weekend(day: IntArray) -> IntArray:
    """Return the Friday before, where a day is a Saturday or Sunday."""
    return day - np.maximum((day + 6) % 7 - _FRIDAY, 0)
