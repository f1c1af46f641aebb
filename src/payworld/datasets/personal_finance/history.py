"""The transactions of a block of accounts as arrays: no loop over rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from payworld.datasets.personal_finance.config import RHYTHMS
from payworld.datasets.personal_finance.draws import Words, uniforms
from payworld.datasets.personal_finance.pay import PayPlan, pay_days, plan_pay
from payworld.datasets.personal_finance.people import CREDIT_CARD, Accounts
from payworld.datasets.personal_finance.recurring import bill_days, bill_streams
from payworld.datasets.personal_finance.rules import (
    FIRST_SPENDING,
    GROUPS,
    INCOME,
    SUBSCRIPTIONS,
    UTILITIES,
    Rules,
)
from payworld.world.arrays import BoolArray, FloatArray, IntArray

__all__ = ["History", "make_history"]


@dataclass(frozen=True, eq=False)
class History:
    """Transactions as columns, an account's side by side, oldest first; lives for a block."""

    account: IntArray
    """Row of the account."""
    index: IntArray
    """Number within the account, from 0."""
    day: IntArray
    """Ordinal."""
    second: IntArray
    amount_cents: IntArray
    """Positive: money out; negative: money in."""
    group: IntArray
    name: IntArray
    """Index into Rules.names."""
    pending: BoolArray


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows before they have a day, by account and group; lives for a block."""

    account: IntArray
    group: IntArray
    position: IntArray
    """Number within account and group."""
    count: IntArray
    """Rows of that account and group."""
    most: IntArray
    """Rows of that group on the fullest account of the person."""
    before: IntArray
    """Monthly bills of that group on the person's earlier accounts."""
    person_key: Words
    account_key: Words
    key: Words
    history: IntArray
    """Days of history that the account has."""

    def only(self, group: int) -> tuple[IntArray, _Rows]:
        """Return the row numbers of a group, and those rows."""
        at = np.flatnonzero(self.group == group)
        return at, _Rows(*(column[at] for column in vars(self).values()))


def make_history(seed: int, accounts: Accounts, rules: Rules) -> History:
    """Return every transaction of the accounts, ordered by account and time."""
    plan = plan_pay(seed, accounts, rules)
    rows = _rows(seed, accounts, plan, rules)
    day = np.zeros(len(rows.key), np.int64)
    amount, name = np.empty_like(day), np.empty_like(day)
    _fill_income(seed, rows, plan, rules, (day, amount, name))
    _fill_bills(seed, rows, rules, (day, amount, name))
    pending_count = _pending_counts(seed, accounts, rules)
    is_newest = _newest(seed, rows, accounts, pending_count, rules, day)
    _fill_spending(seed, rows, is_newest, rules, (day, amount, name))
    second = _seconds(seed, rows.key, name, rules)
    # Days reach 2^22, seconds 2^17, a block's accounts 2^24.
    order = np.argsort((rows.account << 39) | (day << 17) | second, kind="stable")
    starts = np.cumsum(accounts.n_transactions) - accounts.n_transactions
    account = rows.account
    index = np.arange(len(order)) - starts[account]
    newest_first = accounts.n_transactions[account] - 1 - index
    day = day[order]
    recent = day >= rules.as_of - rules.config.transactions.pending_days
    return History(
        account=account,
        index=index,
        day=day,
        second=second[order],
        amount_cents=amount[order],
        group=rows.group[order],
        name=name[order],
        pending=(newest_first < pending_count[account]) & recent,
    )


