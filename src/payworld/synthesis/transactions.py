"""Joins the columns of one (day, block): the plan of a block in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payworld.randomness import Generator, draw_bits, stream
from payworld.synthesis.amounts import draw_amounts, fee_cents
from payworld.synthesis.outcomes import draw_categories
from payworld.synthesis.places import draw_buyer_places, merchant_coordinates
from payworld.synthesis.plan import BlockPlan
from payworld.synthesis.rules import Rules
from payworld.synthesis.times import draw_time_order
from payworld.synthesis.volumes import LEVELS, merchant_levels
from payworld.world.arrays import BoolArray, ByteArray, Int32Array, IntArray
from payworld.world.state import CardPool

__all__ = ["TransactionColumns", "join_columns", "render_block"]

# The codes of payment_type and payment_status that mean more than a word.
CARD_PRESENT = 0
APPROVED = 0


@dataclass(frozen=True, eq=False)
class TransactionColumns:
    """The payments of one or more blocks, in row order; lives until they are written.

    `days` lists (day, rows) in order. Codes point into vocabularies: `merchant` into `merchants`
    (ordinals), `bin_row` into the BIN table, `point` into `lat_e6` and `lng_e6`: the merchants'
    own coordinates, and `terminal` into `terminals` (numbers). A point from `len(merchants)` on is
    a row of the place table; a terminal of -1 is none. Money is in cents, `second` counts from
    local midnight.
    """

    days: tuple[tuple[int, int], ...]
    first_payment: int
    second: Int32Array
    point: IntArray
    lat_e6: Int32Array
    lng_e6: Int32Array
    amount_cents: IntArray
    payment_type: ByteArray
    terminal: IntArray
    terminals: IntArray
    card: IntArray
    bin_row: NDArray[np.uint16]
    status: ByteArray
    merchant: IntArray
    merchants: IntArray
    cost_cents: IntArray
    mdr_cents: IntArray

    def __len__(self) -> int:
        return len(self.second)


def draw_cards(
    block: BlockPlan, pool: CardPool, rules: Rules
) -> tuple[IntArray, NDArray[np.uint16]]:
    """Draw the card of each payment: ordinals and BIN rows, both of shape (payments,).

    As many payments as planned go to stored cards; the others take new ordinals in row order.
    """
    seed, n = rules.config.seed, block.payments
    if not block.reused:
        cards = np.arange(block.first_card, block.first_card + n, dtype=np.int64)
        return cards, rules.draw_bin_rows(cards)
    where = stream(seed, "card_returns", block.day, block.block)
    rows = where.choice(n, size=block.reused, replace=False, shuffle=False)
    which = stream(seed, "card_choice", block.day, block.block)
    picks = which.integers(0, len(pool), size=block.reused)
    is_new = np.ones(n, np.int64)
    is_new[rows] = 0
    cards = np.cumsum(is_new)
    cards += block.first_card - 1
    bins = rules.draw_bin_rows(cards)
    cards[rows] = pool.ordinal[picks]
    bins[rows] = pool.bin_row[picks]
    return cards, bins


def draw_terminals(
    rng: Generator, block: BlockPlan, rules: Rules, merchant: IntArray, present: BoolArray
) -> tuple[IntArray, IntArray]:
    """Draw the terminal of each card-present payment, -1 for the others, shape (payments,).

    Returns the rows and the table they point into: the numbers of all terminals of the block.
    Terminal k of a merchant is number (ordinal + 1) * 100 + k.
    """
    low, high = rules.terminals[:, 0][block.size], rules.terminals[:, 1][block.size]
    levels = merchant_levels(rules.config.seed, "terminals", block.ordinal)
    owned = low + (high - low + 1) * levels // LEVELS
    first = np.cumsum(owned) - owned
    numbers = np.repeat((block.ordinal + 1) * 100 + 1 - first, owned) + np.arange(owned.sum())
    terminal = draw_bits(rng, len(merchant)).astype(np.int64)
    terminal *= owned[merchant]
    terminal >>= 32
    terminal += first[merchant]
    terminal[~present] = -1
    return terminal, numbers


def render_block(block: BlockPlan, pool: CardPool, rules: Rules) -> TransactionColumns:
    """Return the columns of a block's payments; pure, so any process can do it."""
    seed, n, places = rules.config.seed, block.payments, rules.reference.places

    def rng(purpose: str) -> Generator:
        return stream(seed, purpose, block.day, block.block)

    second, payment = draw_time_order(rng("payment_time"), rules.slots, n)
    merchant = np.repeat(np.arange(len(block.ordinal)), block.count)[payment]
    payment_type = draw_categories(rng("payment_type"), rules.type_edges, n)
    status = draw_categories(rng("payment_status"), rules.status_edges, n)
    present, approved = payment_type == CARD_PRESENT, status == APPROVED

    ticket = merchant_levels(seed, "ticket", block.ordinal) + block.size.astype(np.int64) * LEVELS
    amount = draw_amounts(rng("amount"), rules.amounts, ticket[merchant])
    cards, bin_row = draw_cards(block, pool, rules)
    lat_e6, lng_e6 = merchant_coordinates(seed, block.ordinal, block.located, block.place, places)
    buyer = draw_buyer_places(rng("buyer_place"), places, n) + len(lat_e6)
    terminal, terminals = draw_terminals(rng("terminal"), block, rules, merchant, present)
    return TransactionColumns(
        days=((block.day, n),),
        first_payment=block.first_payment,
        second=second,
        point=np.where(present, merchant, buyer),
        lat_e6=lat_e6,
        lng_e6=lng_e6,
        amount_cents=amount,
        payment_type=payment_type,
        terminal=terminal,
        terminals=terminals,
        card=cards,
        bin_row=bin_row,
        status=status,
        merchant=merchant,
        merchants=block.ordinal,
        cost_cents=fee_cents(amount, rules.cost_bps[bin_row], approved),
        mdr_cents=fee_cents(amount, block.mdr_bps.astype(np.int64)[merchant], approved),
    )


# What is joined as it stands; the other columns point into tables that are joined too.
_PLAIN = (
    "second", "amount_cents", "payment_type", "card", "bin_row", "status", "cost_cents",
    "mdr_cents", "lat_e6", "lng_e6", "merchants", "terminals",
)  # fmt: skip


def join_columns(parts: list[TransactionColumns]) -> TransactionColumns:
    """Return consecutive blocks as one; their tables stand one after another."""
    if len(parts) == 1:
        return parts[0]
    owners = [len(part.merchants) for part in parts]
    before = np.cumsum([0, *owners[:-1]]).tolist()
    machines = np.cumsum([0, *(len(part.terminals) for part in parts[:-1])]).tolist()
    total = sum(owners)
    points = [
        # A buyer's place stands behind all merchants; a merchant's own behind those before it.
        part.point + np.where(part.point >= own, total - own, first)
        for part, own, first in zip(parts, owners, before, strict=True)
    ]
    merchants = [part.merchant + first for part, first in zip(parts, before, strict=True)]
    terminals = [
        part.terminal + np.where(part.terminal >= 0, first, 0)
        for part, first in zip(parts, machines, strict=True)
    ]
    return TransactionColumns(
        days=tuple(day for part in parts for day in part.days),
        first_payment=parts[0].first_payment,
        point=np.concatenate(points),
        merchant=np.concatenate(merchants),
        terminal=np.concatenate(terminals),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _PLAIN},
    )
