"""The columns of one row group, as the schema asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.arrow import booleans, dictionary, numbers, strings
from payworld.datasets.fraud_stream.catalogs import Catalogs
from payworld.datasets.fraud_stream.config import DEVICE_TYPES
from payworld.datasets.fraud_stream.draws import (
    Payments,
    draw_cards,
    draw_origins,
    draw_payments,
    recurring_rows,
)
from payworld.datasets.fraud_stream.features import CHANNELS, ENTRY_MODES, FeatureRules, Features
from payworld.datasets.fraud_stream.pans import SCHEMES
from payworld.datasets.fraud_stream.plan import Plan
from payworld.datasets.fraud_stream.reference import user_agents
from payworld.datasets.fraud_stream.schema import FraudSchema
from payworld.datasets.fraud_stream.texts import (
    fixed_strings,
    hex_digits,
    ip_strings,
    numbered,
    uuid_bytes,
)
from payworld.world.arrays import BoolArray, ByteArray, FloatArray, Int32Array, IntArray

__all__ = ["Group", "History", "Renderer"]


class History:
    """Each card's last payment so far, as a row number; lives for a run, and goes forward."""

    def __init__(self, cards: int) -> None:
        self._last = np.full(cards, -1, np.int64)

    def previous(self, cards: Int32Array, first_row: int) -> IntArray:
        """Return each payment's previous row of the same card (-1: none), and go on."""
        previous = self._last[cards]
        # Cards that come back inside these rows: sorting (card, position) brings them together.
        key = np.sort(cards.astype(np.int64) << 32 | np.arange(len(cards)))
        position = key & 0xFFFFFFFF
        again = np.flatnonzero(key[1:] >> 32 == key[:-1] >> 32)
        previous[position[again + 1]] = position[again] + first_row
        self.skip(cards, first_row)
        return previous

    def skip(self, cards: Int32Array, first_row: int) -> None:
        """Go on past payments of these cards."""
        # Of equal indices the last value stays: NumPy assigns in order.
        self._last[cards] = np.arange(first_row, first_row + len(cards))


@dataclass(frozen=True, eq=False)
class Group:
    """A row group's columns as codes and numbers; lives until it is rendered."""

    first_row: int
    previous: IntArray
    instants: IntArray
    cards: Int32Array
    merchants: Int32Array
    amounts: FloatArray
    origin: ByteArray
    is_recurring: BoolArray
    features: Features

    def __len__(self) -> int:
        return len(self.cards)

    @property
    def rows(self) -> IntArray:
        """Return the rows' numbers in the stream."""
        return np.arange(self.first_row, self.first_row + len(self))


def _used(codes: Int32Array, n: int) -> tuple[Int32Array, IntArray]:
    """Return codes among the values that occur, and those values, ascending."""
    seen = np.zeros(n, np.bool_)
    seen[codes] = True
    values = np.flatnonzero(seen)
    place = np.empty(n, np.int32)
    place[values] = np.arange(len(values), dtype=np.int32)
    return place[codes], values


def _joined(parts: Sequence[Features]) -> Features:
    return Features(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Features)
        }
    )


class Renderer:
    """Makes row groups, in any process; lives for a run.

    `history` goes forward only, so groups are asked for in rising order.
    """

    def __init__(self, plan: Plan, catalogs: Catalogs, schema: FraudSchema) -> None:
        self._plan = plan
        self._catalogs = catalogs
        self._schema = schema
        self._rules = FeatureRules(plan, catalogs)
        self._history = History(len(catalogs.cards))
        self._next = 0
        self._needs_history = any(field.name == "previous_txn_id" for field in schema.fields)

    def group(self, number: int) -> Group:
        """Return the columns of a row group; those before it that were left out are skipped."""
        if self._needs_history:
            for skipped in range(self._next, number):
                for block in self._plan.blocks_of(skipped):
                    recurring = recurring_rows(self._plan, block)
                    cards = draw_cards(self._plan, self._catalogs, block, recurring)
                    self._history.skip(cards, self._plan.first_row(block))
        self._next = number + 1
        blocks = self._plan.blocks_of(number)
        payments = [draw_payments(self._plan, self._catalogs, block) for block in blocks]
        features = [
            self._rules.draw(part, block) for part, block in zip(payments, blocks, strict=True)
        ]
        previous = [
            self._history.previous(part.cards, self._plan.first_row(block))
            for part, block in zip(payments, blocks, strict=True)
        ]
        return Group(
            first_row=self._plan.first_row(blocks[0]),
            previous=np.concatenate(previous),
            instants=np.concatenate([part.instants for part in payments]),
            cards=np.concatenate([part.cards for part in payments]),
            merchants=np.concatenate([part.merchants for part in payments]),
            amounts=np.concatenate([part.amounts for part in payments]),
            origin=draw_origins(self._plan, self._catalogs, number, payments),
            is_recurring=np.concatenate([_recurring_flags(part) for part in payments]),
            features=_joined(features),
        )

    def table(self, group: Group) -> pa.Table:
        """Return the group's columns, named, ordered and typed by the schema.

        Text columns of few values are dictionary arrays, to be written as such.
        """
        view = _View(group, self._plan, self._catalogs)
        arrays = [_COLUMNS[field.name](view) for field in self._schema.fields]
        return pa.Table.from_arrays(arrays, names=list(self._schema.columns))

    def labels(self, group: Group) -> pa.Table:
        """Return the group's frauds: transaction_id and origin."""
        rows = np.flatnonzero(group.origin)
        ids = uuid_bytes(self._plan.config.seed, group.first_row + rows)
        origins = dictionary(group.origin[rows].view(np.int8), strings(_ORIGINS))
        return pa.Table.from_arrays(
            [fixed_strings(ids, 36), origins.cast(pa.string())], names=["transaction_id", "origin"]
        )


