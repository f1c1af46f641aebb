"""What every world that was lived agrees with itself on; damage that a checksum cannot see.

Each check is certain, whatever the configuration, and costs a fraction of reading the state.
"""

from __future__ import annotations

import numpy as np

from payworld.config.model import BIRTH_KEYS, SIZES
from payworld.timeline import day_of_month, iso, month_key
from payworld.world.arrays import BoolArray, IntArray
from payworld.world.leaf_types import refusal
from payworld.world.state import CHANGE_TYPES, Change, VersionBatch, World, merchant_id

__all__ = ["check_world"]


def check_world(world: World) -> None:
    """Raise StateCorruptError for the first value that no world with the others can have.

    The versions are those of a state just read: one batch.
    """
    if world.last_day < world.start_day:
        expected = f"a day from {iso(world.start_day)}, the start_date, on"
        raise refusal("last_generated_date", iso(world.last_day), expected)
    _check_eras(world)
    _check_versions(world, world.versions[0])
    _check_payments(world)
    _check_month(world)
    _check_counters(world)


def _first(wrong: BoolArray) -> int | None:
    """Return where the first breach is, None if there is none."""
    return int(np.argmax(wrong)) if wrong.any() else None


def _check_eras(world: World) -> None:
    first = world.eras[0]
    if first.from_day != world.start_day:
        expected = f"{iso(world.start_day)}, the start_date"
        raise refusal("configuration[0].from_date", iso(first.from_day), expected)
    for number in range(1, len(world.eras)):
        before, era, name = world.eras[number - 1], world.eras[number], f"configuration[{number}]"
        if not before.from_day < era.from_day <= world.last_day + 1:
            expected = (
                f"a day after {iso(before.from_day)}, up to the day after the last_generated_date"
            )
            raise refusal(f"{name}.from_date", iso(era.from_day), expected)
        for key in sorted(BIRTH_KEYS):
            value, wanted = getattr(era.config, key), getattr(first.config, key)
            if value != wanted:
                expected = f"{wanted!r} as in configuration[0]: it is for life"
                raise refusal(f"{name}.values.{key}", value, expected)


def _check_versions(world: World, batch: VersionBatch) -> None:
    """Check days and kinds of the versions: opened, changed, at the end churned."""
    order = np.argsort(batch.merchant, kind="stable")
    owner, day, change = batch.merchant[order], batch.effective[order], batch.change[order]
    version = batch.version[order]

    def refuse(at: int | None, key: str, expected: str) -> None:
        if at is not None:
            value = iso(int(day[at])) if key == "effective_date" else CHANGE_TYPES[change[at]]
            raise refusal(f"merchants.{merchant_id(int(owner[at]))}.{key}", value, expected)

    outside = (day < world.start_day) | (day > world.last_day)
    span = f"a day from {iso(world.start_day)} to {iso(world.last_day)}"
    refuse(_first(outside), "effective_date", f"{span}, the last_generated_date")
    later = np.append(owner[1:] == owner[:-1], False)
    rises = np.append((day[1:] > day[:-1]) & (version[1:] > version[:-1]), True)
    refuse(_first(later & ~rises), "effective_date", "a day before the next version's")
    opens = np.where(day == world.start_day, Change.INITIAL, Change.OPENING)
    wrong = (version == 1) & (change != opens)
    refuse(_first(wrong), "change_type", "initial on the world's first day, opening on another")
    wrong = (version > 1) & (change <= Change.OPENING)
    refuse(_first(wrong), "change_type", "a change: the merchant is there already")
    refuse(_first(later & (change == Change.CHURN)), "change_type", "churn in the last version")
    _check_openings(world, day[version == 1])
    initial = int((change == Change.INITIAL).sum())
    if initial != world.eras[0].config.initial_merchants:
        name = "configuration[0].values.initial_merchants"
        raise refusal(name, world.eras[0].config.initial_merchants, f"{initial}, as in merchants")


def _check_openings(world: World, first_day: IntArray) -> None:
    """Check that merchants are numbered as they opened, which their first versions tell."""
    opened = world.merchants.opened
    at = _first(opened != first_day)
    if at is not None:
        name = f"merchants.{merchant_id(at)}.creation_date"
        raise refusal(name, iso(int(opened[at])), "the effective_date of its first version")
    at = _first(np.diff(opened) < 0)
    if at is not None:
        name = f"merchants.{merchant_id(at + 1)}.creation_date"
        expected = f"{iso(int(opened[at]))} or later: ids go by the day of opening"
        raise refusal(name, iso(int(opened[at + 1])), expected)


def _check_payments(world: World) -> None:
    """Check that merchants were last paid while they were open."""
    merchants = world.merchants
    until = np.where(merchants.churned > 0, merchants.churned - 1, world.last_day)
    paid = merchants.last_paid
    at = _first((paid > 0) & ((paid < merchants.opened) | (paid > until)))
    if at is not None:
        name = f"merchants.{merchant_id(at)}.last_transaction_date"
        raise refusal(name, iso(int(paid[at])), "null, or a day on which the merchant was active")


def _check_month(world: World) -> None:
    month, merchants = world.month, world.merchants
    if month is None:
        raise refusal("month", None, "an object")
    if month.key != month_key(world.last_day):
        expected = f"{month_key(world.last_day)!r}, the month of the last_generated_date"
        raise refusal("month.key", month.key, expected)
    first = max(world.start_day, world.last_day - day_of_month(world.last_day) + 1)
    if month.first_day != first:
        expected = f"{iso(first)}, the world's first day in the month"
        raise refusal("month.first_day", iso(month.first_day), expected)
    # Those of the first day have been there when it began: they were born with the world.
    there = merchants.opened < max(first, world.start_day + 1)
    active = int((there & ((merchants.churned == 0) | (merchants.churned >= first))).sum())
    if month.active_at_start != active:
        expected = f"{active}, the merchants active when {iso(first)} began"
        raise refusal("month.active_at_start", month.active_at_start, expected)


def _check_counters(world: World) -> None:
    """Check payments and cards against the days on which somebody could pay."""
    merchants, cards = world.merchants, world.cards
    payers = int((merchants.last_paid > 0).sum())
    until = np.where(merchants.churned > 0, merchants.churned, world.last_day + 1)
    days = int((until - merchants.opened).sum(dtype=np.int64))
    highest = max(
        getattr(era.config.merchant_sizes, size).daily_tx_range[1]
        for era in world.eras
        for size in SIZES
    )
    most = days * highest if payers else 0
    if not payers <= world.total_transactions <= most:
        expected = f"a number from {payers} to {most}, by the merchants' days"
        raise refusal("total_transactions", world.total_transactions, expected)
    least = min(1, world.total_transactions)
    if not least <= world.card_counter <= world.total_transactions:
        expected = f"a number from {least} to {world.total_transactions}, the total_transactions"
        raise refusal("card_counter", world.card_counter, expected)
    bounds = np.concatenate([[0], cards.ordinal, [world.card_counter + 1]])
    at = _first(np.diff(bounds) <= 0)
    if at is not None:
        name = f"card_profiles.CARD{cards.ordinal[min(at, len(cards) - 1)]:010d}"
        expected = f"rising numbers from 1 to {world.card_counter}, the card_counter"
        raise refusal(f"{name}.id", int(cards.ordinal[min(at, len(cards) - 1)]), expected)
    room = max(era.config.max_stored_cards for era in world.eras)
    if len(cards) > room:
        raise refusal("card_profiles", len(cards), f"at most max_stored_cards = {room} of them")
