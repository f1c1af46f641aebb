"""Random numbers by key: each trait is a pure function of (seed, what it is for, id).

So user 7 is the same person whatever the number of users, and an account can be made again
from its id alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from payworld.randomness import hash_bits
from payworld.synthesis.texts import text_series
from payworld.world.arrays import FloatArray, IntArray

__all__ = [
    "Words",
    "child_words",
    "spread_points",
    "uniforms",
    "user_ordinals",
    "user_words",
    "uuid_series",
    "whole_numbers",
]

Words: TypeAlias = NDArray[np.uint64]

# RFC 9562: version 4 in bits 12 to 15 of the high word, variant 10 in the top of the low word.
_VERSION_MASK, _VERSION = np.uint64(0xFFFFFFFFFFFF0FFF), np.uint64(0x4000)
_VARIANT_MASK, _VARIANT = np.uint64(0x3FFFFFFFFFFFFFFF), np.uint64(0x8000000000000000)

# What the low word of a version 4 UUID leaves free, and how it is shuffled: odd factors, shifts.
_LOW_MASK = np.uint64((1 << 62) - 1)
_SHUFFLE = ((0x1E3779B97F4A7C15, 31), (0x3F58476D1CE4E5B9, 33), (0x14D049BB133111EB, 31))
# The four bits of 0 to 15 in the other direction.
_REVERSED = np.array([int(f"{n:04b}"[::-1], 2) for n in range(16)], np.uint64)

_UUID = np.dtype(
    [
        *(("a0", "u4"), ("a1", "u4"), ("dash_0", "u1"), ("a2", "u4"), ("dash_1", "u1")),
        *(("a3", "u4"), ("dash_2", "u1"), ("b0", "u4"), ("dash_3", "u1")),
        *(("b1", "u4"), ("b2", "u4"), ("b3", "u4")),
    ]
)


def _bits(seed: int, purpose: str, keys: Words) -> Words:
    return hash_bits(seed, f"finance.{purpose}", keys.view(np.int64))


def uniforms(seed: int, purpose: str, keys: Words) -> FloatArray:
    """Return numbers in [0, 1) that depend on (seed, purpose, key) alone, shape of keys.

    >>> uniforms(7, "doc", np.array([1, 2], np.uint64)).round(3).tolist()
    [0.324, 0.428]
    """
    return (_bits(seed, purpose, keys) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def whole_numbers(share: FloatArray, low: int, high: int | IntArray) -> IntArray:
    """Return whole numbers of [low, high], equally likely, from shares in [0, 1).

    >>> whole_numbers(np.array([0.0, 0.999]), 1, 3).tolist()
    [1, 3]
    """
    width = np.asarray(high, np.int64) - low + 1
    return np.asarray(low + (share * width).astype(np.int64))


def _as_uuid4(high: Words, low: Words) -> tuple[Words, Words]:
    return high & _VERSION_MASK | _VERSION, low & _VARIANT_MASK | _VARIANT


def user_words(seed: int, ordinals: IntArray) -> tuple[Words, Words]:
    """Return the two 64-bit words of the UUIDs of users by ordinal.

    The low word is the ordinal, shuffled in such a way that `user_ordinals` finds it again.
    """
    keys = ordinals.view(np.uint64)
    low = keys + _ordinal_key(seed) & _LOW_MASK
    for factor, shift in _SHUFFLE:
        low = low * np.uint64(factor) & _LOW_MASK
        low ^= low >> np.uint64(shift)
    return _as_uuid4(_bits(seed, "user.high", keys), low)


def user_ordinals(seed: int, low: Words) -> Words:
    """Return the ordinals of users by the low words of their ids, of others any number.

    >>> user_ordinals(7, user_words(7, np.array([0, 7, 9_999_999]))[1]).tolist()
    [0, 7, 9999999]
    """
    found = low & _LOW_MASK
    for factor, shift in reversed(_SHUFFLE):
        # Shifts by half of the bits or more are their own inverse.
        found ^= found >> np.uint64(shift)
        found = found * np.uint64(pow(factor, -1, 1 << 62)) & _LOW_MASK
    return found - _ordinal_key(seed) & _LOW_MASK


def _ordinal_key(seed: int) -> Words:
    return _bits(seed, "user.low", np.zeros(1, np.uint64))


def spread_points(seed: int, purpose: str, ordinals: Words, keys: Words) -> FloatArray:
    """Return three numbers in [0, 1) for each ordinal, each even over any few neighbours.

    Each sixteen ordinals have one number in every sixteenth, in the order of a hash; the first
    and the second go together as Hammersley's points do.

    >>> numbers = np.arange(16, dtype=np.uint64)
    >>> points = spread_points(7, "doc", numbers, numbers)
    >>> [sorted((row * 16).astype(int).tolist()) == list(range(16)) for row in points]
    [True, True, True]
    """
    bits = _bits(seed, f"{purpose}.block", ordinals >> np.uint64(4))
    cell = _shuffled(ordinals, bits)
    reverse = _REVERSED[cell] ^ bits >> np.uint64(60)
    cells = np.stack([cell, reverse, _shuffled(ordinals, bits >> np.uint64(28))])
    shaken = [uniforms(seed, f"{purpose}.{number}", keys) for number in range(len(cells))]
    return np.asarray((cells + np.stack(shaken)) / 16)


def _shuffled(numbers: Words, bits: Words) -> Words:
    """Return the low four bits of numbers, mapped one to one as 18 random bits say."""
    low = np.uint64(15)
    cell = (numbers ^ bits) & low
    for shift in (4, 11):
        factor = (bits >> np.uint64(shift) & np.uint64(7)) * np.uint64(2) + np.uint64(1)
        cell = cell * factor + (bits >> np.uint64(shift + 3)) & low
        cell ^= cell >> np.uint64(2)
    return cell


def child_words(
    seed: int, kind: str, high: Words, low: Words, index: IntArray
) -> tuple[Words, Words]:
    """Return the UUID words of the things of a kind that hang on a parent, by their index.

    Each word has a key of its own: two ids are equal only if both pairs of keys are.
    """
    step = index.astype(np.uint64)
    return _as_uuid4(
        _bits(seed, f"{kind}.high", high + step), _bits(seed, f"{kind}.low", low + step)
    )


@lru_cache(maxsize=1)
def _hex_groups() -> NDArray[np.uint32]:
    """Return the texts 0000 to ffff, four bytes each as one uint32, shape (65536,)."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    nibbles = np.arange(65_536)[:, None] >> np.array([12, 8, 4, 0]) & 15
    return np.asarray(digits[nibbles].view(np.uint32).ravel())


def uuid_series(high: Words, low: Words) -> pl.Series:
    """Return UUIDs as texts.

    >>> uuid_series(np.array([1], np.uint64), np.array([2], np.uint64)).to_list()
    ['00000000-0000-0001-0000-000000000002']
    """
    rows = np.empty(len(high), _UUID)
    groups = _hex_groups()
    for name, word in (("a", high), ("b", low)):
        for part, shift in enumerate((48, 32, 16, 0)):
            rows[f"{name}{part}"] = groups[word >> np.uint64(shift) & np.uint64(0xFFFF)]
    for dash in range(4):
        rows[f"dash_{dash}"] = ord("-")
    return text_series(rows)