_ORIGINS = ["none", "model", "burst", "filled"]


def _recurring_flags(payments: Payments) -> BoolArray:
    flags = np.zeros(len(payments.cards), np.bool_)
    flags[payments.recurring.rows] = ~payments.recurring.is_first
    return flags


class _View:
    """A group with what its columns share; lives until the group is rendered."""

    def __init__(self, group: Group, plan: Plan, catalogs: Catalogs) -> None:
        self.group = group
        self.features = group.features
        self.seed = plan.config.seed
        self.merchants = catalogs.merchants
        self.cards = catalogs.cards
        self.merchant_codes = group.merchants

    @cached_property
    def used_cards(self) -> tuple[Int32Array, IntArray]:
        return _used(self.group.cards, len(self.cards))

    @cached_property
    def online(self) -> BoolArray:
        return self.features.online

    def texts(self, codes: NDArray[Any], values: Sequence[str], present: Any = None) -> pa.Array:
        return dictionary(codes, strings(values), present)


def _pan_hash(view: _View) -> pa.Array:
    codes, cards = view.used_cards
    return dictionary(codes, fixed_strings(view.cards.pan_hash[cards], 64))


def _customer(view: _View) -> pa.Array:
    codes, cards = view.used_cards
    owner = view.cards.customer[cards]
    places, owners = _used(owner, int(owner.max()) + 1)
    return dictionary(places[codes], fixed_strings(numbered("C", owners + 1), 9))


def _merchant(view: _View) -> pa.Array:
    codes, merchants = _used(view.group.merchants, len(view.merchants))
    return dictionary(codes, fixed_strings(numbered("M", merchants + 1), 9))


def _previous(view: _View) -> pa.Array:
    return fixed_strings(uuid_bytes(view.seed, view.group.previous), 36, view.group.previous >= 0)


def _browser(view: _View) -> pa.Array:
    return view.texts(view.features.user_agent, user_agents()[0], view.online)


_COLUMNS: dict[str, Callable[[_View], pa.Array]] = {
    "transaction_id": lambda v: fixed_strings(uuid_bytes(v.seed, v.group.rows), 36),
    "event_time": lambda v: numbers(v.group.instants, kind=pa.timestamp("ns", "UTC")),
    "local_time_offset": lambda v: numbers(v.merchants.offset_minutes[v.merchant_codes]),
    "amount": lambda v: numbers(v.group.amounts),
    "currency_code": lambda v: v.texts(
        v.merchants.currency.codes[v.merchant_codes], v.merchants.currency.values
    ),
    "card_pan_hash": _pan_hash,
    "card_scheme": lambda v: v.texts(v.cards.scheme[v.group.cards], SCHEMES),
    "card_exp_year": lambda v: numbers(v.cards.exp_year[v.group.cards]),
    "card_exp_month": lambda v: numbers(v.cards.exp_month[v.group.cards]),
    "customer_id": _customer,
    "merchant_id": _merchant,
    "merchant_country": lambda v: v.texts(
        v.merchants.country.codes[v.merchant_codes], v.merchants.country.values
    ),
    "mcc_code": lambda v: v.texts(
        v.merchants.mcc.codes[v.merchant_codes], v.merchants.mcc.values, v.features.has_mcc
    ),
    "channel": lambda v: v.texts(v.features.channel, CHANNELS),
    "pos_entry_mode": lambda v: v.texts(v.features.entry_mode, ENTRY_MODES),
    "device_id": lambda v: fixed_strings(
        hex_digits(v.features.device_bits), 16, v.features.has_device
    ),
    "device_type": lambda v: v.texts(v.features.device_type, DEVICE_TYPES),
    "ip_address": lambda v: ip_strings(v.features.address_bits, v.online),
    "user_agent": _browser,
    "latitude": lambda v: numbers(v.merchants.latitude[v.merchant_codes], v.features.has_place),
    "longitude": lambda v: numbers(v.merchants.longitude[v.merchant_codes], v.features.has_place),
    "is_recurring": lambda v: booleans(v.group.is_recurring),
    "previous_txn_id": _previous,
    "label_fraud": lambda v: booleans(v.group.origin > 0),
}
