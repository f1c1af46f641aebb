"""What a merchant is born with and what it may change to: texts, places, rates.

Every function draws for many merchants at once; each attribute has its own stream.
"""

from __future__ import annotations

import numpy as np

from payworld.config import WorldConfig
from payworld.config.model import SIZES
from payworld.randomness import Generator
from payworld.world.arrays import ByteArray, FloatArray, Int32Array, IntArray
from payworld.world.reference import LOOKUP_BITS, Places
from payworld.world.state import NamePools, merchant_id

__all__ = [
    "draw_addresses",
    "draw_emails",
    "draw_industries",
    "draw_mdr_bps",
    "draw_names",
    "draw_new_email",
    "draw_new_phone",
    "draw_new_place",
    "draw_other",
    "draw_phones",
    "draw_places",
    "draw_sizes",
    "mdr_bounds_bps",
]

MAILBOXES = (
    "contact", "info", "hello", "sales", "office", "billing", "accounts", "support", "team", "shop",
)  # fmt: skip

# 555-0100 to 555-0199 are set aside for fiction in every US area code.
FICTION_NUMBERS = 100

# What follows the first word of a made-up name.
_NAME_PATTERNS = 5


def draw_other(rng: Generator, current: IntArray, low: IntArray, high: IntArray) -> IntArray:
    """Draw uniform integers in [low, high] that differ from the current ones where they can.

    All arrays have shape (n,). A current value outside the range is no restriction.

    >>> from payworld.randomness import stream
    >>> two = np.array([2])
    >>> draw_other(stream(7, "doc"), two, two, two + 1)
    array([3])
    """
    inside = (current >= low) & (current <= high) & (high > low)
    span = high - low + 1 - inside
    drawn = low + (rng.random(len(current)) * span).astype(np.int64)
    return drawn + (inside & (drawn >= current))


def draw_sizes(rng: Generator, n: int, config: WorldConfig) -> ByteArray:
    """Draw a size code (0 small, 1 medium, 2 large) per merchant, shape (n,)."""
    shares = config.merchant_size_distribution
    edges = np.array([shares.small, shares.small + shares.medium])
    return np.searchsorted(edges, rng.random(n), side="right").astype(np.uint8)


def draw_places(rng: Generator, n: int, places: Places) -> Int32Array:
    """Draw a row of the place table per merchant, as people live, shape (n,)."""
    table = places.by_population
    return table[rng.integers(0, 1 << LOOKUP_BITS, size=n)].astype(np.int32)


def mdr_bounds_bps(config: WorldConfig, sizes: ByteArray) -> tuple[IntArray, IntArray]:
    """Return the lowest and highest MDR of each merchant, in basis points, shape of sizes."""
    ranges = [getattr(config.merchant_sizes, size).mdr_rate_range for size in SIZES]
    bounds = np.rint(np.array(ranges) * 10_000).astype(np.int64)
    return bounds[sizes, 0], bounds[sizes, 1]


def draw_mdr_bps(rng: Generator, sizes: ByteArray, config: WorldConfig) -> Int32Array:
    """Draw an MDR per merchant from its size's range, in basis points, shape of sizes."""
    low, high = mdr_bounds_bps(config, sizes)
    return (low + (rng.random(len(sizes)) * (high - low + 1)).astype(np.int64)).astype(np.int32)


def draw_industries(rng: Generator, sizes: ByteArray, config: WorldConfig) -> list[str]:
    """Draw a line of business per merchant from its size's list."""
    lists = [getattr(config.merchant_sizes, size).industries for size in SIZES]
    picks = rng.random(len(sizes))
    return [
        lists[size][int(pick * len(lists[size]))]
        for size, pick in zip(sizes.tolist(), picks.tolist(), strict=True)
    ]


def draw_names(
    rng: Generator, industries: list[str], pools: NamePools, supplied: tuple[str, ...]
) -> list[str]:
    """Draw a trading name per merchant: a supplied one, or one made of the pools."""
    picks = rng.random((4, len(industries)))
    if supplied:
        return [supplied[row] for row in (picks[0] * len(supplied)).astype(np.int64).tolist()]
    trades = {industry: industry.replace("_", " ").title() for industry in set(industries)}

    def words(draws: FloatArray, pool: tuple[str, ...]) -> list[str]:
        return [pool[row] for row in (draws * len(pool)).astype(np.int64).tolist()]

    return [
        _compose(pattern, surname, other, first, trades[industry])
        for pattern, surname, other, first, industry in zip(
            (picks[0] * _NAME_PATTERNS).astype(np.int64).tolist(),
            words(picks[1], pools.surnames),
            words(picks[2], pools.surnames),
            words(picks[3], pools.first_names),
            industries,
            strict=True,
        )
    ]


def _compose(pattern: int, surname: str, other: str, first: str, trade: str) -> str:
    if pattern == 0:
        return f"{surname} {trade}"
    if pattern == 1:
        return f"{surname} & Sons {trade}"
    if pattern == 2:
        return f"{first}'s {trade}"
    if pattern == 3:
        return f"{surname} & {other}"
    return f"{surname} {trade} Co"


def draw_addresses(rng: Generator, n: int, pools: NamePools) -> list[str]:
    """Draw a house number and street per merchant."""
    numbers = rng.integers(1, 9_900, size=n).tolist()
    streets = rng.integers(0, len(pools.streets), size=n).tolist()
    return [
        f"{number} {pools.streets[street]}" for number, street in zip(numbers, streets, strict=True)
    ]


def draw_phones(rng: Generator, area_codes: list[str]) -> list[str]:
    """Draw a phone number for fiction in each area code."""
    numbers = rng.integers(0, FICTION_NUMBERS, size=len(area_codes)).tolist()
    return [f"{code}-555-01{n:02d}" for code, n in zip(area_codes, numbers, strict=True)]


def draw_new_phone(rng: Generator, current: str) -> str:
    """Draw another phone number for fiction in the same area code."""
    number = (int(current[-2:]) + 1 + int(rng.random() * (FICTION_NUMBERS - 1))) % FICTION_NUMBERS
    return f"{current[:-2]}{number:02d}"


def draw_emails(rng: Generator, first_ordinal: int, n: int) -> list[str]:
    """Draw a mailbox for n merchants, each in its own reserved domain."""
    boxes = rng.integers(0, len(MAILBOXES), size=n).tolist()
    return [
        f"{MAILBOXES[box]}@{merchant_id(ordinal).lower()}.example"
        for ordinal, box in enumerate(boxes, start=first_ordinal)
    ]


def draw_new_email(rng: Generator, current: str) -> str:
    """Draw another mailbox in the same domain."""
    box, _, domain = current.partition("@")
    choices = [name for name in MAILBOXES if name != box]
    return f"{choices[int(rng.random() * len(choices))]}@{domain}"


def draw_new_place(rng: Generator, row: int, places: Places) -> int:
    """Draw where a merchant moves to: within its state and area code, as people live.

    So the phone's area code stays right, and only one attribute changes at a time.
    """
    rows = places.neighbours[places.state[row], places.area_code[row]]
    edges = np.cumsum(places.population[rows])
    return int(rows[np.searchsorted(edges, rng.random() * edges[-1], side="right")])
