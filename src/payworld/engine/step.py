"""One simulated day: the world and its rules in, the next world and the day's plan out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from payworld.randomness import stream
from payworld.synthesis.plan import DayPlan, spread_evenly
from payworld.synthesis.rules import BLOCK, Rules
from payworld.synthesis.volumes import draw_counts, draw_trading, merchant_levels
from payworld.timeline import weekday
from payworld.world.arrays import IntArray, frozen
from payworld.world.lifecycle import live_day
from payworld.world.state import CardPool, World

__all__ = ["step_day"]


def draw_reused(seed: int, day: int, payments: int, share: tuple[float, float]) -> int:
    """Draw how many of a day's payments stored cards make: a share drawn for the day.

    Rounded to whole payments inside the range, wherever a whole number lies inside.
    """
    low, high = share
    wanted = (low + (high - low) * float(stream(seed, "reuse_share", day).random())) * payments
    fewest, most = int(np.ceil(low * payments)), int(np.floor(high * payments))
    return min(max(round(wanted), min(fewest, most)), most)


def draw_stored(rules: Rules, day: int, first_card: int, new_cards: int) -> IntArray:
    """Draw which of a day's new cards are stored: card ordinals, ascending."""
    rng = stream(rules.config.seed, "card_store", day)
    n = int(rng.binomial(new_cards, rules.config.card_store_probability))
    return np.sort(rng.choice(new_cards, size=n, replace=False, shuffle=False)) + first_card


def plan_day(world: World, rules: Rules) -> DayPlan:
    """Return the plan of the world's last day; its cost grows with merchants, not payments."""
    config, merchants, day = rules.config, world.merchants, world.last_day
    ordinal = draw_trading(
        stream(config.seed, "trading", day),
        merchants.active,
        merchants.size,
        rules.trading,
        weekday(day) >= 5,
    )
    size = merchants.size[ordinal]
    count = draw_counts(
        stream(config.seed, "payments", day),
        rules.counts(world.last_date.month),
        size,
        merchant_levels(config.seed, "volume", ordinal),
    )
    blocks, starts = np.unique(ordinal // BLOCK, return_index=True)
    edges = np.append(starts, len(ordinal))
    per_block = np.diff(np.concatenate([[0], np.cumsum(count, dtype=np.int64)])[edges])
    total = int(per_block.sum())
    reused = draw_reused(config.seed, day, total, config.card_reuse_range)
    return DayPlan(
        day=day,
        first_payment=world.total_transactions + 1,
        first_card=world.card_counter + 1,
        pool=world.cards,
        ordinal=ordinal,
        count=count,
        size=size,
        place=merchants.place[ordinal],
        located=merchants.located[ordinal],
        mdr_bps=merchants.mdr_bps[ordinal],
        block_numbers=blocks,
        block_edges=edges,
        block_payments=per_block,
        block_reused=spread_evenly(reused if len(world.cards) else 0, per_block),
    )


def step_day(world: World, rules: Rules) -> tuple[World, DayPlan]:
    """Return the world after its next day and the plan of that day's payments; pure."""
    lived = live_day(world, rules.config, rules.reference.places)
    plan = plan_day(lived, rules)
    merchants = lived.merchants
    last_paid = merchants.last_paid.copy()
    last_paid[plan.ordinal] = plan.day
    return replace(
        lived,
        merchants=replace(merchants, last_paid=frozen(last_paid)),
        cards=_store_cards(lived.cards, plan, rules),
        card_counter=lived.card_counter + plan.new_cards,
        total_transactions=lived.total_transactions + plan.payments,
    ), plan


def _store_cards(pool: CardPool, plan: DayPlan, rules: Rules) -> CardPool:
    stored = draw_stored(rules, plan.day, plan.first_card, plan.new_cards)
    return pool.store(stored, rules.draw_bin_rows(stored), rules.config.max_stored_cards)
