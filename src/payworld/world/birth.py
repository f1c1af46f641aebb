"""The first World, and merchants that open; the only place that uses faker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from payworld.config import WorldConfig
from payworld.randomness import stream
from payworld.world import attributes
from payworld.world.arrays import Int32Array, frozen
from payworld.world.reference import Places
from payworld.world.state import CardPool, Era, Merchants, NamePools, World

__all__ = ["create_world", "draw_name_pools", "open_merchants"]

POOL_SIZE = 500


def draw_name_pools(seed: int) -> NamePools:
    """Draw the words of names and addresses; each pool holds up to 500 different ones."""
    # Imported here: it takes longer than a nightly run's whole start, and only birth needs it.
    from faker.factory import Factory

    # Its other twenty kinds of words are not loaded.
    person, address = "faker.providers.person", "faker.providers.address"
    fake: Any = Factory.create("en_US", providers=[person, address])
    fake.seed_instance(int(stream(seed, "name_pools").integers(2**63)))

    def pool(words: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(words))

    def drawn(kind: str) -> Sequence[str]:
        # What one call for each would draw, which would each sum up the thousand weights.
        names = getattr(fake.provider(person), kind)
        chosen: Sequence[str] = fake.random_elements(names, length=POOL_SIZE, use_weighting=True)
        return chosen

    return NamePools(
        pool(drawn("last_names")),
        pool(drawn("first_names")),
        pool(fake.street_name() for _ in range(POOL_SIZE)),
    )


def open_merchants(
    before: Merchants, n: int, day: int, config: WorldConfig, pools: NamePools, places: Places
) -> Merchants:
    """Return the merchants with n new ones at the end, open from a day on."""
    if n == 0:
        return before
    seed = config.seed

    def rng(attribute: str) -> np.random.Generator:
        return stream(seed, f"opening.{attribute}", day)

    sizes = attributes.draw_sizes(rng("size"), n, config)
    place = attributes.draw_places(rng("place"), n, places)
    industries = attributes.draw_industries(rng("industry"), sizes, config)
    names = attributes.draw_names(rng("name"), industries, pools, config.merchant_names)
    area_codes = [places.area_code[row] for row in place.tolist()]
    first = len(before)

    def grown(old: Int32Array, value: Int32Array | int) -> Int32Array:
        new = np.empty(first + n, np.int32)
        new[:first], new[first:] = old, value
        return frozen(new)

    return Merchants(
        name=before.name + names,
        industry=before.industry + industries,
        address=before.address + attributes.draw_addresses(rng("address"), n, pools),
        phone=before.phone + attributes.draw_phones(rng("phone"), area_codes),
        email=before.email + attributes.draw_emails(rng("email"), first, n),
        size=frozen(np.concatenate([before.size, sizes])),
        place=grown(before.place, place),
        mdr_bps=grown(before.mdr_bps, attributes.draw_mdr_bps(rng("mdr"), sizes, config)),
        version=grown(before.version, 1),
        located=grown(before.located, day),
        opened=grown(before.opened, day),
        churned=grown(before.churned, 0),
        last_paid=grown(before.last_paid, 0),
    )


def _nobody() -> Merchants:
    none = frozen(np.zeros(0, np.int32))
    return Merchants(
        [], [], [], [], [], frozen(np.zeros(0, np.uint8)), none, none, none, none, none, none, none
    )


def create_world(
    config: WorldConfig, start_day: int, places: Places, pools: NamePools | None = None
) -> World:
    """Return a World that has its first merchants and has not lived a day yet.

    A world that is made again gives the pools that it was born with.
    """
    pools = pools or draw_name_pools(config.seed)
    merchants = open_merchants(
        _nobody(), config.initial_merchants, start_day, config, pools, places
    )
    return World(
        start_day=start_day,
        last_day=start_day - 1,
        eras=(Era(start_day, config),),
        pools=pools,
        merchants=merchants,
        versions=(),
        cards=CardPool(frozen(np.zeros(0, np.int64)), frozen(np.zeros(0, np.uint16))),
        month=None,
        card_counter=0,
        total_transactions=0,
    )
