"""One large world, lived once, for the tests that count what the business rules promise."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from payworld import Day, Simulation
from payworld.config.model import SIZES
from payworld.storage.reference import load_reference

START, END = date(2024, 1, 1), date(2024, 12, 31)

# Days whose payments are rendered: in every season, on weekdays and at a weekend.
RENDERED = {
    date(2024, 2, 14), date(2024, 2, 17), date(2024, 6, 12), date(2024, 9, 18), date(2024, 12, 11),
}  # fmt: skip


@dataclass(frozen=True)
class DayCounts:
    """What one day's plan holds; arrays are per size (small, medium, large)."""

    date: date
    active: NDArray[np.int64]
    trading: NDArray[np.int64]
    payments: NDArray[np.int64]
    fewest: NDArray[np.int64]
    most: NDArray[np.int64]
    reused: int
    new_cards: int
    stored: int
    pool: int


@dataclass
class LargeWorld:
    """A year of 20,000 merchants and more; lives for the tests of a worker."""

    simulation: Simulation
    days: list[DayCounts] = field(default_factory=list)
    rendered: list[Day] = field(default_factory=list)

    @classmethod
    def live(cls) -> "LargeWorld":
        """Return the world after its year."""
        large = cls(
            Simulation.create(
                START,
                initial_merchants=20_000,
                # High enough to bind in no month: the rates themselves are seen.
                max_new_merchants_per_month=10_000,
                max_churned_merchants_per_month=10_000,
                monthly_growth_rate=0.03,
            )
        )
        for day in large.simulation.days(END):
            large.days.append(_counts(day))
            if day.date in RENDERED:
                large.rendered.append(day)
        return large

    @cached_property
    def payments(self) -> pl.DataFrame:
        """Return the payments of the rendered days, with their merchants' size and industry."""
        frame = pl.concat(day.transactions() for day in self.rendered)
        merchants = self.simulation.world.merchants
        sizes = pl.DataFrame(
            {
                "merchant_id": [f"M{n:06d}" for n in range(1, len(merchants) + 1)],
                "size": [SIZES[code] for code in merchants.size.tolist()],
            }
        )
        return frame.join(sizes, on="merchant_id", how="left", maintain_order="left")

    @cached_property
    def versions(self) -> pl.DataFrame:
        """Return every merchant version of the year, as in merchants files."""
        from payworld.synthesis.frames import merchants_frame
        from payworld.timeline import Period

        whole = Period(START.toordinal(), END.toordinal())
        return merchants_frame(self.simulation.world, whole, load_reference().places)

    def in_months(self, months: Iterable[int]) -> list[DayCounts]:
        """Return the days of some months."""
        wanted = set(months)
        return [day for day in self.days if day.date.month in wanted]


def _counts(day: Day) -> DayCounts:
    plan, merchants = day.plan, day.world.merchants
    by_size = [plan.count[plan.size == code] for code in range(3)]
    # Who opened today trades today, who churned does not.
    active = np.bincount(merchants.size[merchants.active], minlength=3)
    stored = int((day.world.cards.ordinal >= plan.first_card).sum())
    return DayCounts(
        date=day.date,
        active=active,
        trading=np.array([len(counts) for counts in by_size]),
        payments=np.array([counts.sum() for counts in by_size]),
        fewest=np.array([counts.min() for counts in by_size]),
        most=np.array([counts.max() for counts in by_size]),
        reused=int(plan.block_reused.sum()),
        new_cards=plan.new_cards,
        stored=stored,
        pool=len(plan.pool),
    )
