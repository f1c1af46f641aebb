"""Named random streams: the only place that makes NumPy Generators.

A draw is keyed by what it is for (seed, purpose, day, block), never by the order of calls,
so a new stream moves no existing column and any process can draw any block.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.random import SFC64, Generator, SeedSequence
from numpy.typing import NDArray

__all__ = ["MAX_SEED", "Generator", "draw_bits", "hash_bits", "stream"]

MAX_SEED = 2**63 - 1

# Multipliers of the splitmix64 finaliser (Steele, Lea, Flood 2014; Stafford's variant 13).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@lru_cache(maxsize=256)
def _purpose_words(purpose: str) -> tuple[int, int]:
    """Return two 32-bit words that stand for a purpose."""
    digest = hashlib.blake2s(purpose.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def stream(seed: int, purpose: str, day: int = 0, block: int = 0) -> Generator:
    """Return the Generator of one purpose, simulated day (ordinal) and block.

    Six fixed 32-bit words are the key: a variable number would let two keys collide.

    >>> stream(7, "doc", day=1).integers(100) == stream(7, "doc", day=1).integers(100)
    np.True_
    """
    words = (seed & 0xFFFFFFFF, seed >> 32, *_purpose_words(purpose), day, block)
    return Generator(SFC64(SeedSequence(np.array(words, dtype=np.uint32))))


def draw_bits(rng: Generator, n: int) -> NDArray[np.uint32]:
    """Draw n uniform 32-bit integers, shape (n,), dtype uint32."""
    return rng.integers(0, 1 << 32, size=n, dtype=np.uint32)


@lru_cache(maxsize=256)
def _hash_key(seed: int, purpose: str) -> np.uint64:
    digest = hashlib.blake2b(purpose.encode(), digest_size=8, key=seed.to_bytes(8, "little"))
    return np.uint64(int.from_bytes(digest.digest(), "little"))


def hash_bits(seed: int, purpose: str, ordinals: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return 64 bits that depend on (seed, purpose, ordinal) alone, shape of ordinals.

    For traits that a thing keeps for ever (a card's BIN, a merchant's ticket level): any
    process knows them from the ordinal, and nothing need be stored or drawn in order.

    >>> a, b = hash_bits(7, "doc", np.array([1, 2]))
    >>> bool(a == hash_bits(7, "doc", np.array([1]))[0]), bool(a == b)
    (True, False)
    """
    bits = ordinals.astype(np.uint64)
    bits += np.uint64(1)
    bits *= _GOLDEN
    bits ^= _hash_key(seed, purpose)
    bits ^= bits >> np.uint64(30)
    bits *= _MIX_1
    bits ^= bits >> np.uint64(27)
    bits *= _MIX_2
    bits ^= bits >> np.uint64(31)
    return bits
