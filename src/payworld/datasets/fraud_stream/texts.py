"""Fixed-width texts as byte matrices: hexadecimal digits, UUIDs, decimal ids, IP addresses."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from payworld.datasets.fraud_stream.arrow import bitmap
from payworld.randomness import hash_bits
from payworld.world.arrays import BoolArray, ByteArray, IntArray

__all__ = ["fixed_strings", "hex_digits", "ip_strings", "numbered", "uuid_bytes"]

_UUID = np.dtype(
    [("a", "u4"), ("b", "u4"), ("d1", "u1"), ("c", "u4"), ("d2", "u1"), ("d", "u4"),
     ("d3", "u1"), ("e", "u4"), ("d4", "u1"), ("f", "u4"), ("g", "u4"), ("h", "u4")]
)  # fmt: skip
_DASH = ord("-")


@lru_cache(maxsize=2)
def _groups(base: int) -> NDArray[np.uint32]:
    """Return all texts of four digits, four bytes each as one uint32, in the order of numbers."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    numbers = np.arange(base**4)[:, None] // base ** np.arange(3, -1, -1) % base
    texts: ByteArray = digits[numbers]
    return texts.view(np.uint32).ravel()


def hex_digits(bits: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return 16 hexadecimal digits of each number, shape (n, 4), four digits in each uint32."""
    words = bits.view(np.uint16).reshape(-1, 4)[:, ::-1]
    return _groups(16)[words]


@lru_cache(maxsize=8)
def _offsets(n: int, width: int) -> NDArray[np.int32]:
    return np.arange(0, (n + 1) * width, width, dtype=np.int32)


def fixed_strings(rows: np.ndarray, width: int, present: BoolArray | None = None) -> pa.Array:
    """Return a matrix of ASCII bytes as an Arrow string array, null where not present."""
    n = rows.nbytes // width
    buffers = [bitmap(present), pa.py_buffer(_offsets(n, width)), pa.py_buffer(rows)]
    return pa.StringArray.from_buffers(
        n, buffers[1], buffers[2], buffers[0], -1 if present is not None else 0
    )


def uuid_bytes(seed: int, rows: IntArray) -> NDArray[np.void]:
    """Return the version 4 UUID of each row number, shape (n,), 36 bytes each.

    A pure function of (seed, row): who knows a row's number knows its id.
    """
    high = hash_bits(seed, "fraud.transaction_id.high", rows)
    low = hash_bits(seed, "fraud.transaction_id.low", rows)
    high &= np.uint64(0xFFFFFFFFFFFF0FFF)
    high |= np.uint64(0x4000)
    low &= np.uint64(0x3FFFFFFFFFFFFFFF)
    low |= np.uint64(0x8000000000000000)
    text = np.empty(len(rows), _UUID)
    groups = _groups(16)
    high_words = high.view(np.uint16).reshape(-1, 4)
    low_words = low.view(np.uint16).reshape(-1, 4)
    for word, name in zip((3, 2, 1, 0), "abcd", strict=True):
        text[name] = groups[high_words[:, word]]
    for word, name in zip((3, 2, 1, 0), "efgh", strict=True):
        text[name] = groups[low_words[:, word]]
    for name in ("d1", "d2", "d3", "d4"):
        text[name] = _DASH
    return text


def numbered(prefix: str, numbers: IntArray) -> NDArray[np.void]:
    """Return ids of a one-letter prefix and eight digits, shape (n,), nine bytes each.

    >>> numbered("M", np.array([7])).tobytes()
    b'M00000007'
    """
    text = np.empty(len(numbers), np.dtype([("prefix", "S1"), ("high", "u4"), ("low", "u4")]))
    text["prefix"] = prefix.encode()
    text["high"] = _groups(10)[numbers // 10_000]
    text["low"] = _groups(10)[numbers % 10_000]
    return text


@lru_cache(maxsize=1)
def _octets() -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
    """Return the octets with a dot, without one, and their lengths; padded with zero bytes."""
    plain = np.array([str(n).encode() for n in range(256)], "S4").view(np.uint32)
    dotted = np.array([f"{n}.".encode() for n in range(256)], "S4").view(np.uint32)
    return dotted, plain, np.array([len(str(n)) for n in range(256)], np.int32)


@lru_cache(maxsize=1)
def _public_first_octets() -> ByteArray:
    """Return the first octets under which every address is public, 256 entries to index.

    Left out whole: 0, 10, 100 (shared), 127, 169 (link local), 172, 192, 198, 203 (private,
    benchmarks and documentation in part), 224 and above (multicast, reserved); IANA's registry
    of special-purpose addresses, RFC 6890.
    """
    special = {0, 10, 100, 127, 169, 172, 192, 198, 203}
    first = [octet for octet in range(1, 224) if octet not in special]
    return np.resize(np.array(first, np.uint8), 256)


def ip_strings(bits: NDArray[np.uint64], present: BoolArray) -> pa.Array:
    """Return public IPv4 addresses as an Arrow string array, null where not present.

    `bits` are given for the present rows alone; equal bits are equal addresses.
    """
    dotted, plain, lengths = _octets()
    octets = bits.view(np.uint8).reshape(-1, 8)[:, :4].copy()
    octets[:, 0] = _public_first_octets()[octets[:, 0]]
    text = np.empty((len(octets), 4), np.uint32)
    text[:, :3] = dotted[octets[:, :3]]
    text[:, 3] = plain[octets[:, 3]]
    data = text.view(np.uint8).ravel()
    length = np.zeros(len(present), np.int32)
    length[present] = lengths[octets].sum(axis=1, dtype=np.int32) + 3
    offsets = np.zeros(len(present) + 1, np.int32)
    np.cumsum(length, out=offsets[1:])
    packed = data[data != 0]
    return pa.StringArray.from_buffers(
        len(present), pa.py_buffer(offsets), pa.py_buffer(packed), bitmap(present), -1
    )
