"""Customers, merchants and cards: who pays whom, how often, and at what risk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.alias import AliasTable, zipf_weights
from payworld.datasets.fraud_stream.arrow import dictionary, strings
from payworld.datasets.fraud_stream.config import FraudConfig
from payworld.datasets.fraud_stream.pans import SCHEME_SHARES, SCHEMES, card_numbers, hash_numbers
from payworld.datasets.fraud_stream.reference import ATM_CATEGORY, load_categories, load_sites
from payworld.randomness import hash_bits, stream
from payworld.world.arrays import BoolArray, FloatArray, Int32Array, IntArray

__all__ = ["Cards", "Catalogs", "Coded", "Merchants", "make_catalogs"]

# Cash machines are no one's favourite merchant, and about one merchant in twelve.
_ATM_FIRST_RANK = 10
_ATM_SHARE = 0.08
# How much a category's risk tilt moves its merchants up in risk, in standard deviations.
_TILT = 1.0
_MONTHS_VALID = 60
_CARDS_ONE_BY_ONE = 256
_CARDS_HASHED = 32_768


@dataclass(frozen=True, eq=False)
class Coded:
    """A column of texts as codes of sorted distinct values."""

    codes: NDArray[np.int16]
    values: list[str]

    @classmethod
    def of(cls, values: list[str], index: NDArray[np.integer]) -> Coded:
        """Return the column values[index], shape of index."""
        seen = np.bincount(index, minlength=len(values)) > 0
        distinct = sorted(
            {value for value, used in zip(values, seen.tolist(), strict=True) if used}
        )
        rank = {value: code for code, value in enumerate(distinct)}
        codes = np.array([rank.get(value, 0) for value in values], np.int16)
        return cls(codes[index], distinct)

    @classmethod
    def of_arrow(cls, texts: pa.Array) -> Coded:
        """Return an Arrow string array as codes."""
        encoded = texts.dictionary_encode()
        return cls.of(encoded.dictionary.to_pylist(), encoded.indices.to_numpy())

    def to_arrow(self) -> pa.Array:
        """Return the column as an Arrow string array."""
        return dictionary(self.codes, strings(self.values)).cast(pa.string())


@dataclass(frozen=True, eq=False)
class _Entities:
    """What is drawn by weight and has a risk; columns of equal length."""

    risk: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.weight)

    @cached_property
    def table(self) -> AliasTable:
        """Return the table that draws entities by weight."""
        return AliasTable.of(self.weight)

    @cached_property
    def risk32(self) -> NDArray[np.float32]:
        """Return the risk as logits take it, dtype float32."""
        return self.risk.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Merchants(_Entities):
    """Merchants by popularity; columns of equal length; lives for a run."""

    mcc: Coded
    country: Coded
    currency: Coded
    latitude: FloatArray
    longitude: FloatArray
    offset_minutes: NDArray[np.int16]

    @cached_property
    def is_atm(self) -> BoolArray:
        """Return which merchants run cash machines."""
        if ATM_CATEGORY not in self.mcc.values:
            return np.zeros(len(self), np.bool_)
        flags: BoolArray = self.mcc.codes == self.mcc.values.index(ATM_CATEGORY)
        return flags


@dataclass(frozen=True, eq=False)
class Cards(_Entities):
    """Cards by popularity; columns of equal length; lives for a run.

    `pan_hash` holds 64 hexadecimal digits in 16 words.
    """

    scheme: NDArray[np.int8]
    exp_year: NDArray[np.int16]
    exp_month: NDArray[np.int8]
    customer: Int32Array
    pan_hash: NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Catalogs:
    """All entities; lives for a run."""

    customer_weight: FloatArray
    merchants: Merchants
    cards: Cards

    @cached_property
    def strayed_share(self) -> float:
        """Return the share of payments that cards bring to other customers than weights say."""
        cards = self.cards
        brought = np.bincount(cards.customer, cards.weight, minlength=len(self.customer_weight))
        return float(np.abs(brought - self.customer_weight).sum() / 2)


def make_catalogs(config: FraudConfig) -> Catalogs:
    """Return the catalogs of a configuration whose dates are known."""
    catalog = config.catalog
    customers = zipf_weights(catalog.num_customers, catalog.customer_zipf_exponent)
    return Catalogs(customers, _make_merchants(config), _make_cards(config, customers))


def _risks_by_rank(score: FloatArray, risks: FloatArray) -> FloatArray:
    """Return the risks dealt out so that they rise with the score: the same set of numbers."""
    dealt = np.empty(len(risks))
    dealt[np.argsort(score, kind="stable")] = np.sort(risks)
    return dealt


def _atm_ranks(config: FraudConfig, weight: FloatArray) -> BoolArray:
    """Return which ranks are cash machines: none where too few payments are at terminals."""
    ranks = np.arange(len(weight))
    share = hash_bits(config.seed, "fraud.merchant.atm", ranks) >> np.uint64(40)
    is_atm = (share < int(_ATM_SHARE * 2**24)) & (ranks >= _ATM_FIRST_RANK)
    devices = config.feature.device_types
    at_terminals = devices["POS"] / sum(devices.values())
    return is_atm if weight[is_atm].sum() <= at_terminals / 2 else np.zeros_like(is_atm)


def _make_merchants(config: FraudConfig) -> Merchants:
    n, seed, catalog = config.catalog.num_merchants, config.seed, config.catalog
    weight = zipf_weights(n, catalog.merchant_zipf_exponent)
    sites, categories = load_sites(), load_categories()
    ordinals = np.arange(n)
    site = AliasTable.of(sites.weight).pick(hash_bits(seed, "fraud.merchant.site", ordinals))
    category = AliasTable.of(categories.weight).pick(
        hash_bits(seed, "fraud.merchant.category", ordinals)
    )
    is_atm = _atm_ranks(config, weight)
    risks = stream(seed, "fraud.merchant.risk").beta(
        catalog.merchant_risk_alpha, catalog.merchant_risk_beta, n
    )
    score = _TILT * np.where(is_atm, 1.0, categories.risk_tilt[category])
    score += stream(seed, "fraud.merchant.risk_noise").standard_normal(n)
    codes = [*categories.code, ATM_CATEGORY]
    return Merchants(
        mcc=Coded.of(codes, np.where(is_atm, len(categories.code), category)),
        country=Coded.of(sites.country, site),
        currency=Coded.of(sites.currency, site),
        latitude=sites.latitude[site],
        longitude=sites.longitude[site],
        offset_minutes=sites.offset_minutes[site],
        risk=_risks_by_rank(score, risks),
        weight=weight,
    )


def _owners(card_weight: FloatArray, customer_weight: FloatArray) -> Int32Array:
    """Return each card's customer, so that both are as popular as their weights say.

    The most popular cards go, one after another, to the customer who lacks most. The others and
    what customers still lack are laid side by side on [0, 1), each as wide as its weight: a
    card belongs to the customer at its middle.
    """
    owner = np.empty(len(card_weight), np.int32)
    lacking = customer_weight.copy()
    one_by_one = min(_CARDS_ONE_BY_ONE, len(card_weight))
    for card in range(one_by_one):
        customer = int(np.argmax(lacking[:_CARDS_ONE_BY_ONE]))
        owner[card] = customer
        lacking[customer] -= card_weight[card]
    rest = card_weight[one_by_one:]
    if len(rest):
        lacking = np.maximum(lacking, 0)
        upto = np.cumsum(lacking) / max(float(lacking.sum()), 1e-300)
        middle = (np.cumsum(rest) - rest / 2) / rest.sum()
        place = np.searchsorted(upto, middle, side="right")
        owner[one_by_one:] = np.minimum(place, len(customer_weight) - 1)
    return owner


def _pan_hashes(seed: int, schemes: NDArray[np.int8]) -> NDArray[np.uint32]:
    hashes = np.empty((len(schemes), 16), np.uint32)
    for scheme in range(len(SCHEMES)):
        ordinals = np.flatnonzero(schemes == scheme)
        # In parts: the hashes' objects take more room than the hashes.
        for part in np.array_split(ordinals, 1 + len(ordinals) // _CARDS_HASHED):
            hashes[part] = hash_numbers(card_numbers(seed, part, scheme))
    return hashes


def _make_cards(config: FraudConfig, customer_weight: FloatArray) -> Cards:
    n, seed, catalog = config.catalog.num_cards, config.seed, config.catalog
    weight = zipf_weights(n, catalog.card_zipf_exponent)
    bits = hash_bits(seed, "fraud.card.traits", np.arange(n))
    edges = np.rint(np.cumsum(SCHEME_SHARES) * 2**16).astype(np.uint64)
    scheme = np.searchsorted(edges[:-1], bits >> np.uint64(48), side="right").astype(np.int8)
    last = date.fromisoformat(str(config.temporal.end_date))
    # The month after the stream's last at the earliest; cards are good to their month's end.
    valid: IntArray = (bits & np.uint64(0xFFFFFFFF)).astype(np.int64) * _MONTHS_VALID >> 32
    month = last.year * 12 + last.month + valid
    return Cards(
        scheme=scheme,
        exp_year=(month // 12).astype(np.int16),
        exp_month=(month % 12 + 1).astype(np.int8),
        customer=_owners(weight, customer_weight),
        pan_hash=_pan_hashes(seed, scheme),
        risk=stream(seed, "fraud.card.risk").beta(
            catalog.card_risk_alpha, catalog.card_risk_beta, n
        ),
        weight=weight,
    )
