"""Openings, changes and churn of one day.

A month's growth and churn are reckoned from the merchants active at its start and spread over
its days, so they never depend on where a run begins or ends. Nothing changes on the first day of
a world: its merchants have just been born.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from payworld.config import WorldConfig
from payworld.config.model import SIZES
from payworld.randomness import stream
from payworld.timeline import day_of_month, days_in_month, month_key
from payworld.world import attributes
from payworld.world.arrays import ByteArray, IntArray, frozen
from payworld.world.birth import open_merchants
from payworld.world.reference import Places
from payworld.world.state import Change, Merchants, Month, NamePools, VersionBatch, World

__all__ = ["live_day"]

_NOBODY = np.zeros(0, np.int64)


def month_on(world: World, day: int) -> Month:
    """Return what the month of a day is reckoned from."""
    if world.month is not None and world.month.key == month_key(day):
        return world.month
    return Month(month_key(day), day, int(world.merchants.active.sum()))


def count_on(day: int, month: Month, seed: int, purpose: str, rate: float, at_most: int) -> int:
    """Return how many of a month's openings (or closings) fall on a day.

    The month's number is rate times the active merchants, capped, pro rata where the world
    begins within the month, and rounded up or down by chance so that small worlds move too.
    """
    length = days_in_month(day)
    # A world's first day has no lifecycle of its own, hence the days that follow it.
    first = month.first_day - day_of_month(month.first_day) + 1
    days_left = length if month.first_day == first else first + length - 1 - month.first_day
    if days_left == 0:
        return 0
    rng = stream(seed, purpose, first)
    expected = min(rate * month.active_at_start, at_most) * days_left / length
    total = int(np.floor(expected + rng.random()))
    last = first + length - 1
    chosen = last - np.floor(rng.random(total) * days_left).astype(np.int64)
    return int((chosen == day).sum())


def draw_churners(world: World, day: int, config: WorldConfig, n: int) -> IntArray:
    """Draw who leaves, ordinals ascending, shape (at most n,).

    Weighted sampling without replacement by exponential keys (Efraimidis and Spirakis 2006).
    """
    merchants = world.merchants
    candidates = np.flatnonzero(merchants.active & (merchants.opened < day))
    by_size = np.array([getattr(config.merchant_sizes, s).churn_multiplier for s in SIZES])
    since = day - np.maximum(merchants.last_paid, merchants.opened)[candidates]
    dormancy = np.minimum(since / config.dormant_after_days, 1.0)
    weights = by_size[merchants.size[candidates]] * (
        1 + (config.dormancy_churn_multiplier - 1) * dormancy
    )
    rng = stream(config.seed, "churn_choice", day)
    draws = -np.log1p(-rng.random(len(merchants)))[candidates]
    possible = np.flatnonzero(weights > 0)
    keys = draws[possible] / weights[possible]
    chosen = possible[np.argsort(keys, kind="stable")[:n]]
    return np.sort(candidates[chosen])


def draw_changes(
    merchants: Merchants, day: int, config: WorldConfig, leaving: IntArray
) -> tuple[IntArray, ByteArray]:
    """Draw who changes which attribute: ordinals ascending and Change codes, equal shapes."""
    rates = config.attribute_change_rates
    monthly = np.array([rates.mdr, rates.phone, rates.email, rates.address])
    edges = np.cumsum(monthly) * config.attribute_change_multiplier / days_in_month(day)
    draws = stream(config.seed, "attribute_change", day).random(len(merchants))
    may = merchants.active & (merchants.opened < day)
    may[leaving] = False
    ordinals = np.flatnonzero(may & (draws < edges[-1]))
    codes = np.searchsorted(edges, draws[ordinals], side="right") + Change.MDR
    return ordinals, codes.astype(np.uint8)


def change_mdr(
    merchants: Merchants, who: IntArray, day: int, config: WorldConfig
) -> tuple[Merchants, IntArray]:
    """Return the merchants with new rates, and whose rate did change.

    Where the range is one value, the rate stays and there is no new version.
    """
    low, high = attributes.mdr_bounds_bps(config, merchants.size[who])
    current = merchants.mdr_bps[who].astype(np.int64)
    drawn = attributes.draw_other(stream(config.seed, "change.mdr", day), current, low, high)
    mdr_bps = merchants.mdr_bps.copy()
    mdr_bps[who] = drawn
    return replace(merchants, mdr_bps=frozen(mdr_bps)), who[drawn != current]


def change_phones(merchants: Merchants, who: IntArray, day: int, seed: int) -> Merchants:
    """Return the merchants with new phone numbers."""
    rng = stream(seed, "change.phone", day)
    phone = list(merchants.phone)
    for row in who.tolist():
        phone[row] = attributes.draw_new_phone(rng, phone[row])
    return replace(merchants, phone=phone)


def change_emails(merchants: Merchants, who: IntArray, day: int, seed: int) -> Merchants:
    """Return the merchants with new mailboxes."""
    rng = stream(seed, "change.email", day)
    email = list(merchants.email)
    for row in who.tolist():
        email[row] = attributes.draw_new_email(rng, email[row])
    return replace(merchants, email=email)


def change_addresses(
    merchants: Merchants, who: IntArray, day: int, seed: int, pools: NamePools, places: Places
) -> Merchants:
    """Return the merchants moved house: street, city, state and ZIP together."""
    rng = stream(seed, "change.place", day)
    streets = attributes.draw_addresses(stream(seed, "change.address", day), len(who), pools)
    address, place = list(merchants.address), merchants.place.copy()
    for row, street in zip(who.tolist(), streets, strict=True):
        address[row] = street
        place[row] = attributes.draw_new_place(rng, int(place[row]), places)
    located = merchants.located.copy()
    located[who] = day
    return replace(merchants, address=address, place=frozen(place), located=frozen(located))


def _apply(
    world: World,
    changers: IntArray,
    codes: ByteArray,
    day: int,
    config: WorldConfig,
    places: Places,
) -> tuple[Merchants, IntArray, ByteArray]:
    """Return the merchants after the day's changes, and which changes came about."""
    after = world.merchants
    who = {code: changers[codes == code] for code in set(codes.tolist())}
    if Change.PHONE in who:
        after = change_phones(after, who[Change.PHONE], day, config.seed)
    if Change.EMAIL in who:
        after = change_emails(after, who[Change.EMAIL], day, config.seed)
    if Change.ADDRESS in who:
        movers = who[Change.ADDRESS]
        after = change_addresses(after, movers, day, config.seed, world.pools, places)
    if Change.MDR in who:
        after, changed = change_mdr(after, who[Change.MDR], day, config)
        kept = (codes != Change.MDR) | np.isin(changers, changed)
        changers, codes = changers[kept], codes[kept]
    return after, changers, codes