def _rows(seed: int, accounts: Accounts, plan: PayPlan, rules: Rules) -> _Rows:
    """Return the rows of pay, and those that fill each account's quota of every other group."""
    n = accounts.n_transactions
    shares = rules.shares[(accounts.subtype == CREDIT_CARD).astype(np.int64)]
    pay = shares[:, [INCOME]]
    others = (n - plan.payments)[:, None]
    # Where all is pay, nothing is left of either.
    quotas = (shares - pay) / np.maximum(1 - pay, 1e-9) * others
    # One random start for each account, systematic sampling after it: the counts add up, and
    # each is its quota rounded down or up.
    bounds = np.floor(quotas + uniforms(seed, "account.quotas", accounts.low)[:, None])
    bounds = np.minimum(bounds.astype(np.int64), others)
    bounds[:, [-1]] = others
    counts = np.diff(bounds, axis=1, prepend=0)
    counts[:, INCOME] = plan.payments
    history = rules.as_of - accounts.history_start
    most, before = _of_the_person(accounts, counts, history)
    account = np.repeat(np.arange(len(n)), n)
    number = np.arange(len(account))
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    position = number - (np.cumsum(counts) - counts.ravel())[cell]
    account_key = accounts.low[account]
    index = number - (np.cumsum(n) - n)[account]
    return _Rows(
        account=account,
        group=cell % len(GROUPS),
        position=position,
        count=counts.ravel()[cell],
        most=most.ravel()[cell],
        before=before.ravel()[cell],
        person_key=accounts.owner[account],
        account_key=account_key,
        key=account_key + index.astype(np.uint64),
        history=history[account],
    )


