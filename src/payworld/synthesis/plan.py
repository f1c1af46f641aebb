"""What a day will hold, decided before a row is made; and the part of it that one block needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payworld.world.arrays import ByteArray, Int32Array, IntArray
from payworld.world.state import CardPool

__all__ = ["BlockPlan", "DayPlan"]


@dataclass(frozen=True, eq=False)
class BlockPlan:
    """The payments of one block on one day; lives for a task. Arrays are per trading merchant.

    `first_payment` and `first_card` are the ordinals that the block's numbering begins with.
    """

    day: int
    block: int
    first_payment: int
    first_card: int
    payments: int
    reused: int
    ordinal: IntArray
    count: Int32Array
    size: ByteArray
    place: Int32Array
    located: Int32Array
    mdr_bps: Int32Array


@dataclass(frozen=True, eq=False)
class DayPlan:
    """A day's payments in counts and numbers; lives for a day.

    Arrays are per trading merchant, ordinals ascending; `pool` holds the cards that may return.
    """

    day: int
    first_payment: int
    first_card: int
    pool: CardPool
    ordinal: IntArray
    count: Int32Array
    size: ByteArray
    place: Int32Array
    located: Int32Array
    mdr_bps: Int32Array
    block_numbers: IntArray
    block_edges: IntArray
    block_payments: IntArray
    block_reused: IntArray

    @property
    def payments(self) -> int:
        """Return the number of payments of the day."""
        return int(self.block_payments.sum())

    @property
    def new_cards(self) -> int:
        """Return the number of cards that appear for the first time."""
        return int(self.payments - self.block_reused.sum())

    def blocks(self) -> Iterator[BlockPlan]:
        """Yield the blocks in order; payments and cards are numbered by prefix sums."""
        payment, card = self.first_payment, self.first_card
        for row, block in enumerate(self.block_numbers.tolist()):
            part = slice(int(self.block_edges[row]), int(self.block_edges[row + 1]))
            payments, reused = int(self.block_payments[row]), int(self.block_reused[row])
            yield BlockPlan(
                day=self.day,
                block=block,
                first_payment=payment,
                first_card=card,
                payments=payments,
                reused=reused,
                ordinal=self.ordinal[part],
                count=self.count[part],
                size=self.size[part],
                place=self.place[part],
                located=self.located[part],
                mdr_bps=self.mdr_bps[part],
            )
            payment += payments
            card += payments - reused


def spread_evenly(total: int, weights: IntArray) -> NDArray[np.int64]:
    """Return whole shares of a total, proportional to weights and never above them.

    Cumulative rounding: the shares sum to the total exactly (total <= sum of weights).

    >>> spread_evenly(3, np.array([10, 10, 10]))
    array([1, 1, 1])
    """
    if not len(weights):
        return weights
    ends = np.cumsum(weights)
    shares: NDArray[np.int64] = np.diff(ends * total // ends[-1], prepend=0)
    return shares
