"""What payments look like: channel, entry mode, device, address, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.catalogs import Catalogs
from payworld.datasets.fraud_stream.config import DEVICE_TYPES
from payworld.datasets.fraud_stream.draws import Payments
from payworld.datasets.fraud_stream.plan import Plan
from payworld.datasets.fraud_stream.reference import user_agents
from payworld.randomness import hash_bits, stream
from payworld.world.arrays import BoolArray
from payworld.world.reference import lookup_table

__all__ = ["CHANNELS", "ENTRY_MODES", "FeatureRules", "Features"]

CHANNELS = ("ONLINE", "IN_STORE", "ATM")
ENTRY_MODES = ("CHIP", "MAGSTRIPE", "NFC", "ECOM")
_ONLINE, _IN_STORE, _ATM = range(3)
_CHIP, _MAGSTRIPE, _NFC, _ECOM = range(4)
_POS = DEVICE_TYPES.index("POS")

# Cards in shops: contactless is about as common as the chip, the stripe is dying out.
_ENTRY_SHARES = np.array([0.48, 0.08, 0.44])
_TERMINALS = 4
# One payment in eight is made away from the device's usual address.
_AWAY = 8
_AWAY_ADDRESSES = 4


@dataclass(frozen=True, eq=False)
class Features:
    """Codes of one block's payments; columns of equal length; lives for a block.

    Bits of devices say who they are: equal bits are the same device. Addresses and user agents
    are there for online payments alone.
    """

    channel: NDArray[np.int8]
    entry_mode: NDArray[np.int8]
    device_type: NDArray[np.int8]
    device_bits: NDArray[np.uint64]
    user_agent: NDArray[np.int8]
    address_bits: NDArray[np.uint64]
    has_mcc: BoolArray
    has_device: BoolArray
    has_place: BoolArray

    @property
    def online(self) -> BoolArray:
        """Return which payments are online."""
        flags: BoolArray = self.channel == _ONLINE
        return flags


@dataclass(frozen=True, eq=False)
class FeatureRules:
    """Tables that features are drawn from; lives for a run."""

    plan: Plan
    catalogs: Catalogs

    @cached_property
    def _devices(self) -> NDArray[np.int8]:
        """Return the device types by 16 bits, for payments that are not at cash machines.

        Terminals get what cash machines and recurring payments, which are online, leave of
        their share.
        """
        merchants, plan = self.catalogs.merchants, self.plan
        at_atm = float(merchants.weight[merchants.is_atm].sum() / merchants.weight.sum())
        recurring = plan.series.events / plan.rows
        wanted = plan.pos_share / (1 - recurring) if recurring < 1 else 0.0
        at_terminal = float(np.clip((wanted - at_atm) / (1 - at_atm), 0, 1)) if at_atm < 1 else 1.0
        online = self._online_weights
        weights = np.append(online * (1 - at_terminal), at_terminal)
        return lookup_table(weights).astype(np.int8)

    @cached_property
    def _online_weights(self) -> NDArray[np.float64]:
        given = self.plan.config.feature.device_types
        weights = np.array([given[name] for name in DEVICE_TYPES[:_POS]])
        return weights / weights.sum() if weights.sum() > 0 else np.array([0.0, 0.0, 1.0])

    @cached_property
    def _online_devices(self) -> NDArray[np.int8]:
        return lookup_table(self._online_weights).astype(np.int8)

    @cached_property
    def _entry_modes(self) -> NDArray[np.int8]:
        return lookup_table(_ENTRY_SHARES).astype(np.int8)

    def draw(self, payments: Payments, block: int) -> Features:
        """Draw the features of a block's payments."""
        seed, n = self.plan.config.seed, len(payments.cards)
        rng = stream(seed, "fraud.feature", block=block)
        raw: NDArray[np.uint64] = rng.bit_generator.random_raw(n)
        bits = raw.view(np.uint16).reshape(n, 4)
        device_type = self._devices[bits[:, 0]]
        is_atm = self.catalogs.merchants.is_atm[payments.merchants]
        device_type[is_atm] = _POS
        recurring = payments.recurring
        by_series = hash_bits(seed, "fraud.recurring.device", recurring.series) >> np.uint64(48)
        device_type[recurring.rows] = self._online_devices[by_series]
        online = device_type != _POS
        entry_mode = self._entry_modes[bits[:, 1]]
        entry_mode[is_atm & (entry_mode == _NFC)] = _CHIP
        entry_mode[online] = _ECOM
        channel = np.where(online, _ONLINE, np.where(is_atm, _ATM, _IN_STORE)).astype(np.int8)
        device_bits, ordinals = self._identify(payments, device_type, bits[:, 2])
        config = self.plan.config
        missing = stream(seed, "fraud.missing", block=block).random((3, n), dtype=np.float32)
        return Features(
            channel,
            entry_mode,
            device_type,
            device_bits,
            self._user_agents(device_type, device_bits),
            self._addresses(ordinals, online, bits[:, 3]),
            has_mcc=missing[0] >= np.float32(config.null_mcc_rate),
            has_device=missing[1] >= np.float32(config.null_device_rate),
            has_place=missing[2] >= np.float32(config.null_geo_rate),
        )

    def _identify(
        self, payments: Payments, device_type: NDArray[np.int8], bits: NDArray[np.uint16]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return who each device is: the customer's one of its type, or a terminal."""
        customer = self.catalogs.cards.customer[payments.cards]
        devices = customer.astype(np.int64) * len(DEVICE_TYPES) + device_type
        terminals = payments.merchants.astype(np.int64) * _TERMINALS + bits % _TERMINALS
        # Terminals count downwards from -1: no number stands for both.
        ordinals = np.where(device_type == _POS, -1 - terminals, devices)
        return hash_bits(self.plan.config.seed, "fraud.device", ordinals), ordinals

    def _user_agents(
        self, device_type: NDArray[np.int8], device_bits: NDArray[np.uint64]
    ) -> NDArray[np.int8]:
        """Return each device's browser, its row in the table; 0 for terminals."""
        _, spans = user_agents()
        starts = np.array([start for start, _ in spans] + [0], np.int16)
        counts = np.array([count for _, count in spans] + [0], np.int16)
        # The low bits: the high ones are the device's id as it is shown.
        low = (device_bits & np.uint64(0xFFFF)).astype(np.int64)
        return (starts[device_type] + (low * counts[device_type] >> 16)).astype(np.int8)

    def _addresses(
        self, ordinals: NDArray[np.int64], online: BoolArray, bits: NDArray[np.uint16]
    ) -> NDArray[np.uint64]:
        """Return the address of each online payment: the device's own, or one of a few others."""
        away = np.where(bits % _AWAY == 0, 1 + (bits >> 8) % _AWAY_ADDRESSES, 0)
        key = ordinals * (1 + _AWAY_ADDRESSES) + away
        return hash_bits(self.plan.config.seed, "fraud.address", key[online])