def live_day(world: World, config: WorldConfig, places: Places) -> World:
    """Return the world with the next day's openings, changes and churn; nobody has traded yet."""
    day, before, seed = world.last_day + 1, world.merchants, config.seed
    month = month_on(world, day)
    born = day == world.start_day
    leavers, changers, codes = _NOBODY, _NOBODY, np.zeros(0, np.uint8)
    after, n_new = before, 0
    if not born:
        n_gone = count_on(
            day, month, seed, "churn_days", config.monthly_churn_rate,
            config.max_churned_merchants_per_month,
        )  # fmt: skip
        n_new = count_on(
            day, month, seed, "opening_days", config.monthly_growth_rate,
            config.max_new_merchants_per_month,
        )  # fmt: skip
        if n_gone:
            leavers = draw_churners(world, day, config, n_gone)
        changers, codes = draw_changes(before, day, config, leavers)
        after, changers, codes = _apply(world, changers, codes, day, config, places)
        after = _close(after, leavers, changers, day)
    after = open_merchants(after, n_new, day, config, world.pools, places)
    first_new = 0 if born else len(before)
    new = np.arange(first_new, len(after), dtype=np.int64)
    opening = Change.INITIAL if born else Change.OPENING
    ordinals = np.concatenate([leavers, changers, new])
    change = np.concatenate(
        [np.full(len(leavers), Change.CHURN), codes, np.full(len(new), opening)]
    ).astype(np.uint8)
    order = np.argsort(ordinals, kind="stable")
    batch = VersionBatch.of(after, ordinals[order], change[order], day)
    versions = (*world.versions, batch) if len(batch) else world.versions
    return replace(world, last_day=day, merchants=after, versions=versions, month=month)


def _close(merchants: Merchants, leavers: IntArray, changers: IntArray, day: int) -> Merchants:
    """Return the merchants with the leavers churned and a version more for all who changed."""
    churned, version = merchants.churned.copy(), merchants.version.copy()
    churned[leavers] = day
    version[leavers] += 1
    version[changers] += 1
    return replace(merchants, churned=frozen(churned), version=frozen(version))
