"""The document of merchants.json, in the present format -> World; checked value by value.

The versions of all merchants are read as columns: a state has a hundred times as many rows as keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import numpy as np

from payworld.config import WorldConfig
from payworld.config.model import SIZES
from payworld.config.written import read_written
from payworld.errors import ConfigError, StateCorruptError
from payworld.timeline import parse_date
from payworld.world.arrays import frozen
from payworld.world.coherence import check_world
from payworld.world.leaf_types import Columns, card_columns, check_head, refusal, version_columns
from payworld.world.reference import Bins, Places, Reference
from payworld.world.row_checks import check_card_rows, check_version_rows
from payworld.world.state import (
    CHANGE_TYPES,
    CardPool,
    Era,
    Merchants,
    Month,
    NamePools,
    VersionBatch,
    World,
    merchant_id,
)

__all__ = ["from_document"]


def _days(texts: Iterable[str | None]) -> np.ndarray:
    texts = list(texts)
    known = {text: parse_date(text, "date") if text else 0 for text in set(texts)}
    return frozen(np.array([known[text] for text in texts], dtype=np.int32))


def _rates(texts: Iterable[str]) -> np.ndarray:
    texts = list(texts)
    known = {text: round(float(text) * 10_000) for text in set(texts)}
    return frozen(np.array([known[text] for text in texts], dtype=np.int32))


def _codes(texts: Iterable[str], codes: dict[str, int], kind: type) -> np.ndarray:
    return frozen(np.array([codes[text] for text in texts], dtype=kind))


def _read_versions(versions: Columns, sizes: list[int], places: Places) -> VersionBatch:
    """Return all versions as one batch; `sizes` are the numbers of versions by merchant."""
    change_codes = {name: code for code, name in enumerate(CHANGE_TYPES)}
    owner = np.repeat(np.arange(len(sizes)), sizes)
    effective = _days(versions["effective_date"])
    order = np.lexsort((owner, effective))
    rows = order.tolist()

    def column(key: str) -> list[Any]:
        values = versions[key]
        return [values[row] for row in rows]

    return VersionBatch(
        merchant=frozen(owner[order].astype(np.int32)),
        version=frozen(np.array(versions["version"], dtype=np.int32)[order]),
        effective=frozen(effective[order]),
        change=frozen(_codes(versions["change_type"], change_codes, np.uint8)[order]),
        place=frozen(_codes(versions["zip_code"], places.index_of_zip, np.int32)[order]),
        mdr_bps=frozen(_rates(versions["mdr_rate"])[order]),
        address=column("address"),
        phone=column("phone"),
        email=column("email"),
    )


def _read_merchants(versions: Columns, sizes: list[int], places: Places) -> Merchants:
    """Return the merchants as their last versions have them."""
    ends = list(accumulate(sizes))
    changes, days = versions["change_type"], versions["effective_date"]
    located = [
        next((days[row] for row in range(end - 1, end - size, -1)
              if changes[row] == "address_change"), days[end - size])
        for end, size in zip(ends, sizes, strict=True)
    ]  # fmt: skip

    def last(key: str) -> list[Any]:
        values = versions[key]
        return [values[end - 1] for end in ends]

    size_codes = {name: code for code, name in enumerate(SIZES)}
    return Merchants(
        name=last("merchant_name"),
        industry=last("industry"),
        address=last("address"),
        phone=last("phone"),
        email=last("email"),
        size=_codes(last("size_category"), size_codes, np.uint8),
        place=_codes(last("zip_code"), places.index_of_zip, np.int32),
        mdr_bps=_rates(last("mdr_rate")),
        version=frozen(np.array(last("version"), dtype=np.int32)),
        located=_days(located),
        opened=_days(last("creation_date")),
        churned=_days(last("churn_date")),
        last_paid=_days(last("last_transaction_date")),
    )


def _read_cards(cards: Columns, bins: Bins) -> CardPool:
    return CardPool(
        ordinal=frozen(np.array([int(name[4:]) for name in cards["id"]], dtype=np.int64)),
        bin_row=_codes(cards["bin"], bins.index_of_bin, np.uint16),
    )


def from_document(document: dict[str, Any], reference: Reference) -> World:
    """Return the world of a document in the present format; StateCorruptError if it is none."""
    try:
        return _read_world(document, reference)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise StateCorruptError(f"{type(error).__name__}: {error}") from error
    except ConfigError as error:
        raise StateCorruptError(str(error)) from error


def _read_eras(document: list[dict[str, Any]]) -> tuple[Era, ...]:
    names = [f"configuration[{number}]" for number in range(len(document))]
    return tuple(
        Era(
            parse_date(era["from_date"], f"{name}.from_date"),
            read_written(WorldConfig, era["values"], f"{name}.values"),
        )
        for name, era in zip(names, document, strict=True)
    )


def _read_world(document: dict[str, Any], reference: Reference) -> World:
    check_head(document)
    versions = version_columns(document["merchants"])
    cards = card_columns(document["card_profiles"])
    sizes = list(map(len, document["merchants"].values()))
    if list(document["merchants"]) != [merchant_id(row) for row in range(len(sizes))]:
        raise StateCorruptError("merchants: the ids are not M000001 and on without gaps")
    if document["merchant_counter"] != len(sizes):
        raise refusal("merchant_counter", document["merchant_counter"], f"{len(sizes)} merchants")
    eras = _read_eras(document["configuration"])
    check_version_rows(versions, reference.places, [era.config for era in eras])
    check_card_rows(cards, reference.bins)
    pools, month = document["name_pools"], document["month"]
    world = World(
        start_day=parse_date(document["start_date"], "start_date"),
        last_day=parse_date(document["last_generated_date"], "last_generated_date"),
        eras=eras,
        pools=NamePools(
            tuple(pools["surnames"]), tuple(pools["first_names"]), tuple(pools["streets"])
        ),
        merchants=_read_merchants(versions, sizes, reference.places),
        versions=(_read_versions(versions, sizes, reference.places),),
        cards=_read_cards(cards, reference.bins),
        month=Month(
            month["key"],
            parse_date(month["first_day"], "month.first_day"),
            month["active_at_start"],
        ),
        card_counter=document["card_counter"],
        total_transactions=document["total_transactions"],
    )
    if document["seed"] != world.seed:
        raise refusal("seed", document["seed"], f"{world.seed} as in configuration[0]")
    check_world(world)
    return world