def _of_the_person(
    accounts: Accounts, counts: IntArray, history: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the most rows on an account of its person, and the bills on earlier ones.

    Both by account and group, as the counts are.
    """
    first, person = accounts.by_person()
    bills = bill_streams(counts, history[:, None])
    before = np.cumsum(bills, axis=0) - bills
    return np.maximum.reduceat(counts, first, axis=0)[person], before - before[first][person]


_Columns = tuple[IntArray, IntArray, IntArray]


def _fill_income(seed: int, rows: _Rows, plan: PayPlan, rules: Rules, columns: _Columns) -> None:
    """Write day, amount (negative) and employer of the rows of pay."""
    at, pay = rows.only(INCOME)
    rhythm = plan.rhythm[pay.account]
    days, series = pay_days(
        seed,
        pay.person_key,
        pay.history,
        rhythm,
        (pay.position, pay.count, pay.most),
        rules,
    )
    income = rules.config.income
    low, high = (round(bound * 100) for bound in income.amount_range)
    level = uniforms(seed, "pay.level", pay.account_key + series.stream.astype(np.uint64))
    level *= np.array([getattr(income.reach, name) for name in RHYTHMS])[rhythm]
    usual = low + (high - low) * level
    amount = _around(seed, pay.key, usual, income.variation, (low, high))
    columns[0][at], columns[1][at] = days, -amount
    columns[2][at] = _stream_names(seed, "pay.name", pay.person_key, series.stream, INCOME, rules)


def _fill_bills(seed: int, rows: _Rows, rules: Rules, columns: _Columns) -> None:
    """Write day, amount and merchant of the rows of utilities and subscriptions."""
    for group in (UTILITIES, SUBSCRIPTIONS):
        purpose = GROUPS[group].lower()
        at, bills = rows.only(group)
        days, series = bill_days(
            seed,
            purpose,
            bills.account_key,
            bills.history,
            (bills.position, bills.count),
            rules.as_of,
        )
        name = _stream_names(
            seed, f"{purpose}.name", bills.person_key, bills.before + series.stream, group, rules
        )
        low, high = rules.low_cents[name], rules.high_cents[name]
        stream_key = bills.account_key + series.stream.astype(np.uint64)
        usual = np.rint(low * (high / low) ** uniforms(seed, f"{purpose}.level", stream_key))
        if group == SUBSCRIPTIONS:
            usual = np.clip(usual // 100 * 100 + 99, low, high)
        section = rules.config.utilities if group == UTILITIES else rules.config.subscriptions
        columns[0][at] = days
        columns[1][at] = _around(seed, bills.key, usual, section.variation, (low, high))
        columns[2][at] = name


def _stream_names(
    seed: int, purpose: str, keys: Words, stream: IntArray, group: int, rules: Rules
) -> IntArray:
    """Return a name for each series of a person, different ones while the pool lasts."""
    n = int(rules.name_count[group])
    first = (uniforms(seed, purpose, keys) * n).astype(np.int64)
    return np.asarray((first + stream) % n + rules.first_name[group])


def _around(
    seed: int,
    keys: Words,
    usual: FloatArray,
    variation: float,
    bounds: tuple[FloatArray | float, FloatArray | float],
) -> IntArray:
    """Return whole cents within a share of the usual amount, and within the bounds."""
    wobble = 1 + variation * (2 * uniforms(seed, "amount.wobble", keys) - 1)
    return np.clip(np.rint(usual * wobble), *bounds).astype(np.int64)


def _fill_spending(
    seed: int, rows: _Rows, is_newest: BoolArray, rules: Rules, columns: _Columns
) -> None:
    """Write day, amount and merchant of the rows that people choose."""
    newest = rules.as_of - rules.config.transactions.pending_days - rules.first_day
    for group in range(FIRST_SPENDING, len(GROUPS)):
        at, spent = rows.only(group)
        weights = rules.days[group - FIRST_SPENDING]
        start = np.where(is_newest[at], newest, rules.as_of - spent.history - rules.first_day)
        end = np.where(is_newest[at], len(weights) - 1, newest)
        share = uniforms(seed, "spending.day", spent.key)
        point = weights[start] + share * (weights[end] - weights[start])
        day = np.searchsorted(weights, point, side="right") - 1
        columns[0][at] = np.clip(day, start, end - 1) + rules.first_day
        name = _habits(seed, spent, group, rules)
        low, high = rules.low_cents[name], rules.high_cents[name]
        price = low * (high / low) ** uniforms(seed, "spending.price", spent.key)
        columns[1][at] = np.clip(np.rint(price), low, high).astype(np.int64)
        columns[2][at] = name


def _habits(seed: int, rows: _Rows, group: int, rules: Rules) -> IntArray:
    """Return merchants, each person with favourites of their own."""
    n = int(rules.name_count[group])
    favourite = uniforms(seed, f"habit.{GROUPS[group]}", rows.person_key) * n
    away = uniforms(seed, "habit.away", rows.key) ** rules.config.transactions.habit_skew * n
    return np.asarray(
        (favourite.astype(np.int64) + away.astype(np.int64)) % n + rules.first_name[group]
    )


def _pending_counts(seed: int, accounts: Accounts, rules: Rules) -> IntArray:
    quota = accounts.n_transactions * rules.config.transactions.pending_share
    return np.floor(quota + uniforms(seed, "account.pending", accounts.low)).astype(np.int64)


def _newest(
    seed: int, rows: _Rows, accounts: Accounts, pending: IntArray, rules: Rules, day: IntArray
) -> BoolArray:
    """Return which chosen payments lie in the last days: as many as there would be anyway.

    More only where the pending ones need them, besides the bills and the pay of those days.
    """
    days = rules.config.transactions.pending_days
    is_chosen = rows.group >= FIRST_SPENDING
    at = np.flatnonzero(is_chosen)
    account = rows.account[at]
    n = np.bincount(account, minlength=len(accounts))
    dated = rows.account[~is_chosen & (day >= rules.as_of - days)]
    missing = pending - np.bincount(dated, minlength=len(accounts))
    usual = n * days / (rules.as_of - accounts.history_start)
    usual = np.floor(usual + uniforms(seed, "account.usual", accounts.low)).astype(np.int64)
    wanted = np.minimum(np.maximum(missing, usual), n)[account]
    number = np.arange(len(at)) - (np.cumsum(n) - n)[account]
    # Evenly spread over the account's chosen rows, so over their categories.
    shift = (uniforms(seed, "account.newest", accounts.low) * n).astype(np.int64)[account]
    before = (number * wanted + shift) // n[account]
    after = ((number + 1) * wanted + shift) // n[account]
    is_newest = np.zeros(len(rows.group), bool)
    is_newest[at] = after > before
    return is_newest


def _seconds(seed: int, keys: Words, name: IntArray, rules: Rules) -> IntArray:
    """Return the second of the day of each row, by the hours of who is paid or pays."""
    # All hours end to end: those of a name lie between its number and the next one.
    edges = (rules.hours + np.arange(len(rules.hours))[:, None]).ravel()
    point = name + np.minimum(uniforms(seed, "time", keys), 1 - 2.0**-30)
    edge = np.searchsorted(edges, point, side="right") - 1
    into = (point - edges[edge]) / (edges[edge + 1] - edges[edge])
    second = ((edge - 25 * name + into) * 3600).astype(np.int64)
    return np.clip(second, 0, 86_399)
