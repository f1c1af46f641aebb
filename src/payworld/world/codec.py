"""World -> the document of merchants.json; format version and stepwise migrations.

The document is a function of seed, configuration and dates alone: a world that was made in one
run and one that was made in many have equal documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from payworld.config.model import SIZES
from payworld.errors import StateCorruptError, StateNewerError
from payworld.timeline import iso
from payworld.version import __version__
from payworld.world.arrays import IntArray
from payworld.world.reference import Bins, Places, Reference
from payworld.world.state import (
    CHANGE_TYPES,
    CardPool,
    Change,
    VersionBatch,
    World,
    merchant_id,
    versions_in,
)

__all__ = ["FORMAT_VERSION", "migrate", "to_document"]

FORMAT = "payworld-world"
FORMAT_VERSION = 1

# Cards or merchants in a piece of the document.
PIECE = 2_000

# From each older format version to the next; a new version adds one line and an old world.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def migrate(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document in the present format, climbing one version at a time.

    Raises StateNewerError for a version to come, StateCorruptError for anything else.
    """
    if document.get("format") != FORMAT:
        raise StateCorruptError(f"format = {document.get('format')!r}: expected {FORMAT!r}")
    version = document.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StateCorruptError(f"format_version = {version!r}: expected a whole number from 1")
    if version > FORMAT_VERSION:
        raise StateNewerError(
            f"format_version = {version}: this payworld {__version__} knows versions up to "
            f"{FORMAT_VERSION}; use the newer payworld that wrote it "
            f"({document.get('generator_version')})"
        )
    while version < FORMAT_VERSION:
        document = MIGRATIONS[version](document)
        version += 1
    return document


def _card_id(ordinal: int) -> str:
    return f"CARD{ordinal:010d}"


def _cards_document(pool: CardPool, bins: Bins) -> Iterator[dict[str, Any]]:
    """Yield the stored cards by id, some thousands at a time."""
    for at in range(0, len(pool), PIECE):
        yield {
            (name := _card_id(ordinal)): {
                "id": name,
                "bin": bins.bin[row],
                "type": bins.card_type[row],
                "issuer": bins.issuer[row],
                "brand": bins.brand[row],
            }
            for ordinal, row in zip(
                pool.ordinal[at : at + PIECE].tolist(),
                pool.bin_row[at : at + PIECE].tolist(),
                strict=True,
            )
        }


def _iso_or_none(days: Iterable[int]) -> list[str | None]:
    texts: dict[int, str | None] = {0: None}
    found = []
    for day in days:
        if day not in texts:
            texts[day] = iso(day)
        found.append(texts[day])
    return found


def _merchants_document(world: World, places: Places) -> Iterator[dict[str, Any]]:
    """Yield the merchants' versions by id, some thousands of merchants at a time."""
    batch = versions_in(world, world.start_day, world.last_day)
    if batch is None:
        return
    order = np.argsort(batch.merchant, kind="stable")
    owners = batch.merchant[order]
    for first in range(0, len(world.merchants), PIECE):
        low, high = np.searchsorted(owners, [first, first + PIECE])
        yield _lives(world, places, batch, order[low:high])


def _lives(
    world: World, places: Places, batch: VersionBatch, rows: IntArray
) -> dict[str, list[dict[str, Any]]]:
    """Return versions (rows of the batch, merchants ascending) by merchant id."""
    merchants = world.merchants
    owners = batch.merchant[rows]
    opened = _iso_or_none(merchants.opened[owners].tolist())
    last_paid = _iso_or_none(merchants.last_paid[owners].tolist())
    effective = _iso_or_none(batch.effective[rows].tolist())
    document: dict[str, list[dict[str, Any]]] = {}
    for row, owner, version, day, change, place, mdr_bps, size, born, paid in zip(
        rows.tolist(),
        owners.tolist(),
        batch.version[rows].tolist(),
        effective,
        batch.change[rows].tolist(),
        batch.place[rows].tolist(),
        batch.mdr_bps[rows].tolist(),
        merchants.size[owners].tolist(),
        opened,
        last_paid,
        strict=True,
    ):
        gone = change == Change.CHURN
        name = merchant_id(owner)
        document.setdefault(name, []).append(
            {
                "merchant_id": name,
                "merchant_name": merchants.name[owner],
                "industry": merchants.industry[owner],
                "address": batch.address[row],
                "city": places.city[place],
                "state": places.state[place],
                "zip_code": places.zip_code[place],
                "phone": batch.phone[row],
                "email": batch.email[row],
                "mdr_rate": _rate_text(mdr_bps),
                "size_category": SIZES[size],
                "creation_date": born,
                "effective_date": day,
                "status": "churned" if gone else "active",
                "last_transaction_date": paid,
                "version": version,
                "change_type": CHANGE_TYPES[change],
                "churn_date": day if gone else None,
            }
        )
    return document


def to_document(world: World, reference: Reference) -> dict[str, Any]:
    """Return the world as plain JSON types, without the checksum that the file carries.

    The two long objects, `card_profiles` and `merchants`, are iterators of their pieces: a state
    in memory a second time would make a run's peak grow with its length.
    """
    month = world.month
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "generator_version": __version__,
        "seed": world.seed,
        "start_date": iso(world.start_day),
        "last_generated_date": iso(world.last_day),
        "merchant_counter": len(world.merchants),
        "card_counter": world.card_counter,
        "total_transactions": world.total_transactions,
        "month": month
        and {
            "key": month.key,
            "first_day": iso(month.first_day),
            "active_at_start": month.active_at_start,
        },
        "configuration": [
            {"from_date": iso(era.from_day), "values": era.config.model_dump(mode="json")}
            for era in world.eras
        ],
        "name_pools": {
            "surnames": list(world.pools.surnames),
            "first_names": list(world.pools.first_names),
            "streets": list(world.pools.streets),
        },
        "card_profiles": _cards_document(world.cards, reference.bins),
        "merchants": _merchants_document(world, reference.places),
    }


def _rate_text(bps: int) -> str:
    return f"0.{bps:04d}" if bps < 10_000 else "1.0000"
