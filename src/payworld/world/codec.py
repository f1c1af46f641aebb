"""World <-> the document of merchants.json; format version and stepwise migrations.

The document is a function of seed, configuration and dates alone: a world that was made in one
run and one that was made in many have equal documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from payworld.config import WorldConfig, validate
from payworld.config.model import SIZES
from payworld.errors import ConfigError, StateCorruptError, StateNewerError
from payworld.timeline import iso, parse_date
from payworld.version import __version__
from payworld.world.arrays import IntArray, frozen
from payworld.world.leaf_types import check_cards, check_head, check_versions
from payworld.world.reference import Bins, Places, Reference
from payworld.world.state import (
    CHANGE_TYPES,
    CardPool,
    Change,
    Era,
    Merchants,
    Month,
    NamePools,
    VersionBatch,
    World,
    merchant_id,
    versions_in,
)

__all__ = ["FORMAT_VERSION", "from_document", "migrate", "to_document"]

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


def _days(texts: list[str | None]) -> np.ndarray:
    known: dict[str | None, int] = {None: 0}
    for text in texts:
        if text not in known:
            known[text] = parse_date(str(text), "date")
    return frozen(np.array([known[text] for text in texts], dtype=np.int32))


def _rate_text(bps: int) -> str:
    return f"0.{bps:04d}" if bps < 10_000 else "1.0000"


def _rates(texts: list[str]) -> np.ndarray:
    known: dict[str, int] = {}
    for text in texts:
        if text not in known:
            known[text] = round(float(text) * 10_000)
            if text != _rate_text(known[text]):
                raise ValueError(f"mdr_rate = {text!r}: expected four decimals from 0 to 1")
    return frozen(np.array([known[text] for text in texts], dtype=np.int32))


def _read_versions(
    lives: list[list[dict[str, Any]]], places: Places
) -> tuple[VersionBatch, np.ndarray]:
    """Return all versions as one batch, and the row (merchant) of each in reading order."""
    change_codes = {name: code for code, name in enumerate(CHANGE_TYPES)}
    flat = [version for life in lives for version in life]
    owner = np.repeat(np.arange(len(lives)), [len(life) for life in lives])
    effective = _days([version["effective_date"] for version in flat])
    order = np.lexsort((owner, effective))
    rows = order.tolist()
    batch = VersionBatch(
        merchant=frozen(owner[order].astype(np.int32)),
        version=frozen(np.array([flat[row]["version"] for row in rows], dtype=np.int32)),
        effective=frozen(effective[order]),
        change=frozen(
            np.array([change_codes[flat[row]["change_type"]] for row in rows], dtype=np.uint8)
        ),
        place=frozen(
            np.array([places.index_of_zip[flat[row]["zip_code"]] for row in rows], dtype=np.int32)
        ),
        mdr_bps=_rates([flat[row]["mdr_rate"] for row in rows]),
        address=[flat[row]["address"] for row in rows],
        phone=[flat[row]["phone"] for row in rows],
        email=[flat[row]["email"] for row in rows],
    )
    return batch, owner


def _read_merchants(lives: list[list[dict[str, Any]]], places: Places) -> Merchants:
    last = [life[-1] for life in lives]
    located = [
        next(
            (v["effective_date"] for v in reversed(life) if v["change_type"] == "address_change"),
            life[0]["effective_date"],
        )
        for life in lives
    ]
    size_codes = {name: code for code, name in enumerate(SIZES)}
    return Merchants(
        name=[version["merchant_name"] for version in last],
        industry=[version["industry"] for version in last],
        address=[version["address"] for version in last],
        phone=[version["phone"] for version in last],
        email=[version["email"] for version in last],
        size=frozen(np.array([size_codes[v["size_category"]] for v in last], dtype=np.uint8)),
        place=frozen(np.array([places.index_of_zip[v["zip_code"]] for v in last], np.int32)),
        mdr_bps=_rates([version["mdr_rate"] for version in last]),
        version=frozen(np.array([version["version"] for version in last], dtype=np.int32)),
        located=_days(located),
        opened=_days([version["creation_date"] for version in last]),
        churned=_days([version["churn_date"] for version in last]),
        last_paid=_days([version["last_transaction_date"] for version in last]),
    )


def _read_cards(document: dict[str, dict[str, str]], bins: Bins) -> CardPool:
    for name in document:
        if not (name[4:].isascii() and name[4:].isdigit() and name == _card_id(int(name[4:]))):
            raise ValueError(f"card_profiles.{name}: expected CARD and ten digits")
    return CardPool(
        ordinal=frozen(np.array([int(name[4:]) for name in document], dtype=np.int64)),
        bin_row=frozen(
            np.array([bins.index_of_bin[card["bin"]] for card in document.values()], np.uint16)
        ),
    )


def from_document(document: dict[str, Any], reference: Reference) -> World:
    """Return the world of a document in the present format; StateCorruptError if it is none."""
    try:
        return _read_world(document, reference)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise StateCorruptError(f"{type(error).__name__}: {error}") from error
    except ConfigError as error:
        raise StateCorruptError(str(error)) from error


def _read_world(document: dict[str, Any], reference: Reference) -> World:
    check_head(document)
    check_versions(document["merchants"])
    check_cards(document["card_profiles"])
    lives = list(document["merchants"].values())
    if list(document["merchants"]) != [merchant_id(row) for row in range(len(lives))]:
        raise ValueError("merchants: the ids are not M000001 and on without gaps")
    if document["merchant_counter"] != len(lives):
        raise ValueError(f"merchant_counter = {document['merchant_counter']}: not {len(lives)}")
    batch, _ = _read_versions(lives, reference.places)
    pools, month = document["name_pools"], document["month"]
    world = World(
        start_day=parse_date(document["start_date"], "start_date"),
        last_day=parse_date(document["last_generated_date"], "last_generated_date"),
        eras=tuple(
            Era(
                parse_date(era["from_date"], "from_date"),
                validate(WorldConfig, era["values"], "configuration"),
            )
            for era in document["configuration"]
        ),
        pools=NamePools(
            tuple(pools["surnames"]), tuple(pools["first_names"]), tuple(pools["streets"])
        ),
        merchants=_read_merchants(lives, reference.places),
        versions=(batch,),
        cards=_read_cards(document["card_profiles"], reference.bins),
        month=Month(
            month["key"], parse_date(month["first_day"], "first_day"), month["active_at_start"]
        ),
        card_counter=document["card_counter"],
        total_transactions=document["total_transactions"],
    )
    if document["seed"] != world.seed:
        raise ValueError(f"seed = {document['seed']}: its first configuration says {world.seed}")
    return world
